import ImageCore

/// A subcommand.
protocol Command: SendableMetatype {
  /// The word that calls it.
  static var name: String { get }
  /// Its options and operands, as the help shows them.
  static var synopsis: String { get }
  /// Runs it and returns the exit status.
  /// - Parameter words: the command's name, then its options and operands.
  static func run(_ words: [String], _ tool: Tool) throws(Stop) -> Int32
}

/// Why a command ends early.
enum Stop: Error {
  /// The command line cannot be used: the message, and a pointer to the help; status 1.
  case usage(String)
  /// The help was asked for; status 0.
  case help
  /// Something went wrong.
  case failure(ImageError, status: Int32)
  /// Everything has been said.
  case finished(status: Int32)

  /// An error with exit status 1.
  static func failed(_ error: ImageError) -> Stop { .failure(error, status: 1) }
  /// An error with exit status 1.
  static func failed(_ message: String) -> Stop { .failure(ImageError(message), status: 1) }
}

/// Runs `body`; its error ends the command with `status`.
func stopping<Result>(
  status: Int32 = 1, _ body: () throws(ImageError) -> Result
) throws(Stop) -> Result {
  do throws(ImageError) {
    return try body()
  } catch {
    throw .failure(error, status: status)
  }
}

/// What every command works with.
struct Tool: Sendable {
  let console: Console
  let opener: ImageOpener

  init(console: Console) {
    self.console = console
    opener = ImageOpener.standard { notice in
      switch notice {
      case .warning(let text): console.warn(text)
      case .error(let text): console.error(text)
      case .line(let text): console.note(text)
      }
    }
  }

  /// Opens a source operand as the options ask.
  func open(
    _ name: String, _ arguments: Arguments, status: Int32 = 1, _ adjust: (inout OpenOptions) -> Void = { _ in }
  ) throws(Stop) -> any DiskImage {
    var options = OpenOptions()
    options.format = arguments.value(.format)
    options.forceShare = arguments.has(.forceShare)
    adjust(&options)
    return try stopping(status: status) { () throws(ImageError) in
      if arguments.has(.imageOptions) {
        guard options.format == nil else {
          throw ImageError("--image-opts and --format are mutually exclusive")
        }
        return try opener.open(imageOptions: name, options)
      }
      return try opener.open(name, options)
    }
  }
}
