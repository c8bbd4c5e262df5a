import FuzzSupport
import ImageCore

// A file of 64 MiB, most of it zeros. The input is its other blocks: a little-endian number of 32 bits and 1024 bytes each.
// Opened as a file system and scanned for each kind of image; what is found lies within it, and its bitmaps can be made.
fuzz { bytes in
  let storage = SparseBlocks(bytes, length: 64 << 20, blockSize: 1024, tellsHoles: true)
  guard let volume = try? ExtVolume(storage) else { return }
  for includesData in [false, true] {
    var rule = ExtScan.Rule()
    rule.includesData = includesData
    rule.findsDirectories = true
    var findings = 0
    let blocks = ExtScan(volume, rule) { _ in findings += 1 }.run()
    precondition(findings <= 2 * ExtScan.lineLimit + Int(volume.superblock.inodeCount) + 2)
    check(blocks.clusters, volume)
    check(blocks.directories, volume)
    walk(volume, blocks)
  }
  let bitmaps = ExtBitmaps(volume)
  for group in 0..<min(volume.superblock.groupCount, 16) {
    _ = try? bitmaps.blockBitmap(ofGroup: group)
    _ = try? bitmaps.inodeBitmap(ofGroup: group)
  }
  if let tables = try? InodeTableSelection(volume) {
    for _ in 0..<100 { _ = try? tables.next() }
  }
}

/// What is found lies within the file system.
func check(_ clusters: BlockSet, _ volume: ExtVolume) {
  var next: UInt64 = 0
  var count: UInt64 = 0
  while let run = clusters.nextRun(from: next, longest: 1 << 20) {
    precondition(run.lowerBound >= next && !run.isEmpty && run.upperBound <= volume.superblock.clusters.upperBound)
    count += UInt64(run.count)
    next = run.upperBound
  }
  precondition(count == clusters.count)
}

/// The beginnings of both selections, read and scrambled.
func walk(_ volume: ExtVolume, _ blocks: ExtImageBlocks) {
  let end = volume.superblock.byteCount
  let source = ExtBlockSource(volume, directories: blocks.directories) { _ in }
  var buffer = Buffer(ExtBlockSelection.pieceSize)
  var layout = ExtQcow2Layout(
    blockSize: volume.superblock.blockSize, blockCount: min(volume.superblock.blockCount, 1 << 20),
    markCount: blocks.markCount, storedCount: 1 << 20)
  let ascending = ExtBlockSelection(volume, blocks.clusters)
  var last: UInt64 = 0
  for _ in 0..<20 {
    guard let segment = try? ascending.next() else { break }
    precondition(segment.offset >= last && segment.length > 0 && segment.offset + segment.length <= end)
    last = segment.offset + segment.length
    _ = layout.place(segment.offset / UInt64(volume.superblock.blockSize))
    // Holes are as long as they are, and nobody reads them.
    guard segment.kind == .data else { continue }
    var all = buffer.mutableBytes
    var bytes = all.slice(0..<Int(segment.length))
    try? source.read(into: &bytes, at: segment.offset)
  }
  let descending = DescendingBlockSelection(volume, blocks.clusters)
  var first = end
  for _ in 0..<20 {
    guard let segment = try? descending.next() else { break }
    precondition(segment.length > 0 && segment.offset + segment.length <= first)
    first = segment.offset
  }
}
