import Bytes
import Images
import Storage

extension RawFormat: CreatableFormat {
  package static let creationOptions = [OptionDefinition("size", .size, "Virtual disk size")]

  /// How a raw image is made.
  public struct Creation: Sendable {
    /// Size of the disk in bytes; rounded up to 512.
    public var size: UInt64
    /// How the space is prepared; `metadata` is refused.
    public var preallocation = Preallocation.off
    /// Turn off copy-on-write (btrfs).
    public var nocow = false
    /// Smallest extent to ask the file system for.
    public var extentSizeHint = ExtentSizeHint.usual

    /// A sparse image.
    public init(size: UInt64) { self.size = size }
  }

  package static func create(_ name: String, _ options: OptionValues, warn: (String) -> Void) throws(ImageError) {
    var creation = Creation(size: options.number("size") ?? 0)
    if let text = options.text("preallocation") {
      guard let mode = Preallocation(rawValue: text) else { throw ImageError("invalid parameter value: \(text)") }
      creation.preallocation = mode
    }
    creation.nocow = options.boolean("nocow") ?? false
    creation.extentSizeHint = ExtentSizeHint(options)
    try create(name, creation, warn: warn)
  }

  /// Makes a raw image, or empties and resizes an existing file (qemu-img-cli-1 §7.6). What is asked for is checked
  /// before the file is touched, and a file that this call has made is removed when it fails.
  ///
  /// - Throws: `Could not create 'PATH': …` and the like.
  public static func create(_ name: String, _ creation: Creation, warn: (String) -> Void = { _ in }) throws(ImageError)
  {
    guard creation.preallocation != .metadata else {
      throw ImageError("Unsupported preallocation mode: metadata", errno: 95 /* ENOTSUP */)
    }
    guard let size = creation.size.roundedUp(to: 512), size <= UInt64(Int64.max) else {
      throw ImageError("Could not resize file: \(errorText(22 /* EINVAL */))")
    }
    // The reference makes such a file where the file system allows it, and can then not open it.
    guard size <= ImageOpener.largestFile else { throw ImageError.system(27 /* EFBIG */) }
    try FileCreation.make(name, nocow: creation.nocow, extentSizeHint: creation.extentSizeHint, warn: warn) {
      (file) throws(ImageError) in
      if file.isDevice {
        try FileCreation.prepareDevice(file, size: size)
      } else {
        do throws(ImageError) {
          try RawImage.resize(file, to: size, preallocation: creation.preallocation)
        } catch {
          throw creation.preallocation == .off ? error.prefixed("Could not resize file: ") : error
        }
        FileCreation.writeFirstBlock(file, size: size)
      }
      try file.flush()
    }
  }
}
