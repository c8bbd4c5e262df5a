import ImageCore

/// A storage of which only some blocks are not zeros: those that an input has, each as a little-endian number of 32 bits
/// and the block's bytes.
package final class SparseBlocks: Storage {
  package let name = "fuzz"
  package let length: UInt64
  package let requestAlignment = 1
  package let identity: FileIdentity? = nil
  private let blockSize: Int
  private let tellsHoles: Bool
  private let blocks: [UInt64: [UInt8]]

  /// - Parameters:
  ///   - length: size of the storage in bytes.
  ///   - blockSize: size of a block in bytes.
  ///   - tellsHoles: whether the storage knows where nothing is, as a file does and a device does not.
  ///   - mend: changes a block before it is stored, by its number.
  package init(
    _ bytes: RawSpan, length: UInt64, blockSize: Int, tellsHoles: Bool = false,
    mend: (UInt64, inout [UInt8]) -> Void = { _, _ in }
  ) {
    var blocks: [UInt64: [UInt8]] = [:]
    let step = 4 + blockSize
    for start in stride(from: 0, through: bytes.byteCount - step, by: step) {
      let number = UInt64(bytes.littleEndian(at: start, as: UInt32.self))
      var block = bytes.array(start + 4..<start + step)
      mend(number, &block)
      blocks[number] = block
    }
    self.blocks = blocks
    self.length = length
    self.blockSize = blockSize
    self.tellsHoles = tellsHoles
  }

  package var allocatedSize: UInt64? { tellsHoles ? UInt64(blocks.count * blockSize) : nil }

  package func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    var done = 0
    while done < buffer.byteCount {
      let position = offset + UInt64(done)
      let start = Int(position % UInt64(blockSize))
      let count = min(buffer.byteCount - done, blockSize - start)
      if let block = blocks[position / UInt64(blockSize)] {
        buffer.copy(block.rawBytes.slice(start..<start + count), at: done)
      } else {
        buffer.fill(done..<done + count)
      }
      done += count
    }
  }

  package func extent(at offset: UInt64, limit: UInt64) throws(ImageError) -> StorageExtent {
    guard tellsHoles else { return StorageExtent(length: limit, isData: true) }
    let size = UInt64(blockSize)
    if blocks[offset / size] != nil { return StorageExtent(length: min(limit, size - offset % size), isData: true) }
    // A hole up to the next block that has something.
    let next = blocks.keys.filter { $0 > offset / size }.min().map { $0 * size } ?? length
    return StorageExtent(length: max(1, min(limit, max(next, offset + 1) - offset)), isData: false)
  }
}
