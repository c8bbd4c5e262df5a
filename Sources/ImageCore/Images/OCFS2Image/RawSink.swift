import Bytes
import Copying
import OCFS2
import Synchronization

/// Writes blocks at their own offsets (ocfs2-o2image §16.2): a file keeps holes in between, a stream gets zeros.
package final class RawSink: CopySink {
  private let output: ImageOutput
  private let blockSize: Int
  private let fileLength: UInt64?
  private let end = Mutex<UInt64>(0)

  /// - Parameters:
  ///   - blockSize: of the volume, in bytes.
  ///   - fileLength: the length that a regular file gets at least, in bytes; nil: it ends behind the last block.
  package init(_ output: ImageOutput, blockSize: Int, fileLength: UInt64?) {
    self.output = output
    self.blockSize = blockSize
    self.fileLength = fileLength
  }

  /// - Returns: where the segment before ended.
  package func place(
    _ segment: Segment, _ prepared: Void, waitForPuts: () throws(ImageError) -> Void
  ) -> UInt64 {
    end.withLock { end in
      defer { end = segment.offset + segment.length }
      return end
    }
  }

  package func put(_ segment: Segment, _ bytes: RawSpan, _ start: UInt64, _ scratch: inout Void) throws(ImageError) {
    if case .stream(let stream) = output { try stream.writeZeros(segment.offset - start, at: start) }
    try output.store(segment, bytes, at: segment.offset, blockSize: blockSize)
  }

  package func finish() throws(ImageError) {
    guard case .file(let file) = output, file.growsWithZeros else { return }
    try file.resize(to: max(fileLength ?? 0, end.withLock { $0 }))
  }
}
