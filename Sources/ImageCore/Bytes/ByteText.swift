// Names of files, snapshots and bitmaps are byte strings on Linux and in images; messages, option tables and JSON want
// `String`. A byte that is no part of valid UTF-8 is carried as one scalar of a private range, U+EF80 for 0x80 up to
// U+EFFF for 0xFF, and turned back into the byte where text leaves the program: at system calls, on stdout and stderr,
// in image headers. Scalars of that range in the input are escaped themselves, so every byte string survives the way
// there and back.

extension String {
  /// Text that stands for exactly these bytes, whatever their encoding; ``rawBytes`` gives them back.
  package init(rawBytes bytes: some Collection<UInt8>) {
    if !bytes.contains(0xEE), let text = String(validating: bytes, as: UTF8.self) {
      self = text
      return
    }
    let input = Array(bytes)
    var scalars = String.UnicodeScalarView()
    var position = 0
    while position < input.count {
      if let (scalar, length) = scalarInUTF8(input, at: position), !escapedBytes.contains(scalar.value) {
        scalars.append(scalar)
        position += length
      } else {
        scalars.append(escapeScalar(for: input[position]))
        position += 1
      }
    }
    self = String(scalars)
  }

  /// The bytes that this text stands for: UTF-8, with the escapes of ``init(rawBytes:)`` undone.
  package var rawBytes: [UInt8] {
    let utf8 = Array(self.utf8)
    if !utf8.contains(0xEE) { return utf8 }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(utf8.count)
    var position = 0
    while position < utf8.count {
      // U+EF80...U+EFFF is EE BE 80 ... EE BF BF.
      if utf8[position] == 0xEE, position + 2 < utf8.count, utf8[position + 1] & 0xFE == 0xBE {
        bytes.append(0x80 | (utf8[position + 1] & 1) << 6 | (utf8[position + 2] & 0x3F))
        position += 3
      } else {
        bytes.append(utf8[position])
        position += 1
      }
    }
    return bytes
  }
}

extension Unicode.Scalar {
  /// The byte that this scalar stands for in text made by `String(rawBytes:)`, or nil when it stands for itself.
  package var escapedByte: UInt8? { escapedBytes.contains(value) ? UInt8(truncatingIfNeeded: value) : nil }
}

private let escapedBytes: ClosedRange<UInt32> = 0xEF80...0xEFFF

private func escapeScalar(for byte: UInt8) -> Unicode.Scalar {
  // Bytes below 0x80 are valid UTF-8 and never come here.
  Unicode.Scalar(0xEF00 + UInt32(byte | 0x80)) ?? "\u{FFFD}"
}

/// The scalar that starts at `position` (within `bytes`) and its length in bytes, or nil where UTF-8 is not valid.
package func scalarInUTF8(_ bytes: [UInt8], at position: Int) -> (Unicode.Scalar, Int)? {
  let first = bytes[position]
  if first < 0x80 { return (Unicode.Scalar(first), 1) }
  let (length, smallest): (Int, UInt32) =
    switch first {
    case 0xC2...0xDF: (2, 0x80)
    case 0xE0...0xEF: (3, 0x800)
    case 0xF0...0xF4: (4, 0x1_0000)
    default: (0, 0)
    }
  guard length > 0, bytes.count - position >= length else { return nil }
  var value = UInt32(first) & (0xFF >> UInt32(length + 1))
  for byte in bytes[(position + 1)..<(position + length)] {
    guard byte & 0xC0 == 0x80 else { return nil }
    value = value << 6 | UInt32(byte & 0x3F)
  }
  guard value >= smallest, let scalar = Unicode.Scalar(value) else { return nil }
  return (scalar, length)
}
