import Bytes

// Words and columns as C's printf lays them out.

/// The text with blanks behind it up to `width` bytes, as `%-*s`.
package func padded(_ text: String, to width: Int) -> String {
  text + blanks(width - text.rawBytes.count)
}

/// The text with blanks in front of it up to `width` bytes, as `%*s`.
package func rightAligned(_ text: String, to width: Int) -> String {
  blanks(width - text.rawBytes.count) + text
}

/// The number with zeros in front up to `width` digits, as `%0*d`.
package func zeroPadded(_ number: some BinaryInteger, to width: Int) -> String {
  let text = String(number.magnitude)
  let sign = number < 0 ? "-" : ""
  return sign + String(repeating: "0", count: max(0, width - text.utf8.count - sign.utf8.count)) + text
}

/// `0` or the hexadecimal number with `0x`, as `%#x`.
package func hexadecimal(_ number: UInt64) -> String {
  number == 0 ? "0" : "0x" + String(number, radix: 16)
}

/// `numerator / denominator` in decimal with `digits` places behind the point, rounded to nearest, as `%.*f` of the
/// exact quotient. The denominator is not 0.
package func decimal(_ numerator: UInt64, over denominator: UInt64, digits: Int) -> String {
  let scale = (0..<digits).reduce(UInt128(1)) { power, _ in power * 10 }
  let value = (UInt128(numerator) * scale * 2 + UInt128(denominator)) / (UInt128(denominator) * 2)
  let fraction = zeroPadded(value % scale, to: digits)
  return digits == 0 ? String(value) : "\(value / scale).\(fraction)"
}

/// A size in the unit in which it is below 1000, with three significant digits: `98 KiB` (§1.7).
package func humanSize(_ bytes: UInt64) -> String {
  let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
  // The switch to the next unit happens at 1000 of the current one.
  let unit = bytes == 0 ? 0 : Int((Double(bytes) / (1000.0 / 1024.0)).exponent) / 10
  return significantDigits(bytes, shift: UInt64(10 * unit)) + " " + units[min(unit, units.count - 1)]
}

/// `value / 2^shift` as C's `%0.3g`, for quotients from 0.9 to 1000.
private func significantDigits(_ value: UInt64, shift: UInt64) -> String {
  if value == 0 { return "0" }
  // As many places as leave three significant digits after rounding; the fewest that still show three.
  for places in stride(from: 3, through: 0, by: -1) {
    let scale: UInt128 = [1, 10, 100, 1000][places]
    let scaled = UInt128(value) * scale
    var digits = scaled >> UInt128(shift)
    let rest = scaled - digits << UInt128(shift)
    let half: UInt128 = shift == 0 ? 0 : 1 << UInt128(shift - 1)
    // printf rounds exact halves to even.
    if shift > 0, rest > half || (rest == half && digits & 1 == 1) { digits += 1 }
    if digits >= 1000 { continue }
    var text = zeroPadded(digits, to: places + 1)
    if places > 0 {
      text.insert(".", at: text.index(text.endIndex, offsetBy: -places))
      while text.hasSuffix("0") { text.removeLast() }
      if text.hasSuffix(".") { text.removeLast() }
    }
    return text
  }
  // 999.5 and more round to a fourth digit, which %g writes with an exponent.
  return "1e+03"
}

private func blanks(_ count: Int) -> String { String(repeating: " ", count: max(0, count)) }
