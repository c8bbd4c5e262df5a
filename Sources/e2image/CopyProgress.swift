import ImageCore
import Synchronization

/// How many blocks have been copied, shown once a second on stderr (`-p`, ext4-e2image §7.3).
final class CopyProgress: Sendable {
  private struct State {
    var done: UInt64 = 0
    var start: Int64 = 0
    var shownAt: Int64 = 0
    /// Length of the text on the line behind `Copying `.
    var shown = 0
  }

  private let voice: Voice
  private let total: UInt64
  private let blockSize: Int
  let isShown: Bool
  private let state = Mutex(State())

  /// - Parameter total: the counter of the scan; not the number of blocks.
  init(_ voice: Voice, isShown: Bool, total: UInt64, blockSize: Int) {
    self.voice = voice
    self.isShown = isShown
    self.total = total
    self.blockSize = blockSize
  }

  /// Shows that nothing has been copied yet.
  func begin() {
    state.withLock { state in
      state.start = secondsSince1970()
      state.shownAt = state.start
      guard isShown else { return }
      let text = counter(0)
      voice.show("Copying " + text)
      state.shown = text.utf8.count
    }
  }

  /// Counts bytes that have been copied.
  func advance(by bytes: UInt64) {
    state.withLock { state in
      state.done += bytes / UInt64(blockSize)
      let now = secondsSince1970()
      guard isShown, now != state.shownAt else { return }
      state.shownAt = now
      show(&state, now - state.start)
    }
  }

  /// Shows the counter again behind a line of another kind.
  func resume() {
    state.withLock { state in
      guard isShown else { return }
      let text = counter(state.done)
      voice.show("Copying " + text)
      state.shown = text.utf8.count
    }
  }

  private func show(_ state: inout State, _ duration: Int64) {
    var text = counter(state.done)
    if duration > 5, state.done > 0 {
      let seconds = UInt64(duration)
      let (product, overflow) = seconds.multipliedReportingOverflow(by: total)
      let whole = overflow ? 0 : product / state.done
      text += " \(clock(whole &- seconds)) remaining at \(rate(state.done, duration)) MB/s"
    }
    voice.show(String(repeating: "\u{8}", count: state.shown) + text)
    state.shown = text.utf8.count
  }

  /// Shows what it came to.
  func end() {
    guard isShown else { return }
    state.withLock { state in
      let duration = secondsSince1970() - state.start
      var text = "\rCopied \(counter(state.done)) in \(clock(UInt64(max(0, duration)))) "
      if duration >= 1 { text += "at \(rate(state.done, duration)) MB/s" }
      voice.show(text + "       \n")
    }
  }

  private func counter(_ done: UInt64) -> String {
    let ratio = total == 0 ? 0 : Float(done) / Float(total)
    return "\(done) / \(total) blocks (\(Int((100 * ratio + 0.5)))%)"
  }

  /// Seconds as the time of a day.
  private func clock(_ seconds: UInt64) -> String {
    let time = seconds % 86400
    return [time / 3600, time / 60 % 60, time % 60].map { zeroPadded($0, to: 2) }.joined(separator: ":")
  }

  /// Megabytes a second with two digits behind the point.
  private func rate(_ done: UInt64, _ duration: Int64) -> String {
    let megabytes = Float(done) / Float(1_048_576 / blockSize)
    let hundredths = UInt64((Double(megabytes / Float(max(duration, 1))) * 100).rounded(.toNearestOrEven))
    return "\(hundredths / 100).\(zeroPadded(hundredths % 100, to: 2))"
  }
}
