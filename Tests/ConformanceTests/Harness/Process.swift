import Subprocess
import SystemPackage

import struct Foundation.URL

/// What a command printed and returned.
struct Output: Sendable, Equatable {
  var stdout: String
  var stderr: String
  /// The exit status; 128 plus the signal's number when a signal ended it; -1 when the time limit did.
  var status: Int32
}

/// Runs commands the same way for everybody: a fixed environment, no standard input, a time limit.
enum Process {
  /// After this long a command counts as hanging: far longer than any takes, so that a busy machine fails no test.
  static let timeLimit: Duration = .seconds(240)

  static func run(
    shell command: String, in folder: URL, path: String, timeLimit: Duration = timeLimit
  ) async throws -> Output {
    try await run(
      executable: "/bin/sh", name: "sh", arguments: ["-ec", command], in: folder, path: path, timeLimit: timeLimit)
  }

  /// - Parameter name: argv[0], which the tools show in front of their messages.
  static func run(
    executable: String, name: String, arguments: [String], in folder: URL, path: String,
    timeLimit: Duration = timeLimit
  ) async throws -> Output {
    var options = PlatformOptions()
    // First a signal that a shell can trap, to unmount and detach; then the end, for everything in the group.
    options.teardownSequence = [
      .send(signal: .terminate, toProcessGroup: true, allowedDurationToNextStep: .seconds(15))
    ]
    // A group of its own, so that what a shell started ends with it.
    options.processGroupID = 0
    let configuration = Configuration(
      executable: .path(FilePath(executable)),
      arguments: Arguments(executablePathOverride: name, remainingValues: arguments),
      environment: .custom([
        "LC_ALL": "C", "TZ": "UTC", "HOME": folder.path, "PATH": path, "TMPDIR": folder.path,
      ]),
      workingDirectory: FilePath(folder.path), platformOptions: options)

    return try await withThrowingTaskGroup(of: Output?.self) { group in
      group.addTask {
        let result = try await Subprocess.run(
          configuration, input: .none, output: .bytes(limit: 64 << 20), error: .bytes(limit: 64 << 20))
        let status: Int32 =
          switch result.terminationStatus {
          case .exited(let code): code
          case .signaled(let signal): 128 + signal
          }
        return Output(
          stdout: String(decoding: result.standardOutput, as: UTF8.self),
          stderr: String(decoding: result.standardError, as: UTF8.self), status: status)
      }
      group.addTask {
        try await Task.sleep(for: timeLimit)
        return nil
      }
      defer { group.cancelAll() }
      guard let first = try await group.next(), let output = first else {
        return Output(stdout: "", stderr: "no end after \(timeLimit)\n", status: -1)
      }
      return output
    }
  }
}

/// Splits a command line as a shell does: blanks separate, quotes and backslashes protect, nothing else is special.
func shellWords(_ line: String) -> [String] {
  var words: [String] = []
  var word: String?
  var quote: Character?
  var characters = line.makeIterator()
  while let character = characters.next() {
    if let open = quote {
      if character == open {
        quote = nil
      } else if open == "\"", character == "\\", let next = characters.next() {
        word = (word ?? "") + (next == "\"" || next == "\\" ? String(next) : "\\\(next)")
      } else {
        word = (word ?? "") + String(character)
      }
      continue
    }
    switch character {
    case " ", "\t":
      if let done = word { words.append(done) }
      word = nil
    case "'", "\"":
      quote = character
      word = word ?? ""
    case "\\":
      if let next = characters.next() { word = (word ?? "") + String(next) }
    default:
      word = (word ?? "") + String(character)
    }
  }
  if let word { words.append(word) }
  return words
}
