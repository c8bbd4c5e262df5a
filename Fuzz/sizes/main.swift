import FuzzSupport
import ImageCore

// Sizes and integers of any bytes: an answer, never a trap; and what is printed in bytes is read back as it was.
fuzz { bytes in
  let text = bytes.array(0..<bytes.byteCount)
  precondition(String(rawBytes: text).rawBytes == text)
  if case .success(let value) = parseSize(text).value {
    precondition(parseSize(Array(String(value).utf8)).value == .success(value))
    precondition(!humanSize(value).isEmpty)
  }
  if case .success(let value) = parseInteger(text) {
    precondition(parseInteger(Array("0x\(String(value, radix: 16))".utf8)) == .success(value))
  }
}
