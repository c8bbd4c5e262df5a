import Bytes

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
        case .text: doublingCommas(value.text)
        }
      shown.append("\(option.name)=\(text)")
    } else if let text = option.defaultText {
      shown.append("\(option.name)=\(text)")
    }
  }
  line += shown.joined(separator: " ")
  return line
}

/// The text as a value of an option string: its commas doubled.
package func doublingCommas(_ text: String) -> String {
  // By scalars: a comma with an accent on it is a comma still.
  var result = String.UnicodeScalarView()
  for scalar in text.unicodeScalars {
    result.append(scalar)
    if scalar == "," { result.append(scalar) }
  }
  return String(result)
}
