import Bytes
import CLinux
import Synchronization

/// How far a command has come, shown as `    (12.34/100%)` on one line of stdout (`-p`), or once on stderr when SIGUSR1
/// asks for it (qemu-img-cli-1 §16).
///
/// What is counted is work that is done, not work that was begun. Safe to use from many threads.
package final class Progress: Sendable {
  private struct State {
    var current: Float = 0
    var last: Float = 0
    var hasEnded = false
  }

  private let console: Console
  private let isShown: Bool
  private let usesStandardError: Bool
  private let step: Float
  private let state = Mutex(State())

  /// - Parameters:
  ///   - isShown: whether `-p` was given (and no `-q`). Otherwise SIGUSR1 asks for a report from now on.
  ///   - step: the least change in per cent that is worth showing.
  ///   - usesStandardError: whether it is shown on stderr.
  package init(_ console: Console, isShown: Bool, step: Float, usesStandardError: Bool = false) {
    self.console = console
    self.isShown = isShown
    self.usesStandardError = usesStandardError
    self.step = step
    if isShown { clinux_ignore_signal(SIGUSR1) } else { clinux_watch_progress_requests() }
  }

  /// Shows how far the work is.
  package func report(percent: Float) {
    state.withLock { show(percent, &$0) }
  }

  /// Shows how far the work is: `done` of `total` bytes.
  package func report(done: UInt64, of total: UInt64) {
    report(percent: total == 0 ? 100 : Float(Double(min(done, total)) / Double(total) * 100))
  }

  /// Counts `part` of `total` bytes more as done.
  package func advance(by part: UInt64, of total: UInt64) {
    state.withLock { state in
      // Summed in single precision, one addition a step: what is shown is compared with the reference digit by digit.
      show(state.current + (total == 0 ? 0 : Float(part) / Float(total) * 100), &state)
    }
  }

  /// Ends the line. Called on success and on failure alike; once is enough.
  package func end() {
    state.withLock { state in
      guard isShown, !state.hasEnded else { return }
      state.hasEnded = true
      write("\n")
    }
  }

  private func show(_ percent: Float, _ state: inout State) {
    let percent = min(percent, 100)
    state.current = percent
    guard percent > state.last + step || percent < state.last - step || percent == 100 || percent == 0 else { return }
    state.last = percent
    let hundredths = UInt64((Double(max(percent, 0)) * 100).rounded(.toNearestOrEven))
    let text = "    (\(hundredths / 100).\(zeroPadded(hundredths % 100, to: 2))/100%)"
    if isShown {
      write(text + "\r")
    } else if clinux_progress_requested() != 0 {
      console.note(text)
    }
  }

  private func write(_ text: String) {
    if usesStandardError {
      console.printError(text)
    } else {
      console.print(text)
      console.flush()
    }
  }
}
