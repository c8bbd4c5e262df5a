import Bytes
import Storage

/// What every format does when it makes its file (qemu-img-cli-1 §7.6).
public enum FileCreation {
  /// Opens or makes the file, takes the lock of a creator, and empties it.
  ///
  /// - Throws: `Could not create 'PATH': …`.
  public static func open(
    _ name: String, nocow: Bool = false, extentSizeHint: UInt32 = 1 << 20
  ) throws(ImageError) -> FileStorage {
    let path = ImageName.localPath(name)
    let file: FileStorage
    guard !path.isEmpty else { throw ImageError.system(2 /* ENOENT */).prefixed("Could not create '': ") }
    do throws(ImageError) {
      file = try FileStorage.create(path: path)
    } catch {
      guard error.message.hasPrefix("Could not open '") else { throw error }
      throw ImageError.system(error.errno, path: path).prefixed("Could not create '\(path)': ")
    }
    try file.lock(.create)
    if !file.isDevice {
      if nocow { file.disableCopyOnWrite() }
      if extentSizeHint > 0 { file.setExtentSizeHint(extentSizeHint) }
      try file.resize(to: 0)
    }
    return file
  }

  /// Opens or makes the file and lets `fill` make it an image. A file that did not exist before is removed on failure.
  public static func make(
    _ name: String, nocow: Bool = false, extentSizeHint: UInt32 = 1 << 20,
    fill: (FileStorage) throws(ImageError) -> Void
  ) throws(ImageError) {
    let path = ImageName.localPath(name)
    let isNew = !FileStorage.exists(path)
    do throws(ImageError) {
      try fill(try open(name, nocow: nocow, extentSizeHint: extentSizeHint))
    } catch {
      if isNew { FileStorage.remove(path) }
      throw error
    }
  }

  /// A new file's first block is stored, so that the file system's alignment can be found out later.
  public static func writeFirstBlock(_ file: any WritableStorage, size: UInt64) throws(ImageError) {
    guard size > 0 else { return }
    let zeros = Buffer(size < 4096 ? 512 : 4096)
    try file.write(zeros.bytes, at: 0)
  }

  /// A device cannot be made: it must be large enough, and its first sector is cleared so that it probes as raw.
  public static func prepareDevice(_ file: FileStorage, size: UInt64) throws(ImageError) {
    guard size <= file.length else { throw ImageError("Cannot grow device files") }
    let zeros = Buffer(512)
    try file.write(zeros.bytes, at: 0)
  }
}
