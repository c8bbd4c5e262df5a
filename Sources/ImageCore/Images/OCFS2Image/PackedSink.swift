import Bytes
import Copying
import OCFS2
import Synchronization

/// Writes a packed image (ocfs2-o2image §16.1): the blocks one behind the other, then the bitmap; the header of a file
/// comes last, so that an image that was not finished is none.
package final class PackedSink: CopySink {
  private let output: ImageOutput
  private let header: PackedHeader
  private let blocks: BlockSet
  private let end: Mutex<UInt64>

  /// An image of `blocks`, which the selection names in ascending order.
  package init(_ output: ImageOutput, _ header: PackedHeader, _ blocks: BlockSet) {
    self.output = output
    self.header = header
    self.blocks = blocks
    end = Mutex(header.blockSize)
  }

  /// Writes what must come first: the header of a stream, a header's worth of nothing of a file.
  package func begin() throws(ImageError) {
    guard case .stream(let stream) = output else { return }
    try stream.write(header.bytes.rawBytes, at: 0)
  }

  package func place(
    _ segment: Segment, _ prepared: Void, waitForPuts: () throws(ImageError) -> Void
  ) -> UInt64 {
    end.withLock { end in
      defer { end += segment.length }
      return end
    }
  }

  package func put(_ segment: Segment, _ bytes: RawSpan, _ place: UInt64, _ scratch: inout Void) throws(ImageError) {
    do throws(ImageError) {
      try output.store(segment, bytes, at: place, blockSize: Int(header.blockSize))
    } catch {
      let done = error.offset.map { $0 >= place ? $0 - place : 0 } ?? 0
      throw PackedSink.failure(error, "error writing blk \((segment.offset + done) / header.blockSize)")
    }
  }

  package func finish() throws(ImageError) {
    var piece = Buffer(BlockSet.pieceSize)
    for index in 0..<blocks.pieceCount {
      let offset = header.bitmapOffset + index * UInt64(BlockSet.pieceSize)
      do throws(ImageError) {
        var bytes = piece.mutableBytes
        blocks.store(piece: index, into: &bytes)
        try output.write(piece.bytes, at: offset, blockSize: BlockSet.pieceSize)
      } catch {
        throw PackedSink.failure(error, "error writing bitmap blk \(index) bytes \(BlockSet.pieceSize)")
      }
    }
    guard case .file(let file) = output else { return }
    if file.growsWithZeros { try file.resize(to: header.imageSize) }
    try file.write(header.bytes, at: 0)
  }

  /// The failure with its place; one that only says that another came first is left alone.
  private static func failure(_ error: ImageError, _ text: String) -> ImageError {
    error.errno == 125 /* ECANCELED */ ? error : ImageError.system(error.errno).suffixed(text)
  }
}
