import Bytes
import CLinux
import Glibc

/// What stands under a path before it is opened or made.
public enum FileSystemEntry: Sendable, Equatable {
  /// Nothing, or nothing that can be looked at.
  case missing
  /// A block or character device.
  case device
  /// Anything else: a regular file, a directory, …
  case other

  /// Looks at the path, following symbolic links.
  public init(path: String) {
    var status = stat()
    guard unsafe path.withSystemPath({ unsafe stat($0, &status) }) == 0 else {
      self = .missing
      return
    }
    let type = status.st_mode & S_IFMT
    self = type == S_IFBLK || type == S_IFCHR ? .device : .other
  }
}
