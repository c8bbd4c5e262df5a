import Bytes
import Images
import Storage

/// The raw format: whatever no other format claims.
public enum RawFormat: ImageFormat {
  public static let name = "raw"

  public static func probe(_ head: RawSpan, filename: String) -> Int { 1 }

  public static func open(_ storage: any Storage, _ context: OpenContext) throws(ImageError) -> any DiskImage {
    RawImage(storage, filename: context.filename)
  }

  /// Raw images tolerate writers: guests of shared raw disks look after that themselves (qemu-img-cli-2 §10.2).
  public static func lock(for use: ImageUse) -> ImageLock {
    switch use {
    case .inspect: .none
    case .read: .shared
    case .write: .writeRaw
    case .resize: .resizeRaw
    }
  }

  /// How a raw image is made.
  public struct Creation: Sendable {
    /// Size of the disk in bytes; rounded up to 512.
    public var size: UInt64
    /// How the space is prepared; `metadata` is refused.
    public var preallocation = Preallocation.off
    /// Turn off copy-on-write (btrfs).
    public var nocow = false
    /// Smallest extent to ask the file system for in bytes; 0 asks for nothing.
    public var extentSizeHint: UInt32 = 1 << 20

    /// A sparse image.
    public init(size: UInt64) { self.size = size }
  }

  /// Makes a raw image, or empties and resizes an existing file (qemu-img-cli-1 §7.6).
  ///
  /// - Throws: `Could not create 'PATH': …` and the like.
  public static func create(_ path: String, _ creation: Creation) throws(ImageError) {
    let file = try FileCreation.open(path, nocow: creation.nocow, extentSizeHint: creation.extentSizeHint)
    guard let size = creation.size.roundedUp(to: 512), size <= UInt64(Int64.max) else {
      throw ImageError("Image size must be less than 8 EiB!", errno: 27 /* EFBIG */)
    }
    if file.isDevice {
      try FileCreation.prepareDevice(file, size: size)
    } else {
      do throws(ImageError) {
        try RawImage.resize(file, to: size, preallocation: creation.preallocation)
      } catch {
        throw creation.preallocation == .off ? error.prefixed("Could not resize file: ") : error
      }
      try FileCreation.writeFirstBlock(file, size: size)
    }
    try file.flush()
  }
}
