import Bytes

/// One item of an option string: `name=value`, or a bare word.
package struct OptionItem: Sendable, Equatable {
  /// The text before `=`, or the whole word.
  package var name: String
  /// The text after `=` with `,,` reduced to a comma; nil for a bare word.
  package var value: String?

  package init(name: String, value: String?) {
    self.name = name
    self.value = value
  }
}

/// Splits an option string at its commas; in a value, two commas stand for one (§4.1).
///
/// Nothing is rejected here: names and values are checked by whoever knows the options.
package func optionItems(_ text: [UInt8]) -> [OptionItem] {
  let comma = UInt8(ascii: ",")
  var items: [OptionItem] = []
  var position = 0
  while position < text.count {
    // A name ends at the first `=` or comma.
    let nameEnd =
      text[position...].firstIndex { $0 == comma || $0 == UInt8(ascii: "=") } ?? text.endIndex
    let name = String(rawBytes: text[position..<nameEnd])
    guard nameEnd < text.count, text[nameEnd] != comma else {
      items.append(OptionItem(name: name, value: nil))
      position = nameEnd + 1
      continue
    }
    position = nameEnd + 1
    var value: [UInt8] = []
    while position < text.count {
      if text[position] == comma {
        guard position + 1 < text.count, text[position + 1] == comma else { break }
        position += 1
      }
      value.append(text[position])
      position += 1
    }
    items.append(OptionItem(name: name, value: String(rawBytes: value)))
    position += 1
  }
  return items
}

/// The arguments of all `-o` options of a command, in their order.
package struct OptionString: Sendable, Equatable {
  /// The arguments joined with commas; nil while there is none.
  package private(set) var text: String?

  package init() {}

  /// Adds one argument.
  /// - Throws: `Invalid option list: …` for one that would change the meaning of its neighbours (§4.2).
  package mutating func append(_ argument: String) throws(ImageError) {
    let bytes = argument.rawBytes
    let comma = UInt8(ascii: ",")
    let trailing = bytes.reversed().prefix { $0 == comma }.count
    if bytes.isEmpty || bytes.first == comma || !trailing.isMultiple(of: 2) {
      throw ImageError("Invalid option list: \(argument)")
    }
    text = text.map { $0 + "," + argument } ?? argument
  }

  /// Whether any item asks for the list of options (§4.4).
  package var asksForHelp: Bool {
    optionItems(text?.rawBytes ?? []).contains { $0.value == nil && ($0.name == "help" || $0.name == "?") }
  }

  /// Checks the items one after the other and stores their values; the last of a name wins.
  package func apply(to values: inout OptionValues, warn: (String) -> Void) throws(ImageError) {
    for item in optionItems(text?.rawBytes ?? []) {
      var name = item.name
      var value = item.value ?? "on"
      if item.value == nil, name.hasPrefix("no"), values.definition(name) == nil {
        // `noNAME` turns NAME off, unless an option is called just that (nocow).
        name = String(rawBytes: name.rawBytes.dropFirst(2))
        value = "off"
      }
      guard let definition = values.definition(name) else { throw ImageError("Invalid parameter '\(name)'") }
      values[name] = try optionValue(value, for: definition, warn: warn)
    }
  }
}

/// The lines of `-o help` for these definitions, sorted (§4.5).
package func optionHelpLines(_ definitions: [OptionDefinition]) -> [String] {
  OptionValues(definitions).definitions
    .map { option in
      let type =
        switch option.kind {
        case .text: "str"
        case .boolean: "bool (on/off)"
        case .number: "num"
        case .size: "size"
        }
      return "  " + padded("\(option.name)=<\(type)>", to: 22) + " - " + option.help
    }
    .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
}

/// The line that `create` prints before it makes an image: what was set, and the defaults that are declared (§7.3).
package func formattingLine(file: String, format: String, options: OptionValues) -> String {
  var line = "Formatting '\(file)', fmt=\(format) "
  var shown: [String] = []
  for option in options.definitions {
    if let value = options[option.name] {
      let text =
        switch value.parsed {
        case .number(let number): String(Int64(bitPattern: number))
        case .boolean: value.text
        case .text: value.text.split(separator: ",", omittingEmptySubsequences: false).joined(separator: ",,")
        }
      shown.append("\(option.name)=\(text)")
    } else if let text = option.defaultText {
      shown.append("\(option.name)=\(text)")
    }
  }
  line += shown.joined(separator: " ")
  return line
}

/// Whether the text can name an object or a node: a letter, then letters, digits and `-._`.
package func isIdentifier(_ text: String) -> Bool {
  guard let first = text.utf8.first, isLetter(first) else { return false }
  return text.utf8.allSatisfy { byte in
    isLetter(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "-._".utf8.contains(byte)
  }
}

/// What is said about a name that ``isIdentifier(_:)`` refuses.
package let identifierError = ImageError(
  "Parameter 'id' expects an identifier",
  hint: "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.")

private func isLetter(_ byte: UInt8) -> Bool {
  (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
}
