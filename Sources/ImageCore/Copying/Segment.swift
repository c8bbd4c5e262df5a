import Bytes

/// A piece of the work of a copy: a run of the source that is handled as one.
public struct Segment: Sendable, Equatable {
  /// What is to be done with a run.
  public enum Kind: Sendable, Equatable {
    /// Read it, and write what it holds.
    case data
    /// Make the target read as zeros.
    case zero
  }

  /// Offset in the source in bytes.
  public var offset: UInt64
  /// Length in bytes; of data at most the copy's buffer size.
  public var length: UInt64
  /// What it holds.
  public var kind: Kind
  /// Where the request begins of which this is a part, in bytes: the user is told of requests, which may be longer than
  /// what is handled at once.
  public var requestOffset: UInt64
  /// Whether the request ends with this segment.
  public var endsRequest: Bool

  /// A piece of work that is a request of its own.
  public init(offset: UInt64, length: UInt64, kind: Kind) {
    self.offset = offset
    self.length = length
    self.kind = kind
    requestOffset = offset
    endsRequest = true
  }
}

/// Cuts runs of data into segments, and tells where the reference's requests end, which its progress display counts.
struct RequestCutter {
  /// Size of a request in bytes (qemu-img-cli-1 §11.8, step 3).
  static let requestSize: UInt64 = 2 << 20
  /// The longest segment in bytes.
  let limit: UInt64
  private let shortening: Shortening?
  /// Whether the present request is cut into short segments.
  private var isShortened = false
  /// Where the present request begins in bytes.
  private var start: UInt64 = 0

  init(limit: Int, _ shortening: Shortening? = nil) {
    self.limit = UInt64(limit)
    self.shortening = shortening
  }

  /// A run begins at `offset`, and a request with it.
  mutating func beginRun(at offset: UInt64) { start = offset }

  /// The next segment of the run that lasts from `offset` to `end`.
  mutating func segment(at offset: UInt64, end: UInt64) -> Segment {
    if offset == start { isShortened = shortening?.isAllowed() ?? false }
    var next = min(end, offset + limit)
    if isShortened, let shortening {
      next = min(next, start + RequestCutter.requestSize, (offset / shortening.size + 1) * shortening.size)
    }
    var segment = Segment(offset: offset, length: next - offset, kind: .data)
    segment.requestOffset = start
    segment.endsRequest = next >= start + RequestCutter.requestSize || next == end
    if segment.endsRequest { start = next }
    return segment
  }
}

/// Segments shorter than requests, where it makes no difference to the target.
public struct Shortening: Sendable {
  /// Segments end at multiples of this many bytes.
  let size: UInt64
  /// Asked before each request, by one thread at a time.
  let isAllowed: @Sendable () -> Bool

  /// Segments that end at multiples of `size` bytes, as long as `isAllowed` says so of a request.
  public init(to size: Int, if isAllowed: @escaping @Sendable () -> Bool) {
    self.size = UInt64(size)
    self.isAllowed = isAllowed
  }
}

/// Which bytes of the source matter, in the order in which the target wants them. Asked by one thread at a time.
public protocol Selection: AnyObject {
  /// The next piece of work, or nil when all is done.
  func next() throws(ImageError) -> Segment?
}

/// Where a copy reads from. Safe to call from many threads.
public protocol CopySource: AnyObject, Sendable {
  /// Fills `buffer` with the source's bytes at `offset`.
  func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError)
}

/// What a copy writes into. The layout is decided in order, the work is done in parallel:
///
/// 1. ``prepare(_:_:_:)``: any worker, any order: find zeros, compress, scramble, recompute checksums;
/// 2. ``place(_:_:)``: one at a time, in the selection's order: gives the segment its position (a stream writes here);
/// 3. ``put(_:_:_:_:)``: any worker, any order: positioned writes;
/// 4. ``finish()``: once, after the last put: tables, header, flush.
///
/// So an image is the same to the byte with one thread or 32.
public protocol CopySink: AnyObject, Sendable {
  /// A worker's own memory: output buffers, compressors.
  associatedtype Scratch: ~Copyable
  /// What preparation found out about a segment.
  associatedtype Prepared
  /// Where a segment goes.
  associatedtype Placement

  /// Memory for one worker.
  func makeScratch() throws(ImageError) -> Scratch
  /// Works on a segment's bytes (empty for a segment that is not data).
  func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Scratch) throws(ImageError) -> Prepared
  /// Decides where a segment goes.
  ///
  /// - Parameter waitForPuts: returns when everything placed before has been put; for sinks that must write tables.
  func place(_ segment: Segment, _ prepared: Prepared, waitForPuts: () throws(ImageError) -> Void) throws(ImageError)
    -> Placement
  /// Writes a placed segment.
  func put(_ segment: Segment, _ bytes: RawSpan, _ placement: Placement, _ scratch: inout Scratch) throws(ImageError)
  /// Completes the target.
  func finish() throws(ImageError)
}

/// A sink whose workers need no memory of their own.
extension CopySink where Scratch == Void {
  public func makeScratch() {}
}

/// A sink that stores what was read as it is.
extension CopySink where Scratch == Void, Prepared == Void {
  public func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Void) {}
}
