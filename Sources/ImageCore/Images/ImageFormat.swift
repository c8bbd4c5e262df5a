import Bytes
import Storage

/// A container format: how it is recognised and opened.
public protocol ImageFormat: Sendable {
  /// The driver's name.
  static var name: String { get }
  /// How sure the format is that an image with these first 512 bytes (zero padded) is its own: 0 not at all, 100 sure
  /// (qemu-img-cli-1 §5).
  static func probe(_ head: RawSpan, filename: String) -> Int
  /// Opens an image. The layer below is not opened here, see ``ImageOpener``.
  static func open(_ storage: any Storage, _ context: OpenContext) throws(ImageError) -> any DiskImage
  /// Options that an open image takes (`offset`, `lazy-refcounts`, …), beside those of every node.
  static var runtimeOptions: [OptionDefinition] { get }
  /// Those of ``runtimeOptions`` that change what is read, so that the file's name alone does not name the image.
  static var contentOptions: [String] { get }
  /// Whether the option `data-file` can name the node with the guest's data, instead of the image's header.
  static var takesDataFile: Bool { get }
  /// The locks that a use of such an image takes.
  static func lock(for use: ImageUse) -> ImageLock
}

/// What an image is opened for.
public enum ImageUse: Sendable, Equatable {
  /// Looking at the header only: no layer below, no data file, no key.
  case inspect
  /// Reading.
  case read
  /// Reading and writing.
  case write
  /// Writing, and the image's length may change (for raw another lock than ``write``).
  case resize
}

/// What a format needs to know to open an image.
public struct OpenContext: Sendable {
  /// The name that messages and `info` show.
  public var filename: String
  /// What it is opened for.
  public var use: ImageUse
  /// Opened by `check`: damage that check can report does not keep the image from being opened.
  public var isCheck = false
  /// Whether only the disk is read: damage to what that does not need does not keep the image from being opened.
  public var readsDiskOnly = false
  /// Whether the format was probed rather than named.
  public var isProbed = false
  /// For a probed raw image that is opened for reading: whether its first 512 bytes still look like none but a raw image's.
  /// Who writes to it after all must see to that (qemu-img-cli-1 §5.4).
  package var looksRaw: (@Sendable (RawSpan) -> Bool)?
  /// The driver named, where it is not the format itself: `file` shows a file's bytes as raw does.
  public var driver: String?
  /// What was set of the format's ``ImageFormat/runtimeOptions``.
  public var options = OptionValues([])
  /// Opens the node that the option `data-file` describes; nil without that option.
  public var openDataFile: (@Sendable () throws(ImageError) -> any Storage)?
  /// Opens a file that the image names (an external data file), relative names as the reference resolves them.
  public var openDependent: @Sendable (_ name: String) throws(ImageError) -> any Storage
  /// Takes what the user should know although the work goes on, now and while the image is in use.
  public var notify: @Sendable (Notice) -> Void

  /// A context.
  public init(
    filename: String, use: ImageUse, openDependent: @escaping @Sendable (String) throws(ImageError) -> any Storage,
    notify: @escaping @Sendable (Notice) -> Void
  ) {
    self.filename = filename
    self.use = use
    self.openDependent = openDependent
    self.notify = notify
  }

  /// Passes on a warning: a line without prefix and newline.
  public func warn(_ text: String) { notify(.warning(text)) }

  /// For a format that is only read.
  package func refuseWriting(_ format: String) throws(ImageError) {
    if use.isWriting { throw ImageError("Block format '\(format)' does not support writing", errno: 30 /* EROFS */) }
  }
}

extension ImageUse {
  /// Whether the image will be changed.
  public var isWriting: Bool { self == .write || self == .resize }
}

extension ImageFormat {
  /// None.
  public static var runtimeOptions: [OptionDefinition] { [] }
  /// None.
  public static var contentOptions: [String] { [] }
  /// No.
  public static var takesDataFile: Bool { false }

  /// The locks of every format but raw.
  public static func lock(for use: ImageUse) -> ImageLock {
    switch use {
    case .inspect: .inspect
    case .read: .read
    case .write, .resize: .write
    }
  }
}
