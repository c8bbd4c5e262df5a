import Foundation

/// A folder of files that many cases start from, made once by the reference tools. A case gets those that it names.
final class Fixture: Sendable {
  let name: String
  let steps: [Step]
  /// Files that go with a file though a case does not name them: backing and data files.
  let companions: [String: [String]]
  private let state = FixtureState()

  init(_ name: String, companions: [String: [String]] = [:], _ steps: [Step]) {
    self.name = name
    self.steps = steps
    self.companions = companions
  }

  /// Which of the fixture's files the text of a case speaks of.
  func files(namedIn text: String, of all: [String]) -> Set<String> {
    func isPart(_ character: Character) -> Bool {
      character.isLetter || character.isNumber || "_-".contains(character)
    }
    var files: Set<String> = []
    for name in all {
      let places = text.ranges(of: name)
      let isNamed = places.contains { place in
        (place.lowerBound == text.startIndex || !isPart(text[text.index(before: place.lowerBound)]))
          && (place.upperBound == text.endIndex || !isPart(text[place.upperBound]))
      }
      if isNamed { files.formUnion([name] + (companions[name] ?? [])) }
    }
    return files
  }

  /// The folder; made when it is first asked for.
  func folder(tools: Tools) async throws -> URL {
    try await state.folder {
      let folder = tools.workFolder.appendingPathComponent("fixture-\(self.name)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      for step in self.steps { try await step.run(in: folder, tools: tools) }
      return folder
    }
  }
}

/// Lets the first caller do the work and the others wait for its result.
private actor FixtureState {
  private var task: Task<URL, any Error>?

  func folder(_ make: @escaping @Sendable () async throws -> URL) async throws -> URL {
    if let task { return try await task.value }
    let task = Task { try await make() }
    self.task = task
    return try await task.value
  }
}

/// Where the fixtures of a kind are: a folder of Tests/Fixtures.
func fixtureFolder(_ name: String) -> String {
  URL(fileURLWithPath: #filePath).deletingLastPathComponent()  // Harness
    .deletingLastPathComponent()  // ConformanceTests
    .deletingLastPathComponent()  // Tests
    .appendingPathComponent("Fixtures/\(name)").path
}
