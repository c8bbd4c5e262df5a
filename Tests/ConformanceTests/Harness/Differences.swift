import Foundation

/// The ids of docs/DIFFERENCES.md: the first column of its tables.
enum Differences {
  static let ids: Set<String> = {
    let document = URL(fileURLWithPath: #filePath).deletingLastPathComponent()  // Harness
      .deletingLastPathComponent()  // ConformanceTests
      .deletingLastPathComponent()  // Tests
      .deletingLastPathComponent().appendingPathComponent("docs/DIFFERENCES.md")
    guard let text = try? String(contentsOf: document, encoding: .utf8) else { return [] }
    let ids = text.split(separator: "\n").compactMap { line -> String? in
      let cells = line.split(separator: "|", omittingEmptySubsequences: false)
      guard line.hasPrefix("|"), cells.count > 2 else { return nil }
      return cells[1].trimmingCharacters(in: .whitespaces)
    }
    return Set(ids)
  }()
}
