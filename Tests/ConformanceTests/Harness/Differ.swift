/// The lines of two texts, those of the first that are gone marked `-`, those of the second that are new marked `+`.
func lineDifference(_ expected: String, _ actual: String) -> String {
  let old = visibleLines(expected)
  let new = visibleLines(actual)
  // The quadratic table is for messages, not for megabytes.
  guard old.count * new.count <= 20_000 else {
    let index = zip(old, new).prefix { $0 == $1 }.count
    return "      line \(index + 1):\n      - \(index < old.count ? old[index] : "(end)")\n"
      + "      + \(index < new.count ? new[index] : "(end)")"
  }
  var length = [[Int]](repeating: [Int](repeating: 0, count: new.count + 1), count: old.count + 1)
  for i in old.indices.reversed() {
    for j in new.indices.reversed() {
      length[i][j] = old[i] == new[j] ? length[i + 1][j + 1] + 1 : max(length[i + 1][j], length[i][j + 1])
    }
  }
  var i = 0
  var j = 0
  var lines: [String] = []
  while i < old.count || j < new.count {
    if i < old.count, j < new.count, old[i] == new[j] {
      lines.append("        " + old[i])
      i += 1
      j += 1
    } else if i < old.count, j >= new.count || length[i + 1][j] >= length[i][j + 1] {
      lines.append("      - " + old[i])
      i += 1
    } else {
      lines.append("      + " + new[j])
      j += 1
    }
  }
  // Unchanged lines far from a change say nothing.
  let isChanged = lines.map { !$0.hasPrefix("        ") }
  let shown = lines.indices.filter { index in
    isChanged[max(0, index - 2)..<min(lines.count, index + 3)].contains(true)
  }
  return shown.prefix(40).map { lines[$0] }.joined(separator: "\n")
}

/// Lines with the characters that a terminal would swallow spelled out.
private func visibleLines(_ text: String) -> [String] {
  var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
    line.unicodeScalars.map { scalar in
      scalar.value < 0x20 || scalar.value == 0x7F ? "\\x" + String(scalar.value, radix: 16) : String(scalar)
    }.joined()
  }
  if lines.last == "" {
    lines.removeLast()
  } else if let last = lines.popLast() {
    lines.append(last + " (no newline)")
  }
  return lines
}
