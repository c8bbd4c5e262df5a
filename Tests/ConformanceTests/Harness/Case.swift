import Foundation

/// One comparison of the reference tool with ours: the same commands, run in twin folders with the same files in them.
///
/// Most cases are a line of a table (`Case.lines`); the grammar of a line is described there.
struct Case: Sendable {
  /// What the report calls the case. A line's own text unless something better was given.
  var name: String
  /// Files that many cases share; made once, by the reference.
  var fixture: Fixture?
  /// Further files of this case alone; run once, by the reference, before the folder is copied for each tool.
  var setup: [Step]
  /// The command lines that are compared, each as it would be typed, without the tool's name.
  var commands: [String]
  /// How the files that the commands leave behind are compared.
  var files: FileComparison
  /// Replaced in the output of both tools before the comparison.
  var masks: [Mask]
  /// Where we do not repeat the reference.
  var deviation: Deviation?

  init(
    _ commands: String..., name: String? = nil, fixture: Fixture? = nil, setup: [Step] = [],
    files: FileComparison = .bytes, masks: [Mask] = [], deviation: Deviation? = nil
  ) {
    self.init(
      commands: commands, name: name, fixture: fixture, setup: setup, files: files, masks: masks, deviation: deviation)
  }

  init(
    commands: [String], name: String? = nil, fixture: Fixture? = nil, setup: [Step] = [],
    files: FileComparison = .bytes, masks: [Mask] = [], deviation: Deviation? = nil
  ) {
    self.name = name ?? (setup.map(\.description) + commands).joined(separator: " ; ")
    self.fixture = fixture
    self.setup = setup
    self.commands = commands
    self.files = files
    self.masks = masks
    self.deviation = deviation
  }

  /// A table with one case a line.
  ///
  ///     info --output=json a.qcow2                          a command, without the tool's name
  ///     create -f qcow2 a.qcow2 1M ; info a.qcow2           several, compared one by one
  ///     $ truncate -s 100 a.qcow2 => check a.qcow2          a setup step of the shell, run with the reference
  ///     patch a.qcow2 20 u32 8 => info a.qcow2 ; check a.qcow2    bytes of a file changed (`Step.patch`)
  ///
  /// Steps end in ` => `, commands are separated by ` ; `. A command `sh ...` is run by a shell that finds the tool in
  /// PATH. Empty lines and lines that begin with `#` are skipped.
  static func lines(
    _ text: String, fixture: Fixture? = nil, setup: [Step] = [], files: FileComparison = .bytes, masks: [Mask] = [],
    deviation: Deviation? = nil
  ) -> [Case] {
    text.split(separator: "\n").compactMap { line in
      let line = line.trimmingCharacters(in: .whitespaces)
      guard !line.isEmpty, !line.hasPrefix("#") else { return nil }
      var parts = line.components(separatedBy: " => ")
      let commands = parts.removeLast().components(separatedBy: " ; ")
      return Case(
        commands: commands.map { $0.trimmingCharacters(in: .whitespaces) }, name: line, fixture: fixture,
        setup: setup + parts.map { Step(line: $0.trimmingCharacters(in: .whitespaces)) }, files: files, masks: masks,
        deviation: deviation)
    }
  }
}

/// How the files in the twin folders are compared after the commands.
enum FileComparison: Sendable {
  /// Same names, same lengths, same bytes.
  case bytes
  /// Same names; each image reads the same (the reference's `compare`), is sound (the reference's `check`), and ours is
  /// no larger than the reference's.
  case content
  /// Same names, same bytes except in the files named, which are compared as `content`.
  case contentOf([String])
  /// Same names, same lengths, same bytes in all clusters that are in use; dates of snapshots may differ.
  case used
  case unchecked
}

/// A replacement made in the output of both tools: what legitimately differs from run to run.
struct Mask: Sendable {
  /// An extended regular expression of Foundation.
  let pattern: String
  let replacement: String
  /// The row of docs/DIFFERENCES.md, when what is masked is a difference that we want.
  let id: String?

  init(_ pattern: String, _ replacement: String = "…", id: String? = nil) {
    self.pattern = pattern
    self.replacement = replacement
    self.id = id
  }
}

/// A difference that we want: a row of docs/DIFFERENCES.md names it and says why.
struct Deviation: Sendable {
  /// The row's id; the case fails if the document has no such row.
  let id: String
  /// What ours is expected to do, by the index of the command. Commands not named are compared as usual.
  let expected: [Int: Expectation]
  /// Overrides the case's comparison of files when ours is a different program from the reference.
  let files: FileComparison?

  /// What ours prints and returns; `nil` stands for "as the reference".
  struct Expectation: Sendable {
    var stdout: String?
    var stderr: String?
    var status: Int32?
    /// Accepts anything in stdout and stderr but checks the status.
    var anyText = false

    /// The reference runs all the same: what it does to the files is what its next command finds.
    var followsReference = false

    /// The whole of it, when nothing is left to the reference; it then need not run.
    var complete: Output? {
      guard !followsReference, let stdout, let stderr, let status else { return nil }
      return Output(stdout: stdout, stderr: stderr, status: status)
    }
    var isComplete: Bool { complete != nil }
  }

  init(_ id: String, expected: [Int: Expectation], files: FileComparison?) {
    self.id = id
    self.expected = expected
    self.files = files
  }

  /// The case's only command (or the one at `command`) is expected to print and return this.
  init(
    _ id: String, command: Int = 0, stdout: String? = nil, stderr: String? = nil, status: Int32? = nil,
    anyText: Bool = false, files: FileComparison? = nil
  ) {
    self.id = id
    self.expected = [command: Expectation(stdout: stdout, stderr: stderr, status: status, anyText: anyText)]
    self.files = files
  }
}
