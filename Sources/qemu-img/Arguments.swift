import ImageCore

/// Every option that a subcommand may have.
enum Option: Sendable, Hashable {
  case help, object, imageOptions, targetImageOptions
  case format, secondFormat, targetFormat, options, output
  case backing, backingFormat, unsafeBacking, backingChain, limits
  case cache, sourceCache, forceShare, quiet, progress, strict
  case repair, startOffset, maxLength, size, snapshot
  case preallocation, shrink
  case compress, copyOffload, noCreate, sparseSize, rateLimit, parallel, outOfOrder, salvage, targetIsZero
  case bitmaps, skipBrokenBitmaps
  case list, apply, delete, createSnapshot
  case force
  case base, drop
  case count, depth, flushInterval, asynchronousIO, nativeIO, noDrain, offset, pattern, bufferSize, stepSize, write
  case addBitmap, removeBitmap, clearBitmap, enableBitmap, disableBitmap, mergeBitmap, granularity, mergeFile
}

extension CommandOption where ID == Option {
  /// Options that most commands have.
  static let common: [CommandOption<Option>] = [
    CommandOption(.help, "h", "help"),
    CommandOption(.object, nil, "object", .required),
  ]
  static let imageOptions = CommandOption(.imageOptions, nil, "image-opts")
  static let forceShare = CommandOption(.forceShare, "U", "force-share")
  static let output = CommandOption(.output, nil, "output", .required)
}

/// The options and operands of a subcommand.
struct Arguments {
  private var given: [(option: Option, value: String)] = []
  /// The operands in their order.
  private(set) var operands: [String] = []
  /// All `-o` arguments together.
  private(set) var creationOptions = OptionString()

  /// Scans the words of a command.
  ///
  /// - Parameters:
  ///   - words: the command's name, then its options and operands.
  ///   - check: looks at each value as soon as it is met; what it throws precedes errors further to the right.
  init(
    _ words: [String], _ options: [CommandOption<Option>], _ tool: Tool, objectErrorStatus: Int32 = 1,
    check: (Option, String) throws(Stop) -> Void = { (_, _) throws(Stop) in }
  ) throws(Stop) {
    var objects = Objects()
    var scanner = OptionScanner(words, options: options)
    while true {
      switch try scanner.nextEvent() {
      case .end(let operands):
        self.operands = operands
        return
      case .option(.help, _):
        throw .help
      case .option(.object, let definition):
        try objects.define(definition ?? "", tool.console, errorStatus: objectErrorStatus)
      case .option(.options, let text):
        try stopping { () throws(ImageError) in try creationOptions.append(text ?? "") }
      case .option(let option, let value):
        try check(option, value ?? "")
        given.append((option, value ?? ""))
      }
    }
  }

  /// Whether the option was given.
  func has(_ option: Option) -> Bool { given.contains { $0.option == option } }

  /// The last value given to the option.
  func value(_ option: Option) -> String? { given.last { $0.option == option }?.value }

  /// The only operand.
  func singleOperand() throws(Stop) -> String {
    guard operands.count == 1 else { throw .usage("Expecting one image file name") }
    return operands[0]
  }

  /// Whether `--output` asks for JSON.
  func wantsJSON() throws(Stop) -> Bool {
    switch value(.output) {
    case nil, "human": return false
    case "json": return true
    default: throw .failed("--output must be used with human or json as argument.")
    }
  }

  /// The cache mode that the option names, or the default.
  func cacheMode(
    _ option: Option, default mode: CacheMode = .writeback, message: String, status: Int32 = 1
  ) throws(Stop) -> CacheMode {
    guard let name = value(option) else { return mode }
    guard let mode = CacheMode(name) else { throw .failure(ImageError("\(message): \(name)"), status: status) }
    return mode
  }
}

extension OptionScanner {
  /// The next event; an unusable command line ends the run.
  mutating func nextEvent() throws(Stop) -> ScanEvent<ID> {
    do throws(UsageError) {
      return try next()
    } catch {
      throw .usage(error.message)
    }
  }
}
