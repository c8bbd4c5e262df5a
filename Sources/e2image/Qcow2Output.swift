import ImageCore

/// A QCOW2 image (`-Q`): the blocks that are not zeros, in clusters of a block (ext4-e2image §10.1).
struct Qcow2Output {
  let arguments: Arguments
  let voice: Voice
  let volume: ExtVolume

  private var superblock: ExtSuperblock { volume.superblock }

  /// Makes the image.
  func write() throws(Stop) {
    if arguments.isDryRun {
      try list()
      return
    }
    let target = try stopping("while trying to open \(arguments.image)") { () throws(ImageError) in
      try ImageTarget(arguments.image, sources: volume.sources, empties: true)
    }
    try target.finishing(arguments.image) { () throws(Stop) in
      let blocks = scan(volume, arguments, voice, target: target)
      let layout = try layout(blocks, storesZeros: target.isBlockDevice)
      let source = blockSource(blocks, isLast: true)
      defer { report(source, voice) }
      do throws(ImageError) {
        switch target.output {
        case .file(let file):
          try engine.run(
            ExtBlockSelection(volume, blocks.clusters), from: source,
            to: ExtQcow2Sink(
              file, layout, byteCount: superblock.byteCount, storesZeros: target.isBlockDevice,
              isUnreadable: { source.unreadableBlocks(in: $0) }))
        case .stream(let stream):
          let sink = ExtQcow2StreamSink(
            stream, layout, stored: try storedBlocks(blocks), byteCount: superblock.byteCount)
          try sink.begin()
          try engine.run(ExtBlockSelection(volume, blocks.clusters), from: source, to: sink)
        }
      } catch {
        throw .failure(error)
      }
    }
  }

  private var engine: CopyEngine {
    CopyEngine(workers: E2Image.workers(inOrder: arguments.scrambles), bufferSize: ExtBlockSelection.pieceSize)
  }

  private func layout(_ blocks: ExtImageBlocks, storesZeros: Bool = false) throws(Stop) -> ExtQcow2Layout {
    let stored = min(blocks.clusters.count << superblock.clusterBits, superblock.blockCount)
    // The format's header has 32 bits for the number of L1 entries, 8 bytes each.
    guard superblock.byteCount >> (2 * UInt64(superblock.blockSize.trailingZeroBitCount) - 3) < 1 << 31 else {
      throw .failure(ExtError.noMemory.suffixed("while allocating l1 table"))
    }
    // The refcount table is as large as the counter says. One that is far beyond what there is comes of damage.
    let available = min(superblock.byteCount, volume.storage.length) / UInt64(superblock.blockSize)
    let markCount = min(blocks.markCount, max(1 << 30, 4 * available))
    let bound = ExtQcow2Layout(
      blockSize: superblock.blockSize, blockCount: superblock.blockCount, markCount: markCount,
      storedCount: stored)
    guard bound.exceedsCounter else { return bound }
    // A larger refcount table moves everything behind it. It has to be needed for what is stored, which blocks of zeros
    // are not: to know it they are all read.
    let exact: BlockSet
    do throws(ImageError) {
      exact = try storedBlocks(blocks, storesZeros: storesZeros)
    } catch {
      throw .failure(error)
    }
    return ExtQcow2Layout(
      blockSize: superblock.blockSize, blockCount: superblock.blockCount, markCount: markCount,
      storedCount: exact.count, tableCount: ExtQcow2Layout.tableCount(exact, blockSize: superblock.blockSize))
  }

  /// - Parameter isLast: whether this pass over the blocks is the one that tells what is wrong.
  private func blockSource(_ blocks: ExtImageBlocks, isLast: Bool) -> ExtBlockSource {
    let voice = voice
    return ExtBlockSource(volume, directories: arguments.scrambles ? blocks.directories : nil) {
      if isLast { voice.note($0) }
    }
  }

  /// The first of two passes, or all that a dry run does: the blocks that the image will hold.
  private func storedBlocks(
    _ blocks: ExtImageBlocks, storesZeros: Bool = false, isLast: Bool = false
  ) throws(ImageError) -> BlockSet {
    let source = blockSource(blocks, isLast: isLast)
    defer { if isLast { report(source, voice) } }
    let sink = StoredBlocksSink(
      blockSize: superblock.blockSize, blockCount: superblock.blockCount, storesZeros: storesZeros,
      isUnreadable: { source.unreadableBlocks(in: $0) })
    try engine.run(ExtBlockSelection(volume, blocks.clusters), from: source, to: sink)
    return sink.blocks
  }

  /// `-n`: tells what would be written, in the order in which it always was.
  private func list() throws(Stop) {
    let blocks = scan(volume, arguments, voice, target: ImageTarget())
    var layout = try layout(blocks)
    let stored: BlockSet
    do throws(ImageError) {
      stored = try storedBlocks(blocks, isLast: true)
    } catch {
      throw .failure(error)
    }
    func tellTable() { voice.line("Writing block \(UInt64.max)") }
    tellTable()
    for _ in layout.firstRefcountBlocks.dropFirst() { tellTable() }
    var tables = 0
    var next: UInt64 = 0
    while let run = stored.nextRun(from: next, longest: .max) {
      for block in run {
        let step = layout.place(block)
        for _ in step.newRefcountBlocks.filter({ $0 < step.data }) { tellTable() }
        voice.line("Writing block \(block)")
        if step.newTable != nil { tables += 1 }
        for _ in step.newRefcountBlocks.filter({ $0 > step.data }) { tellTable() }
      }
      next = run.upperBound
    }
    if layout.end() != nil { tellTable() }
    // L2 tables, refcount table, the last refcount block, L1 table.
    for _ in 0..<tables + 3 { tellTable() }
  }
}
