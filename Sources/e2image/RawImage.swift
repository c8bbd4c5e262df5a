import ImageCore

/// A raw image (`-r`): every block at its own place (ext4-e2image §5, §7).
struct RawImage {
  let arguments: Arguments
  let voice: Voice
  let volume: ExtVolume

  private var superblock: ExtSuperblock { volume.superblock }

  /// Whether source and target are the same file: nothing of it may be thrown away beforehand.
  private var isInPlace: Bool {
    if arguments.isMove { return true }
    guard !arguments.isToStandardOutput, let identity = try? FileFacts(path: arguments.image).identity else {
      return false
    }
    return identity == volume.storage.identity
  }

  /// Makes the image.
  func write() throws(Stop) {
    if arguments.isDryRun {
      try listBlocks()
      return
    }
    let target = try openTarget()
    try target.finishing(arguments.image) { () throws(Stop) in try write(to: target) }
  }

  private func openTarget() throws(Stop) -> ImageTarget {
    if arguments.isToStandardOutput, arguments.targetOffset != 0 {
      // Only a file has a place to begin at.
      guard let file = FileStorage.standardOutputFile() else {
        throw .finished("seek_set: Illegal seek")
      }
      return ImageTarget(file)
    }
    return try stopping("while trying to open \(arguments.image)") { () throws(ImageError) in
      try ImageTarget(arguments.image, sources: volume.sources, isInPlace: true, empties: false)
    }
  }

  private func write(to target: ImageTarget) throws(Stop) {
    let isInPlace = isInPlace
    let start = arguments.targetOffset
    guard start.saturatingAdd(superblock.byteCount) <= UInt64(Int64.max) else {
      throw .finished("seek_set: Invalid argument")
    }
    if isInPlace, let file = target.file, !file.growsWithZeros, start + superblock.byteCount > file.length {
      // Half a move is worse than none.
      throw .finished("\(start > file.length ? "seek_set" : "seek_relative"): Invalid argument")
    }
    let isAhead = isInPlace && start > arguments.sourceOffset
    let blocks = scan(volume, arguments, voice, target: target)
    if let file = target.file, file.growsWithZeros, !isInPlace, !arguments.compares {
      // What was in the file does not show through.
      try stopping("error in generic_write()") { () throws(ImageError) in
        let end = min(file.length, start.saturatingAdd(superblock.byteCount))
        do throws(ImageError) {
          if start < end { try file.zero(start..<end, mayUnmap: true) }
        } catch {
          throw .system(error.errno)
        }
      }
    }
    let progress = CopyProgress(
      voice, isShown: arguments.showsProgress, total: blocks.markCount, blockSize: superblock.blockSize)
    let source = blockSource(blocks)
    var engine = CopyEngine(
      workers: E2Image.workers(inOrder: arguments.scrambles), bufferSize: ExtBlockSelection.pieceSize)
    engine.completed = { (segment) throws(ImageError) in progress.advance(by: segment.length) }
    progress.begin()
    var sameBlocks: UInt64 = 0
    do throws(ImageError) {
      if arguments.compares {
        let sink = ComparingSink(
          target.file, at: start, blockSize: superblock.blockSize, byteCount: superblock.byteCount, isDryRun: false,
          skipsZeros: target.isNew, tell: { _ in })
        try engine.run(selection(blocks, descending: isAhead), from: source, to: sink)
        sameBlocks = sink.sameBlocks
      } else {
        let guarding = MoveGuard(
          volume, from: arguments.sourceOffset, to: start, isActive: arguments.isMove, voice, progress)
        let zeros: ExtRawSink.ZeroRule =
          isInPlace || (target.file.map { !$0.growsWithZeros } ?? false) ? .written : .left
        let sink = ExtRawSink(
          target.output, at: start, blockSize: superblock.blockSize, byteCount: superblock.byteCount, zeros: zeros,
          beforePlace: { guarding.check($0) })
        try engine.run(selection(blocks, descending: isAhead), from: source, to: sink)
      }
      try finishDevice(target, blocks, isInPlace: isInPlace)
    } catch {
      report(source, voice)
      // A device does not let itself be positioned behind its end.
      if let file = target.file, !file.growsWithZeros, let offset = error.offset, offset > file.length {
        throw .finished("seek_relative: Invalid argument")
      }
      throw .failure(error)
    }
    progress.end()
    report(source, voice)
    if arguments.compares {
      voice.line("\(sameBlocks) blocks already contained the data to be copied")
    }
  }

  /// A device has room for the whole file system, or the image is not complete; where its last block is free, the last byte
  /// is written nevertheless (§5.1).
  private func finishDevice(
    _ target: ImageTarget, _ blocks: ExtImageBlocks, isInPlace: Bool
  ) throws(ImageError) {
    guard let file = target.file, !file.growsWithZeros,
      !blocks.clusters.contains(superblock.clusters.upperBound - 1)
    else { return }
    let end = arguments.targetOffset + superblock.byteCount
    guard end <= file.length else { throw .system(28 /* ENOSPC */, offset: end) }
    // In place it may be a byte of the file system.
    if isInPlace { return }
    do throws(ImageError) {
      try file.write([0], at: end - 1)
    } catch {
      throw ImageError.system(error.errno).suffixed("error in generic_write()")
    }
  }

  /// `-n`: tells which blocks would be written, and writes nothing.
  private func listBlocks() throws(Stop) {
    let isNew = !arguments.isToStandardOutput && FileSystemEntry(path: arguments.image) == .missing
    var target = ImageTarget()
    target.isBlockDevice = (try? FileFacts(path: arguments.image).kind) == .blockDevice
    let blocks = scan(volume, arguments, voice, target: target)
    var old: FileStorage?
    if arguments.compares, !isNew {
      old = try stopping("while trying to open \(arguments.image)") { () throws(ImageError) in
        try openSource(arguments.image)
      }
    }
    let voice = voice
    let sink = ComparingSink(
      old, at: arguments.targetOffset, blockSize: superblock.blockSize, byteCount: superblock.byteCount, isDryRun: true,
      skipsZeros: isNew, tell: { voice.line("Writing block \($0)") })
    let source = blockSource(blocks)
    let progress = CopyProgress(
      voice, isShown: arguments.showsProgress, total: blocks.markCount, blockSize: superblock.blockSize)
    var engine = CopyEngine(workers: 1, bufferSize: ExtBlockSelection.pieceSize)
    engine.completed = { (segment) throws(ImageError) in progress.advance(by: segment.length) }
    progress.begin()
    do throws(ImageError) {
      try engine.run(selection(blocks, descending: false), from: source, to: sink)
    } catch {
      throw .failure(error)
    }
    progress.end()
    report(source, voice)
    if arguments.compares { voice.line("\(sink.sameBlocks) blocks already contained the data to be copied") }
  }

  private func blockSource(_ blocks: ExtImageBlocks) -> ExtBlockSource {
    let voice = voice
    return ExtBlockSource(volume, directories: arguments.scrambles ? blocks.directories : nil) { voice.note($0) }
  }

  private func selection(_ blocks: ExtImageBlocks, descending: Bool) -> any Selection {
    guard descending else { return ExtBlockSelection(volume, blocks.clusters) }
    guard arguments.scrambles else { return DescendingBlockSelection(volume, blocks.clusters) }
    return PiecewiseBlockSelection(
      volume, blocks.clusters, distance: arguments.targetOffset - arguments.sourceOffset)
  }
}

/// Keeps a SIGINT from destroying a file system that is moving over itself (§5.3).
private final class MoveGuard: Sendable {
  private let isActive: Bool
  /// Where the file system is, and by how much it moves: forwards or backwards.
  private let source: Range<UInt64>
  private let target: UInt64
  private let voice: Voice
  private let progress: CopyProgress

  init(
    _ volume: ExtVolume, from start: UInt64, to target: UInt64, isActive: Bool, _ voice: Voice, _ progress: CopyProgress
  ) {
    self.isActive = isActive
    source = start..<start + volume.superblock.byteCount
    self.target = target
    self.voice = voice
    self.progress = progress
    if isActive { watchInterrupts() }
  }

  /// Called before each segment is written, in their order.
  func check(_ segment: Segment) {
    guard isActive, wasInterrupted() else { return }
    // Segments come in the order in which they are written: this one has not touched the file system if it ends in front
    // of it, or begins behind it, and neither have those before.
    let place = target + segment.offset
    if place + segment.length <= source.lowerBound || place >= source.upperBound { dieOfInterrupt() }
    voice.show(
      "\(progress.isShown ? "\r" : "")Stopping now will destroy the filesystem, interrupt again if you are sure\n")
    progress.resume()
  }
}
