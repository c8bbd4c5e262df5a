import ImageCore
import Synchronization

/// What the tool says: errors behind the first word of the command line as it was typed, in full.
final class Voice: Sendable {
  private let program: String
  private let console: Console
  private let reported = Mutex(false)

  init(program: String) {
    self.program = program
    console = Console(program: program)
  }

  /// Whether something has been reported that makes the image incomplete.
  var hasReported: Bool { reported.withLock { $0 } }

  /// Prints an error, each of its lines behind the program's name.
  func error(_ error: ImageError) {
    for line in error.message.split(separator: "\n", omittingEmptySubsequences: false) {
      console.note("\(program): \(line)")
    }
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

  /// Prints on stdout as it is.
  func print(_ text: String) { console.print(text) }

  /// Whether the next byte of standard input is a yes. What has been printed is shown first.
  func isConfirmed() -> Bool {
    console.flush()
    var answer = Buffer(1)
    var bytes = answer.mutableBytes
    guard let count = try? InputStream.standardInput().read(into: &bytes), count == 1 else { return false }
    return answer.bytes[0] | 0x20 == UInt8(ascii: "y")
  }

  /// Flushes stdout; output that was lost makes a success a failure.
  func finish(status: Int32) -> Int32 { console.finish(status: status) }
}
