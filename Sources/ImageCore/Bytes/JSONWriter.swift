extension DataTree {
  /// The tree as `--output=json` prints it, without the newline behind it: four blanks a level, members in hash order,
  /// ASCII only (qemu-img-cli-1 §1.8, §1.9).
  package func prettyJSON(indent: Int = 0) -> String {
    var text = ""
    write(to: &text, JSONLayout(itemSeparator: ",", indent: 4), level: indent)
    return text
  }

  /// The tree on one line, as in the `json:` name of an image (qemu-img-cli-2 §7.9).
  package func compactJSON() -> String {
    var text = ""
    write(to: &text, JSONLayout(itemSeparator: ", ", indent: 0), level: 0)
    return text
  }

  private func write(to text: inout String, _ layout: JSONLayout, level: Int) {
    switch self {
    case .null: text += "null"
    case .boolean(let value): text += value ? "true" : "false"
    case .integer(let value): text += String(value)
    case .unsigned(let value): text += String(value)
    case .real(let value): text += shortestReal(value)
    case .string(let value): writeQuoted(value, to: &text)
    case .array(let elements):
      writeList(elements, "[", "]", to: &text, layout, level) { element, text in
        element.write(to: &text, layout, level: level + 1)
      }
    case .object(let members):
      writeList(members.inHashOrder, "{", "}", to: &text, layout, level) { member, text in
        writeQuoted(member.key, to: &text)
        text += ": "
        member.value.write(to: &text, layout, level: level + 1)
      }
    }
  }
}

private struct JSONLayout {
  var itemSeparator: String
  /// Blanks a level; 0 means everything on one line.
  var indent: Int

  func newLine(_ level: Int) -> String {
    indent == 0 ? "" : "\n" + String(repeating: " ", count: indent * level)
  }
}

private func writeList<Item>(
  _ items: [Item], _ opening: String, _ closing: String, to text: inout String, _ layout: JSONLayout, _ level: Int,
  _ write: (Item, inout String) -> Void
) {
  text += opening
  for (index, item) in items.enumerated() {
    if index > 0 { text += layout.itemSeparator }
    text += layout.newLine(level + 1)
    write(item, &text)
  }
  // An empty list takes two lines as well.
  text += layout.newLine(level) + closing
}

private func shortestReal(_ value: Double) -> String {
  if let integer = Int64(exactly: value) { return String(integer) }
  return "\(value)"
}

private func writeQuoted(_ string: String, to text: inout String) {
  text += "\""
  for scalar in string.unicodeScalars {
    switch scalar {
    case "\"": text += "\\\""
    case "\\": text += "\\\\"
    case "\u{08}": text += "\\b"
    case "\u{0C}": text += "\\f"
    case "\n": text += "\\n"
    case "\r": text += "\\r"
    case "\t": text += "\\t"
    case "\u{20}"..<"\u{7F}": text.unicodeScalars.append(scalar)
    default:
      // A byte that is no part of text cannot be told in JSON.
      let shown: Unicode.Scalar = scalar.escapedByte == nil ? scalar : "\u{FFFD}"
      for unit in String(Character(shown)).utf16 {
        let digits = String(unit, radix: 16, uppercase: true)
        text += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
      }
    }
  }
  text += "\""
}
