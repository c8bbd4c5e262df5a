/// Why a text is no number.
package enum NumberError: Error, Sendable, Equatable {
  case malformed
  case outOfRange
}

/// A size read from text.
package struct ParsedSize: Sendable, Equatable {
  /// Bytes; nil with the reason when the text is no size.
  package var value: Result<UInt64, NumberError>
  /// Whether a hexadecimal number had a multiplier, which calls for a warning even if the text then proves wrong.
  package var usedHexMultiplier: Bool
}

/// Reads a size as every option of the tools takes it: decimal with an optional fraction, or hexadecimal, and one of the
/// suffixes b, k, M, G, T, P, E in powers of 1024 (qemu-img-cli-1 §3.1).
package func parseSize(_ text: [UInt8]) -> ParsedSize {
  var scanner = SizeScanner(text: text)
  let value: Result<UInt64, NumberError>
  do {
    value = .success(try scanner.size())
  } catch {
    value = .failure(error)
  }
  return ParsedSize(value: value, usedHexMultiplier: scanner.usedHexMultiplier)
}

private struct SizeScanner {
  let text: [UInt8]
  var position = 0
  var usedHexMultiplier = false

  init(text: [UInt8]) { self.text = text }

  private var next: UInt8? { position < text.count ? text[position] : nil }

  mutating func size() throws(NumberError) -> UInt64 {
    skipSpaceAndPlus(text, &position)
    if let digits = hexadecimalDigits(text, position) {
      position += 2
      let integer = try number(digits, radix: 16)
      let multiplier = multiplierAfterNumber()
      usedHexMultiplier = multiplier != nil
      try end()
      return try scaled(integer, fraction: 0, by: multiplier ?? 1)
    }
    let integer = try number(decimalDigits(position), radix: 10)
    let fraction = try fractionalPart()
    let multiplier = multiplierAfterNumber() ?? 1
    try end()
    if multiplier == 1, fraction != 0 { throw .malformed }
    return try scaled(integer, fraction: fraction, by: multiplier)
  }

  private func decimalDigits(_ start: Int) -> Range<Int> {
    start..<(text[start...].firstIndex { !isDigit($0) } ?? text.endIndex)
  }

  private mutating func number(_ digits: Range<Int>, radix: UInt64) throws(NumberError) -> UInt64 {
    if digits.isEmpty { throw .malformed }
    position = digits.upperBound
    guard let value = unsigned(text[digits], radix: radix) else {
      // A number beyond 64 bits is out of range when nothing follows it; with a suffix it is taken for malformed.
      throw position == text.count ? .outOfRange : .malformed
    }
    return value
  }

  /// The digits after a point, as a fraction of 2^64. One that rounds up to 1 is `.max`, the largest below it.
  private mutating func fractionalPart() throws(NumberError) -> UInt64 {
    guard next == UInt8(ascii: ".") else { return 0 }
    let digits = decimalDigits(position + 1)
    defer { position = digits.upperBound }
    // The reference reads a binary floating point number here, and its rounding shows in the last digits.
    let fraction = Double("0." + String(decoding: text[digits], as: UTF8.self) + "0") ?? 0
    let scaled = fraction * 0x1p64
    return scaled >= 0x1p64 ? .max : UInt64(scaled)
  }

  private mutating func multiplierAfterNumber() -> UInt64? {
    guard let letter = next, let shift = suffixShift(letter) else { return nil }
    position += 1
    return 1 << shift
  }

  private func end() throws(NumberError) {
    if position != text.count { throw .malformed }
  }

  private func scaled(_ integer: UInt64, fraction: UInt64, by multiplier: UInt64) throws(NumberError) -> UInt64 {
    let (whole, overflow) = integer.multipliedReportingOverflow(by: multiplier)
    let part = fraction.multipliedFullWidth(by: multiplier)
    // Half up: the top bit of what lies below the point.
    let (sum, carry) = whole.addingReportingOverflow(part.high + part.low >> 63)
    if overflow || carry { throw .outOfRange }
    return sum
  }
}

private func suffixShift(_ letter: UInt8) -> UInt64? {
  switch letter | 0x20 {
  case UInt8(ascii: "b"): 0
  case UInt8(ascii: "k"): 10
  case UInt8(ascii: "m"): 20
  case UInt8(ascii: "g"): 30
  case UInt8(ascii: "t"): 40
  case UInt8(ascii: "p"): 50
  case UInt8(ascii: "e"): 60
  default: nil
  }
}

/// Reads an integer as C does with base 0: decimal, `0x` hexadecimal or octal after a leading 0, without suffix. A minus
/// sign gives the negative value modulo 2^64.
package func parseInteger(_ text: [UInt8]) -> Result<UInt64, NumberError> {
  var position = text.firstIndex { !isSpace($0) } ?? text.endIndex
  var negative = false
  if position < text.count, text[position] == UInt8(ascii: "-") || text[position] == UInt8(ascii: "+") {
    negative = text[position] == UInt8(ascii: "-")
    position += 1
  }
  var digits = position..<text.endIndex
  var radix: UInt64 = 10
  if let hexadecimal = hexadecimalDigits(text, position) {
    digits = hexadecimal
    radix = 16
  } else if position < text.count, text[position] == UInt8(ascii: "0") {
    radix = 8
  }
  let isNumber = !digits.isEmpty && digits.upperBound == text.endIndex
  guard isNumber, text[digits].allSatisfy({ digitValue($0).map { $0 < radix } ?? false }) else {
    return .failure(.malformed)
  }
  guard let value = unsigned(text[digits], radix: radix) else { return .failure(.outOfRange) }
  return .success(negative ? 0 &- value : value)
}

/// Reads a truth value: exactly `on`, `yes`, `true`, `y` or `off`, `no`, `false`, `n`; anything else is nil.
package func parseBoolean(_ text: String) -> Bool? {
  switch text {
  case "on", "yes", "true", "y": true
  case "off", "no", "false", "n": false
  default: nil
  }
}

// MARK: Digits

private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

private func digitValue(_ byte: UInt8) -> UInt64? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
  case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
  case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
  default: nil
  }
}

private func skipSpaceAndPlus(_ text: [UInt8], _ position: inout Int) {
  position = text.firstIndex { !isSpace($0) } ?? text.endIndex
  if position < text.count, text[position] == UInt8(ascii: "+") { position += 1 }
}

/// Where the digits after `0x` at `position` stand; nil when there is no such prefix with a digit behind it.
private func hexadecimalDigits(_ text: [UInt8], _ position: Int) -> Range<Int>? {
  guard text.count - position > 2, text[position] == UInt8(ascii: "0"), text[position + 1] | 0x20 == UInt8(ascii: "x")
  else { return nil }
  let start = position + 2
  let end = text[start...].firstIndex { digitValue($0) == nil } ?? text.endIndex
  return start == end ? nil : start..<end
}

/// The value of the digits, or nil beyond 64 bits. Every byte is a digit of the radix.
private func unsigned(_ digits: ArraySlice<UInt8>, radix: UInt64) -> UInt64? {
  var value: UInt64 = 0
  for byte in digits {
    let (product, overflow) = value.multipliedReportingOverflow(by: radix)
    let (sum, carry) = product.addingReportingOverflow(digitValue(byte) ?? 0)
    if overflow || carry { return nil }
    value = sum
  }
  return value
}
