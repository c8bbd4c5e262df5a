import Bytes
import Storage

/// How an image is to be opened.
public struct OpenOptions: Sendable {
  /// The format; nil means probing.
  public var format: String?
  /// What it is opened for.
  public var use = ImageUse.read
  /// Cache mode of the image and its layers.
  public var cache = CacheMode.writeback
  /// Tolerate everybody else's use (`-U`).
  public var forceShare = false
  /// Take a reader's lock on a raw image too, so that a writer is noticed (convert's sources).
  public var deniesWriters = false
  /// Whether the layers below are opened as well; nil: unless the use is only to inspect.
  public var opensBacking: Bool?
  /// Whether zeros may be stored by giving space back; `detect-zeroes=unmap` depends on it.
  public var discards = false
  /// For `check`, which opens damaged images.
  public var isCheck = false
  /// Only the disk is read: what else an image has, counts and snapshots, may be damaged.
  public var readsDiskOnly = false

  /// Reading, with the layers below, format probed.
  public init() {}
}

/// Something the user should know although the work goes on.
public enum Notice: Sendable {
  /// A warning, printed as `PROGRAM: warning: TEXT`.
  case warning(String)
  /// An error that is told before the work ends, printed as `PROGRAM: TEXT`.
  case error(String)
  /// A line printed as it is.
  case line(String)
}

/// Opens images: finds the file, recognises the format, takes the locks, opens the layers below.
public struct ImageOpener: Sendable {
  /// The known formats; on equal probing scores the first wins.
  public var formats: [any ImageFormat.Type]
  /// Takes notices.
  public var notify: @Sendable (Notice) -> Void

  /// The number of layers below an image that are opened before it counts as a trap (qemu-img-cli-2 §8.5).
  public static let depthLimit = 200

  /// The largest file in bytes: the largest signed number, rounded down to a gibibyte (qemu-img-cli-1 §1.5).
  public static let largestFile = UInt64(Int64.max) & ~((1 << 30) - 1)

  /// Checks the new length of a disk, in bytes, that begins at byte `start` of its file.
  package static func checkLength(_ size: UInt64, behind start: UInt64 = 0) throws(ImageError) {
    guard size <= largestFile, start <= largestFile - size else {
      throw ImageError("offset(\(size)) exceeds maximum(\(largestFile))", errno: 27 /* EFBIG */)
    }
  }

  /// An opener for the given formats.
  public init(formats: [any ImageFormat.Type], notify: @escaping @Sendable (Notice) -> Void) {
    self.formats = formats
    self.notify = notify
  }

  /// Opens the image with a name as the user typed it.
  ///
  /// - Throws: `Could not open 'NAME': …`.
  public func open(_ name: String, _ options: OpenOptions) throws(ImageError) -> any DiskImage {
    do throws(ImageError) {
      return try openWithoutPrefix(name, options)
    } catch {
      throw error.prefixed("Could not open '\(name)': ")
    }
  }

  /// As ``open(_:_:)``, but the error says only what went wrong.
  public func openWithoutPrefix(_ name: String, _ options: OpenOptions) throws(ImageError) -> any DiskImage {
    var path = OpeningPath()
    return try openNode(OptionTree(), filename: name, options, &path)
  }

  /// Opens the image that an `--image-opts` text describes.
  ///
  /// - Throws: `Could not open 'TEXT': …`.
  public func open(imageOptions text: String, _ options: OpenOptions) throws(ImageError) -> any DiskImage {
    let tree = try optionTree(text)
    if options.forceShare, let share = tree["force-share"]?.text, parseBoolean(share) == false {
      throw ImageError("--force-share/-U conflicts with image options")
    }
    do throws(ImageError) {
      var path = OpeningPath()
      return try openNode(tree, filename: nil, options, &path)
    } catch {
      throw error.prefixed("Could not open '\(text)': ")
    }
  }

  /// The format that was asked for, or the one that the contents have.
  func chooseFormat(_ storage: any Storage, _ options: OpenOptions) throws(ImageError) -> any ImageFormat.Type {
    guard let name = options.format else { return try probe(storage, filename: storage.name) }
    guard let format = format(name) else { throw ImageError("Unknown driver '\(name)'") }
    return format
  }

  /// Opens a storage as a format, without the layers below.
  func openFormat(
    _ format: any ImageFormat.Type, _ storage: any Storage, filename: String, _ options: OpenOptions,
    _ values: OptionValues, dataFile: (@Sendable () throws(ImageError) -> any Storage)?
  ) throws(ImageError) -> any DiskImage {
    var guarded = storage
    if options.format == nil, format.name == "raw", options.use.isWriting,
      let writable = storage as? any WritableStorage
    {
      notify(
        .line(
          """
          WARNING: Image format was not specified for '\(filename)' and probing guessed raw.
                   Automatically detecting the format is dangerous for raw images, write operations on block 0 will be restricted.
                   Specify the 'raw' format explicitly to remove the restrictions.
          """))
      guarded = FirstSectorGuard(writable, looksRaw: looksRaw)
    }
    if let file = storage.file { try file.lock(lock(of: format, options)) }
    var context = context(for: filename, options)
    context.options = values
    context.openDataFile = dataFile
    context.isProbed = options.format == nil
    if options.format == nil, format.name == "raw", !options.use.isWriting { context.looksRaw = looksRaw }
    return try format.open(guarded, context)
  }

  /// Whether no format but raw claims an image that begins with these 512 bytes.
  private var looksRaw: @Sendable (RawSpan) -> Bool {
    let formats = self.formats
    return { head in
      ImageOpener.best(formats, head, filename: "")?.name == "raw" && ForeignFormats.name(head) == nil
    }
  }

  /// What every format is told.
  func context(for filename: String, _ options: OpenOptions) -> OpenContext {
    let writable = options.use.isWriting
    let cache = options.cache
    var context = OpenContext(
      filename: filename, use: options.use,
      openDependent: { (name) throws(ImageError) in
        // A name from an image is a path, never a protocol: an image must not choose what is connected to. A relative
        // one belongs to the working directory, where creation put the file, unlike that of a layer below.
        try FileStorage(path: name, writable: writable, cache: cache)
      },
      notify: notify)
    context.isCheck = options.isCheck
    context.readsDiskOnly = options.readsDiskOnly
    return context
  }

  func lock(of format: any ImageFormat.Type, _ options: OpenOptions) -> ImageLock {
    if options.forceShare { return options.use == .inspect ? .none : .shared }
    if options.deniesWriters && options.use == .read { return .read }
    return format.lock(for: options.use)
  }

  /// The format with a name.
  public func format(_ name: String) -> (any ImageFormat.Type)? { formats.first { $0.name == name } }

  /// Recognises the format of a storage by its first 512 bytes.
  public func probe(_ storage: any Storage, filename: String) throws(ImageError) -> any ImageFormat.Type {
    var head = Buffer(512)
    if storage.length > 0 {
      do throws(ImageError) {
        var bytes = head.mutableBytes
        try storage.read(into: &bytes, at: 0)
      } catch {
        throw error.prefixed("Could not read image for determining its format: ")
      }
    }
    guard let format = ImageOpener.best(formats, head.bytes, filename: filename) else {
      throw ImageError("Could not determine image format: No compatible driver found")
    }
    if format.name == "raw", let name = ForeignFormats.name(head.bytes) {
      throw ImageError("Block format '\(name)' is not supported yet", errno: 95 /* ENOTSUP */)
    }
    return format
  }

  private static func best(_ formats: [any ImageFormat.Type], _ head: RawSpan, filename: String)
    -> (any ImageFormat.Type)?
  {
    var best: (format: any ImageFormat.Type, score: Int)?
    for format in formats {
      let score = format.probe(head, filename: filename)
      if score > best?.score ?? 0 { best = (format, score) }
    }
    return best?.format
  }
}
