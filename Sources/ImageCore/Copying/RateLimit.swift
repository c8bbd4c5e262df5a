import Threads

/// Keeps a copy to a number of bytes a second: whoever is early waits (`-r`).
public final class RateLimit: Sendable {
  private let bytesPerSecond: UInt64
  /// The earliest time at which the next bytes may go, in nanoseconds of the monotonic clock.
  private let free = Monitor<UInt64>(0)

  /// A limit of `bytesPerSecond` (> 0).
  public init(bytesPerSecond: UInt64) { self.bytesPerSecond = bytesPerSecond }

  /// Waits until `bytes` may go.
  public func wait(for bytes: UInt64) {
    let now = monotonicNanoseconds()
    let cost = UInt64(min(Double(bytes) / Double(bytesPerSecond) * 1e9, 1e18))
    let start = free.withLock { free in
      let start = max(free, now)
      free = start &+ cost
      return start
    }
    if start > now { sleep(nanoseconds: start - now) }
  }
}
