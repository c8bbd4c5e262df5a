import Glibc

/// Number of processors this process may run on.
package func processorCount() -> Int {
  max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
}

/// Runs `body(0)` … `body(count − 1)`, each on a thread of its own, and returns when all have returned.
///
/// Threads of our own, because blocking reads must not sit on Swift's cooperative pool. The calling thread runs
/// `body(0)`, so that a count of 1 starts no thread. If the system refuses a thread, the others do the work: `body`
/// must not rely on all of them running at once.
package func runWorkers(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
  final class Task: Sendable {
    let index: Int
    let body: @Sendable (Int) -> Void
    init(_ index: Int, _ body: @escaping @Sendable (Int) -> Void) {
      self.index = index
      self.body = body
    }
  }
  var threads: [pthread_t] = []
  for index in 1..<max(count, 1) {
    var thread = pthread_t()
    // The retained task is released by the thread that takes it over.
    let task = unsafe Unmanaged.passRetained(Task(index, body))
    let status = unsafe pthread_create(
      &thread, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let task = unsafe Unmanaged<Task>.fromOpaque(argument).takeRetainedValue()
        task.body(task.index)
        return nil
      }, task.toOpaque())
    if status == 0 { threads.append(thread) } else { unsafe task.release() }
  }
  body(0)
  for thread in threads { pthread_join(thread, nil) }
}

/// Time since some fixed moment, in nanoseconds of the monotonic clock.
package func monotonicNanoseconds() -> UInt64 {
  var time = timespec()
  unsafe clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Sleeps for so many nanoseconds, whatever signals arrive.
package func sleep(nanoseconds: UInt64) {
  var time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
  // The remaining time is written back to the same place.
  while unsafe withUnsafeMutablePointer(to: &time, { unsafe nanosleep($0, $0) }) != 0 && errno == EINTR {}
}
