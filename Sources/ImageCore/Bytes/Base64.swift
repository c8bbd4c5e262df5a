/// Decodes base64 (RFC 4648 §4); line ends between the characters do not count.
///
/// - Returns: nil for characters that do not belong there, and for padding that is missing or in the wrong place.
package func decodeBase64(_ text: [UInt8]) -> [UInt8]? {
  var output: [UInt8] = []
  var bits: UInt32 = 0
  var count = 0
  var padding = 0
  for byte in text {
    let value: UInt8
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = byte - UInt8(ascii: "A")
    case UInt8(ascii: "a")...UInt8(ascii: "z"): value = byte - UInt8(ascii: "a") + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte - UInt8(ascii: "0") + 52
    case UInt8(ascii: "+"): value = 62
    case UInt8(ascii: "/"): value = 63
    case UInt8(ascii: "\n"), UInt8(ascii: "\r"): continue
    case UInt8(ascii: "="):
      padding += 1
      continue
    default: return nil
    }
    if padding > 0 { return nil }
    bits = bits << 6 | UInt32(value)
    count += 1
    if count % 4 == 0 {
      output += [UInt8(bits >> 16 & 0xFF), UInt8(bits >> 8 & 0xFF), UInt8(bits & 0xFF)]
      bits = 0
    }
  }
  switch (count % 4, padding) {
  case (0, 0): return output
  case (2, 2): return output + [UInt8(bits >> 4 & 0xFF)]
  case (3, 1): return output + [UInt8(bits >> 10 & 0xFF), UInt8(bits >> 2 & 0xFF)]
  default: return nil
  }
}
