import ImageCore

/// `qemu-img rebase` (qemu-img-cli-2 §2).
enum RebaseCommand: Command {
  static let name = "rebase"
  static let synopsis =
    "[--object objectdef] [--image-opts] [-U] [-q] [-f fmt] [-t cache] [-T src_cache] [-p] [-u] [-c] -b backing_file [-F backing_fmt] filename"

  private static let options: [CommandOption<Option>] =
    CommandOption.common + [
      CommandOption(.format, "f", "format", .required, isAddition: true),
      CommandOption(.backingFormat, "F", nil, .required),
      CommandOption(.backingFormat, "B", "backing-format", .required, isAddition: true),
      CommandOption(.backing, "b", "backing", .required, isAddition: true),
      CommandOption(.unsafeBacking, "u", "backing-unsafe", isAddition: true),
      CommandOption(.compress, "c", "compress", isAddition: true),
      CommandOption(.cache, "t", "cache", .required, isAddition: true),
      CommandOption(.sourceCache, "T", "backing-cache", .required, isAddition: true),
      CommandOption(.progress, "p", "progress", isAddition: true),
      CommandOption(.quiet, "q", "quiet", isAddition: true),
      .forceShare, .imageOptions,
    ]

  static func run(_ words: [String], _ tool: Tool) throws(Stop) -> Int32 {
    let arguments = try Arguments(words, options, tool)
    let operand = try arguments.singleOperand()
    let isUnsafe = arguments.has(.unsafeBacking)
    guard isUnsafe || arguments.has(.backing) else {
      throw .usage("Must specify backing file (-b) or use unsafe mode (-u)")
    }
    let progress = Progress(
      tool.console, isShown: arguments.has(.progress) && !arguments.has(.quiet), step: 2)
    defer { progress.end() }
    progress.report(percent: 0)
    let cache = try arguments.cacheMode(.cache, message: "Invalid cache option")
    let sourceCache = try arguments.cacheMode(.sourceCache, message: "Invalid source cache option")
    let image = try tool.open(operand, arguments) { options in
      options.use = .write
      options.cache = cache
      // -U is for the new layer below.
      options.forceShare = false
      if isUnsafe { options.opensBacking = false }
    }
    let format = arguments.value(.backingFormat)
    if let format, !DriverNames.isKnown(format) { throw .failed("Invalid format name: '\(format)'") }
    try stopping { () throws(ImageError) in
      let job = RebaseJob(
        tool: tool, image: image, name: arguments.value(.backing) ?? "", format: format, sourceCache: sourceCache,
        forceShare: arguments.has(.forceShare), compresses: arguments.has(.compress), progress: progress)
      if isUnsafe { try job.change() } else { try job.copyAndChange() }
    }
    progress.report(percent: 100)
    return 0
  }
}

/// One rebase, when the image is open.
private struct RebaseJob {
  let tool: Tool
  let image: any DiskImage
  /// The new layer below as the user typed it; empty for none.
  let name: String
  let format: String?
  let sourceCache: CacheMode
  let forceShare: Bool
  let compresses: Bool
  let progress: Progress

  private var reference: BackingReference? { name.isEmpty ? nil : BackingReference(name: name, format: format) }

  private func failure(_ error: ImageError) -> ImageError {
    let what = error.errno == 28 /* ENOSPC */ ? "No space left in the file header" : error.message
    return ImageError("Could not change the backing file to '\(name)': \(what)", errno: error.errno)
  }

  /// What would keep the header from being changed, before anything is copied.
  private func checkChange() throws(ImageError) -> any RebasableImage {
    do throws(ImageError) {
      if reference != nil && format == nil { throw ImageError("backing format must be specified") }
      guard let image = image as? any RebasableImage else { throw ImageError.system(95 /* ENOTSUP */) }
      try image.checkBackingChange(to: reference)
      return image
    } catch {
      throw failure(error)
    }
  }

  /// Changes the record of the layer below, and nothing else.
  func change() throws(ImageError) {
    let image = try checkChange()
    try refuseLoop()
    try change(image)
  }

  private func change(_ image: any RebasableImage) throws(ImageError) {
    do throws(ImageError) { try image.changeBacking(to: reference) } catch { throw failure(error) }
    do throws(ImageError) {
      try image.close()
    } catch {
      throw error.prefixed("Error while closing the image: ")
    }
  }

  /// The path by which the image would open its new layer.
  private func path() throws(ImageError) -> String {
    guard image.filename.hasPrefix("json:") else {
      return ImageName.resolve(name, relativeTo: image.storage.nameOfFile)
    }
    if name.utf8.first == UInt8(ascii: "/") || ImageName.protocolPrefix(of: name) != nil { return name }
    throw ImageError(
      "Could not resolve backing filename: Cannot use relative backing file names for '\(image.filename)'")
  }

  /// Copies what differs between the old layers and the new ones, then changes the record.
  func copyAndChange() throws(ImageError) {
    let new = try newLayer()
    let image = try checkChange()
    try refuseLoop()
    var compression: ClusterCompression?
    if compresses {
      compression = image.compression
      if compression == nil {
        throw ImageError("Compression not supported for this file format", errno: 95 /* ENOTSUP */)
      }
    }
    var rebase = Rebase(image, onto: new, compression: compression)
    let progress = self.progress
    let size = image.virtualSize
    rebase.completed = { done in
      if done < size { progress.report(done: done, of: size) }
    }
    try rebase.run()
    try change(image)
  }

  /// The new layer: one of the present ones, or opened now.
  private func newLayer() throws(ImageError) -> (any DiskImage)? {
    if name.isEmpty { return nil }
    let path = try path()
    let identity = FileStorage.identity(of: ImageName.localPath(path))
    if let member = image.layers.dropFirst().first(where: { layer in
      layer.storage.identity.map { $0 == identity } ?? (layer.filename == path)
    }), format == nil || format == member.format {
      return member
    }
    var options = OpenOptions()
    options.format = format
    options.cache = sourceCache
    options.forceShare = forceShare
    do throws(ImageError) {
      return try tool.opener.openWithoutPrefix(path, options)
    } catch {
      throw error.prefixed("Could not open new backing file '\(name)': ")
    }
  }

  /// A chain that comes back to the image could not be opened by anybody. A name that leads nowhere is the user's affair.
  private func refuseLoop() throws(ImageError) {
    guard !name.isEmpty, let own = image.storage.identity, let path = try? path() else { return }
    var options = OpenOptions()
    options.use = .inspect
    options.format = format
    options.forceShare = true
    options.opensBacking = true
    var quiet = tool.opener
    quiet.notify = { _ in }
    let isLoop: Bool
    if FileStorage.identity(of: ImageName.localPath(path)) == own {
      isLoop = true
    } else if let chain = try? quiet.openWithoutPrefix(path, options) {
      isLoop = chain.layers.contains { $0.storage.identity == own }
    } else {
      isLoop = false
    }
    if isLoop {
      throw failure(ImageError("Backing file '\(name)' creates an infinite loop.", errno: 40 /* ELOOP */))
    }
  }
}
