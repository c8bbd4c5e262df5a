import FuzzSupport
import ImageCore

// A volume of 128 MiB, most of it zeros. The input is its other blocks: a little-endian number of 32 bits and 4096 bytes
// each. Checksums are mended, so that what is behind them is reached; then the volume is opened, and surveyed in both
// ways. What is found lies within chunks, and batches hold all of it.
fuzz { bytes in
  let storage = SparseBlocks(bytes)
  guard let superblock = try? BtrfsSuperblock.read(storage),
    let volume = try? BtrfsVolume.open(
      BtrfsDevice(storage, superblock), beside: nil, notify: { _ in }, report: { _ in })
  else { return }
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
      if state != .lost { _ = scrub(&bytes, transform: nil) }
    }
  }
}

/// A storage of which only some blocks are not zeros.
final class SparseBlocks: Storage {
  static let blockSize = 4096
  let name = "fuzz"
  let length: UInt64 = 128 << 20
  let requestAlignment = 1
  let allocatedSize: UInt64? = nil
  let identity: FileIdentity? = nil
  private let blocks: [UInt64: [UInt8]]

  init(_ bytes: RawSpan) {
    var blocks: [UInt64: [UInt8]] = [:]
    let step = 4 + SparseBlocks.blockSize
    for start in stride(from: 0, through: bytes.byteCount - step, by: step) {
      blocks[UInt64(bytes.littleEndian(at: start, as: UInt32.self))] = bytes.array(start + 4..<start + step)
    }
    // The superblock's checksum, and those of tree blocks of one node size.
    for (number, block) in blocks where number == 16 || block[100] < 8 {
      var copy = Buffer(SparseBlocks.blockSize)
      var bytes = copy.mutableBytes
      bytes.copy(block.rawBytes, at: 0)
      ChecksumAlgorithm.crc32c.store(in: &bytes)
      blocks[number] = copy.bytes.array(0..<SparseBlocks.blockSize)
    }
    self.blocks = blocks
  }

  func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    let size = UInt64(SparseBlocks.blockSize)
    var done = 0
    while done < buffer.byteCount {
      let position = offset + UInt64(done)
      let start = Int(position % size)
      let count = min(buffer.byteCount - done, SparseBlocks.blockSize - start)
      if let block = blocks[position / size] {
        buffer.copy(block.rawBytes.slice(start..<start + count), at: done)
      } else {
        buffer.fill(done..<done + count)
      }
      done += count
    }
  }

  func extent(at offset: UInt64, limit: UInt64) throws(ImageError) -> StorageExtent {
    StorageExtent(length: limit, isData: true)
  }
}
