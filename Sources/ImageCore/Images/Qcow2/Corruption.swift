import Bytes
import Images
import Storage
import Synchronization

/// Tells once an opening that an image is damaged (qcow2-qcow-qed §15), and marks a writable one so that nobody writes
/// to it before a check.
package final class CorruptionReport: Sendable {
  private enum State {
    case sound
    case damaged
    /// The image carries the corrupt bit now: nothing works on it any more.
    case marked
  }

  private let state = Mutex(State.sound)
  private let notify: @Sendable (Notice) -> Void
  /// The storage to mark; nil for version 2, which has no place for the mark.
  private let markable: (any WritableStorage)?
  private let isWritable: Atomic<Bool>

  package init(_ storage: any Storage, version: UInt32, isWritable: Bool, notify: @escaping @Sendable (Notice) -> Void)
  {
    self.notify = notify
    self.isWritable = Atomic(isWritable)
    markable = version >= 3 ? storage as? any WritableStorage : nil
  }

  /// The image, opened for reading, is written to from now on.
  func becomeWritable() { isWritable.store(true, ordering: .relaxed) }

  /// Reports damage that ends the present operation, and returns the error to throw.
  package func fatal(_ message: String) -> ImageError {
    report(message, isFatal: true)
    return .system(5 /* EIO */)
  }

  /// Reports damage that the operation can do without.
  package func nonFatal(_ message: String) {
    report(message, isFatal: false)
  }

  /// Throws once the image has been marked as corrupt.
  package func check() throws(ImageError) {
    if state.withLock({ $0 == .marked }) { throw .system(123 /* ENOMEDIUM */) }
  }

  private func report(_ message: String, isFatal: Bool) {
    let isMarking = isFatal && isWritable.load(ordering: .relaxed)
    let isFirst = state.withLock { state in
      switch (state, isMarking) {
      case (.sound, _), (.damaged, true):
        state = isMarking ? .marked : .damaged
        return true
      default:
        return false
      }
    }
    guard isFirst else { return }
    if isMarking {
      notify(
        .line("qcow2: Marking image as corrupt: \(message); further corruption events will be suppressed"))
      mark()
    } else {
      notify(.line("qcow2: Image is corrupt: \(message); further non-fatal corruption events will be suppressed"))
    }
  }

  private func mark() {
    guard let markable else { return }
    // A mark that cannot be written changes nothing about the failure that is reported anyway.
    do throws(ImageError) {
      // The lowest byte of the incompatible features.
      var features = try markable.readArray(at: 79, count: 1)
      features[0] |= UInt8(IncompatibleFeatures.corrupt.rawValue)
      try markable.write(features, at: 79)
      try markable.flush()
    } catch {}
  }
}

/// A number as C's `%#x` prints it.
package func alternateHex(_ value: UInt64) -> String { value == 0 ? "0" : "0x" + String(value, radix: 16) }
