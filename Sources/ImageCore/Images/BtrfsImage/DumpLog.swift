import Btrfs
import Synchronization

/// What a dump has to say, and whether something is missing from it. A block's trouble is told once, however often the
/// block is read.
package final class DumpLog: Sendable {
  private struct State {
    var reported = AddressSet()
    var isIncomplete = false
  }

  private let state = Mutex(State())
  private let notify: @Sendable (BtrfsNotice) -> Void

  /// - Parameter notify: takes the lines.
  package init(notify: @escaping @Sendable (BtrfsNotice) -> Void) { self.notify = notify }

  /// Whether something that belongs into the dump could not be read, or not all could be found.
  package var isIncomplete: Bool { state.withLock { $0.isIncomplete } }

  /// Tells a block's trouble.
  package func report(_ report: TreeBlockReport) {
    guard !report.lines.isEmpty else { return }
    let isNew = state.withLock { $0.reported.insert(report.address) }
    for line in isNew ? report.lines : report.repeatedLines { notify(.line(line)) }
  }

  /// Tells no more of a block than what is said each time it is met.
  package func markReported(_ address: UInt64) { state.withLock { _ = $0.reported.insert(address) } }

  /// Tells something that makes the dump incomplete.
  package func damage(_ text: String) {
    markIncomplete()
    notify(.warning(text))
  }

  /// Remembers that the dump is incomplete; what there is to say has been said.
  package func markIncomplete() { state.withLock { $0.isIncomplete = true } }

  /// Passes something on.
  package func note(_ notice: BtrfsNotice) { notify(notice) }
}
