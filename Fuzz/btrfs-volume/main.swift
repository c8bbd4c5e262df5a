import FuzzSupport
import ImageCore

// A volume of 128 MiB, most of it zeros. The input is its other blocks: a little-endian number of 32 bits and 4096 bytes
// each. Checksums are mended, so that what is behind them is reached; then the volume is opened, surveyed in both
// ways, and sanitized. What is found lies within chunks, and batches hold all of it.
fuzz { bytes in
  let storage = SparseBlocks(bytes, length: 128 << 20, blockSize: 4096) { number, block in
    // The superblock's checksum, and those of tree blocks of one node size.
    guard number == 16 || block[100] < 8 else { return }
    var copy = Buffer(block.count)
    var bytes = copy.mutableBytes
    bytes.copy(block.rawBytes, at: 0)
    ChecksumAlgorithm.crc32c.store(in: &bytes)
    block = copy.bytes.array(0..<block.count)
  }
  guard let superblock = try? BtrfsSuperblock.read(storage),
    let volume = try? BtrfsVolume.open(
      BtrfsDevice(storage, superblock), beside: nil, notify: { _ in }, report: { _ in })
  else { return }
  let sanitizer = Sanitizer(.garbage, secret: 1, volume: volume) { _ in }
  for method in [MetadataSurvey.Method.extentTree(includesData: true), .walk] {
    let log = DumpLog { _ in }
    let plan = MetadataSurvey.plan(volume, method, into: DumpPlan(splitsData: true), log: log)
    var length = 0
    for item in plan.items {
      precondition(item.length > 0 && UInt64(item.length) <= DumpPlan.itemLimit)
      if item.kind == .treeBlocks { precondition(Int(item.length) % volume.nodeSize == 0) }
      length += Int(item.length)
    }
    let batches = plan.batches(limit: 256 << 10)
    precondition(batches.reduce(0) { $0 + $1.length } == length)
    for item in plan.items.prefix(100) where item.kind == .treeBlocks {
      var block = Buffer(volume.nodeSize)
      var bytes = block.mutableBytes
      var report = TreeBlockReport(item.address)
      let state = volume.readTreeBlock(item.address, into: &bytes, report: &report)
      if state != .lost { _ = scrub(&bytes, transform: sanitizer) }
    }
  }
}
