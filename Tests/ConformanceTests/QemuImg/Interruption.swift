import Foundation
import TestSupport
import Testing

/// What is left when a writing command is killed: images that were complete stay so, leaked clusters at most; they show
/// what they showed before or what they show afterwards; and the same command completes the work.
struct Interruption {
  /// Large enough that the work takes longer than the start of the program.
  @Test(arguments: MutatingOperation.all(unit: 256)) func killedAtRandomMoments(operation: MutatingOperation)
    async throws
  {
    try await Slots.sequences.withSlot {
      let trial = try await Trial(operation)
      let seed = Trial.setting("INTERRUPTION_SEED", 1)
      var random = SplitMix64(seed: seed)
      for moment in 0..<Trial.setting("INTERRUPTIONS", 3) {
        let part = Double(random.next() % 1_000_000) / 1e6
        let seconds = String(format: "%.6f", Double(trial.microseconds) / 1e6 * part)
        let wrong = try await trial.kill(after: seconds)
        #expect(
          wrong.isEmpty, "\(operation): killed after \(seconds) s (moment \(moment) of seed \(seed)): \(wrong)")
        if !wrong.isEmpty { return trial.keep() }
      }
      try trial.remove()
    }
  }

  /// Every state that a killed program can leave behind comes between two calls that change the file, or within one.
  @Test(arguments: MutatingOperation.all(unit: 32)) func killedAtCalls(operation: MutatingOperation) async throws {
    try await Slots.sequences.withSlot {
      let trial = try await Trial(operation)
      var kills = 0
      for how in ["before", "torn"] {
        for call in trial.chosen(of: trial.calls.all) {
          guard let wrong = try await trial.run("FAULT_AT=\(call) FAULT_KILL=\(how)", end: "") else { continue }
          kills += 1
          #expect(wrong.isEmpty, "\(operation): killed at call \(call) (\(how)) in \(trial.folder.path): \(wrong)")
          if !wrong.isEmpty { return trial.keep() }
        }
      }
      #expect(kills > 0, "\(operation): \(kills) kills in \(trial.calls) calls")
      Totals.disturbances.add(kills, ordering: .relaxed)
      try trial.remove()
    }
  }
}
