import Bytes
import Images
import Storage
import Threads

/// A benchmark: equal requests, many of them under way at once (qemu-img-cli-2 §5.4).
public struct RequestBenchmark: Sendable {
  /// What is done.
  public enum Kind: Sendable, Equatable {
    case read
    /// Writes bytes of this value.
    case write(UInt8)
  }

  public var kind = Kind.read
  /// Number of requests.
  public var count: UInt64 = 75000
  /// Number of requests under way at once.
  public var depth: UInt64 = 64
  /// Size of a request in bytes.
  public var size = 4096
  /// Distance between two requests in bytes.
  public var step: UInt64 = 4096
  /// Where the first request begins, in bytes.
  public var offset: UInt64 = 0
  /// A flush after so many requests; 0 for none.
  public var flushInterval: UInt64 = 0
  /// Whether requests that are under way are waited for before a flush.
  public var drains = true

  /// Why a benchmark ended early.
  public enum Failure: Error {
    case request(ImageError)
    case flush(ImageError)
  }

  public init() {}

  /// The most threads that carry out requests; with a depth beyond it the others wait in line.
  private static let threadLimit: UInt64 = 64

  /// What the threads know of each other.
  private struct State {
    var issued: UInt64 = 0
    var active: UInt64 = 0
    /// Requests since the last flush.
    var sinceFlush: UInt64 = 0
    var isFlushing = false
    var failure: Failure?
  }

  /// Runs all requests.
  public func run(on image: any DiskImage) throws(Failure) {
    let state = Monitor(State())
    let writer = image as? any WritableDiskImage
    let placing = writer.map(PlacedWriting.init)
    let threads = Int(min(depth, count, RequestBenchmark.threadLimit))
    Crew.run(threads, atMost: threads) { _ in
      var buffer = Buffer(size)
      if case .write(let pattern) = kind {
        var bytes = buffer.mutableBytes
        bytes.fill(0..<size, with: pattern)
      }
      while let number = next(state) {
        do throws(ImageError) {
          try request(number, image, placing, &buffer)
        } catch {
          finish(state, .request(error))
          return
        }
        if finish(state, nil) {
          do throws(ImageError) {
            try placing?.flush()
            state.withLock(notify: true) { $0.isFlushing = false }
          } catch {
            state.withLock(notify: true) { state in
              state.isFlushing = false
              state.failure = state.failure ?? .flush(error)
            }
            return
          }
        }
      }
    }
    if let failure = state.withLock({ $0.failure }) { throw failure }
  }

  /// The number of the next request; nil when there is none.
  private func next(_ state: Monitor<State>) -> UInt64? {
    state.wait { state -> UInt64?? in
      if state.failure != nil || state.issued == count { return .some(nil) }
      if flushInterval > 0 {
        // With draining nothing is begun until the flush that is due has been done.
        if drains && (state.isFlushing || state.sinceFlush + state.active >= flushInterval) { return nil }
      }
      state.issued += 1
      state.active += 1
      return .some(state.issued - 1)
    }
  }

  /// A request has ended.
  ///
  /// - Returns: whether the caller has to flush now.
  @discardableResult
  private func finish(_ state: Monitor<State>, _ failure: Failure?) -> Bool {
    state.withLock(notify: true) { state in
      state.active -= 1
      if let failure {
        state.failure = state.failure ?? failure
        return false
      }
      guard flushInterval > 0 else { return false }
      state.sinceFlush += 1
      guard state.sinceFlush >= flushInterval, !state.isFlushing else { return false }
      state.sinceFlush -= flushInterval
      state.isFlushing = true
      return true
    }
  }

  private func request(
    _ number: UInt64, _ image: any DiskImage, _ placing: PlacedWriting?, _ buffer: inout Buffer
  ) throws(ImageError) {
    let disk = image.virtualSize
    let (distance, overflow) = number.multipliedReportingOverflow(by: step)
    // The first request goes where it was told to; only later ones come back to the disk's beginning.
    guard disk > 0, !overflow else { throw .system(5 /* EIO */) }
    var start = offset
    if number > 0 {
      let (sum, carry) = offset.addingReportingOverflow(distance)
      if carry { throw .system(5 /* EIO */) }
      start = sum % disk
    }
    guard start <= disk, UInt64(size) <= disk - start else { throw .system(5 /* EIO */) }
    switch kind {
    case .read:
      var bytes = buffer.mutableBytes
      try image.read(into: &bytes, at: start)
    case .write:
      guard let placing else { throw ImageError("Block node is read-only", errno: 30 /* EROFS */) }
      try placing.write(buffer.bytes, at: start)
    }
  }
}

/// Writes to an image by many threads: placed one at a time, stored side by side.
private final class PlacedWriting: Sendable {
  private let image: any WritableDiskImage
  /// Whoever places or flushes.
  private let turn = Monitor(())
  /// Number of writes that were placed and are not stored.
  private let unstored = Monitor<UInt64>(0)

  init(_ image: any WritableDiskImage) { self.image = image }

  private func waitForStores() { unstored.wait { $0 == 0 ? () : nil } }

  func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
    let runs = try turn.withLock { (_) throws(ImageError) in
      let runs = try image.place(
        offset..<offset + UInt64(bytes.byteCount), waitForStores: { () throws(ImageError) in waitForStores() })
      unstored.withLock { $0 += 1 }
      return runs
    }
    defer { unstored.withLock(notify: true) { $0 -= 1 } }
    for run in runs {
      let start = Int(run.guestOffset - offset)
      try run.store(bytes.slice(start..<start + run.length))
    }
  }

  func flush() throws(ImageError) {
    try turn.withLock { (_) throws(ImageError) in
      // Tables must not point at data that is not there.
      waitForStores()
      try image.flush()
    }
  }
}
