import Bytes
import Images
import Storage
import Synchronization

/// A copy of one raw file into a disk image on the same file system, where that lets files share blocks (XFS, btrfs): the
/// data stays where it is, and only so much of it is read as shows what is not zero.
///
/// What cannot be shared, unaligned pieces or all that comes after the first refusal, goes through memory without a word.
/// The engine needs no buffers for it, so that segments may be long.
public final class SharingSink: CopySink {
  /// Length in bytes of the segments that this sink is meant for.
  public static let segmentSize = 32 << 20

  private let source: FileStorage
  /// Where the disk begins in the source's file, in bytes.
  private let start: UInt64
  private let sink: DiskImageSink
  private let sparse: SparseRule
  /// Size in bytes of the aligned ranges that get their space as a whole.
  private let unit: Int
  private let readFailure: @Sendable (ImageError, Segment) -> ImageError
  private let isRefused = Atomic<Bool>(false)
  /// Bytes that go through memory at once.
  private static let pieceSize = Int(RequestCutter.requestSize)
  /// Bytes of a block that are read first to see whether it is zero.
  private static let sample = 8
  /// Less than this many bytes is copied faster than shared.
  private static let worthSharing: UInt64 = 16 * FileStorage.sharedBlock

  /// A copy of `source`, whose disk begins at byte `start`; nil where blocks cannot be shared with `target`.
  ///
  /// - Parameter readFailure: words an error of reading, for the request in which it occurred.
  public init?(
    _ source: FileStorage, start: UInt64, to target: any WritableDiskImage, _ rule: DiskImageSink.Rule,
    readFailure: @escaping @Sendable (ImageError, Segment) -> ImageError
  ) {
    guard let file = target.storage as? FileStorage, file.canShareBlocks(of: source) else { return nil }
    self.source = source
    self.start = start
    self.readFailure = readFailure
    sparse = rule.sparse
    unit = max(sparse.wholeBlocks ?? 0, Int(clamping: target.allocationUnit))
    sink = DiskImageSink(target, rule)
  }

  public func makeScratch() -> Buffer { Buffer(Int(FileStorage.sharedBlock)) }

  // MARK: Finding zeros

  public func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Buffer) throws(ImageError) -> [SparseRun] {
    guard segment.kind == .data else { return [] }
    let whole = 0..<Int(segment.length)
    if sparse.minimum == 0 { return byRequests([SparseRun(range: whole, isData: true)], segment) }
    var runs = [SparseRun]()
    if let block = sparse.wholeBlocks, UInt64(block) % FileStorage.sharedBlock == 0,
      segment.offset % UInt64(block) == 0
    {
      try sampleRuns(segment, block, &scratch, &runs)
      return byRequests(runs, segment)
    }
    // Here it matters where the requests begin and end, and where zeros do within them.
    for request in SharingSink.pieces(of: whole) {
      try read(request, of: segment, into: &scratch)
      let bytes = scratch.bytes.slice(0..<request.count)
      for run in sparse.runs(bytes, at: segment.offset + UInt64(request.lowerBound)) {
        let range = run.range.lowerBound + request.lowerBound..<run.range.upperBound + request.lowerBound
        runs.append(SparseRun(range: range, isData: run.isData))
      }
    }
    return runs
  }

  /// Finds the blocks that are not zero. A unit that lies within the segment is shared as a whole, whatever zeros are in
  /// it; of others a part lies elsewhere, and they get their space by what is in that part, too.
  private func sampleRuns(
    _ segment: Segment, _ block: Int, _ scratch: inout Buffer, _ runs: inout [SparseRun]
  ) throws(ImageError) {
    func append(_ range: Range<Int>, isData: Bool) {
      if let last = runs.last, last.isData == isData {
        runs[runs.count - 1].range = last.range.lowerBound..<range.upperBound
      } else {
        runs.append(SparseRun(range: range, isData: isData))
      }
    }
    let length = Int(segment.length)
    var start = 0
    while start < length {
      let phase = Int((segment.offset + UInt64(start)) % UInt64(unit))
      let end = min(start + unit - phase, length)
      let blocks = stride(from: start, to: end, by: block).lazy.map { $0..<min($0 + block, end) }
      if end - start == unit {
        var isData = false
        for range in blocks where !isData { isData = try !isZero(range, of: segment, &scratch) }
        append(start..<end, isData: isData)
      } else {
        for range in blocks { append(range, isData: try !isZero(range, of: segment, &scratch)) }
      }
      start = end
    }
  }

  /// Whether a part of a segment is zero; if it is not, not all of it need be read.
  private func isZero(_ range: Range<Int>, of segment: Segment, _ scratch: inout Buffer) throws(ImageError) -> Bool {
    let sample = range.lowerBound..<min(range.lowerBound + SharingSink.sample, range.upperBound)
    for range in [sample, range] {
      for piece in SharingSink.pieces(of: range) {
        try read(piece, of: segment, into: &scratch)
        if !scratch.bytes.isZero(0..<piece.count) { return false }
      }
    }
    return true
  }

  // MARK: Placing and storing

  /// Divides runs where requests end, on which it depends where a format puts its tables. Data gets its space up to the
  /// end of a unit.
  private func byRequests(_ runs: [SparseRun], _ segment: Segment) -> [SparseRun] {
    var divided = [SparseRun]()
    for run in runs {
      var start = run.range.lowerBound
      while start < run.range.upperBound {
        var end = (start / SharingSink.pieceSize + 1) * SharingSink.pieceSize
        if run.isData {
          let behind = Int((segment.offset + UInt64(end)) % UInt64(unit))
          if behind > 0 { end += unit - behind }
        }
        end = min(end, run.range.upperBound)
        divided.append(SparseRun(range: start..<end, isData: run.isData))
        start = end
      }
    }
    return divided
  }

  public func place(
    _ segment: Segment, _ runs: [SparseRun], waitForPuts: () throws(ImageError) -> Void
  ) throws(ImageError) -> [PlacedRun] {
    var joined = [PlacedRun]()
    for run in try sink.place(segment, runs, waitForPuts: waitForPuts) {
      if let last = joined.last, last.isFollowed(by: run), last.guestOffset + UInt64(last.length) == run.guestOffset {
        joined[joined.count - 1].length += run.length
      } else {
        joined.append(run)
      }
    }
    return joined
  }

  public func put(_ segment: Segment, _ bytes: RawSpan, _ placement: [PlacedRun], _ scratch: inout Buffer)
    throws(ImageError)
  {
    for run in placement where !share(run) {
      let first = Int(run.guestOffset - segment.offset)
      for piece in SharingSink.pieces(of: first..<first + run.length) {
        try read(piece, of: segment, into: &scratch)
        do throws(ImageError) {
          try run.host.write(
            scratch.bytes.slice(0..<piece.count), at: run.hostOffset + UInt64(piece.lowerBound - first))
        } catch {
          throw DiskImageSink.failure(error, at: SharingSink.request(segment, piece.lowerBound))
        }
      }
    }
  }

  /// Lets the target have the source's blocks for a placed run; false means that the run must be stored.
  private func share(_ run: PlacedRun) -> Bool {
    guard !isRefused.load(ordering: .relaxed), let target = run.host as? FileStorage else { return false }
    let from = start + run.guestOffset
    let count = UInt64(run.length)
    guard count >= SharingSink.worthSharing, (from | run.hostOffset | count) % FileStorage.sharedBlock == 0,
      from + count <= source.length
    else { return false }
    let isDone = target.clone(from: source, from..<from + count, at: run.hostOffset)
    if !isDone { isRefused.store(true, ordering: .relaxed) }
    return isDone
  }

  public func finish() {}

  // MARK: Reading

  /// Reads a part of a segment into the scratch memory, which grows as needed.
  private func read(_ range: Range<Int>, of segment: Segment, into scratch: inout Buffer) throws(ImageError) {
    if scratch.count < range.count { scratch = Buffer(range.count) }
    var all = scratch.mutableBytes
    var bytes = all.slice(0..<range.count)
    let offset = start + segment.offset + UInt64(range.lowerBound)
    do throws(ImageError) {
      try source.read(into: &bytes, at: offset)
    } catch {
      let isKnown = error.offset.map { $0 >= offset && $0 < offset + UInt64(range.count) } ?? false
      let position = range.lowerBound + Int((isKnown ? error.offset ?? offset : offset) - offset)
      var request = segment
      request.requestOffset = SharingSink.request(segment, position)
      throw readFailure(error, request)
    }
  }

  /// Where the request begins in which a byte of a segment lies.
  private static func request(_ segment: Segment, _ position: Int) -> UInt64 {
    segment.offset + UInt64(position).roundedDown(to: RequestCutter.requestSize)
  }

  private static func pieces(of range: Range<Int>) -> some Sequence<Range<Int>> {
    stride(from: range.lowerBound, to: range.upperBound, by: pieceSize).lazy.map {
      $0..<min($0 + pieceSize, range.upperBound)
    }
  }
}
