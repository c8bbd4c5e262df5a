import ImageCore

/// The command line (ocfs2-o2image §14).
struct Arguments {
  /// `-r`: blocks at their own offsets rather than packed.
  var isRaw = false
  /// `-I`: the image is read, the device is written.
  var isInstall = false
  /// `-i`: ask before an image is made.
  var isInteractive = false
  /// The first operand.
  let device: String
  /// The second operand.
  let image: String

  /// The name of standard output as an operand.
  static let standardOutput = "-"

  private enum Option: Sendable { case raw, install, interactive }

  /// Scans the words of the command line.
  ///
  /// - Throws: `finished` after the usage line.
  init(_ words: [String]) throws(Stop) {
    let program = words.first ?? "o2image"
    var scanner = OptionScanner<Option>(
      words,
      options: [
        CommandOption(.raw, "r"), CommandOption(.install, "I"), CommandOption(.interactive, "i"),
      ], style: .getopt)
    // The line offers an option that does not exist, as it always did.
    let usage = Stop.finished("Usage: \(program) [-frI] device image_file")
    while true {
      let event: ScanEvent<Option>
      do throws(UsageError) {
        event = try scanner.next()
      } catch {
        throw usage
      }
      switch event {
      case .option(.raw, _): isRaw = true
      case .option(.install, _): isInstall = true
      case .option(.interactive, _): isInteractive = true
      case .end(let operands):
        guard operands.count == 2 else { throw usage }
        (device, image) = (operands[0], operands[1])
        return
      }
    }
  }

  /// What is read.
  var source: String { isInstall ? image : device }
  /// What is written.
  var destination: String { isInstall ? device : image }
}
