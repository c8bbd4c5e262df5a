import Bytes
import Copying
import Storage
import Synchronization

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
        throw ImageError.system(error.errno).suffixed("error reading block \(offset / UInt64(blockSize)) of the target")
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
