import Foundation

/// One case at work: makes the twin folders, runs both tools, compares.
struct CaseRun {
  let test: Case
  let tools: Tools
  let folder: URL

  private var referenceFolder: URL { folder.appendingPathComponent("reference") }
  private var oursFolder: URL { folder.appendingPathComponent("ours") }
  private var deviation: Deviation? { tools.isSelfTest ? nil : test.deviation }

  /// What differs, one text for each difference; empty when the tools agree.
  func run() async throws -> [String] {
    Totals.cases.add(1, ordering: .relaxed)
    let given = try await prepare()
    var faults: [String] = []
    if let deviation {
      Totals.deviations.add(1, ordering: .relaxed)
      if !Differences.ids.contains(deviation.id) {
        faults.append("docs/DIFFERENCES.md has no entry \(deviation.id)")
      }
    }
    var failed = false
    for (index, command) in test.commands.enumerated() {
      Totals.comparisons.add(1, ordering: .relaxed)
      let expected = try await run(command, tools.reference, in: referenceFolder, path: tools.referencePath)
      let actual = try await run(command, tools.ours, in: oursFolder, path: tools.oursPath)
      failed = expected.status != 0
      faults += compare(command, expected, actual, deviation?.expected[index])
    }
    // What a command that failed has written by then is a matter of luck, also with the reference.
    faults += try await compareFiles(comparing: failed ? given : nil)
    return faults
  }

  /// Setup happens once; both tools then see copies of its result, with the same holes and the same timestamps inside.
  /// - Returns: the names of the files that the commands find.
  private func prepare() async throws -> Set<String> {
    let origin = folder.appendingPathComponent("setup")
    try FileManager.default.createDirectory(at: origin, withIntermediateDirectories: true)
    if let fixture = test.fixture {
      let source = try await fixture.folder(tools: tools)
      let text = (test.commands + test.setup.map(\.description)).joined(separator: " ")
      try Folders.copy(source, to: origin, only: fixture.files(namedIn: text, of: try Folders.names(in: source)))
    }
    for step in test.setup { try await step.run(in: origin, tools: tools) }
    try Folders.copy(origin, to: referenceFolder)
    try Folders.copy(origin, to: oursFolder)
    let given = Set(try Folders.names(in: origin))
    try FileManager.default.removeItem(at: origin)
    return given
  }

  private func run(_ command: String, _ executable: String, in folder: URL, path: String) async throws -> Output {
    if command.hasPrefix("sh ") {
      return try await Process.run(shell: String(command.dropFirst(3)), in: folder, path: path)
    }
    return try await Process.run(
      executable: executable, name: tools.tool, arguments: shellWords(command), in: folder, path: path)
  }

  // MARK: - Output

  private func compare(
    _ command: String, _ expected: Output, _ actual: Output, _ wanted: Deviation.Expectation?
  ) -> [String] {
    let shown = Conformance.displayed(command, tool: tools.tool)
    var faults: [String] = []
    // A reference that hangs can only be a case with a deviation that says what ours does.
    if expected.status == -1, wanted == nil { faults.append("  the reference does not end") }
    let status = wanted?.status ?? expected.status
    if status != actual.status { faults.append("  status \(status) became \(actual.status)") }
    for (stream, old, new) in [
      ("stdout", wanted?.stdout ?? expected.stdout, actual.stdout),
      ("stderr", wanted?.stderr ?? expected.stderr, actual.stderr),
    ] {
      let old = masked(old)
      let new = masked(new)
      if old != new, wanted?.anyText != true { faults.append("  \(stream):\n\(lineDifference(old, new))") }
    }
    return faults.isEmpty ? [] : ["$ \(shown)"] + faults
  }

  private func masked(_ text: String) -> String {
    var text = text.replacingOccurrences(of: referenceFolder.path, with: "FOLDER")
      .replacingOccurrences(of: oursFolder.path, with: "FOLDER")
    for mask in test.masks {
      text = text.replacingOccurrences(of: mask.pattern, with: mask.replacement, options: .regularExpression)
    }
    return text
  }

  // MARK: - Files

  /// - Parameter names: the files whose bytes matter; `nil` for all. Which files there are matters always.
  private func compareFiles(comparing names: Set<String>?) async throws -> [String] {
    let policy = deviation?.files ?? test.files
    if case .unchecked = policy { return [] }
    let expected = try Folders.names(in: referenceFolder)
    let actual = try Folders.names(in: oursFolder)
    var faults: [String] = []
    if expected != actual {
      faults.append("files \(expected.joined(separator: " ")) became \(actual.joined(separator: " "))")
    }
    for name in expected where actual.contains(name) && names?.contains(name) ?? true {
      var information = stat()
      guard lstat(referenceFolder.appendingPathComponent(name).path, &information) == 0,
        information.st_mode & S_IFMT == S_IFREG
      else { continue }
      Totals.comparisons.add(1, ordering: .relaxed)
      switch policy {
      case .content: faults += try await compareContent(name)
      case .contentOf(let images) where images.contains(name): faults += try await compareContent(name)
      default:
        if let difference = try Folders.difference(
          referenceFolder.appendingPathComponent(name).path, oursFolder.appendingPathComponent(name).path)
        {
          faults.append("file \(name): \(difference)")
        }
      }
    }
    return faults
  }

  /// The reference is the judge: its `compare` says identical, its `check` finds nothing; ours is no larger.
  private func compareContent(_ name: String) async throws -> [String] {
    var faults: [String] = []
    func judge(_ arguments: [String], _ accepted: [Int32]) async throws {
      let verdict = try await Process.run(
        executable: tools.reference, name: tools.tool, arguments: arguments, in: folder, path: tools.referencePath)
      if !accepted.contains(verdict.status) {
        faults.append("the reference's \(arguments.joined(separator: " ")):\n\(verdict.stdout)\(verdict.stderr)")
      }
    }
    try await judge(["compare", "reference/\(name)", "ours/\(name)"], [0])
    try await judge(["check", "-q", "ours/\(name)"], [0, 63])
    let old = try FileManager.default.attributesOfItem(atPath: referenceFolder.appendingPathComponent(name).path)
    let new = try FileManager.default.attributesOfItem(atPath: oursFolder.appendingPathComponent(name).path)
    if let oldSize = old[.size] as? UInt64, let newSize = new[.size] as? UInt64, newSize > oldSize {
      faults.append("file \(name): \(oldSize) bytes became \(newSize)")
    }
    return faults
  }
}
