import Bytes
import Synchronization
import Testing
import Threads

@testable import Copying

/// Numbers 0 … count − 1 as segments of one byte each.
private final class Numbers: Selection {
  private var next_ = 0
  private let count: Int
  private let failsAtEnd: Bool

  init(_ count: Int, failsAtEnd: Bool = false) {
    self.count = count
    self.failsAtEnd = failsAtEnd
  }

  func next() throws(ImageError) -> Segment? {
    guard next_ < count else {
      if failsAtEnd { throw ImageError("selection") }
      return nil
    }
    defer { next_ += 1 }
    return Segment(offset: UInt64(next_), length: 1, kind: .data)
  }
}

/// Bytes that are their own offset; reading fails where asked.
private final class Source: CopySource {
  let failures: Set<UInt64>
  init(failures: Set<UInt64> = []) { self.failures = failures }

  func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    if failures.contains(offset) { throw ImageError("read \(offset)") }
    buffer.fill(0..<buffer.byteCount, with: UInt8(truncatingIfNeeded: offset))
  }
}

/// Records the order of places, and what was put.
private final class Recorder: CopySink {
  struct State {
    var placed: [UInt64] = []
    var put: [UInt64: UInt8] = [:]
    var isFinished = false
  }
  let state = Mutex(State())
  let placeFailure: UInt64?
  let putFailure: UInt64?
  let drainsEvery: UInt64?

  init(placeFailure: UInt64? = nil, putFailure: UInt64? = nil, drainsEvery: UInt64? = nil) {
    self.placeFailure = placeFailure
    self.putFailure = putFailure
    self.drainsEvery = drainsEvery
  }

  func makeScratch() {}
  func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Void) -> UInt8 { bytes[0] }

  func place(_ segment: Segment, _ prepared: UInt8, waitForPuts: () throws(ImageError) -> Void) throws(ImageError)
    -> UInt64
  {
    if segment.offset == placeFailure { throw ImageError("place \(segment.offset)") }
    if let drainsEvery, segment.offset % drainsEvery == drainsEvery - 1 {
      try waitForPuts()
      let put = state.withLock { $0.put.count }
      #expect(put == Int(segment.offset))
    }
    state.withLock { $0.placed.append(segment.offset) }
    return segment.offset
  }

  func put(_ segment: Segment, _ bytes: RawSpan, _ placement: UInt64, _ scratch: inout Void) throws(ImageError) {
    if segment.offset == putFailure { throw ImageError("put \(segment.offset)") }
    let byte = bytes[0]
    state.withLock { $0.put[placement] = byte }
  }

  func finish() { state.withLock { $0.isFinished = true } }
}

struct CopyEngineTests {
  @Test(arguments: [1, 2, 3, 8, 32])
  func placesInOrderAndPutsAll(workers: Int) throws {
    let sink = Recorder(drainsEvery: 37)
    let count = Mutex(UInt64(0))
    var engine = CopyEngine(workers: workers, bufferSize: 16)
    engine.completed = { (segment) throws(ImageError) in count.withLock { $0 += segment.length } }
    try engine.run(Numbers(500), from: Source(), to: sink)
    let state = sink.state.withLock { $0 }
    #expect(state.placed == Array(0..<500))
    #expect(state.put.count == 500)
    #expect(state.put.allSatisfy { UInt8(truncatingIfNeeded: $0.key) == $0.value })
    #expect(state.isFinished)
    #expect(count.withLock { $0 } == 500)
  }

  /// A device that takes five milliseconds for a read, and counts how many are under way.
  private final class SlowSource: CopySource {
    let reads = Mutex((now: 0, most: 0))

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
      reads.withLock {
        $0.now += 1
        $0.most = max($0.most, $0.now)
      }
      sleep(nanoseconds: 5_000_000)
      buffer.fill(0..<buffer.byteCount, with: UInt8(truncatingIfNeeded: offset))
      reads.withLock { $0.now -= 1 }
    }
  }

  @Test func moreWorkersJoinWhereADeviceIsSlow() throws {
    let limit = processorCount() + 3
    let source = SlowSource()
    let sink = Recorder()
    try CopyEngine(workers: limit, bufferSize: 16).run(Numbers(400), from: source, to: sink)
    let most = source.reads.withLock { $0.most }
    #expect(most == limit)
    #expect(sink.state.withLock { $0.placed } == Array(0..<400))
  }

  /// The segments of a run, in the order in which they are cut: where each ends, and whether a request ends with it.
  private func cuts(_ cutter: RequestCutter, _ run: Range<UInt64>) -> [String] {
    var cutter = cutter
    cutter.beginRun(at: run.lowerBound)
    var offset = run.lowerBound
    var ends: [String] = []
    while offset < run.upperBound {
      let segment = cutter.segment(at: offset, end: run.upperBound)
      offset += segment.length
      ends.append("\(offset >> 10)\(segment.endsRequest ? "|" : "")")
    }
    return ends
  }

  @Test func shortSegmentsKeepToRequests() {
    let whole = RequestCutter(limit: 2 << 20)
    #expect(cuts(whole, 100 << 10..<5000 << 10) == ["2148|", "4196|", "5000|"])
    let short = RequestCutter(limit: 2 << 20, Shortening(to: 512 << 10) { true })
    #expect(
      cuts(short, 100 << 10..<5000 << 10) == [
        "512", "1024", "1536", "2048", "2148|", "2560", "3072", "3584", "4096", "4196|", "4608", "5000|",
      ])
    // What was decided when a request began holds for all of it.
    let answers = Mutex([true, false, true])
    let changing = RequestCutter(
      limit: 2 << 20, Shortening(to: 1 << 20) { answers.withLock { $0.removeFirst() } })
    #expect(cuts(changing, 0..<5000 << 10) == ["1024", "2048|", "4096|", "5000|"])
  }

  @Test(arguments: [1, 4, 16])
  func reportsTheFirstFailureInOrder(workers: Int) {
    func failure(_ selection: sending Numbers, _ source: Source, _ sink: Recorder) -> String? {
      do throws(ImageError) {
        try CopyEngine(workers: workers, bufferSize: 16).run(selection, from: source, to: sink)
        return nil
      } catch {
        #expect(!sink.state.withLock { $0.isFinished })
        return error.message
      }
    }
    #expect(failure(Numbers(100), Source(failures: [70, 40, 90]), Recorder()) == "read 40")
    #expect(failure(Numbers(100), Source(failures: [50]), Recorder(placeFailure: 30)) == "place 30")
    #expect(failure(Numbers(100), Source(failures: [99]), Recorder(putFailure: 20)) == "put 20")
    #expect(failure(Numbers(100, failsAtEnd: true), Source(), Recorder()) == "selection")
    #expect(failure(Numbers(0), Source(failures: [1]), Recorder()) == nil)
  }
}
