import FuzzSupport
import ImageCore

// A volume of 64 MiB with blocks of 512 bytes, most of them zeros. The input is its other blocks: a little-endian number
// of 32 bits and 512 bytes each. Opened and scanned; what is found lies within the volume.
fuzz { bytes in
  let storage = SparseBlocks(bytes, length: 64 << 20, blockSize: 512)
  guard let volume = try? OCFS2Volume(storage) else { return }
  var findings = 0
  let scan = MetadataScan(volume) { _ in findings += 1 }
  guard let blocks = try? scan.run() else { return }
  precondition(blocks.limit == volume.superblock.blockCount)
  var next: UInt64 = 0
  var count: UInt64 = 0
  while let run = blocks.nextRun(from: next, longest: 1 << 20) {
    precondition(run.lowerBound >= next && !run.isEmpty && run.upperBound <= blocks.limit)
    count += UInt64(run.count)
    next = run.upperBound
  }
  precondition(count == blocks.count && next <= blocks.limit)
}
