import Bytes

/// How a buffer is divided into what is written and what is left as zeros (qemu-img-cli-1 §11.9).
public struct SparseRule: Sendable {
  /// Zeros of fewer sectors than this, between data, are written; 0 writes everything.
  public let minimum: Int
  /// Runs begin and end at multiples of this many sectors where possible: a power of two.
  let alignment: Int

  /// Whether the outcome depends on how the disk is cut into buffers of `size` bytes.
  public func dependsOnBuffers(of size: Int) -> Bool {
    minimum != alignment || minimum * SparseRule.sector >= size
  }

  /// The size in bytes of the aligned blocks of which each is zero or data as a whole; nil if zeros are looked for in
  /// another way.
  var wholeBlocks: Int? { minimum > 0 && minimum == alignment ? alignment * SparseRule.sector : nil }

  /// A sector in bytes.
  static let sector = 512

  /// The rule of `-S`: `bytes` is a multiple of 512; 0 turns the search for zeros off.
  ///
  /// - Parameter targetAlignment: the target's request alignment in bytes.
  public init(bytes: UInt64, targetAlignment: Int = 1) {
    minimum = Int(bytes / 512)
    var power = 1
    while power * 2 <= minimum { power *= 2 }
    alignment = max(power, targetAlignment / 512)
  }

  /// Divides `bytes`, which begin at byte `offset` (a multiple of 512) of the disk. The runs are in order and cover
  /// everything; their ranges count from the buffer's beginning. A last partial sector counts as a whole one.
  package func runs(_ bytes: RawSpan, at offset: UInt64) -> [SparseRun] {
    guard minimum > 0 else { return [SparseRun(range: 0..<bytes.byteCount, isData: true)] }
    if minimum == alignment, offset % UInt64(alignment * SparseRule.sector) == 0 { return blockRuns(bytes) }
    return sectorRuns(bytes, Int(truncatingIfNeeded: (offset / 512) % UInt64(alignment)))
  }

  /// The common case: the shortest zero run that counts is one aligned block, so that each block is zero or not.
  private func blockRuns(_ bytes: RawSpan) -> [SparseRun] {
    let block = alignment * SparseRule.sector
    var runs = [SparseRun]()
    var offset = 0
    while offset < bytes.byteCount {
      let isData = !bytes.isZero(offset..<min(offset + block, bytes.byteCount))
      let start = offset
      repeat {
        offset = min(offset + block, bytes.byteCount)
      } while offset < bytes.byteCount
        && bytes.isZero(offset..<min(offset + block, bytes.byteCount)) != isData
      runs.append(SparseRun(range: start..<offset, isData: isData))
    }
    return runs
  }

  /// The general case, sector by sector. `phase` is the first sector's position within its aligned block.
  func sectorRuns(_ bytes: RawSpan, _ phase: Int) -> [SparseRun] {
    let total = (bytes.byteCount + SparseRule.sector - 1) / SparseRule.sector
    func isZero(_ sector: Int) -> Bool {
      bytes.isZero(sector * SparseRule.sector..<min((sector + 1) * SparseRule.sector, bytes.byteCount))
    }
    /// The run at `start`, with its end moved to an aligned sector (steps 1 and 2).
    func alignedRun(_ start: Int) -> (length: Int, isData: Bool) {
      let startIsZero = isZero(start)
      var end = start + 1
      while end < total && isZero(end) == startIsZero { end += 1 }
      let run = end - start
      if end == total { return (run, !startIsZero) }
      let tail = (phase + end) % alignment
      if tail == 0 { return (run, !startIsZero) }
      if startIsZero && run > tail { return (run - tail, false) }
      return (min(run + alignment - tail, total - start), true)
    }
    var runs = [SparseRun]()
    func append(_ start: Int, _ end: Int, isData: Bool) {
      let range = start * SparseRule.sector..<min(end * SparseRule.sector, bytes.byteCount)
      runs.append(SparseRun(range: range, isData: isData))
    }
    var start = 0
    while start < total {
      var (length, isData) = alignedRun(start)
      if isData {
        // Step 3: zeros too short to count are swallowed when data follows.
        let shortest = min(minimum, total - start)
        var next = start + length
        while next < total {
          let (following, followingIsData) = alignedRun(next)
          if !followingIsData && following >= shortest { break }
          next += following
          if followingIsData { length = next - start }
        }
      }
      append(start, start + length, isData: isData)
      start += length
    }
    return runs
  }
}

/// A part of a buffer that is written, or left as zeros.
public struct SparseRun: Sendable, Equatable {
  /// Bytes, counted from the buffer's beginning.
  public var range: Range<Int>
  /// Whether it is written.
  public var isData: Bool
}
