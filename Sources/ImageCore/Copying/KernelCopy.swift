import Bytes
import Images
import Storage

/// Data that need not pass through memory: the kernel lets the target share the source's blocks, or copies them itself.
public struct KernelCopy: Sendable {
  let source: FileStorage
  /// Where the disk begins in the source's file, in bytes.
  let start: UInt64
  let target: FileStorage
  /// Copy within the kernel (copy_file_range, `-C`) where blocks cannot be shared.
  let copies: Bool

  /// A way from one raw file to another.
  public init(from source: FileStorage, start: UInt64, to target: FileStorage, copies: Bool) {
    self.source = source
    self.start = start
    self.target = target
    self.copies = copies
  }

  /// Shares the whole disk at once, holes and all; for a target that holds nothing yet.
  ///
  /// - Returns: whether that was possible, so that nothing is left to be done.
  public func shareAll() -> Bool {
    start == 0 && target.length == source.length && target.clone(from: source, 0..<source.length, at: 0)
  }

  /// Takes what it can from a selection, and returns the rest, in segments of data of at most `limit` bytes.
  ///
  /// - Parameter completed: called with the segments that are done.
  public func run(
    _ selection: any Selection, limit: Int, completed: (Segment) -> Void
  ) throws(ImageError) -> any Selection {
    var left = [Segment]()
    while let segment = try selection.next() {
      guard segment.kind == .data else {
        left.append(segment)
        continue
      }
      guard let done = try take(segment) else {
        return Remainder(left + [segment], selection, limit: limit)
      }
      if segment.offset < done.lowerBound {
        left.append(Segment(offset: segment.offset, length: done.lowerBound - segment.offset, kind: .data))
      }
      completed(Segment(offset: done.lowerBound, length: done.upperBound - done.lowerBound, kind: .data))
      let end = segment.offset + segment.length
      if done.upperBound < end {
        left.append(Segment(offset: done.upperBound, length: end - done.upperBound, kind: .data))
      }
    }
    return Remainder(left, nil, limit: limit)
  }

  /// Does as much of a segment as whole blocks allow; nil when the kernel refuses.
  private func take(_ segment: Segment) throws(ImageError) -> Range<UInt64>? {
    let end = segment.offset + segment.length
    let first = segment.offset.roundedUp(to: FileStorage.sharedBlock) ?? end
    let last = end.roundedDown(to: FileStorage.sharedBlock)
    // Blocks can be shared only where both sides lie on block boundaries.
    if start % FileStorage.sharedBlock == 0 && first < last && last + start <= source.length {
      if target.clone(from: source, first + start..<last + start, at: first) { return first..<last }
    } else if !copies {
      return segment.offset..<segment.offset
    }
    guard copies else { return nil }
    let range = segment.offset + start..<min(end + start, source.length)
    guard case .copied(let count) = try target.copy(from: source, range, at: segment.offset), count > 0 else {
      return nil
    }
    return segment.offset..<segment.offset + count
  }
}

/// Segments that were left over, then what a selection still has; long data segments are cut.
private final class Remainder: Selection {
  private var segments: [Segment]
  private var position = 0
  private let rest: (any Selection)?
  private var cutter: RequestCutter
  /// What is left of a data segment that is being cut.
  private var run: Range<UInt64> = 0..<0

  init(_ segments: [Segment], _ rest: (any Selection)?, limit: Int) {
    self.segments = segments
    self.rest = rest
    cutter = RequestCutter(limit: limit)
  }

  func next() throws(ImageError) -> Segment? {
    if run.isEmpty {
      let segment: Segment
      if position < segments.count {
        segment = segments[position]
        position += 1
      } else {
        guard let following = try rest?.next() else { return nil }
        segment = following
      }
      guard segment.kind == .data else { return segment }
      run = segment.offset..<segment.offset + segment.length
      cutter.beginRun(at: run.lowerBound)
    }
    let segment = cutter.segment(at: run.lowerBound, end: run.upperBound)
    run = run.lowerBound + segment.length..<run.upperBound
    return segment
  }
}
