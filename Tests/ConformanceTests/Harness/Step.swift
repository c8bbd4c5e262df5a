import Foundation

/// Something done once in a case's folder before both tools see it.
enum Step: Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
  /// Run by `/bin/sh -e` with the reference tools in PATH.
  case shell(String)
  /// Bytes stored at an offset of a file; the file grows if need be.
  case patch(file: String, offset: UInt64, bytes: [UInt8])
  case problem(String)

  init(stringLiteral value: String) {
    self = .shell(value)
  }

  /// A step as it stands in a table's line: `patch FILE OFFSET TYPE VALUE...` or `$ COMMAND`.
  ///
  /// TYPE is `u8`, `u16`, `u32`, `u64` (big-endian), `l16`, `l32`, `l64` (little-endian) or `text`. Numbers take `0x`;
  /// a number may be negative. Several values are stored one after the other.
  init(line: String) {
    if line.hasPrefix("$ ") {
      self = .shell(String(line.dropFirst(2)))
      return
    }
    let words = line.split(separator: " ").map(String.init)
    guard words.count >= 5, words[0] == "patch", let offset = Step.number(words[2]).flatMap(UInt64.init(exactly:))
    else {
      self = .problem(line)
      return
    }
    var bytes: [UInt8] = []
    if words[3] == "text" {
      bytes = Array(words[4...].joined(separator: " ").utf8)
    } else {
      guard let width = Int(words[3].dropFirst()).map({ $0 / 8 }), width > 0 else {
        self = .problem(line)
        return
      }
      for word in words[4...] {
        guard let value = Step.number(word) else {
          self = .problem(line)
          return
        }
        let pattern = UInt64(truncatingIfNeeded: value)
        let little = (0..<width).map { UInt8(truncatingIfNeeded: pattern >> (8 * UInt64($0))) }
        bytes += words[3].hasPrefix("l") ? little : little.reversed()
      }
    }
    self = .patch(file: words[1], offset: offset, bytes: bytes)
  }

  private static func number(_ text: String) -> Int128? {
    if text.hasPrefix("0x") { return Int128(text.dropFirst(2), radix: 16) }
    return Int128(text)
  }

  var description: String {
    switch self {
    case .shell(let command): "$ " + command
    case .patch(let file, let offset, let bytes):
      "patch \(file) at \(offset): " + bytes.prefix(16).map { String(format: "%02x", $0) }.joined()
    case .problem(let line): "unreadable step: " + line
    }
  }

  /// Carries the step out in `folder`.
  func run(in folder: URL, tools: Tools) async throws {
    switch self {
    case .shell(let command):
      let result = try await Process.run(
        shell: command, in: folder, path: tools.referencePath)
      guard result.status == 0 else {
        throw HarnessError("setup step failed (\(result.status)): \(command)\n\(result.stderr)\(result.stdout)")
      }
    case .patch(let file, let offset, let bytes):
      let handle = try FileHandle(forUpdating: folder.appendingPathComponent(file))
      defer { try? handle.close() }
      try handle.seek(toOffset: offset)
      try handle.write(contentsOf: Data(bytes))
    case .problem(let line):
      throw HarnessError("unreadable step: \(line)")
    }
  }
}

/// The harness itself could not do its work: the case says nothing about the tools.
struct HarnessError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
