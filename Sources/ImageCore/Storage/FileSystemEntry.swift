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
    guard let status = statusOfPath(path) else {
      self = .missing
      return
    }
    self = FileType(status).isDevice ? .device : .other
  }
}
