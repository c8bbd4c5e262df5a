import Bytes
import Copying
import Storage
import Synchronization

/// What an image of a file system is written to.
package enum ExtImageOutput: Sendable {
  /// A regular file or a block device.
  case file(FileStorage)
  /// Anything that takes its bytes one after the other.
  case stream(OutputStream)
}

/// Writes the blocks of a raw image at their own offsets (ext4-e2image §5).
package final class ExtRawSink: CopySink {
  /// What becomes of blocks of zeros, and of what is not selected.
  package enum ZeroRule: Sendable {
    /// The target reads as zeros already: nothing is written.
    case left
    /// The target holds something: zeros are written over it.
    case written
  }

  private let output: ExtImageOutput
  private let start: UInt64
  private let blockSize: Int
  private let byteCount: UInt64
  private let zeros: ZeroRule
  private let namesBlocks: Bool
  private let sparse: SparseRule
  private let beforePlace: @Sendable (Segment) -> Void
  private let end = Mutex<UInt64>(0)

  /// - Parameters:
  ///   - start: where the file system begins in the target, in bytes; 0 for a stream.
  ///   - byteCount: size of the file system in bytes.
  ///   - namesBlocks: whether the error of a write says which block it was.
  ///   - beforePlace: called in order, before a segment is written and after it was read.
  package init(
    _ output: ExtImageOutput, at start: UInt64, blockSize: Int, byteCount: UInt64, zeros: ZeroRule,
    namesBlocks: Bool = true, beforePlace: @escaping @Sendable (Segment) -> Void = { _ in }
  ) {
    self.output = output
    self.start = start
    self.blockSize = blockSize
    self.byteCount = byteCount
    self.zeros = zeros
    self.namesBlocks = namesBlocks
    self.beforePlace = beforePlace
    sparse = SparseRule(bytes: UInt64(blockSize))
    if case .file(let file) = output, zeros == .left { file.lengthen(to: start + byteCount) }
  }

  package func makeScratch() {}

  package func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Void) -> [SparseRun] {
    guard segment.kind == .data, case .file = output, zeros == .left else { return [] }
    return sparse.runs(bytes, at: segment.offset)
  }

  /// - Returns: the runs that are written, and where the segment before ended.
  package func place(
    _ segment: Segment, _ prepared: [SparseRun], waitForPuts: () throws(ImageError) -> Void
  ) -> (runs: [SparseRun], previousEnd: UInt64) {
    beforePlace(segment)
    let previous = end.withLock { end in
      defer { end = segment.offset + segment.length }
      return end
    }
    return (prepared, previous)
  }

  package func put(
    _ segment: Segment, _ bytes: RawSpan, _ placement: (runs: [SparseRun], previousEnd: UInt64), _ scratch: inout Void
  ) throws(ImageError) {
    do throws(ImageError) {
      switch output {
      case .stream(let stream):
        try stream.writeZeros(segment.offset - placement.previousEnd, at: placement.previousEnd)
        if segment.kind == .data {
          try stream.write(bytes, at: segment.offset)
        } else {
          try stream.writeZeros(segment.length, at: segment.offset)
        }
      case .file(let file):
        let offset = start + segment.offset
        if zeros == .left {
          for run in placement.runs where run.isData {
            try file.write(bytes.slice(run.range), at: offset + UInt64(run.range.lowerBound))
          }
        } else if segment.kind == .data {
          try file.write(bytes, at: offset)
        } else {
          try file.zero(offset..<offset + segment.length, mayUnmap: false)
        }
      }
    } catch {
      throw failure(error, segment.offset)
    }
  }

  package func finish() throws(ImageError) {
    switch output {
    case .stream(let stream):
      let end = end.withLock { $0 }
      do throws(ImageError) {
        try stream.writeZeros(byteCount - end, at: end)
      } catch {
        throw failure(error, end)
      }
    case .file(let file):
      // What lies behind the file system is kept.
      if file.growsWithZeros, file.length < start + byteCount {
        do throws(ImageError) {
          try file.resize(to: start + byteCount)
        } catch {
          throw failure(error, byteCount - 1)
        }
      }
    }
  }

  private func failure(_ error: ImageError, _ offset: UInt64) -> ImageError {
    namesBlocks ? ExtRawSink.failure(error, offset, start: start, blockSize: blockSize) : error
  }

  /// Words a failed write with its block; what only says that another came first is left alone.
  static func failure(_ error: ImageError, _ offset: UInt64, start: UInt64, blockSize: Int) -> ImageError {
    if error.errno == 125 /* ECANCELED */ { return error }
    let position = error.offset.map { $0 >= start ? $0 - start : 0 } ?? offset
    let block = position / UInt64(blockSize)
    return ImageError.system(error.errno, offset: error.offset).suffixed(
      block == 0 ? "error in generic_write()" : "error writing block \(block)")
  }
}
