import Foundation
import Synchronization
import Testing

/// Runs tables of cases and records what differs.
enum Conformance {
  private static let environment = ProcessInfo.processInfo.environment

  /// Compares `tool` with the reference over all cases, a few at a time.
  static func compare(_ tool: String, table: String, _ cases: [Case]) async throws {
    _ = Totals.announceAtExit
    let tools: Tools
    do {
      tools = try Tools(tool: tool)
    } catch let error as HarnessError {
      // Somebody without the reference can still run the unit tests; continuous integration may not skip anything.
      if environment["CI"] == "true" { Issue.record("\(error)") }
      print("ConformanceTests: \(table) skipped: \(error)")
      return
    }
    let filter = try environment["CONFORMANCE_FILTER"].flatMap {
      $0.isEmpty ? nil : try NSRegularExpression(pattern: $0)
    }
    let chosen = cases.enumerated().filter { _, test in
      guard let filter else { return true }
      let name = "\(table): \(test.name)"
      return filter.firstMatch(in: name, range: NSRange(name.startIndex..., in: name)) != nil
    }
    await withTaskGroup(of: Void.self) { group in
      for (index, test) in chosen {
        group.addTask {
          await Slots.cases.withSlot {
            await run(test, tools: tools, table: table, index: index)
          }
        }
      }
    }
  }

  private static func run(_ test: Case, tools: Tools, table: String, index: Int) async {
    let folder = tools.workFolder.appendingPathComponent("\(table)-\(index + 1)")
    do {
      let faults = try await CaseRun(test: test, tools: tools, folder: folder).run()
      if faults.isEmpty {
        try FileManager.default.removeItem(at: folder)
      } else if KnownDifferences.cases.contains("\(table): \(test.name)"), !KnownDifferences.isWorse(faults) {
        Totals.knownDifferences.add(1, ordering: .relaxed)
        print("ConformanceTests: known to differ: \(table): \(test.name)")
        try FileManager.default.removeItem(at: folder)
      } else {
        report(test, faults, folder: folder, table: table, tool: tools.tool)
      }
    } catch {
      report(test, ["the case could not be run: \(error)"], folder: folder, table: table, tool: tools.tool)
    }
  }

  private static func report(_ test: Case, _ faults: [String], folder: URL, table: String, tool: String) {
    var lines = ["\(table): \(test.name)"]
    lines += test.setup.map { "    (setup) \($0)" }
    lines.append("    cd \(folder.path)/ours")
    lines += test.commands.map { "    " + displayed($0, tool: tool) }
    lines += faults.map { "    " + $0 }
    let text = lines.joined(separator: "\n")
    Totals.failures.withLock { $0.append(text) }
    Issue.record(Comment(rawValue: text))
  }

  /// A command as a person would type it.
  static func displayed(_ command: String, tool: String) -> String {
    command.hasPrefix("sh ") ? String(command.dropFirst(3)) : "\(tool) \(command)"
  }
}

/// What the run has done so far; printed once, when the process ends.
enum Totals {
  static let cases = Atomic<Int>(0)
  static let comparisons = Atomic<Int>(0)
  static let deviations = Atomic<Int>(0)
  static let knownDifferences = Atomic<Int>(0)
  /// Commands that were killed or made to fail.
  static let disturbances = Atomic<Int>(0)
  static let failures = Mutex<[String]>([])

  static let announceAtExit: Void = {
    atexit {
      let failures = Totals.failures.withLock { $0 }
      let failed = failures.isEmpty ? "" : ", \(failures.count) cases differ"
      print(
        "ConformanceTests: \(Totals.comparisons.load(ordering: .relaxed)) comparisons in "
          + "\(Totals.cases.load(ordering: .relaxed)) cases, "
          + "\(Totals.deviations.load(ordering: .relaxed)) accepted deviations, "
          + "\(Totals.knownDifferences.load(ordering: .relaxed)) known differences, "
          + "\(Totals.disturbances.load(ordering: .relaxed)) disturbed runs\(failed)")
      // Failing cases leave their folders for whoever wants to look.
      if failures.isEmpty {
        try? FileManager.default.removeItem(at: Tools.sharedWorkFolder)
        try? FileManager.default.removeItem(at: Tools.memoryWorkFolder)
      }
      if let path = ProcessInfo.processInfo.environment["CONFORMANCE_REPORT"] {
        try? (failures.sorted().joined(separator: "\n\n") + "\n").write(toFile: path, atomically: true, encoding: .utf8)
      }
    }
  }()
}
