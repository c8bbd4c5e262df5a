import ImageCore

/// `-T`: event names are internal to a tool, and this one has none; the syntax is accepted, unknown names are told
/// (qemu-img-cli-2 §14).
enum Trace {
  /// Looks at one argument: `[[enable=]PATTERN][,events=FILE][,file=FILE]`.
  static func apply(_ argument: String, _ console: Console) throws(Stop) {
    let items = optionItems(argument.rawBytes, firstIsValue: true)
    if items.contains(where: { isHelp($0.name) && $0.value == nil })
      || items.first.map({ isHelp($0.value ?? "") }) == true
    {
      throw .finished(status: 0)
    }
    for item in items where !["", "enable", "events", "file"].contains(item.name) || item.value == nil {
      if item.value == nil { console.warnShortForm(item.name) }
      throw .failed("Invalid parameter '\(item.name)'")
    }
    for item in items {
      let value = item.value ?? ""
      switch item.name {
      case "events": try readEvents(value, console)
      case "file": break
      default: warnIfUnknown(value, "", console)
      }
    }
  }

  private static func isHelp(_ text: String) -> Bool { text == "help" || text == "?" }

  /// A plain name that does not exist is worth a warning; a pattern may match nothing.
  private static func warnIfUnknown(_ pattern: String, _ place: String, _ console: Console) {
    let name = pattern.hasPrefix("-") ? String(pattern.dropFirst()) : pattern
    if name.contains("*") || name.contains("?") { return }
    console.note("\(console.program):\(place) warning: trace event '\(name)' does not exist")
  }

  private static func readEvents(_ file: String, _ console: Console) throws(Stop) {
    let bytes: [UInt8]
    do throws(ImageError) {
      let storage = try FileStorage(path: file, writable: false, locking: false)
      bytes = try storage.readArray(at: 0, count: Int(min(storage.length, 1 << 20)))
    } catch {
      console.note("\(console.program):\(file): \(errorText(error.errno))")
      throw .finished(status: 1)
    }
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() where !line.isEmpty && line.first != UInt8(ascii: "#") {
      warnIfUnknown(String(rawBytes: line), "\(file):\(index + 1):", console)
    }
  }
}
