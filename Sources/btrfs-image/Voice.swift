import ImageCore

/// What the tool says, all on stderr: errors and warnings behind their word, without the program's name.
final class Voice: Sendable {
  /// `ERROR: …`, and a second such line if there is one.
  func error(_ error: ImageError) {
    self.error(error.message)
    if let continuation = error.continuation { self.error(continuation) }
  }

  /// `ERROR: …`.
  func error(_ text: String) { line("ERROR: " + text) }

  /// `WARNING: …`.
  func warn(_ text: String) { line("WARNING: " + text) }

  /// What a file system has to say.
  func notice(_ notice: BtrfsNotice) {
    switch notice {
    case .line(let text): line(text)
    case .error(let text): error(text)
    case .warning(let text): warn(text)
    }
  }

  /// A line as it is.
  func line(_ text: String) { lines(text + "\n") }

  /// Lines as they are.
  func lines(_ text: String) {
    // Nothing can be done about an stderr that takes nothing.
    _ = writeFully(2, text.rawBytes)
  }
}
