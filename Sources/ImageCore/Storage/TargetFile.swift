import Bytes
import CLinux
import Glibc

extension FileStorage {
  /// Opens a file whose contents are going to be replaced, and makes it where there is none; nothing is changed yet. A
  /// block device is opened for this process alone: one that is in use, as part of a mounted file system for example, is
  /// refused with `EBUSY`.
  ///
  /// - Parameters:
  ///   - mode: the permissions of a new file, before the umask.
  /// - Throws: the kernel's error; the message has `Could not open …` in front.
  public static func forReplacing(path: String, mode: UInt32) throws(ImageError)
    -> FileStorage
  {
    let isBlockDevice = (try? FileFacts(path: path))?.kind == .blockDevice
    let flags = isBlockDevice ? O_RDWR | O_EXCL : O_RDWR | O_CREAT
    return try FileStorage(
      path: path, flags: flags, mode: mode, cache: .writeback, kind: .either, locking: false)
  }

  /// A file without a name for what does not fit memory, in `TMPDIR` or /tmp; it is gone when it is closed.
  public static func temporary() throws(ImageError) -> FileStorage {
    let variable = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? ""
    let folder = variable.isEmpty ? "/tmp" : variable
    return try FileStorage(
      path: folder, flags: O_RDWR | clinux_o_tmpfile(), mode: 0o600, cache: .writeback, kind: .regular, locking: false)
  }
}
