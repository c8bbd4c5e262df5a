/// What went wrong, as the caller will tell the user.
///
/// The message carries no program name and no newline. Layers that know more put their part in front with
/// ``prefixed(_:)``, as in `Could not open 'disk.qcow2': ` + `Image is not in qcow2 format`; the tool adds its name.
public struct ImageError: Error, Sendable, Equatable {
  /// The Linux error number: what the kernel said, or the nearest one (`EINVAL` for a malformed image, `EIO` for a
  /// damaged one, `ENOTSUP` for an operation that the format lacks).
  public var errno: Int32
  /// One line of text without prefix and newline.
  public var message: String
  /// A second line that is printed with the program's name as the first is.
  public var continuation: String?
  /// Further text printed on lines of its own below the message, without the program's name.
  public var hint: String?
  /// The file concerned, where known.
  public var path: String?
  /// Byte offset of the failed access, where known.
  public var offset: UInt64?

  /// An error with a text of its own.
  public init(_ message: String, errno: Int32 = 22 /* EINVAL */, hint: String? = nil) {
    self.errno = errno
    self.message = message
    self.hint = hint
  }

  /// An error that the kernel reported; the message is its C-locale text.
  public static func system(_ errno: Int32, path: String? = nil, offset: UInt64? = nil) -> ImageError {
    var error = ImageError(errorText(errno), errno: errno)
    error.path = path
    error.offset = offset
    return error
  }

  /// The same error with `text` in front of its message.
  public func prefixed(_ text: String) -> ImageError {
    var error = self
    error.message = text + message
    return error
  }

  /// The same error with `text` behind it, as in `Invalid block number while scanning inode 7`.
  package func suffixed(_ text: String) -> ImageError {
    var error = self
    error.message = message + " " + text
    return error
  }
}

extension ImageError: CustomStringConvertible {
  /// The message, as a test or a debugger wants it.
  public var description: String { message }
}
