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
  let bytes = string.rawBytes
  var position = 0
  while position < bytes.count {
    let (value, length) = modifiedUTF8Scalar(bytes, at: position)
    position += length
    switch value {
    case 0x22: text += "\\\""
    case 0x5C: text += "\\\\"
    case 0x08: text += "\\b"
    case 0x0C: text += "\\f"
    case 0x0A: text += "\\n"
    case 0x0D: text += "\\r"
    case 0x09: text += "\\t"
    case 0x20..<0x7F: text.unicodeScalars.append(Unicode.Scalar(UInt8(value)))
    case 0x1_0000...:
      writeUnit(0xD800 + (value - 0x1_0000) >> 10, to: &text)
      writeUnit(0xDC00 + (value - 0x1_0000) & 0x3FF, to: &text)
    default: writeUnit(value, to: &text)
    }
  }
  text += "\""
}

private func writeUnit(_ unit: UInt32, to text: inout String) {
  let digits = String(unit, radix: 16, uppercase: true)
  text += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
}

/// The scalar at `position` and its length in bytes. What is no text becomes one U+FFFD: a sequence as long as its first
/// byte says, as far as bytes that continue it follow. U+0000 may be C0 80.
private func modifiedUTF8Scalar(_ bytes: [UInt8], at position: Int) -> (UInt32, Int) {
  let first = bytes[position]
  if first < 0x80 { return (UInt32(first), 1) }
  if let length = modifiedUTF8Length(bytes, at: position) {
    return (scalarInUTF8(bytes, at: position)?.0.value ?? 0, length)
  }
  let announced =
    switch first {
    case 0xC0...0xDF: 2
    case 0xE0...0xEF: 3
    case 0xF0...0xF7: 4
    case 0xF8...0xFB: 5
    case 0xFC...0xFD: 6
    default: 1
    }
  let rest = bytes[(position + 1)...].prefix(announced - 1).prefix { $0 & 0xC0 == 0x80 }
  return (0xFFFD, 1 + rest.count)
}
