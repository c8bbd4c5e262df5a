import Bytes
import CLinux
import Synchronization

/// The program's voice: results on a buffered stdout, errors and warnings with the program's name on stderr.
///
/// Writes to stdout that fail are remembered and make the run fail at its end. Safe to use from many threads.
package final class Console: Sendable {
  /// The last component of the program's name as it was called.
  package let program: String
  /// Whether stdout is a terminal.
  package let isTerminal = isatty(1) == 1
  /// Whether stderr is a terminal.
  package let errorIsTerminal = isatty(2) == 1
  /// Whether stderr is a terminal on which a newline does not go back to the first column.
  package var errorIsRawTerminal: Bool { clinux_terminal_is_raw(2) != 0 }
  private let output = Mutex(OutputBuffer())

  /// - Parameters:
  ///   - program: the first word of the command line.
  ///   - ignoresBrokenPipes: whether a reader that goes away is an error of write(2), not a signal.
  package init(program: String, ignoresBrokenPipes: Bool = true) {
    self.program =
      program.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(program[program.utf8.index(after: $0)...]) }
      ?? program
    if ignoresBrokenPipes { clinux_ignore_signal(SIGPIPE) }
  }

  /// Ignores SIGUSR1, which asks for a report of progress, until there is some (``Progress``).
  package func ignoreProgressRequests() { clinux_ignore_signal(SIGUSR1) }

  /// Makes a file that would get longer than the process may write (`ulimit -f`) an error of write(2), not a signal.
  package func ignoreFileSizeSignal() { clinux_ignore_signal(SIGXFSZ) }

  /// Appends to stdout as it is.
  package func print(_ text: String) {
    output.withLock { $0.append(text.rawBytes) }
  }

  /// A name from an image or a directory as people see it: on a terminal, control characters and bytes that are no text
  /// are spelled `\\xNN`, so that a name cannot take the terminal over; elsewhere it is left as it is.
  package func shown(_ name: String) -> String {
    isTerminal ? escapingControls(name) : name
  }

  /// Writes to stderr as it is, at once.
  package func printError(_ text: String) { _ = writeFully(2, text.rawBytes) }

  /// Appends a line to stdout.
  package func printLine(_ text: String) { print(text + "\n") }

  /// Hands everything printed so far to the kernel.
  package func flush() {
    output.withLock { $0.flush() }
  }

  /// Writes a line to stderr as it is.
  package func note(_ text: String) {
    // Nothing can be done about an stderr that takes nothing.
    _ = writeFully(2, (text + "\n").rawBytes)
  }

  /// `PROGRAM: message`, a second such line if there is one, then the hint's lines without prefix.
  package func error(_ error: ImageError) {
    var text = "\(program): \(error.message)"
    if let continuation = error.continuation { text += "\n\(program): \(continuation)" }
    if let hint = error.hint { text += "\n" + hint }
    note(text)
  }

  /// `PROGRAM: message`.
  package func error(_ message: String) { error(ImageError(message)) }

  /// `PROGRAM: warning: message`.
  package func warn(_ message: String) { note("\(program): warning: \(message)") }

  /// Flushes stdout, and turns a success into 1 if something of the output was lost.
  package func finish(status: Int32) -> Int32 {
    let failure = output.withLock { output in
      output.flush()
      return output.failure
    }
    guard failure != 0, status == 0 else { return status }
    error("error while writing to standard output: \(errorText(failure))")
    return 1
  }
}

/// The text with control characters and bytes that are no text spelled `\\xNN`.
package func escapingControls(_ text: String) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    let byte = scalar.escapedByte ?? (scalar.value < 0x20 || scalar.value == 0x7F ? UInt8(scalar.value) : nil)
    if let byte {
      let digits = String(byte, radix: 16, uppercase: true)
      result += "\\x" + String(repeating: "0", count: 2 - digits.utf8.count) + digits
    } else {
      result.unicodeScalars.append(scalar)
    }
  }
  return result
}

private struct OutputBuffer {
  private var pending: [UInt8] = []
  /// The errno of the first write that failed, or 0.
  private(set) var failure: Int32 = 0

  mutating func append(_ bytes: [UInt8]) {
    pending += bytes
    if pending.count >= 1 << 16 { flush() }
  }

  mutating func flush() {
    guard !pending.isEmpty else { return }
    // After a failure the rest is dropped: a report with a hole in it helps nobody.
    if failure == 0 { failure = writeFully(1, pending) }
    pending.removeAll(keepingCapacity: true)
  }
}
