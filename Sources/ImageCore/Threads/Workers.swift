import Glibc

/// Number of processors this process may run on.
package func processorCount() -> Int {
  max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
}

/// The threads that work on one thing together. Any of them can call for another.
///
/// Threads of our own, because blocking reads must not sit on Swift's cooperative pool.
package final class Crew: Sendable {
  private let body: @Sendable (Crew) -> Void
  private let limit: Int
  private let threads = Monitor(Threads())

  private struct Threads {
    /// Started, the calling thread included.
    var count = 1
    var running: [pthread_t] = []
  }

  private init(atMost limit: Int, _ body: @escaping @Sendable (Crew) -> Void) {
    self.limit = limit
    self.body = body
  }

  /// Runs `body` on `count` threads, of which the calling thread is one, and on those that ``grow()`` adds; returns when
  /// all have returned. If the system refuses a thread, the others do the work: `body` must not rely on all of them running
  /// at once.
  package static func run(_ count: Int, atMost limit: Int, _ body: @escaping @Sendable (Crew) -> Void) {
    let crew = Crew(atMost: limit, body)
    for _ in 1..<max(count, 1) { crew.grow() }
    body(crew)
    while let thread = crew.threads.withLock({ $0.running.popLast() }) { pthread_join(thread, nil) }
  }

  /// Starts one more thread, unless there are as many as there may be.
  package func grow() {
    threads.withLock { threads in
      guard threads.count < limit else { return }
      var thread = pthread_t()
      // The retained crew is released by the thread that takes it over.
      let crew = unsafe Unmanaged.passRetained(self)
      let status = unsafe pthread_create(
        &thread, nil,
        { argument in
          guard let argument = unsafe argument else { return nil }
          let crew = unsafe Unmanaged<Crew>.fromOpaque(argument).takeRetainedValue()
          crew.body(crew)
          return nil
        }, crew.toOpaque())
      guard status == 0 else { return unsafe crew.release() }
      threads.count += 1
      threads.running.append(thread)
    }
  }
}

/// Tells whether a thread waits, for a device, more than it works. Used by that thread alone.
package struct WaitMeter {
  /// Shorter spans than this, in nanoseconds, say nothing.
  private static let window: UInt64 = 10_000_000

  /// Time that went by while something was measured.
  private var elapsed: UInt64 = 0
  /// The thread's processor time when the window began: asked for once a window, since that takes a system call.
  private var workStart = nanoseconds(of: CLOCK_THREAD_CPUTIME_ID)

  package init() {}

  /// Runs `body`, and counts how long it took.
  package mutating func measure<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result
  {
    let start = monotonicNanoseconds()
    defer { elapsed &+= monotonicNanoseconds() &- start }
    return try body()
  }

  /// Whether more than half of the time that was measured since the last window ended was waiting; false until a window
  /// has passed.
  package mutating func isMostlyWaiting() -> Bool {
    guard elapsed >= WaitMeter.window else { return false }
    let now = nanoseconds(of: CLOCK_THREAD_CPUTIME_ID)
    defer { (elapsed, workStart) = (0, now) }
    return now &- workStart < elapsed / 2
  }
}

/// Time since some fixed moment, in nanoseconds of the monotonic clock.
package func monotonicNanoseconds() -> UInt64 { nanoseconds(of: CLOCK_MONOTONIC) }

private func nanoseconds(of clock: clockid_t) -> UInt64 {
  var time = timespec()
  unsafe clock_gettime(clock, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Sleeps for so many nanoseconds, whatever signals arrive.
package func sleep(nanoseconds: UInt64) {
  var time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
  // The remaining time is written back to the same place.
  while unsafe withUnsafeMutablePointer(to: &time, { unsafe nanosleep($0, $0) }) != 0 && errno == EINTR {}
}
