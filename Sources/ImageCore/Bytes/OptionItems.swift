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
///
/// - Parameter firstIsValue: whether the first item, when it has no `=`, is a value whose name is left out; it then comes
///   with an empty name.
package func optionItems(_ text: [UInt8], firstIsValue: Bool = false) -> [OptionItem] {
  let comma = UInt8(ascii: ",")
  var items: [OptionItem] = []
  var position = 0

  /// The value at `position`, up to the next single comma; `position` is behind that afterwards.
  func value() -> String {
    var value: [UInt8] = []
    while position < text.count {
      if text[position] == comma {
        guard position + 1 < text.count, text[position + 1] == comma else { break }
        position += 1
      }
      value.append(text[position])
      position += 1
    }
    position += 1
    return String(rawBytes: value)
  }

  if firstIsValue, let end = text.firstIndex(where: { $0 == comma || $0 == UInt8(ascii: "=") }) ?? text.indices.last,
    text[end] != UInt8(ascii: "=")
  {
    items.append(OptionItem(name: "", value: value()))
  }
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
    items.append(OptionItem(name: name, value: value()))
  }
  return items
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
