extension String {
  /// Number of lines and FNV-1a hash, in one line: what stands in a table for an output of thousands of lines.
  var digest: String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    var lines = 0
    for byte in utf8 {
      hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
      if byte == UInt8(ascii: "\n") { lines += 1 }
    }
    let digits = String(hash, radix: 16)
    return "(\(lines) lines, digest \(String(repeating: "0", count: 16 - digits.count))\(digits))\n"
  }

  /// Whether the text is such a line.
  var isDigest: Bool { wholeMatch(of: /\(\d+ lines, digest [0-9a-f]{16}\)\n/) != nil }
}
