import Bytes
import Copying
import OCFS2
import Storage
import Synchronization

/// The blocks of a set in ascending order, as a copy wants them.
package final class BlockSelection: Selection {
  /// The longest piece of data in bytes.
  package static let pieceSize = 1 << 20

  private let blocks: BlockSet
  private let blockSize: UInt64
  private let storage: (any Storage)?
  private var position: UInt64 = 0

  /// - Parameter storage: where the blocks lie at their own offsets, so that its holes need not be read; nil when they
  ///   lie elsewhere.
  package init(_ blocks: BlockSet, blockSize: Int, storage: (any Storage)?) {
    self.blocks = blocks
    self.blockSize = UInt64(blockSize)
    self.storage = storage
  }

  package func next() throws(ImageError) -> Segment? {
    guard let run = blocks.nextRun(from: position, longest: UInt64(BlockSelection.pieceSize) / blockSize) else {
      return nil
    }
    var segment = Segment(
      offset: run.lowerBound * blockSize, length: UInt64(run.count) * blockSize, kind: .data)
    // Beyond the end there is no hole but an error, which reading finds.
    if let storage, segment.offset + segment.length <= storage.length {
      let extent = try storage.extent(at: segment.offset, limit: segment.length)
      if !extent.isData, extent.length >= blockSize {
        segment.kind = .zero
        segment.length = extent.length.roundedDown(to: blockSize)
      }
    }
    position = run.lowerBound + segment.length / blockSize
    return segment
  }
}

/// Reads blocks, and puts zeros in the place of those that cannot be read.
package final class BlockSource: CopySource {
  private let blockSize: Int
  private let read: @Sendable (inout MutableRawSpan, UInt64) throws(ImageError) -> Void
  private let lost: Mutex<BlockSet>

  /// - Parameters:
  ///   - blockSize: the unit that is given up, in bytes.
  ///   - blockCount: number of blocks of the volume.
  ///   - read: fills bytes from an offset on.
  package init(
    blockSize: Int, blockCount: UInt64,
    read: @escaping @Sendable (inout MutableRawSpan, UInt64) throws(ImageError) -> Void
  ) {
    self.blockSize = blockSize
    self.read = read
    lost = Mutex(BlockSet(limit: blockCount))
  }

  /// The blocks that could not be read.
  package var unreadable: BlockSet { lost.withLock { $0 } }

  package func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    do throws(ImageError) {
      return try read(&buffer, offset)
    } catch {
      // Something in it cannot be read: block by block, then.
    }
    for start in stride(from: 0, to: buffer.byteCount, by: blockSize) {
      let range = start..<min(start + blockSize, buffer.byteCount)
      do throws(ImageError) {
        var block = buffer.slice(range)
        try read(&block, offset + UInt64(start))
      } catch {
        buffer.fill(range)
        let number = (offset + UInt64(start)) / UInt64(blockSize)
        lost.withLock { $0.insert(number) }
      }
    }
  }
}
