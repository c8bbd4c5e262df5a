import ImageCore
import Synchronization

/// What the tool says: errors behind the first word of the command line as it was typed, in full.
final class Voice: Sendable {
  let program: String
  private let console: Console
  private let reported = Mutex(false)

  init(program: String) {
    self.program = program
    // Who reads an image from a pipe, and leaves, has had enough: no error to tell of.
    console = Console(program: program, ignoresBrokenPipes: false)
  }

  /// Whether something has been reported that makes the image incomplete.
  var hasReported: Bool { reported.withLock { $0 } }

  /// Prints an error; on a terminal in raw mode the line goes back to its beginning (ext4-e2image §6.4).
  func error(_ error: ImageError) {
    console.note("\(program): \(error.message)\(console.errorIsRawTerminal ? "\r" : "")")
  }

  /// Prints an error, and remembers that there was one: the work goes on, the run fails.
  func report(_ problem: ImageError) {
    reported.withLock { $0 = true }
    error(problem)
  }

  /// Prints something worth knowing.
  func warn(_ text: String) { console.note("\(program): warning: \(text)") }

  /// Prints a line on stderr as it is.
  func note(_ line: String) { console.note(line) }

  /// Prints on stderr as it is, without a newline.
  func show(_ text: String) { _ = writeFully(2, text.rawBytes) }

  /// Prints a line on stdout.
  func line(_ text: String) { console.printLine(text) }

  /// Flushes stdout; output that was lost makes a success a failure.
  func finish(status: Int32) -> Int32 { console.finish(status: status) }
}
