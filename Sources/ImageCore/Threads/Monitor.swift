import Glibc

/// A value behind a lock that threads can wait on until it has changed (a mutex with one condition variable).
///
/// `Synchronization.Mutex` has no condition; the copy engine needs one for its turns and its bounded queues.
@safe
package final class Monitor<Value>: @unchecked Sendable {
  // `mutex` and `condition` are initialised in init, destroyed in deinit and never move; `value` is touched only
  // between lock and unlock. That makes the class Sendable.
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private var value: Value

  package init(_ value: sending Value) {
    unsafe mutex = .allocate(capacity: 1)
    unsafe condition = .allocate(capacity: 1)
    unsafe pthread_mutex_init(mutex, nil)
    unsafe pthread_cond_init(condition, nil)
    self.value = value
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe pthread_mutex_destroy(mutex)
    unsafe condition.deallocate()
    unsafe mutex.deallocate()
  }

  /// Runs `body` with the value; `notify` wakes all waiting threads afterwards.
  package func withLock<Result, Failure: Error>(
    notify: Bool = false, _ body: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    unsafe pthread_mutex_lock(mutex)
    defer {
      if notify { unsafe pthread_cond_broadcast(condition) }
      unsafe pthread_mutex_unlock(mutex)
    }
    return try body(&value)
  }

  /// Waits until `body` answers something other than nil, and returns that. `body` may change the value; `notify` wakes
  /// the other waiters when it has answered.
  package func wait<Result, Failure: Error>(
    notify: Bool = false, until body: (inout Value) throws(Failure) -> Result?
  ) throws(Failure) -> Result {
    unsafe pthread_mutex_lock(mutex)
    defer {
      if notify { unsafe pthread_cond_broadcast(condition) }
      unsafe pthread_mutex_unlock(mutex)
    }
    while true {
      if let result = try body(&value) { return result }
      unsafe pthread_cond_wait(condition, mutex)
    }
  }
}
