import ImageCore

/// `qemu-img convert`: copies one or several images into a new or existing one (qemu-img-cli-1 §11).
enum ConvertCommand: Command {
  static let name = "convert"
  static let synopsis =
    """
    [--object objectdef] [--image-opts] [--target-image-opts] [--target-is-zero] [--bitmaps] [-U] [-C] [-c] [-p] [-q] \
    [-n] [-f fmt] [-t cache] [-T src_cache] [-O output_fmt] [-B backing_file [-F backing_fmt]] [-o options] \
    [-l snapshot_param] [-S sparse_size] [-r rate_limit] [-m num_coroutines] [-W] [--salvage] filename \
    [filename2 [...]] output_filename
    """

  static func run(_ words: [String], _ tool: Tool) throws(Stop) -> Int32 {
    let options = try ConvertOptions(words, tool)
    if options.arguments.creationOptions.asksForHelp {
      let name = options.targetFormat ?? "raw"
      try CreationOptions.printHelp(
        format: name, file: options.arguments.operands.count > 1 ? options.target : nil, tool)
      return 0
    }
    let progress = Progress(tool.console, isShown: options.showsProgress, step: 1)
    defer { progress.end() }
    progress.report(percent: 0)
    try ConvertJob(options, tool, progress).run()
    return 0
  }
}

/// One run of `convert`.
struct ConvertJob {
  private let options: ConvertOptions
  private let tool: Tool
  private let progress: Progress
  private var console: Console { tool.console }

  init(_ options: ConvertOptions, _ tool: Tool, _ progress: Progress) {
    self.options = options
    self.tool = tool
    self.progress = progress
  }

  /// Does the work. Everything that can be checked is, before the target is touched.
  func run() throws(Stop) {
    var sources = [any DiskImage]()
    for name in options.sources {
      sources.append(
        try tool.open(name, options.arguments) { how in
          how.cache = options.sourceCache
          how.deniesWriters = !how.forceShare
        })
    }
    if let choice = options.snapshot {
      guard sources.count == 1 else { throw .failed("No support for concatenating multiple snapshot") }
      sources = [try choice.open(sources[0])]
    }
    try stopping { () throws(ImageError) in
      let source = try ConcatenatedImages(sources)
      let target = try openTarget(source)
      try copy(source, to: target)
      // What was copied is kept even if a bitmap cannot be.
      var failure: ImageError?
      do throws(ImageError) { try target.bitmaps?.run(to: target.image) } catch { failure = error }
      do throws(ImageError) {
        try target.image.close()
      } catch {
        throw failure ?? error.prefixed("Error while closing the image: ")
      }
      if let failure { throw failure }
      progress.report(percent: 100)
    }
  }

  // MARK: Target

  /// An opened target and what is known about it.
  private struct Target {
    var image: any WritableDiskImage
    /// Nothing that is zero needs to be written.
    var isZero: Bool
    /// The target has a layer below of its own.
    var isOverlay: Bool
    var compression: ClusterCompression?
    /// The bitmaps that it gets.
    var bitmaps: BitmapCopy?
  }

  private func openTarget(_ source: ConcatenatedImages) throws(ImageError) -> Target {
    let name = options.targetFormat ?? "raw"
    var isOverlay = options.arguments.has(.backing)
    var creation: (format: any CreatableFormat.Type, values: OptionValues)?
    if !options.skipsCreation {
      creation = try planCreation(name, size: source.size)
      isOverlay = creation?.values.text("backing_file") != nil
    }
    if options.arguments.has(.targetIsZero) && isOverlay {
      throw ImageError("Cannot use --target-is-zero when the destination image has a backing file")
    }
    if isOverlay && options.sources.count > 1 {
      throw ImageError("Having a backing file for the target makes no sense when concatenating multiple input images")
    }
    if let values = creation?.values, isOverlay, values.text("backing_fmt") == nil {
      throw ImageError("Use of backing file requires explicit backing format")
    }
    if options.compresses, let creation {
      guard creation.format.supportsCompression else {
        throw ImageError("Compression not supported for this file format", errno: 95)
      }
      if creation.values.text("encrypt.format") != nil || creation.values.boolean("encryption") == true {
        throw ImageError("Compression and encryption not supported at the same time")
      }
      if let mode = creation.values.text("preallocation"), mode != "off" {
        throw ImageError("Compression and preallocation not supported at the same time")
      }
    }
    let bitmaps = try BitmapCopy(source.images, options, console)
    if let creation { try bitmaps?.check(creation.format, creation.values) }
    try refuseSourceAsTarget(source, format: name)
    if let creation {
      do throws(ImageError) {
        try creation.format.create(options.target, creation.values, warn: console.warn)
      } catch {
        throw error.prefixed("\(options.target): error while converting \(creation.format.name): ")
      }
    }
    let image = try openTargetImage()
    if creation == nil && image.virtualSize < source.size {
      throw ImageError("output file is smaller than input file")
    }
    let compression = options.compresses ? image.compression : nil
    if options.compresses && compression == nil {
      throw ImageError("Compression not supported for this file format", errno: 95)
    }
    let isZero =
      options.arguments.has(.targetIsZero)
      || (creation != nil && !isOverlay && options.sparseBytes > 0 && image.readsAsZeros)
    return Target(image: image, isZero: isZero, isOverlay: isOverlay, compression: compression, bitmaps: bitmaps)
  }

  /// Reads the creation options and adds what the command line says otherwise.
  private func planCreation(_ name: String, size: UInt64) throws(ImageError) -> (any CreatableFormat.Type, OptionValues)
  {
    let format = try tool.creatableFormat(name)
    var values = OptionValues(try CreationOptions.definitions(format, file: options.target))
    try options.arguments.creationOptions.apply(to: &values, warn: console.warn)
    if values["size"] != nil { console.warn("the option 'size' is ignored: the target has the size of the source") }
    values.set("size", number: size)
    for (option, value, what) in [
      ("backing_file", options.arguments.value(.backing), "Backing file"),
      ("backing_fmt", options.arguments.value(.backingFormat), "Backing file format"),
    ] {
      guard let value else { continue }
      guard values.definition(option) != nil else {
        throw ImageError("\(what) not supported for file format '\(name)'")
      }
      values.set(option, text: value)
    }
    return (format, values)
  }

  private func openTargetImage() throws(ImageError) -> any WritableDiskImage {
    if options.arguments.has(.targetImageOptions) && options.arguments.has(.targetFormat) {
      throw ImageError("--image-opts and --format are mutually exclusive")
    }
    var how = OpenOptions()
    how.format = options.targetFormat
    how.use = .write
    how.discards = true
    how.cache = options.targetCache
    let image =
      options.arguments.has(.targetImageOptions)
      ? try tool.opener.open(imageOptions: options.target, how) : try tool.opener.open(options.target, how)
    guard let writable = image as? any WritableDiskImage else {
      throw ImageError("Block node is read-only", errno: 30 /* EROFS */)
    }
    return writable
  }

  /// A target that is one of the source's files would be emptied before it is read. The locks notice that too, but not
  /// under `-U`, and not for a raw layer below.
  private func refuseSourceAsTarget(_ source: ConcatenatedImages, format: String) throws(ImageError) {
    guard !options.arguments.has(.targetImageOptions),
      let identity = FileStorage.identity(of: ImageName.localPath(options.target))
    else { return }
    for image in source.images {
      for layer in image.layers where shareBytes(layer.storage.identity, identity) {
        let name = options.target
        let what = options.skipsCreation ? "Could not open '\(name)'" : "\(name): error while converting \(format)"
        let device =
          !options.skipsCreation && FileSystemEntry(path: ImageName.localPath(name)) == .device
          ? FileCreation.deviceRefused : ""
        throw ImageError(
          "\(what): \(device)Failed to get \"write\" lock",
          hint: "Is another process using the image [\(name)]?")
      }
    }
  }

  // MARK: Copying

  /// The reference's requests, in bytes (§11.8, step 3).
  private static let requestSize = 2 << 20
  /// Segments as long as this stay in a processor's cache from the read to the write.
  private static let cachedSize = 512 << 10

  private func copy(_ source: ConcatenatedImages, to target: Target) throws(ImageError) {
    let sparse = SparseRule(bytes: options.arguments.has(.copyOffload) ? 0 : options.sparseBytes)
    let clusterSize = target.compression?.clusterSize ?? 0
    // Where a format puts its tables may depend on the requests; a raw target has none, and compressed clusters go one by
    // one.
    let findsSameZeros = !sparse.dependsOnBuffers(of: ConvertJob.cachedSize)
    let isIndependent = clusterSize > 0 || (target.image is RawImage && findsSameZeros)
    let segmentSize = max(isIndependent ? ConvertJob.cachedSize : ConvertJob.requestSize, clusterSize)
    var engine = CopyEngine(workers: min(options.coroutines, CopyEngine.usualWorkers), bufferSize: segmentSize)
    var rule = ImageSelection.Rule(dataLimit: segmentSize)
    // Writing to an image with contents may set space free.
    if !isIndependent && findsSameZeros && !options.skipsCreation
      && target.image.clusterSize ?? 0 <= ConvertJob.cachedSize
    {
      // What may be placed before the request is: the segments under way, each with its tables and incomplete clusters.
      let ahead = UInt64(2 * (engine.workers + 1) * ConvertJob.requestSize)
      rule.shortening = Shortening(to: ConvertJob.cachedSize) { target.image.orderlySpace >= ahead }
    }
    rule.unit = UInt64(clusterSize)
    rule.topLayerOnly = target.isOverlay
    // Over an existing image the reference writes the zeros beyond the layer below, too.
    rule.targetBackingSize = target.isOverlay && !options.skipsCreation ? target.image.backing?.virtualSize : nil
    rule.skipsZeros = target.isZero
    rule.copiesZeros = options.sparseBytes == 0

    let total = options.showsProgress ? try dataSize(source, rule) : nil
    let count = CompletionCount(progress, of: total, diskSize: source.size, unit: UInt64(clusterSize))
    engine.readFailure = { error, segment in
      let start = clusterSize == 0 ? segment.requestOffset : source.firstUnreadable(segment, step: clusterSize)
      return error.prefixed("error while reading at byte \(start): ")
    }
    engine.completed = { (segment) throws(ImageError) in count.add(segment) }
    if options.rateLimit > 0 {
      let limit = RateLimit(bytesPerSecond: options.rateLimit)
      engine.throttle = { limit.wait(for: $0) }
    }

    let console = self.console
    let isQuiet = options.isQuiet
    var reader: any CopySource = source
    var salvage: SalvagingSource?
    if options.salvages {
      let salvaging = SalvagingSource(source) { offset, error in
        if !isQuiet { console.warn("error while reading offset \(offset): \(errorText(error.errno))") }
      }
      salvage = salvaging
      reader = salvaging
    }
    var onStatusError: (@Sendable (ImageError, UInt64) -> Bool)?
    if options.salvages {
      onStatusError = { error, offset in
        if !isQuiet {
          console.warn("error while reading block status at offset \(offset): \(errorText(error.errno))")
        }
        return true
      }
    }

    if let compression = target.compression {
      let sink = CompressedSink(
        target.image, compression, segmentSize: segmentSize, targetIsZero: target.isZero,
        findsZeros: options.sparseBytes > 0)
      try engine.run(ImageSelection(source, rule, onStatusError: onStatusError), from: reader, to: sink)
    } else {
      let sinkRule = DiskImageSink.Rule(sparse: sparse, targetIsZero: target.isZero)
      let plain = options.rateLimit == 0 ? plainSource(source) : nil
      if let plain, let failure = engine.readFailure, !(target.image is RawImage),
        let sink = SharingSink(plain.file, start: plain.start, to: target.image, sinkRule, readFailure: failure)
      {
        engine.bufferSize = 0
        rule.dataLimit = SharingSink.segmentSize
        rule.shortening = nil
        return try engine.run(ImageSelection(source, rule), from: source, to: sink)
      }
      var selection: any Selection = ImageSelection(source, rule, onStatusError: onStatusError)
      if let plain, let raw = target.image as? RawImage, let file = raw.storage as? FileStorage,
        options.sparseBytes > 0
      {
        let kernel = KernelCopy(
          from: plain.file, start: plain.start, to: file, copies: options.arguments.has(.copyOffload))
        if target.isZero && kernel.shareAll() { return }
        rule.dataLimit = Int(Int32.max)
        do throws(ImageError) {
          selection = try kernel.run(ImageSelection(source, rule), limit: segmentSize, completed: count.add)
        } catch {
          throw error.prefixed("error while writing at byte \(error.offset ?? 0): ")
        }
      }
      try engine.run(selection, from: reader, to: DiskImageSink(target.image, sinkRule))
    }
    if let lost = salvage?.lostBytes, lost > 0 {
      console.warn("\(lost) bytes could not be read and are zeros in the target")
    }
  }

  /// The source's file, if the source is one raw disk in one file, so that the kernel can copy or share it.
  private func plainSource(_ source: ConcatenatedImages) -> (file: FileStorage, start: UInt64)? {
    guard source.images.count == 1, !options.salvages, let raw = source.images[0] as? RawImage,
      let file = raw.storage as? FileStorage
    else { return nil }
    return (file, raw.start)
  }

  /// Number of bytes of data that will be copied, for the progress display.
  private func dataSize(_ source: ConcatenatedImages, _ rule: ImageSelection.Rule) throws(ImageError) -> UInt64 {
    var onStatusError: (@Sendable (ImageError, UInt64) -> Bool)?
    if options.salvages { onStatusError = { _, _ in true } }
    let selection = ImageSelection(source, rule, onStatusError: onStatusError)
    var total: UInt64 = 0
    while let segment = try selection.next() {
      if segment.kind == .data { total += CompletionCount.size(segment) }
    }
    return total
  }
}

extension ConcatenatedImages {
  /// The first of a segment's clusters that cannot be read: the reference reads, and names, single clusters.
  fileprivate func firstUnreadable(_ segment: Segment, step: Int) -> UInt64 {
    var buffer = Buffer(step)
    var offset = segment.offset
    while offset < segment.offset + segment.length {
      do throws(ImageError) {
        var bytes = buffer.mutableBytes
        try read(into: &bytes, at: offset)
      } catch {
        return offset
      }
      offset += UInt64(step)
    }
    return segment.offset
  }
}

/// Counts what has been copied, for the progress display.
private final class CompletionCount: Sendable {
  private let progress: Progress
  private let total: UInt64?
  private let diskSize: UInt64
  private let unit: UInt64
  private let pending = Monitor<UInt64>(0)

  /// - Parameters:
  ///   - total: number of bytes of data in all, nil when nobody has asked for the display: then a report on SIGUSR1 tells
  ///     the place on the disk.
  ///   - unit: size of a request in bytes, 0 when the segments say where one ends.
  init(_ progress: Progress, of total: UInt64?, diskSize: UInt64, unit: UInt64) {
    self.progress = progress
    self.total = total
    self.diskSize = diskSize
    self.unit = unit
  }

  /// What a segment counts for: whole sectors, also at the end of a file that has none.
  static func size(_ segment: Segment) -> UInt64 { segment.length.dividedUp(by: 512) * 512 }

  func add(_ segment: Segment) {
    guard let total else { return progress.report(done: segment.offset + segment.length, of: diskSize) }
    guard segment.kind == .data else { return }
    guard unit == 0 else {
      var left = CompletionCount.size(segment)
      while left > 0 {
        progress.advance(by: min(unit, left), of: total)
        left -= min(unit, left)
      }
      return
    }
    let done = pending.withLock { pending in
      pending += CompletionCount.size(segment)
      guard segment.endsRequest else { return UInt64(0) }
      defer { pending = 0 }
      return pending
    }
    if done > 0 { progress.advance(by: done, of: total) }
  }
}
