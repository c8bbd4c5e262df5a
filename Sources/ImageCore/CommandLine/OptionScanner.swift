import Bytes
import CLinux

/// One option that a command accepts.
package struct CommandOption<ID: Sendable>: Sendable {
  /// Whether the option takes an argument.
  package enum Argument: Sendable { case none, required, optional }

  package var id: ID
  package var short: Character?
  package var long: String?
  package var argument: Argument
  /// Whether the long name came after the reference version (QEMU 10.2): the shortest abbreviations of older names keep
  /// their meaning.
  package var isAddition: Bool

  package init(
    _ id: ID, _ short: Character? = nil, _ long: String? = nil, _ argument: Argument = .none, isAddition: Bool = false
  ) {
    self.id = id
    self.short = short
    self.long = long
    self.argument = argument
    self.isAddition = isAddition
  }
}

/// How a scan words what it cannot use.
package enum UsageErrorStyle: Sendable {
  /// qemu-img's own: `unrecognized option '--foo'`, `missing argument for option '-T'`; thrown, the caller prints it.
  case qemu
  /// getopt's own lines, printed by getopt on stderr with the first word as program name; the error thrown is empty.
  case getopt
}

/// What a scan met.
package enum ScanEvent<ID: Sendable>: Sendable {
  case option(ID, argument: String?)
  /// No options are left; these are the operands in their order.
  case end(operands: [String])
}

/// A pass of glibc's `getopt_long` over words of the command line: bundles, glued arguments, unique abbreviations of long
/// names, `--`, permutation of operands, and `POSIXLY_CORRECT` are its own.
///
/// getopt keeps global state, so one scanner is in use at a time; making one starts afresh.
package struct OptionScanner<ID: Sendable>: ~Copyable {
  private let words: [String]
  private let options: [CommandOption<ID>]
  private let style: UsageErrorStyle
  private let operand: ID?

  /// - Parameters:
  ///   - words: the program's (or command's) name, then the words to scan.
  ///   - stopsAtOperand: whether the first operand ends the options, whatever the environment says.
  ///   - operand: an operand between options comes as an option with this id and the operand as argument, in its place.
  package init(
    _ words: [String], options: [CommandOption<ID>], style: UsageErrorStyle = .qemu, stopsAtOperand: Bool = false,
    operand: ID? = nil
  ) {
    self.words = words
    self.options = options
    self.style = style
    self.operand = operand
    clinux_getopt_reset()
    for word in words {
      give(word)
      clinux_getopt_word()
    }
    for (name, index) in longNames() {
      give(name)
      clinux_getopt_long_option(kind(options[index]), Int32(firstLongValue + index))
    }
    // A leading colon makes getopt tell a missing argument from an unknown option, and keeps it silent.
    give((stopsAtOperand ? "+" : operand != nil ? "-" : "") + (style == .qemu ? ":" : "") + shortOptions())
    clinux_getopt_short_options()
    clinux_getopt_begin(style == .getopt ? 1 : 0)
  }

  /// The next option, or the operands after the last one.
  package mutating func next() throws(UsageError) -> ScanEvent<ID> {
    let answer = clinux_getopt_next()
    switch answer {
    case -1:
      return .end(operands: operands())
    case 1:
      // getopt's answer for an operand that is not the last thing.
      guard let operand else { throw error(missingArgument: false) }
      return .option(operand, argument: argument())
    case Int32(UInt8(ascii: "?")), Int32(UInt8(ascii: ":")):
      throw error(missingArgument: answer == Int32(UInt8(ascii: ":")))
    default:
      let index = answer >= firstLongValue ? Int(answer) - firstLongValue : indexOfShort(answer)
      guard let index, options.indices.contains(index) else { throw error(missingArgument: false) }
      return .option(options[index].id, argument: argument())
    }
  }

  /// The words from the scan's position on.
  private func operands() -> [String] {
    var result: [String] = []
    var position = clinux_getopt_position()
    while case let number = Int(clinux_getopt_word_at(position)), words.indices.contains(number) {
      result.append(words[number])
      position += 1
    }
    return result
  }

  private func argument() -> String? {
    let number = Int(clinux_getopt_argument_word())
    guard words.indices.contains(number) else { return nil }
    let offset = Int(clinux_getopt_argument_offset())
    return offset == 0 ? words[number] : String(rawBytes: words[number].rawBytes.dropFirst(offset))
  }

  private func indexOfShort(_ value: Int32) -> Int? {
    options.firstIndex { option in option.short?.asciiValue.map(Int32.init) == value }
  }

  private func kind(_ option: CommandOption<ID>) -> Int32 {
    switch option.argument {
    case .none: 0
    case .required: 1
    case .optional: 2
    }
  }

  private func shortOptions() -> String {
    options.reduce(into: "") { text, option in
      guard let short = option.short else { return }
      text.append(short)
      text += String(repeating: ":", count: Int(kind(option)))
    }
  }

  /// The long names with their option's place in the table, and the abbreviations that were unique before the additions
  /// came and are not any more, as names of their own.
  private func longNames() -> [(name: String, index: Int)] {
    var names: [(name: String, index: Int)] = []
    for (index, option) in options.enumerated() {
      if let long = option.long { names.append((long, index)) }
    }
    let taken = Set(names.map(\.name))
    var abbreviations: [(name: String, index: Int)] = []
    for (name, index) in names where !options[index].isAddition {
      for length in 1..<max(name.count, 1) {
        let short = String(name.prefix(length))
        let rivals = names.filter { $0.index != index && $0.name.hasPrefix(short) }
        guard !rivals.isEmpty, !taken.contains(short), rivals.allSatisfy({ options[$0.index].isAddition }) else {
          continue
        }
        abbreviations.append((short, index))
      }
    }
    return names + abbreviations
  }

  private func error(missingArgument: Bool) -> UsageError {
    guard style == .qemu else { return UsageError("") }
    let option = offendingOption()
    if missingArgument { return UsageError("missing argument for option '\(option)'") }
    if let candidates = candidates(for: option) {
      let list = candidates.map { " '--\($0)'" }.joined()
      return UsageError("option '\(option)' is ambiguous; possibilities:\(list)")
    }
    return UsageError("unrecognized option '\(option)'")
  }

  /// The option as the user wrote it: the word for a long one, `-x` for one of a bundle of short ones.
  private func offendingOption() -> String {
    let option = clinux_getopt_failed_option()
    if option > 0, option < firstLongValue { return "-" + String(rawBytes: [UInt8(truncatingIfNeeded: option)]) }
    let number = Int(clinux_getopt_word_at(clinux_getopt_position() - 1))
    return words.indices.contains(number) ? words[number] : ""
  }

  /// The long names that begin as `option` does, when there are several.
  private func candidates(for option: String) -> [String]? {
    guard option.hasPrefix("--") else { return nil }
    let name = option.utf8.dropFirst(2).prefix { $0 != UInt8(ascii: "=") }
    let matches = options.compactMap(\.long).filter { $0.utf8.starts(with: name) }
    return matches.count > 1 && !matches.contains { $0.utf8.elementsEqual(name) } ? matches : nil
  }
}

/// A command line that cannot be used.
package struct UsageError: Error, Equatable {
  /// One line without prefix; empty when getopt has printed its own.
  package var message: String

  package init(_ message: String) { self.message = message }
}

/// Long options answer with their place in the table from here on, so that they are never taken for a short one.
private let firstLongValue = 256

private func give(_ text: String) {
  for byte in text.rawBytes { clinux_getopt_text(byte) }
}
