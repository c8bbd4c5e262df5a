import Bytes
import CLinux
import Glibc

/// An open file descriptor, closed when nobody needs it any more.
final class FileDescriptor: Sendable {
  /// The kernel's number, valid as long as the object lives.
  let number: Int32
  private let isOwned: Bool

  static let standardInput = FileDescriptor(number: 0, isOwned: false)
  static let standardOutput = FileDescriptor(number: 1, isOwned: false)

  private init(number: Int32, isOwned: Bool) {
    self.number = number
    self.isOwned = isOwned
  }

  /// Takes over a descriptor that is open.
  convenience init(owning number: Int32) { self.init(number: number, isOwned: true) }

  /// Opens a file of any kind; it is closed when another program is started.
  ///
  /// - Parameters:
  ///   - flags: open(2)'s.
  ///   - mode: the permissions of a file that the call makes, before the umask.
  /// - Throws: the kernel's text.
  convenience init(path: String, flags: Int32, mode: UInt32 = 0) throws(ImageError) {
    var number: Int32
    repeat {
      number = unsafe path.withSystemPath { unsafe clinux_open($0, flags | O_CLOEXEC, mode) }
    } while number < 0 && errno == EINTR
    guard number >= 0 else { throw .system(errno, path: path) }
    self.init(number: number, isOwned: true)
  }

  /// Opens the file of `other` again, with other flags; by its path where /proc is not mounted.
  ///
  /// - Throws: the kernel's text.
  convenience init(again other: FileDescriptor, path: String, flags: Int32) throws(ImageError) {
    let link = "/proc/self/fd/\(other.number)"
    try self.init(path: statusOfPath(link) == nil ? path : link, flags: flags)
  }

  deinit { if isOwned { close(number) } }

  /// What fstat(2) says.
  ///
  /// - Throws: the kernel's text.
  func status() throws(ImageError) -> stat {
    var status = stat()
    guard unsafe fstat(number, &status) == 0 else { throw .system(errno) }
    return status
  }

  /// The regular file or block device behind; nil for anything else.
  var storageIdentity: FileIdentity? { (try? status()).flatMap(FileIdentity.ofStorage) }
}

/// What sort of file a status describes (st_mode's type bits, stat(2)).
enum FileType {
  case regular, blockDevice, characterDevice, directory, other

  init(_ status: stat) {
    self =
      switch status.st_mode & S_IFMT {
      case S_IFREG: .regular
      case S_IFBLK: .blockDevice
      case S_IFCHR: .characterDevice
      case S_IFDIR: .directory
      default: .other
      }
  }

  /// A block or character device.
  var isDevice: Bool { self == .blockDevice || self == .characterDevice }
}

/// What stat(2) says of a path, symbolic links followed; nil with errno set when there is nothing to be seen.
func statusOfPath(_ path: String) -> stat? {
  var status = stat()
  return unsafe path.withSystemPath { unsafe stat($0, &status) } == 0 ? status : nil
}

extension FileIdentity {
  /// The identity in a status; a device is itself, whatever node leads to it.
  init(_ status: stat) {
    if FileType(status).isDevice {
      self.init(device: UInt64(status.st_rdev), inode: 0)
    } else {
      self.init(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }
  }

  /// The identity of a regular file or block device; nil for anything else.
  static func ofStorage(_ status: stat) -> FileIdentity? {
    switch FileType(status) {
    case .regular, .blockDevice: FileIdentity(status)
    default: nil
    }
  }
}
