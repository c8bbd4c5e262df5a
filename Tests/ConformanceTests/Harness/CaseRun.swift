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
    for id in [deviation?.id].compactMap({ $0 }) + test.masks.compactMap(\.id) {
      Totals.deviations.add(1, ordering: .relaxed)
      if !Differences.ids.contains(id) { faults.append("docs/DIFFERENCES.md has no entry \(id)") }
    }
    var failed = false
    for (index, command) in test.commands.enumerated() {
      let wanted = deviation?.expected[index]
      // Nobody waits for a reference that is known to hang.
      if test.deviation?.expected[index]?.isComplete == true, tools.isSelfTest { continue }
      Totals.comparisons.add(1, ordering: .relaxed)
      let expected =
        if let output = wanted?.complete { output } else {
          try await run(command, tools.reference, in: referenceFolder, path: tools.referencePath)
        }
      let actual = try await run(command, tools.ours, in: oursFolder, path: tools.oursPath)
      failed = expected.status != 0
      faults += compare(command, expected, actual, wanted)
    }
    faults += try await compareFiles(given: given, failed: failed)
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
    if expected.status == -1 { faults.append("  the reference does not end") }
    let status = wanted?.status ?? expected.status
    if status != actual.status { faults.append("  status \(status) became \(actual.status)") }
    for (stream, old, new) in [
      ("stdout", wanted?.stdout ?? expected.stdout, actual.stdout),
      ("stderr", wanted?.stderr ?? expected.stderr, actual.stderr),
    ] {
      let old = masked(old)
      let new = old.isDigest ? masked(new).digest : masked(new)
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

  /// What a command that failed has written by then is a matter of luck, also with the reference: then only the files
  /// that had been there are compared, and ours may leave fewer of the new ones behind.
  private func compareFiles(given: Set<String>, failed: Bool) async throws -> [String] {
    let policy = deviation?.files ?? test.files
    if case .unchecked = policy { return [] }
    let expected = try Folders.names(in: referenceFolder)
    let actual = try Folders.names(in: oursFolder)
    var faults: [String] = []
    let isAccepted =
      failed
      ? given.intersection(expected).isSubset(of: actual) && Set(actual).isSubset(of: expected) : expected == actual
    if !isAccepted {
      faults.append("files \(expected.joined(separator: " ")) became \(actual.joined(separator: " "))")
    }
    for name in expected where actual.contains(name) && (!failed || given.contains(name)) {
      var information = stat()
      guard lstat(referenceFolder.appendingPathComponent(name).path, &information) == 0,
        information.st_mode & S_IFMT == S_IFREG
      else { continue }
      Totals.comparisons.add(1, ordering: .relaxed)
      switch policy {
      case .content: faults += try await compareContent(name)
      case .used:
        let (expected, actual) = (
          referenceFolder.appendingPathComponent(name).path, oursFolder.appendingPathComponent(name).path
        )
        if let difference = try UsedClusters.difference(expected, actual) {
          faults.append("file \(name): \(difference)")
        }
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

  /// The reference is the judge: both read the same, its `check` finds nothing; ours is no larger.
  private func compareContent(_ name: String) async throws -> [String] {
    let paths = [referenceFolder, oursFolder].map { $0.appendingPathComponent(name).path }
    if try Folders.difference(paths[0], paths[1]) == nil { return [] }
    var faults: [String] = []
    // Each is read from inside its own folder: that is where its data file is found.
    var copies: [String] = []
    for side in [referenceFolder, oursFolder] {
      let copy = folder.appendingPathComponent("\(side.lastPathComponent)-\(name).content").path
      let read = try await judge(["convert", "-O", "raw", name, copy], in: side)
      if read.status != 0 { faults.append("the reference cannot read \(name) in \(side.path):\n\(read.stderr)") }
      copies.append(copy)
    }
    if faults.isEmpty, let difference = try Folders.difference(copies[0], copies[1]) {
      faults.append("file \(name), read by the reference: \(difference)")
    }
    for copy in copies { try? FileManager.default.removeItem(atPath: copy) }

    let checked = try await judge(["check", name], in: oursFolder)
    if checked.status != 0, checked.status != 63 {
      faults.append("the reference's check of \(name):\n\(checked.stdout)\(checked.stderr)")
    }
    let lengths = try paths.map { try FileManager.default.attributesOfItem(atPath: $0)[.size] as? UInt64 ?? 0 }
    if lengths[1] > lengths[0] { faults.append("file \(name): \(lengths[0]) bytes became \(lengths[1])") }
    return faults
  }

  private func judge(_ arguments: [String], in folder: URL) async throws -> Output {
    try await Process.run(
      executable: tools.reference, name: tools.tool, arguments: arguments, in: folder, path: tools.referencePath)
  }
}
