import Bytes

/// Blocks read ahead: those of an allocation group are visited one by one, and lie side by side.
struct BlockWindow: ~Copyable {
  private let volume: OCFS2Volume
  private var buffer: Buffer
  private var blocks: Range<UInt64> = 0..<0
  /// Enough for a request to take longer than its way there, in bytes.
  static let usualSize = 512 << 10

  /// - Parameter size: how much is kept, in bytes: at least a block.
  init(_ volume: OCFS2Volume, size: Int) {
    self.volume = volume
    buffer = Buffer(size)
  }

  /// Calls `body` with a block; if it must be read, those up to `end` are read with it as far as there is room.
  mutating func withBlock<Result>(
    _ block: UInt64, end: UInt64, _ body: (RawSpan) throws(ImageError) -> Result
  ) throws(ImageError) -> Result {
    let size = volume.superblock.blockSize
    if !blocks.contains(block) {
      try load(block, end: min(end, block + UInt64(buffer.count / size)))
    }
    let offset = Int(block - blocks.lowerBound) * size
    return try body(buffer.bytes.slice(offset..<offset + size))
  }

  private mutating func load(_ block: UInt64, end: UInt64) throws(ImageError) {
    blocks = 0..<0
    do throws(ImageError) {
      try volume.read(block..<end, into: &buffer)
    } catch {
      // Something among them cannot be read: this one alone, then.
      guard end > block + 1 else { throw error }
      try volume.read(block..<block + 1, into: &buffer)
      blocks = block..<block + 1
      return
    }
    blocks = block..<end
  }
}
