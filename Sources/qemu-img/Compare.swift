import ImageCore

/// `qemu-img compare` (qemu-img-cli-1 §12).
enum CompareCommand: Command {
  static let name = "compare"
  static let synopsis =
    "[--object objectdef] [--image-opts] [-f fmt] [-F fmt] [-T src_cache] [-p] [-q] [-s] [-U] filename1 filename2"

  private static let options: [CommandOption<Option>] =
    CommandOption.common + [
      CommandOption(.format, "f", "a-format", .required, isAddition: true),
      CommandOption(.secondFormat, "F", "b-format", .required, isAddition: true),
      CommandOption(.sourceCache, "T", "cache", .required, isAddition: true),
      CommandOption(.progress, "p", "progress", isAddition: true),
      CommandOption(.quiet, "q", "quiet", isAddition: true),
      CommandOption(.strict, "s", "strict", isAddition: true),
      .forceShare, .imageOptions,
    ]

  /// The statuses beside 0.
  private enum Status {
    static let different: Int32 = 1
    static let notOpened: Int32 = 2
    static let statusUnknown: Int32 = 3
    static let notRead: Int32 = 4
  }

  static func run(_ words: [String], _ tool: Tool) throws(Stop) -> Int32 {
    let arguments = try Arguments(words, options, tool, objectErrorStatus: Status.notOpened)
    guard arguments.operands.count == 2 else { throw .usage("Expecting two image file names") }
    let console = tool.console
    let quiet = arguments.has(.quiet)
    // The reference starts its display before it opens anything, and ends it on every way out.
    let progress = Progress(console, isShown: arguments.has(.progress) && !quiet, step: 2)
    defer { progress.end() }
    let cache = try arguments.cacheMode(
      .sourceCache, message: "Invalid source cache option", status: Status.notOpened)
    let first = try tool.open(arguments.operands[0], arguments, status: Status.notOpened) { $0.cache = cache }
    let second = try tool.open(arguments.operands[1], arguments, status: Status.notOpened) { options in
      options.cache = cache
      options.format = arguments.value(.secondFormat)
    }
    func say(_ line: String) { if !quiet { console.printLine(line) } }

    let common = min(first.virtualSize, second.virtualSize)
    let largest = max(first.virtualSize, second.virtualSize)
    progress.report(percent: 0)
    if arguments.has(.strict), common != largest {
      say("Strict mode: Image size mismatch!")
      return Status.different
    }
    var comparison = Comparison(first, second)
    comparison.isStrict = arguments.has(.strict)
    comparison.completed = { progress.advance(by: $0, of: largest) }
    for range in [0..<common, common..<largest] where !range.isEmpty {
      if range.lowerBound > 0 || common == 0 { say("Warning: Image size mismatch!") }
      switch try run(comparison, range, arguments.operands) {
      case .identical: break
      case .contentMismatch(let offset):
        say("Content mismatch at offset \(offset)!")
        return Status.different
      case .statusMismatch(let offset):
        say("Strict mode: Offset \(offset) block status mismatch!")
        return Status.different
      }
    }
    say("Images are identical.")
    return 0
  }

  private static func run(
    _ comparison: Comparison, _ range: Range<UInt64>, _ names: [String]
  ) throws(Stop) -> Comparison.Outcome {
    do throws(Comparison.Failure) {
      return try comparison.run(range)
    } catch {
      switch error {
      case .status(let side, let cause):
        throw .failure(
          ImageError("Sector allocation test failed for \(names[side])", errno: cause.errno),
          status: Status.statusUnknown)
      case .read(let side, let offset, let cause):
        throw .failure(
          ImageError(
            "Error while reading offset \(offset) of \(names[side]): \(errorText(cause.errno))", errno: cause.errno),
          status: Status.notRead)
      }
    }
  }
}
