import ImageCore

/// The command line (spec §9).
struct Options {
  private(set) var output: String?
  /// `-O`: the output may exist.
  private(set) var overwrites = false
  private(set) var source: String?
  private(set) var savesImage = false
  private(set) var restores = false
  private(set) var isMetadata = false
  private(set) var isTest = false
  private(set) var keepsTimes = false
  private(set) var isQuiet = false
  private(set) var isForced = false
  private(set) var rescues = false
  private(set) var ignoresCheck = false
  private(set) var hasNewSerial = false
  private(set) var hasNewHalfSerial = false
  private(set) var keepsLog = false

  var writesToStandardOutput: Bool { output == "-" }
  var readsStandardInput: Bool { source == "-" }

  private enum Option: Sendable {
    case output, overwrite, saveImage, restoreImage, metadata, noAction, preserveTimestamps, quiet, force, help, version
    case rescue, ignoreCheck, newSerial, newHalfSerial, fullLogfile, debug, operand
  }

  private static let table: [CommandOption<Option>] = [
    CommandOption(.output, "o", "output", .required), CommandOption(.overwrite, "O", "overwrite", .required),
    CommandOption(.restoreImage, "r", "restore-image"), CommandOption(.ignoreCheck, nil, "ignore-fs-check"),
    CommandOption(.rescue, nil, "rescue"), CommandOption(.saveImage, "s", "save-image"),
    CommandOption(.metadata, "m", "metadata"), CommandOption(.noAction, "n", "no-action"),
    CommandOption(.newSerial, nil, "new-serial"), CommandOption(.newHalfSerial, nil, "new-half-serial"),
    CommandOption(.preserveTimestamps, "t", "preserve-timestamps"), CommandOption(.quiet, "q", "quiet"),
    CommandOption(.force, "f", "force"), CommandOption(.fullLogfile, nil, "full-logfile"),
    CommandOption(.help, "h", "help"), CommandOption(.version, "V", "version"), CommandOption(.debug, "d"),
  ]

  /// Scans the words of the command line, the program's name first.
  init(_ words: [String], _ voice: Voice) throws(Stop) {
    var scanner = OptionScanner(words, options: Options.table, style: .getopt, operand: .operand)
    while true {
      let event: ScanEvent<Option>
      do throws(UsageError) {
        event = try scanner.next()
      } catch {
        throw Options.usage(voice, status: 1)
      }
      switch event {
      case .end(let operands):
        // What follows `--`.
        for operand in operands { try setSource(operand, voice) }
        return
      case .option(let option, let argument):
        try apply(option, argument ?? "", voice)
      }
    }
  }

  private mutating func apply(_ option: Option, _ argument: String, _ voice: Voice) throws(Stop) {
    switch option {
    case .output, .overwrite:
      guard output == nil else { throw Options.usage(voice, status: 1) }
      output = argument
      overwrites = option == .overwrite
    case .operand: try setSource(argument, voice)
    case .saveImage: savesImage = true
    case .restoreImage: restores = true
    case .metadata: isMetadata = true
    case .noAction: isTest = true
    case .preserveTimestamps: keepsTimes = true
    case .quiet: isQuiet = true
    case .force: isForced = true
    case .rescue: rescues = true
    case .ignoreCheck: ignoresCheck = true
    case .newSerial: hasNewSerial = true
    case .newHalfSerial: hasNewHalfSerial = true
    case .fullLogfile: keepsLog = true
    case .debug: break
    case .help: throw Options.usage(voice, status: 0)
    case .version:
      voice.print(Texts.version)
      throw .finished(status: 0)
    }
  }

  private mutating func setSource(_ operand: String, _ voice: Voice) throws(Stop) {
    guard source == nil else { throw Options.usage(voice, status: 1) }
    source = operand
  }

  /// Prints the usage and ends the run.
  static func usage(_ voice: Voice, status: Int32) -> Stop {
    voice.print(Texts.usage)
    return .finished(status: status)
  }

  /// The serial number asked for: from the system's random source.
  var serial: NewSerial? {
    guard hasNewSerial || hasNewHalfSerial else { return nil }
    var random = SystemRandomNumberGenerator()
    return NewSerial(value: random.next(), isHalf: !hasNewSerial)
  }
}
