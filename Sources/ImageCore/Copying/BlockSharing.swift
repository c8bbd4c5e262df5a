import Bytes
import Images
import Storage
import Synchronization

/// Sharing of blocks between a source that is one raw file and the target's file, where the file system can (XFS, btrfs).
///
/// The first refusal ends the attempts: the copy goes through memory then, without a word. Once blocks have been shared,
/// the source is not read any more but for what shows that a block is not zero.
public final class BlockSharing: CopySource {
  private enum State: Int, AtomicRepresentable { case untried, works, refused }

  private let source: FileStorage
  /// Where the disk begins in the source's file, in bytes.
  private let start: UInt64
  /// Size in bytes of the aligned ranges of which it matters only whether they are zero; nil if more than that matters.
  private let unit: Int?
  private let state = Atomic<State>(.untried)
  /// Whether buffers may hold no more than a sample of their blocks; once true, always true.
  private let hasSampled = Atomic<Bool>(false)
  /// File systems share whole blocks of this many bytes, or multiples.
  private static let block = 4096
  /// Bytes of a block that are read to see whether it is zero.
  private static let sample = 8

  /// Sharing of `source`, whose disk begins at byte `start`, with `target`; `sparse` is the rule by which zeros are found.
  public init(_ source: FileStorage, start: UInt64 = 0, _ sparse: SparseRule, _ target: any WritableDiskImage) {
    self.source = source
    self.start = start
    // A range that gets its space as a whole is shared as a whole, whatever zeros are in it.
    if let blocks = sparse.wholeBlocks, blocks % BlockSharing.block == 0 {
      unit = max(blocks, Int(clamping: target.allocationUnit))
    } else {
      unit = nil
    }
  }

  /// Lets the target have the source's blocks for a placed run; false means that the run must be stored.
  private func share(_ run: PlacedRun) -> Bool {
    guard state.load(ordering: .relaxed) != .refused, let target = run.host as? FileStorage else { return false }
    let block = UInt64(BlockSharing.block)
    let from = start + run.guestOffset
    let count = UInt64(run.length)
    // Less than some blocks is copied faster than shared; unaligned pieces cannot be shared at all.
    guard count >= 16 * block, (from | run.hostOffset | count) % block == 0, from + count <= source.length else {
      return false
    }
    let isDone = target.clone(from: source, from..<from + count, at: run.hostOffset)
    state.store(isDone ? .works : .refused, ordering: .relaxed)
    return isDone
  }

  /// Shares a placed run's blocks, or stores `bytes`, which were read by ``read(into:at:)``.
  func put(_ run: PlacedRun, _ bytes: RawSpan) throws(ImageError) {
    if share(run) { return }
    guard hasSampled.load(ordering: .acquiring) else { return try run.store(bytes) }
    var buffer = Buffer(run.length)
    var all = buffer.mutableBytes
    var contents = all.slice(0..<run.length)
    try source.read(into: &contents, at: start + run.guestOffset)
    try run.store(buffer.bytes.slice(0..<run.length))
  }

  /// Reads the disk. When blocks can be shared, only so much of it is filled as shows which ranges are zero.
  public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    guard let unit, state.load(ordering: .relaxed) == .works, offset % UInt64(BlockSharing.block) == 0 else {
      return try source.read(into: &buffer, at: start + offset)
    }
    hasSampled.store(true, ordering: .releasing)
    var done = 0
    while done < buffer.byteCount {
      let position = offset + UInt64(done)
      let unitEnd = (position.roundedDown(to: UInt64(unit)) + UInt64(unit)) - offset
      let end = min(Int(clamping: unitEnd), buffer.byteCount)
      // A range of which a part lies elsewhere gets its space by what is in the other part, too.
      let isWhole = position % UInt64(unit) == 0 && end - done == unit
      try sample(&buffer, done..<end, at: offset, asOne: isWhole)
      done = end
    }
  }

  /// Makes the blocks of `range` zero or not, as they are in the source; `asOne`: none is zero if one is not.
  private func sample(
    _ buffer: inout MutableRawSpan, _ range: Range<Int>, at offset: UInt64, asOne: Bool
  ) throws(ImageError) {
    for start in stride(from: range.lowerBound, to: range.upperBound, by: BlockSharing.block) {
      let block = start..<min(start + BlockSharing.block, range.upperBound)
      if try isZero(&buffer, block, at: offset) || !asOne { continue }
      for block in stride(from: range.lowerBound, to: range.upperBound, by: BlockSharing.block) {
        buffer.storeBytes(of: 1, toByteOffset: block, as: UInt8.self)
      }
      return
    }
  }

  /// Whether a block is zero; if it is not, not all of its bytes need have been read.
  private func isZero(_ buffer: inout MutableRawSpan, _ block: Range<Int>, at offset: UInt64) throws(ImageError) -> Bool
  {
    let sampled = block.lowerBound..<min(block.lowerBound + BlockSharing.sample, block.upperBound)
    for range in [sampled, block] {
      var part = buffer.slice(range)
      try source.read(into: &part, at: start + offset + UInt64(range.lowerBound))
      if !part.bytes.isZero(0..<part.byteCount) { return false }
    }
    return true
  }
}
