import Foundation

/// Cases in which ours still differs and should not (KnownDifferences.txt).
enum KnownDifferences {
  /// The cases, as `table: name`.
  static let cases: Set<String> = {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("KnownDifferences.txt")
    let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    return Set(text.split(separator: "\n").map(String.init).filter { !$0.hasPrefix("#") })
  }()

  /// Whether ours did something that no list excuses: it was ended by a signal, or did not end at all.
  static func isWorse(_ faults: [String]) -> Bool {
    faults.contains { fault in
      fault.contains("no end after") || fault.range(of: "became (-1|1[3-9][0-9])", options: .regularExpression) != nil
    }
  }
}
