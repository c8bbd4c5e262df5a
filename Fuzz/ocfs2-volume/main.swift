import FuzzSupport
import ImageCore

// A volume of 64 MiB with blocks of 512 bytes, most of them zeros. The input is its other blocks: a little-endian number
// of 32 bits and 512 bytes each. Opened and scanned; what is found lies within the volume.
fuzz { bytes in
  let storage = SparseBlocks(bytes)
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

/// A storage of which only some blocks are not zeros.
final class SparseBlocks: Storage {
  static let blockSize = 512
  let name = "fuzz"
  let length: UInt64 = 64 << 20
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
