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
  /// Open the layers below as well.
  public var opensBacking = true
  /// For `check`, which opens damaged images.
  public var isCheck = false

  /// Reading, with the layers below, format probed.
  public init() {}
}

/// Something the user should know although the work goes on.
public enum Notice: Sendable {
  /// A warning, printed as `PROGRAM: warning: TEXT`.
  case warning(String)
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
      var path = Path()
      return try openLayer(name, options, &path)
    } catch {
      throw error.prefixed("Could not open '\(name)': ")
    }
  }

  /// The files on the way from the top image to the one being opened: a repetition is a loop.
  private struct Path {
    var identities: Set<FileIdentity> = []
    var depth = 0
  }

  private func openLayer(_ name: String, _ options: OpenOptions, _ path: inout Path) throws(ImageError)
    -> any DiskImage
  {
    let storage = try openStorage(name, options)
    if let identity = storage.identity {
      guard path.identities.insert(identity).inserted else {
        throw ImageError("Backing file '\(name)' creates an infinite loop.", errno: 40 /* ELOOP */)
      }
    }
    let image = try openFormat(storage, filename: storage.name, options)
    guard options.opensBacking, options.use != .inspect, let reference = image.backingReference else { return image }
    do throws(ImageError) {
      path.depth += 1
      guard path.depth <= ImageOpener.depthLimit else { throw ImageError("Backing chain too deep", errno: 40) }
      var below = options
      below.format = reference.format
      below.use = .read
      below.isCheck = false
      let backing = try openLayer(ImageName.resolve(reference.name, relativeTo: image.filename), below, &path)
      image.attachBacking(backing)
    } catch {
      // The reference words every level of a failing chain.
      throw error.message.hasSuffix("creates an infinite loop.") || error.message == "Backing chain too deep"
        ? error : error.prefixed("Could not open backing file: ")
    }
    return image
  }

  /// Opens the file or device behind a name.
  public func openStorage(_ name: String, _ options: OpenOptions) throws(ImageError) -> FileStorage {
    var kind = FileStorage.Kind.either
    if let prefix = ImageName.protocolPrefix(of: name) {
      switch prefix {
      case "file": kind = .regular
      case "host_device", "host_cdrom": kind = .device
      default: throw ImageError("Unknown protocol '\(prefix)'")
      }
    }
    return try FileStorage(
      path: ImageName.localPath(name), writable: options.use.isWriting, cache: options.cache, kind: kind)
  }

  /// Recognises the format of a storage and opens it, without the layers below.
  public func openFormat(_ storage: any Storage, filename: String, _ options: OpenOptions) throws(ImageError)
    -> any DiskImage
  {
    let format: any ImageFormat.Type
    var storage = storage
    if let name = options.format {
      guard let named = self.format(name) else { throw ImageError("Unknown driver '\(name)'") }
      format = named
    } else {
      format = try probe(storage, filename: filename)
      if format.name == "raw", options.use.isWriting, let writable = storage as? any WritableStorage {
        notify(
          .line(
            """
            WARNING: Image format was not specified for '\(filename)' and probing guessed raw.
                     Automatically detecting the format is dangerous for raw images, write operations on block 0 will be restricted.
                     Specify the 'raw' format explicitly to remove the restrictions.
            """))
        let formats = self.formats
        storage = FirstSectorGuard(writable) { head in ImageOpener.best(formats, head, filename: "")?.name == "raw" }
      }
    }
    if let file = storage as? FileStorage ?? nil { try file.lock(lock(of: format, options)) }
    let notify = self.notify
    let writable = options.use.isWriting
    let cache = options.cache
    var context = OpenContext(
      filename: filename, use: options.use,
      openDependent: { (name) throws(ImageError) in
        // A name from an image is a path, never a protocol: an image must not choose what is connected to.
        try FileStorage(
          path: ImageName.resolve(name, relativeTo: filename), writable: writable, cache: cache)
      },
      notify: notify)
    context.isCheck = options.isCheck
    context.isProbed = options.format == nil
    return try format.open(storage, context)
  }

  private func lock(of format: any ImageFormat.Type, _ options: OpenOptions) -> ImageLock {
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
