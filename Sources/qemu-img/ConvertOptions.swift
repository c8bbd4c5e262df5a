import ImageCore

/// The command line of `convert` (qemu-img-cli-1 §11), read and checked as far as that needs no file.
struct ConvertOptions {
  static let table: [CommandOption<Option>] =
    CommandOption.common + [
      CommandOption(.format, "f", "source-format", .required, isAddition: true),
      CommandOption(.targetFormat, "O", "target-format", .required, isAddition: true),
      CommandOption(.options, "o", "target-format-options", .required, isAddition: true),
      CommandOption(.backing, "B", nil, .required),
      CommandOption(.backing, "b", "backing", .required, isAddition: true),
      CommandOption(.backingFormat, "F", "backing-format", .required, isAddition: true),
      CommandOption(.snapshot, "l", "snapshot", .required, isAddition: true),
      CommandOption(.sparseSize, "S", "sparse-size", .required, isAddition: true),
      CommandOption(.cache, "t", "target-cache", .required, isAddition: true),
      CommandOption(.sourceCache, "T", "source-cache", .required, isAddition: true),
      CommandOption(.parallel, "m", "parallel", .required, isAddition: true),
      CommandOption(.rateLimit, "r", "rate-limit", .required, isAddition: true),
      CommandOption(.compress, "c", "compress", isAddition: true),
      CommandOption(.copyOffload, "C", "copy-range-offloading", isAddition: true),
      CommandOption(.noCreate, "n", "no-create", isAddition: true),
      CommandOption(.progress, "p", "progress", isAddition: true),
      CommandOption(.quiet, "q", "quiet", isAddition: true),
      // Writes are in order with and without it: the option promises less, not more.
      CommandOption(.outOfOrder, "W", "oob-writes", isAddition: true),
      CommandOption(.targetImageOptions, nil, "target-image-opts"),
      CommandOption(.targetIsZero, nil, "target-is-zero"),
      CommandOption(.salvage, nil, "salvage"),
      CommandOption(.bitmaps, nil, "bitmaps"),
      CommandOption(.skipBrokenBitmaps, nil, "skip-broken-bitmaps"),
      .forceShare, .imageOptions,
    ]

  let arguments: Arguments
  /// The zero runs that are looked for, in bytes; 0 for none.
  private(set) var sparseBytes: UInt64 = 4096
  private(set) var coroutines = 8
  /// Bytes a second; 0 for no limit.
  private(set) var rateLimit: UInt64 = 0
  private(set) var snapshot: SnapshotChoice?
  private(set) var sourceCache = CacheMode.writeback
  private(set) var targetCache = CacheMode.unsafe

  var sources: [String] { Array(arguments.operands.dropLast()) }
  var target: String { arguments.operands.last ?? "" }
  /// The target's format; nil when the target's own options name it.
  var targetFormat: String? {
    arguments.value(.targetFormat) ?? (arguments.has(.targetImageOptions) ? nil : "raw")
  }
  var compresses: Bool { arguments.has(.compress) }
  var skipsCreation: Bool { arguments.has(.noCreate) }
  var salvages: Bool { arguments.has(.salvage) }
  var isQuiet: Bool { arguments.has(.quiet) }
  var showsProgress: Bool { arguments.has(.progress) && !isQuiet }

  /// Reads the words of the command. Values are judged as they are met, combinations afterwards.
  init(_ words: [String], _ tool: Tool) throws(Stop) {
    var sparseBytes = self.sparseBytes
    var coroutines = self.coroutines
    var rateLimit = self.rateLimit
    var snapshot: SnapshotChoice?
    arguments = try Arguments(words, ConvertOptions.table, tool) { (option, value) throws(Stop) in
      switch option {
      case .sparseSize: sparseBytes = try ConvertOptions.sparseBytes(value, tool.console)
      case .snapshot:
        let choice = try SnapshotChoice(value, tool.console)
        if choice.replaces(snapshot) { snapshot = choice }
      case .parallel: coroutines = try ConvertOptions.coroutines(value)
      case .rateLimit:
        rateLimit = try stopping { () throws(ImageError) in
          try sizeArgument(value, name: "rate limit", warn: tool.console.warn)
        }
      default: break
      }
    }
    self.sparseBytes = sparseBytes
    self.coroutines = coroutines
    self.rateLimit = rateLimit
    self.snapshot = snapshot
    try checkCombinations()
    if arguments.creationOptions.asksForHelp { return }
    guard arguments.operands.count > 1 else { throw .failed("Must specify image file name") }
    sourceCache = try arguments.cacheMode(.sourceCache, message: "Invalid source cache option")
    // The reference looks at this one only after it has emptied the target (D-11).
    targetCache = try arguments.cacheMode(.cache, default: .unsafe, message: "Invalid cache option")
  }

  private static func sparseBytes(_ text: String, _ console: Console) throws(Stop) -> UInt64 {
    let size = try stopping { () throws(ImageError) in
      try sizeArgument(text, name: "buffer size for sparse output", warn: console.warn)
    }
    guard size % 512 == 0, size <= 16 << 20 else {
      throw .failed(
        """
        Invalid buffer size for sparse output specified. Valid sizes are multiples of 512 up to \(16 << 20). Select 0 to \
        disable sparse detection (fully allocates output).
        """)
    }
    return size
  }

  private static func coroutines(_ text: String) throws(Stop) -> Int {
    guard case .success(let number) = parseInteger(text.rawBytes), (1...16).contains(number) else {
      throw .failed("Invalid number of coroutines. Allowed number of coroutines is between 1 and 16")
    }
    return Int(number)
  }

  /// What must not be combined, in the order in which the reference finds it (§11.3, 1 to 7).
  private func checkCombinations() throws(Stop) {
    func has(_ option: Option) -> Bool { arguments.has(option) }
    let faults = [
      (has(.skipBrokenBitmaps) && !has(.bitmaps), "Use of --skip-broken-bitmaps requires --bitmaps"),
      (has(.copyOffload) && has(.compress), "Cannot enable copy offloading when -c is used"),
      (has(.copyOffload) && has(.sparseSize), "Cannot enable copy offloading when -S is used"),
      (has(.copyOffload) && has(.salvage), "Cannot use copy offloading in salvaging mode"),
      (has(.targetImageOptions) && !has(.noCreate), "--target-image-opts requires use of -n flag"),
      (has(.noCreate) && arguments.creationOptions.text != nil, "-o has no effect when skipping image creation"),
      (has(.targetIsZero) && !has(.noCreate), "--target-is-zero requires use of -n flag"),
    ]
    for (isFault, text) in faults where isFault { throw .failed(text) }
  }
}
