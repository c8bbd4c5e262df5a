/// Reads the JSON text of a `json:` name.
///
/// Strict, with one extension: strings may stand in single quotes (qemu-img-cli-2 §7.5). A byte sequence of a string
/// that is no text in Unicode is refused. Depth and size are bounded, because such a name may come from an image.
///
/// - Throws: `JSON parse error, …` and its relatives, in the reference's words.
package func parseJSON(_ text: [UInt8]) throws(ImageError) -> DataTree {
  guard text.count <= JSONLimits.bytes else { throw ImageError("JSON token size limit exceeded") }
  var lexer = JSONLexer(text)
  let tokens = try lexer.firstValue()
  guard !tokens.isEmpty else { throw ImageError("Expecting a JSON value") }
  var parser = JSONTokenParser(tokens: tokens)
  let value = try parser.value()
  lexer.skipBlanks()
  guard lexer.isAtEnd else { throw ImageError("Expecting at most one JSON value") }
  return value
}

private enum JSONLimits {
  /// Longest text in bytes.
  static let bytes = 1 << 20
  /// Deepest nesting of arrays and objects.
  static let depth = 1024
}

private func parseError(_ text: String) -> ImageError { ImageError("JSON parse error, \(text)") }

private enum JSONToken {
  /// One of `{ } [ ] : ,`.
  case mark(UInt8)
  /// A string with its quotes.
  case string(ArraySlice<UInt8>)
  case number(DataTree)
  case keyword(ArraySlice<UInt8>)
}

/// Cuts a text into tokens.
private struct JSONLexer {
  private let text: [UInt8]
  private var position = 0

  init(_ text: [UInt8]) { self.text = text }

  var isAtEnd: Bool { position == text.count }

  mutating func skipBlanks() {
    while position < text.count, [0x20, 0x09, 0x0A, 0x0D].contains(text[position]) { position += 1 }
  }

  /// The tokens up to where the brackets are balanced for the first time, or up to the end.
  mutating func firstValue() throws(ImageError) -> [JSONToken] {
    var tokens: [JSONToken] = []
    var braces = 0
    var brackets = 0
    while let token = try next() {
      tokens.append(token)
      if case .mark(let mark) = token {
        switch mark {
        case UInt8(ascii: "{"): braces += 1
        case UInt8(ascii: "}"): braces -= 1
        case UInt8(ascii: "["): brackets += 1
        case UInt8(ascii: "]"): brackets -= 1
        default: break
        }
      }
      if braces + brackets > JSONLimits.depth { throw ImageError("JSON nesting depth limit exceeded") }
      if braces < 0 || brackets < 0 || (braces == 0 && brackets == 0) { break }
    }
    return tokens
  }

  private mutating func next() throws(ImageError) -> JSONToken? {
    skipBlanks()
    guard position < text.count else { return nil }
    let start = position
    switch text[position] {
    case UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: ":"),
      UInt8(ascii: ","):
      position += 1
      return .mark(text[start])
    case UInt8(ascii: "\""), UInt8(ascii: "'"):
      return .string(try string())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      return .number(try number())
    case UInt8(ascii: "a")...UInt8(ascii: "z"):
      while position < text.count, (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(text[position]) { position += 1 }
      return .keyword(text[start..<position])
    default:
      throw stray(from: start)
    }
  }

  /// The token begun at `start` cannot go on with the byte at `position`.
  private func stray(from start: Int) -> ImageError {
    let end = min(position + 1, text.count)
    return parseError("stray '\(String(rawBytes: text[start..<end]))'")
  }

  private mutating func string() throws(ImageError) -> ArraySlice<UInt8> {
    let start = position
    let quote = text[position]
    position += 1
    while position < text.count {
      switch text[position] {
      case quote:
        position += 1
        return text[start..<position]
      case UInt8(ascii: "\\"):
        // The escape's letter may be the quote; control bytes and the end are looked at in the next turn.
        position += position + 1 < text.count && text[position + 1] >= 0x20 && text[position + 1] < 0xFE ? 2 : 1
      case 0x20...0xFD:
        position += 1
      default:
        throw stray(from: start)
      }
    }
    throw stray(from: start)
  }

  private mutating func number() throws(ImageError) -> DataTree {
    let start = position
    var isInteger = true
    if text[position] == UInt8(ascii: "-") { position += 1 }
    if peek == UInt8(ascii: "0") {
      position += 1
      if isDigitNext { throw stray(from: start) }
    } else {
      try digits(start)
    }
    if peek == UInt8(ascii: ".") {
      isInteger = false
      position += 1
      try digits(start)
    }
    if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
      isInteger = false
      position += 1
      if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { position += 1 }
      try digits(start)
    }
    let digits = String(decoding: text[start..<position], as: UTF8.self)
    if isInteger, let value = Int64(digits) { return .integer(value) }
    if isInteger, let value = UInt64(digits) { return .unsigned(value) }
    return .real(Double(digits) ?? .infinity)
  }

  private var peek: UInt8? { position < text.count ? text[position] : nil }
  private var isDigitNext: Bool { peek.map { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? false }

  /// One digit or more.
  private mutating func digits(_ start: Int) throws(ImageError) {
    guard isDigitNext else { throw stray(from: start) }
    while isDigitNext { position += 1 }
  }
}

/// Builds the tree. Its recursion is bounded by the lexer's depth limit.
private struct JSONTokenParser {
  let tokens: [JSONToken]
  private var position = 0

  init(tokens: [JSONToken]) { self.tokens = tokens }

  private mutating func take() throws(ImageError) -> JSONToken {
    guard position < tokens.count else { throw parseError("premature EOI") }
    position += 1
    return tokens[position - 1]
  }

  /// Takes the next token if it is this mark.
  private mutating func take(_ mark: Character) throws(ImageError) -> Bool {
    guard position < tokens.count else { throw parseError("premature EOI") }
    guard case .mark(mark.asciiValue) = tokens[position] else { return false }
    position += 1
    return true
  }

  mutating func value() throws(ImageError) -> DataTree {
    switch try take() {
    case .mark(UInt8(ascii: "{")): return try object()
    case .mark(UInt8(ascii: "[")): return try array()
    case .mark: throw parseError("expecting value")
    case .number(let number): return number
    case .string(let quoted): return .string(try unquoted(quoted))
    case .keyword(let word):
      switch String(decoding: word, as: UTF8.self) {
      case "true": return true
      case "false": return false
      case "null": return .null
      case let other: throw parseError("invalid keyword '\(other)'")
      }
    }
  }

  private mutating func object() throws(ImageError) -> DataTree {
    var members: [DataTree.Member] = []
    var keys: Set<[UInt8]> = []
    if try take("}") { return .object([]) }
    while true {
      guard case .string(let key) = try value() else { throw parseError("key is not a string in object") }
      guard try take(":") else { throw parseError("missing : in object pair") }
      let member = try value()
      guard keys.insert(Array(key.utf8)).inserted else { throw parseError("duplicate key") }
      members.append((key: key, value: member))
      if try take("}") { return .object(members) }
      guard try take(",") else { throw parseError("expected separator in dict") }
    }
  }

  private mutating func array() throws(ImageError) -> DataTree {
    var elements: [DataTree] = []
    if try take("]") { return .array([]) }
    while true {
      elements.append(try value())
      if try take("]") { return .array(elements) }
      guard try take(",") else { throw parseError("expected separator in list") }
    }
  }

  /// The text of a string token.
  private func unquoted(_ token: ArraySlice<UInt8>) throws(ImageError) -> String {
    var bytes: [UInt8] = []
    let content = Array(token.dropFirst().dropLast())
    var position = 0
    while position < content.count {
      guard content[position] == UInt8(ascii: "\\") else {
        guard let length = modifiedUTF8Length(content, at: position) else {
          throw parseError("invalid UTF-8 sequence in string")
        }
        bytes += content[position..<(position + length)]
        position += length
        continue
      }
      position += 1
      switch position < content.count ? content[position] : 0 {
      case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(content[position])
      case UInt8(ascii: "b"): bytes.append(0x08)
      case UInt8(ascii: "f"): bytes.append(0x0C)
      case UInt8(ascii: "n"): bytes.append(0x0A)
      case UInt8(ascii: "r"): bytes.append(0x0D)
      case UInt8(ascii: "t"): bytes.append(0x09)
      case UInt8(ascii: "u"):
        let (scalar, length) = try unicodeEscape(content, at: position - 1, token: token)
        // As in modified UTF-8, U+0000 is C0 80: no name can hold a zero byte.
        bytes += scalar.value == 0 ? [0xC0, 0x80] : Array(String(Character(scalar)).utf8)
        position += length - 2
      default: throw parseError("invalid escape sequence in string")
      }
      position += 1
    }
    return String(rawBytes: bytes)
  }

  /// The scalar of the `\uXXXX` (or the pair of surrogates) at `position`, and its length in bytes.
  private func unicodeEscape(_ content: [UInt8], at position: Int, token: ArraySlice<UInt8>) throws(ImageError) -> (
    Unicode.Scalar, Int
  ) {
    if let first = hexadecimalUnit(content, at: position) {
      if let scalar = Unicode.Scalar(first), !isNoncharacter(scalar.value) { return (scalar, 6) }
      if (0xD800..<0xDC00).contains(first), let second = hexadecimalUnit(content, at: position + 6),
        (0xDC00..<0xE000).contains(second),
        let scalar = Unicode.Scalar(0x1_0000 + (first - 0xD800) << 10 + (second - 0xDC00)),
        !isNoncharacter(scalar.value)
      {
        return (scalar, 12)
      }
    }
    // The message shows what stands there, the closing quote included.
    let start = token.startIndex + 1 + position
    let shown = token[start..<min(start + 6, token.endIndex)]
    throw parseError("\(String(rawBytes: shown)) is not a valid Unicode character")
  }

  /// The number of the `\uXXXX` at `position`.
  private func hexadecimalUnit(_ content: [UInt8], at position: Int) -> UInt32? {
    guard content.count - position >= 6, content[position] == UInt8(ascii: "\\"),
      content[position + 1] == UInt8(ascii: "u")
    else { return nil }
    let digits = content[(position + 2)..<(position + 6)]
    guard !digits.contains(UInt8(ascii: "+")), !digits.contains(UInt8(ascii: "-")) else { return nil }
    return UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
  }
}

private func isNoncharacter(_ value: UInt32) -> Bool {
  (0xFDD0...0xFDEF).contains(value) || value & 0xFFFE == 0xFFFE
}

/// The length of the scalar in modified UTF-8 (U+0000 is C0 80) at `position`, or nil where it is not valid.
func modifiedUTF8Length(_ bytes: [UInt8], at position: Int) -> Int? {
  if bytes[position] == 0xC0, position + 1 < bytes.count, bytes[position + 1] == 0x80 { return 2 }
  guard let (scalar, length) = scalarInUTF8(bytes, at: position), !isNoncharacter(scalar.value) else { return nil }
  return length
}
