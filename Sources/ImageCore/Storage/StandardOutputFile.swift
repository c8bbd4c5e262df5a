import Bytes
import CLinux
import Glibc

extension FileStorage {
  /// Standard output, when it is an empty regular file that takes bytes at any offset; nil when it must be written as a
  /// stream: a pipe, a device, a file that is appended to or has contents already.
  public static func standardOutputFile() -> FileStorage? {
    var status = stat()
    let flags = fcntl(1, F_GETFL)
    guard flags >= 0, flags & O_APPEND == 0, unsafe fstat(1, &status) == 0, FileType(status) == .regular,
      status.st_size == 0
    else { return nil }
    return try? FileStorage(path: "/proc/self/fd/1", writable: true, kind: .regular, locking: false)
  }
}

/// Bytes that an unprivileged user can still store in the folder that holds `path`; nil when that cannot be found out.
public func availableBytes(inFolderOf path: String) -> UInt64? {
  var name = path.rawBytes[...]
  while name.count > 1, name.last == UInt8(ascii: "/") { name.removeLast() }
  var folder: [UInt8] = [UInt8(ascii: ".")]
  if let slash = name.lastIndex(of: UInt8(ascii: "/")) {
    folder = slash == name.startIndex ? [UInt8(ascii: "/")] : Array(name[..<slash])
  }
  var status = statvfs()
  guard unsafe String(rawBytes: folder).withSystemPath({ unsafe statvfs($0, &status) }) == 0 else { return nil }
  let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_bsize))
  return overflow ? nil : bytes
}
