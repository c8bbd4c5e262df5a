import ImageCore
import Synchronization

/// What the tool says, and where: messages on stderr until the options have been checked and while stdout carries the
/// image, else on stdout; the library's lines on stderr always (spec §9.4). Only percentages are held back, for a moment.
final class Voice: Sendable {
  private let descriptor = Atomic<Int32>(2)
  /// Percentages that have not been shown yet, and when some were shown last.
  private let held = Mutex<(text: String, shown: UInt64)>(("", 0))
  /// How long percentages may wait for others, in nanoseconds.
  private static let patience: UInt64 = 50_000_000

  /// Whether messages go to stdout.
  var usesStandardOutput: Bool {
    get { descriptor.load(ordering: .relaxed) == 1 }
    set { descriptor.store(newValue ? 1 : 2, ordering: .relaxed) }
  }

  private func write(_ text: String, to descriptor: Int32) {
    if !text.isEmpty { _ = writeFully(descriptor, text.rawBytes) }
  }

  /// Text as it is.
  func print(_ text: String) {
    held.withLock { held in
      write(held.text + text, to: descriptor.load(ordering: .relaxed))
      held.text = ""
    }
  }

  /// A percentage: shown with the next ones, some milliseconds later.
  func percentage(_ text: String) {
    if text.isEmpty { return }
    held.withLock { held in
      held.text += text
      let now = monotonicNanoseconds()
      guard now - held.shown > Voice.patience || held.text.utf8.count > 1 << 16 else { return }
      write(held.text, to: descriptor.load(ordering: .relaxed))
      held = ("", now)
    }
  }

  /// Shows what has been held back.
  func flush() { print("") }

  /// A line.
  func line(_ text: String) { print(text + "\n") }

  /// A line of the library.
  func library(_ text: String) {
    held.withLock { held in
      write(held.text, to: descriptor.load(ordering: .relaxed))
      held.text = ""
      write(text + "\n", to: 2)
    }
  }

  /// `ERROR: …`, or with the number that the kernel gave `ERROR(5): …`.
  func error(_ error: ImageError) {
    if error == CloneFailure.faultyDisk { print(Voice.badSectors) }
    line((error.errno == 0 ? "ERROR: " : "ERROR(\(error.errno)): ") + error.message + (error.hint ?? ""))
  }

  private static let badSectors = """
    *************************************************************************
    * WARNING: The disk has one or more bad sectors. This means that damage *
    * has occurred on the disk surface, possibly caused by deterioration of *
    * the physical media, manufacturing faults or other reasons. The        *
    * reliability of the disk may stay stable or degrade fast.              *
    * Use the --rescue option to efficiently save as much data as possible! *
    *************************************************************************

    """
}

/// `%6.2f percent completed`, at every hundredth count and at the end (spec §9.5).
final class PercentLine: Sendable {
  private struct State {
    var count: UInt64
    var hasEnded = false
    var wasShown = false
  }

  private let voice: Voice
  private let stop: UInt64
  private let isShown: Bool
  private let endsAtStop: Bool
  private let state: Mutex<State>

  /// - Parameters:
  ///   - stop: the count at which the line ends.
  ///   - endsAtStop: whether steps behind it are not shown.
  init(_ voice: Voice, stop: UInt64, isShown: Bool, endsAtStop: Bool = false) {
    self.voice = voice
    self.stop = stop
    self.isShown = isShown
    self.endsAtStop = endsAtStop
    state = Mutex(State(count: 0))
  }

  /// Shows `count` itself.
  func show(_ count: UInt64) {
    guard isShown else { return }
    state.withLock { state in
      state.count = count
      voice.percentage(text(count, &state))
    }
  }

  /// Counts `steps` more, and shows those that are to be shown.
  func advance(_ steps: UInt64) {
    guard isShown else { return }
    state.withLock { state in
      let end = endsAtStop ? min(stop, state.count + steps) : state.count + steps
      var output = ""
      // From hundred to hundred; the end need not be one.
      var next = state.count / 100 * 100 + 100
      while next <= end || (state.count < stop && stop <= end) {
        if state.count < stop, stop <= min(next, end) {
          output += text(stop, &state)
          state.count = stop
          if next == stop { next += 100 }
          continue
        }
        guard next <= end else { break }
        output += text(next, &state)
        state.count = next
        next += 100
        if output.utf8.count > 1 << 16 {
          voice.percentage(output)
          output = ""
        }
      }
      state.count = end
      voice.percentage(output)
    }
  }

  /// Ends a line that never reached its stop.
  func end() {
    state.withLock { state in
      guard isShown, state.wasShown, !state.hasEnded else { return }
      state.hasEnded = true
      voice.print("\n")
    }
  }

  private func text(_ count: UInt64, _ state: inout State) -> String {
    if count == stop {
      state.hasEnded = true
      return "100.00 percent completed\n"
    }
    guard count % 100 == 0 else { return "" }
    state.wasShown = true
    // Single precision, so that the digits are the reference's.
    let unit = Float(100.0 / Double(stop))
    return rightAligned(fixed(Double(unit * Float(count)), digits: 2), to: 6) + " percent completed\r"
  }
}

/// A number with so many places behind the point, as C's `%.*f`: exact halves go to even.
func fixed(_ value: Double, digits: Int) -> String {
  if value < 0 { return "-" + fixed(-value, digits: digits) }
  // From 2^53 on there is nothing behind the point.
  if value >= 0x1p53 { return "\(UInt64(min(value, 0x1p63)))." + String(repeating: "0", count: digits) }
  let scale = digits == 1 ? 10.0 : 100.0
  // A product with a power of ten may round; the remainder of the exact fused operation tells which way it lies.
  let product = value * scale
  var whole = product.rounded(.down)
  let error = (-product).addingProduct(value, scale)
  let rest = product - whole + error
  if rest > 0.5 || (rest == 0.5 && whole.truncatingRemainder(dividingBy: 2) == 1) { whole += 1 }
  let number = UInt64(whole)
  let unit = UInt64(scale)
  return "\(number / unit).\(zeroPadded(number % unit, to: digits))"
}
