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
  private let sparse: SparseRule
  private let beforePlace: @Sendable (Segment) throws(ImageError) -> Void
  private let end = Mutex<UInt64>(0)

  /// - Parameters:
  ///   - start: where the file system begins in the target, in bytes; 0 for a stream.
  ///   - byteCount: size of the file system in bytes.
  ///   - beforePlace: called in order, before a segment is written and after it was read.
  package init(
    _ output: ExtImageOutput, at start: UInt64, blockSize: Int, byteCount: UInt64, zeros: ZeroRule,
    beforePlace: @escaping @Sendable (Segment) throws(ImageError) -> Void = { _ in }
  ) {
    self.output = output
    self.start = start
    self.blockSize = blockSize
    self.byteCount = byteCount
    self.zeros = zeros
    self.beforePlace = beforePlace
    sparse = SparseRule(bytes: UInt64(blockSize))
  }

  package func makeScratch() {}

  package func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Void) -> [SparseRun] {
    guard segment.kind == .data, case .file = output, zeros == .left else { return [] }
    return sparse.runs(bytes, at: segment.offset)
  }

  /// - Returns: the runs that are written, and where the segment before ended.
  package func place(
    _ segment: Segment, _ prepared: [SparseRun], waitForPuts: () throws(ImageError) -> Void
  ) throws(ImageError) -> (runs: [SparseRun], previousEnd: UInt64) {
    try beforePlace(segment)
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
      throw ExtRawSink.failure(error, segment.offset, start: start, blockSize: blockSize)
    }
  }

  package func finish() throws(ImageError) {
    switch output {
    case .stream(let stream):
      let end = end.withLock { $0 }
      do throws(ImageError) {
        try stream.writeZeros(byteCount - end, at: end)
      } catch {
        throw ExtRawSink.failure(error, end, start: 0, blockSize: blockSize)
      }
    case .file(let file):
      // What lies behind the file system is kept.
      if file.growsWithZeros, file.length < start + byteCount {
        do throws(ImageError) {
          try file.resize(to: start + byteCount)
        } catch {
          throw ExtRawSink.failure(error, byteCount - 1, start: start, blockSize: blockSize)
        }
      }
    }
  }

  /// Words a failed write with its block; what only says that another came first is left alone.
  static func failure(_ error: ImageError, _ offset: UInt64, start: UInt64, blockSize: Int) -> ImageError {
    if error.errno == 125 /* ECANCELED */ { return error }
    let position = error.offset.map { $0 >= start ? $0 - start : 0 } ?? offset
    let block = position / UInt64(blockSize)
    return ImageError.system(error.errno).suffixed(
      block == 0 ? "error in generic_write()" : "error writing block \(block)")
  }
}

/// Writes only those blocks that the target does not hold already (`-c`), or tells which these are (`-n`).
package final class ComparingSink: CopySink {
  private let target: FileStorage?
  private let start: UInt64
  private let blockSize: Int
  private let isDryRun: Bool
  private let skipsZeros: Bool
  private let byteCount: UInt64
  private let tell: @Sendable (UInt64) -> Void
  private let same = Atomic<UInt64>(0)

  /// - Parameters:
  ///   - target: what is compared; nil: nothing is, every block counts as different.
  ///   - start: where the file system begins in the target, in bytes.
  ///   - isDryRun: nothing is written; one worker at a time then, so that blocks are told in order.
  ///   - skipsZeros: blocks of zeros are left out.
  ///   - tell: takes the blocks that a dry run would write.
  package init(
    _ target: FileStorage?, at start: UInt64, blockSize: Int, byteCount: UInt64, isDryRun: Bool, skipsZeros: Bool,
    tell: @escaping @Sendable (UInt64) -> Void
  ) {
    self.target = target
    self.start = start
    self.blockSize = blockSize
    self.byteCount = byteCount
    self.isDryRun = isDryRun
    self.skipsZeros = skipsZeros
    self.tell = tell
  }

  /// Blocks that were found to be the same.
  package var sameBlocks: UInt64 { same.load(ordering: .relaxed) }

  package func makeScratch() -> Buffer { Buffer(target == nil ? 1 : ExtBlockSelection.pieceSize) }
  package func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Buffer) {}
  package func place(_ segment: Segment, _ prepared: Void, waitForPuts: () throws(ImageError) -> Void) {}

  package func put(
    _ segment: Segment, _ bytes: RawSpan, _ placement: Void, _ scratch: inout Buffer
  ) throws(ImageError) {
    var offset = segment.offset
    var position = 0
    let end = segment.offset + segment.length
    // A hole of the source may be longer than the scratch memory.
    while offset < end {
      let count = Int(min(end - offset, UInt64(ExtBlockSelection.pieceSize)))
      if segment.kind == .data {
        try put(bytes.slice(position..<position + count), at: offset, &scratch)
      } else {
        let zeros = Buffer(count)
        try put(zeros.bytes, at: offset, &scratch)
      }
      offset += UInt64(count)
      position += count
    }
  }

  private func put(_ bytes: RawSpan, at offset: UInt64, _ scratch: inout Buffer) throws(ImageError) {
    if let target {
      var old = scratch.mutableBytes
      var part = old.slice(0..<bytes.byteCount)
      do throws(ImageError) {
        try target.read(into: &part, at: start + offset)
      } catch {
        throw ImageError("check_block: \(errorText(error.errno))", errno: error.errno)
      }
    }
    var run: Range<Int>?
    func flush() throws(ImageError) {
      guard let range = run, let target, !isDryRun else { return }
      do throws(ImageError) {
        try target.write(bytes.slice(range), at: start + offset + UInt64(range.lowerBound))
      } catch {
        throw ExtRawSink.failure(error, offset, start: start, blockSize: blockSize)
      }
    }
    for position in stride(from: 0, to: bytes.byteCount, by: blockSize) {
      let range = position..<position + blockSize
      let block = bytes.slice(range)
      if skipsZeros, block.isZero { continue }
      if let target, start + offset + UInt64(range.upperBound) <= target.length,
        scratch.bytes.slice(range).elementsEqual(block)
      {
        same.add(1, ordering: .relaxed)
        continue
      }
      if isDryRun { tell((offset + UInt64(position)) / UInt64(blockSize)) }
      if let last = run, last.upperBound == position {
        run = last.lowerBound..<range.upperBound
      } else {
        try flush()
        run = range
      }
    }
    try flush()
  }

  package func finish() throws(ImageError) {
    guard let target, !isDryRun, target.growsWithZeros, target.length < start + byteCount else { return }
    do throws(ImageError) {
      try target.resize(to: start + byteCount)
    } catch {
      throw ExtRawSink.failure(error, byteCount - 1, start: start, blockSize: blockSize)
    }
  }
}
