import Foundation
import Testing

/// Writes, flushes and changes of length fail in turn: each time there is an error and a non-zero status, images that were
/// complete stay so and show what they showed before or what they show afterwards, and the same command completes the work.
/// Short writes are completed without a word.
struct Faults {
  @Test(arguments: MutatingOperation.all(unit: 32)) func writesFail(operation: MutatingOperation) async throws {
    try await Slots.sequences.withSlot {
      let trial = try await Trial(operation)
      var faults = 0
      for errno in [5 /* EIO */, 28 /* ENOSPC */, nil] {
        for call in trial.chosen(of: trial.calls.failing) {
          // Threads may share the work differently; a run that made fewer calls proves nothing.
          guard let wrong = try await Self.fault(errno, at: call, trial) else { continue }
          faults += 1
          let fault = errno.map { "failed with \($0)" } ?? "was short"
          #expect(wrong.isEmpty, "\(operation): call \(call) \(fault) in \(trial.folder.path): \(wrong)")
          if !wrong.isEmpty { return trial.keep() }
        }
      }
      #expect(faults > 0, "\(operation): \(faults) faults in \(trial.calls) calls")
      Totals.disturbances.add(faults, ordering: .relaxed)
      try trial.remove()
    }
  }

  /// - Returns: what is wrong afterwards; nil if there was no such call.
  private static func fault(_ errno: Int?, at call: Int, _ trial: Trial) async throws -> String? {
    if let errno {
      // A file that cannot be cut, when all the rest is done, is worth a warning.
      return try await trial.run(
        "FAULT_AT=\(call) FAULT_ERRNO=\(errno)",
        end: "{ [ $status != 0 ] && [ -s err ]; } || grep -q 'Failed to truncate the tail' err ||"
          + " { echo \"silent, status $status\"; cat err; }")
    }
    let target = trial.operation.target
    return try await trial.run(
      "FAULT_AT=\(call)",
      end: "[ $status = 0 ] || { echo \"status $status\"; cat err; }\n"
        + (target.map { "cmp \($0) ../whole/\($0)" } ?? ""), completes: false)
  }
}
