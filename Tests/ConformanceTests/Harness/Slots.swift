import Foundation

/// The bound on what runs at once: a machine that does everything at the same time finishes nothing within its time limit.
actor Slots {
  /// For the cases of tables.
  static let cases = Slots(max(2, ProcessInfo.processInfo.activeProcessorCount))
  /// For tests that run many commands one after the other.
  static let sequences = Slots(max(2, ProcessInfo.processInfo.activeProcessorCount))

  private var free: Int
  private var waiting: [CheckedContinuation<Void, Never>] = []

  init(_ count: Int) { free = count }

  private func take() async {
    if free > 0 {
      free -= 1
    } else {
      await withCheckedContinuation { waiting.append($0) }
    }
  }

  private func give() {
    if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
  }

  nonisolated func withSlot<Failure: Error>(
    _ body: @Sendable () async throws(Failure) -> Void
  ) async throws(Failure) {
    await take()
    do throws(Failure) {
      try await body()
    } catch {
      await give()
      throw error
    }
    await give()
  }
}
