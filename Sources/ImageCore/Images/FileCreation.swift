import Bytes
import Storage

/// How long the extents of a new file shall be at least (`extent_size_hint`).
public struct ExtentSizeHint: Sendable {
  /// Bytes; 0 for none.
  let bytes: UInt32
  /// Whether the user asked for it.
  let isAsked: Bool

  /// What is good for an image, of which the user said nothing.
  public static let usual = ExtentSizeHint(bytes: 1 << 20, isAsked: false)

  private init(bytes: UInt32, isAsked: Bool) {
    self.bytes = bytes
    self.isAsked = isAsked
  }

  /// What `options` say.
  package init(_ options: OptionValues) {
    let asked = options.number("extent_size_hint")
    self = asked.map { ExtentSizeHint(bytes: UInt32(clamping: $0), isAsked: true) } ?? .usual
  }
}

/// What every format does when it makes its file (qemu-img-cli-1 §7.6).
public enum FileCreation {
  /// What is in front of the reason why a device could not be opened to make an image on it (qemu-img-cli-2 §7.4).
  public static let deviceRefused =
    "Protocol driver 'host_device' does not support image creation, and opening the image failed: "

  /// Opens or makes the file, takes the lock of a creator, and empties it.
  ///
  /// - Throws: `Could not create 'PATH': …`.
  public static func open(
    _ name: String, nocow: Bool = false, extentSizeHint: ExtentSizeHint = .usual, warn: (String) -> Void = { _ in }
  ) throws(ImageError) -> FileStorage {
    let path = ImageName.localPath(name)
    let file: FileStorage
    guard !path.isEmpty else { throw ImageError.system(2 /* ENOENT */).prefixed("Could not create '': ") }
    do throws(ImageError) {
      file = try FileStorage.create(path: path)
    } catch {
      let opening = "Could not open '\(path)': "
      if FileSystemEntry(path: path) == .device {
        let reason = error.message.hasPrefix(opening) ? error.message.dropFirst(opening.count) : error.message[...]
        throw ImageError(deviceRefused + reason, errno: error.errno, hint: error.hint)
      }
      guard error.message.hasPrefix(opening) else { throw error }
      throw ImageError.system(error.errno, path: path).prefixed("Could not create '\(path)': ")
    }
    do throws(ImageError) {
      try file.lock(.create)
    } catch {
      throw file.isDevice ? error.prefixed(deviceRefused) : error
    }
    if !file.isDevice {
      if nocow { file.disableCopyOnWrite() }
      if extentSizeHint.bytes > 0 {
        do throws(ImageError) {
          try file.setExtentSizeHint(extentSizeHint.bytes)
        } catch {
          if extentSizeHint.isAsked { warn("Failed to set extent size hint: \(error.message)") }
        }
      }
      try file.resize(to: 0)
    }
    return file
  }

  /// Opens or makes the file and lets `fill` make it an image. A file that did not exist before is removed on failure.
  public static func make(
    _ name: String, nocow: Bool = false, extentSizeHint: ExtentSizeHint = .usual,
    warn: (String) -> Void = { _ in },
    fill: (FileStorage) throws(ImageError) -> Void
  ) throws(ImageError) {
    let path = ImageName.localPath(name)
    let isNew = !FileStorage.exists(path)
    do throws(ImageError) {
      try fill(try open(name, nocow: nocow, extentSizeHint: extentSizeHint, warn: warn))
    } catch {
      if isNew { FileStorage.remove(path) }
      throw error
    }
  }

  /// A new file's first block is stored, so that the file system's alignment can be found out later. A file system without
  /// room for it has room for the file all the same.
  public static func writeFirstBlock(_ file: any WritableStorage, size: UInt64) {
    guard size > 0 else { return }
    let zeros = Buffer(size < 4096 ? 512 : 4096)
    try? file.write(zeros.bytes, at: 0)
  }

  /// A device cannot be made: it must be large enough, and its first sector is cleared so that it probes as raw.
  public static func prepareDevice(_ file: FileStorage, size: UInt64) throws(ImageError) {
    guard size <= file.length else { throw ImageError("Cannot grow device files") }
    let zeros = Buffer(512)
    try file.write(zeros.bytes, at: 0)
  }
}
