import Foundation

/// A folder of files that many cases start from, made once by the reference tools.
final class Fixture: Sendable {
  let name: String
  let steps: [Step]
  private let state = FixtureState()

  init(_ name: String, _ steps: [Step]) {
    self.name = name
    self.steps = steps
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
