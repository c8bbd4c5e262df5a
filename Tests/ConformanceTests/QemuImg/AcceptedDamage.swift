import Foundation

/// Damaged images of which ours says or repairs something else, on purpose: AcceptedDamage.txt.
private struct AcceptedDamage {
  /// The deviations by the names of their cases.
  private(set) var deviations: [String: Deviation] = [:]
  /// Lines that make no sense.
  private(set) var unreadable: [String] = []

  init() throws {
    let file = URL(fileURLWithPath: #filePath).deletingPathExtension().appendingPathExtension("txt")
    var id = ""
    var name = ""
    var command = 0
    var expected: [Int: Deviation.Expectation] = [:]
    for line in try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n") {
      if line.isEmpty || line.hasPrefix("#") {
        continue
      } else if let text = line.prefixed("    >") {
        expected[command]?.stdout?.append(text.dropFirst() + "\n")
      } else if let text = line.prefixed("    !") {
        expected[command]?.stderr?.append(text.dropFirst() + "\n")
      } else if let match = line.wholeMatch(of: /\ \ command (\d+): status (\d+)/),
        let number = Int(match.1), let status = Int32(match.2)
      {
        command = number - 1
        expected[command] = Deviation.Expectation(stdout: "", stderr: "", status: status, followsReference: true)
      } else if let match = line.wholeMatch(of: /(QC-\d+) \| (.*)/) {
        add(id, name, expected)
        (id, name) = (String(match.1), String(match.2))
        expected = [:]
      } else {
        unreadable.append(line)
      }
    }
    add(id, name, expected)
  }

  private mutating func add(_ id: String, _ name: String, _ expected: [Int: Deviation.Expectation]) {
    if name.isEmpty { return }
    let repairs = name.contains("check -r") || ["QC-34", "QC-40"].contains(id)
    deviations[name] = Deviation(id, expected: expected, files: repairs ? .unchecked : nil)
  }
}

extension [Case] {
  /// The same cases, those that are listed with their deviation. A listed case that does not exist is a case that fails.
  func withAcceptedDamage() -> [Case] {
    func problem(_ text: String) -> Case { Case(commands: [], name: text, setup: [.problem("AcceptedDamage.txt")]) }
    guard let accepted = try? AcceptedDamage() else { return [problem("the list of accepted damage")] }
    var listed = accepted.deviations
    var cases = self
    for index in cases.indices {
      if let deviation = listed.removeValue(forKey: cases[index].name) { cases[index].deviation = deviation }
    }
    return cases + (listed.keys + accepted.unreadable).map(problem)
  }
}

extension String {
  /// What follows `prefix`; nil if the text does not begin with it.
  fileprivate func prefixed(_ prefix: String) -> Substring? { hasPrefix(prefix) ? dropFirst(prefix.count) : nil }
}
