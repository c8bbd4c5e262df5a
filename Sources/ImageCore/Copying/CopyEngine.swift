import Bytes
import Threads

/// The one copy loop of all tools.
///
/// Each worker takes the next segment of the selection, reads and prepares it, waits for its turn, places it, and puts it:
/// reads, preparation and puts of different segments overlap, places are in order, and the number of segments under way,
/// hence the memory, is bounded by the number of workers. As many work as there are processors; another joins, up to the
/// limit, whenever one finds itself waiting more than working: what is slow is a device then. More threads than processors
/// on files that are in memory only wait for each other's locks, which costs a tenth of the time.
public struct CopyEngine: Sendable {
  /// The largest number of segments under way at once (each has a buffer and a thread).
  public var workers: Int
  /// Size of a worker's buffer in bytes; no data segment may be longer. 0: the sink reads for itself.
  public var bufferSize: Int
  /// Called, one at a time and in the selection's order, with the segments that have been completed.
  public var completed: (@Sendable (_ segment: Segment) throws(ImageError) -> Void)?
  /// Words an error of reading.
  public var readFailure: (@Sendable (ImageError, Segment) -> ImageError)?
  /// Called in order before a data segment is placed; may wait, to keep to a rate.
  public var throttle: (@Sendable (_ bytes: UInt64) -> Void)?

  /// The limit where nothing speaks for another: a device has enough to do then.
  public static let usualWorkers = 8

  /// An engine with at most `workers` segments of at most `bufferSize` bytes under way.
  public init(workers: Int = CopyEngine.usualWorkers, bufferSize: Int) {
    self.workers = max(1, workers)
    self.bufferSize = bufferSize
  }

  /// How far the segments are, by their number in the selection's order.
  private struct Progress {
    /// Segments handed out.
    var taken = 0
    /// Whether the selection has ended.
    var isExhausted = false
    /// Segments placed: the number of the one whose turn it is.
    var placed = 0
    /// Segments put, of those with a number below `placed`.
    var put = 0
    /// The first segment in order that failed, and why. Nothing is handed out or placed any more.
    var failure: (number: Int, error: ImageError)?

    mutating func fail(_ number: Int, _ error: ImageError) {
      if let failure, failure.number <= number { return }
      failure = (number, error)
    }
  }

  /// Puts completed segments back into order.
  private struct Reports {
    private var next = 0
    /// Segments that were completed before one in front of them; at most one a worker.
    private var early: [Int: Segment] = [:]

    mutating func add(
      _ number: Int, _ segment: Segment, _ report: (Segment) throws(ImageError) -> Void
    ) throws(ImageError) {
      early[number] = segment
      while let segment = early.removeValue(forKey: next) {
        next += 1
        try report(segment)
      }
    }
  }

  /// What stops a worker whose segment is not to blame.
  static let stopped = ImageError("stopped", errno: 125 /* ECANCELED */)

  /// Copies everything that `selection` names from `source` to `sink`, and finishes the sink.
  ///
  /// - Throws: the error of the first segment, in order, that failed; the sink is not finished then.
  public func run<Sink: CopySink>(_ selection: sending any Selection, from source: any CopySource, to sink: Sink)
    throws(ImageError)
  {
    let selection = Monitor<any Selection>(selection)
    let progress = Monitor(Progress())
    let reports = Monitor(Reports())
    Crew.run(min(workers, processorCount()), atMost: workers) { crew in
      var meter = WaitMeter()
      // A failed take has no number of its own: it comes after everything that was taken.
      var number = Int.max
      do throws(ImageError) {
        var buffer = Buffer(bufferSize)
        var scratch = try sink.makeScratch()
        while let (taken, segment) = try take(selection, progress) {
          number = taken
          if meter.isMostlyWaiting() { crew.grow() }
          let count = segment.kind == .data && bufferSize > 0 ? Int(segment.length) : 0
          if count > 0 {
            var all = buffer.mutableBytes
            var bytes = all.slice(0..<count)
            do throws(ImageError) {
              try meter.measure { () throws(ImageError) in try source.read(into: &bytes, at: segment.offset) }
            } catch {
              throw readFailure?(error, segment) ?? error
            }
          }
          let prepared = try meter.measure { () throws(ImageError) in
            try sink.prepare(segment, buffer.bytes.slice(0..<count), &scratch)
          }
          try awaitTurn(number, progress)
          if count > 0 { throttle?(segment.length) }
          let placement = try sink.place(
            segment, prepared, waitForPuts: { () throws(ImageError) in try awaitPuts(before: number, progress) })
          progress.withLock(notify: true) { $0.placed += 1 }
          try meter.measure { () throws(ImageError) in
            try sink.put(segment, buffer.bytes.slice(0..<count), placement, &scratch)
          }
          progress.withLock(notify: true) { $0.put += 1 }
          if let completed {
            try reports.withLock { (reports) throws(ImageError) in try reports.add(number, segment, completed) }
          }
          number = Int.max
        }
      } catch {
        progress.withLock(notify: true) { $0.fail(number, error) }
      }
    }
    if let failure = progress.withLock({ $0.failure }) { throw failure.error }
    try sink.finish()
  }

  private func take(_ selection: Monitor<any Selection>, _ progress: Monitor<Progress>) throws(ImageError)
    -> (Int, Segment)?
  {
    try selection.withLock { (selection) throws(ImageError) in
      let stop = progress.withLock { $0.failure != nil || $0.isExhausted }
      if stop { return nil }
      guard let segment = try selection.next() else {
        progress.withLock { $0.isExhausted = true }
        return nil
      }
      let number = progress.withLock { progress in
        defer { progress.taken += 1 }
        return progress.taken
      }
      return (number, segment)
    }
  }

  private func awaitTurn(_ number: Int, _ progress: Monitor<Progress>) throws(ImageError) {
    try progress.wait { (progress) throws(ImageError) -> Void? in
      // A segment before the failed one still gets its turn, so that the first failure is the one reported.
      if let failure = progress.failure, failure.number < number { throw CopyEngine.stopped }
      return progress.placed == number ? () : nil
    }
  }

  private func awaitPuts(before number: Int, _ progress: Monitor<Progress>) throws(ImageError) {
    try progress.wait { (progress) throws(ImageError) -> Void? in
      if progress.failure != nil { throw CopyEngine.stopped }
      return progress.put == number ? () : nil
    }
  }
}
