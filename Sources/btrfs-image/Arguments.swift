import ImageCore

/// Why the run ends before anything is done.
enum Stop: Error {
  /// These lines go to stderr, as they are; the status.
  case finished(String, status: Int32)
}

/// How names are made unreadable.
enum Sanitizing: Sendable {
  case none
  /// Once `-s`: random characters.
  case garbage
  /// Twice: other names with the same hash.
  case collisions
}

/// The command line (btrfs-image §8).
struct Arguments {
  /// `-r`, `-m`: a dump is read.
  private(set) var isRestore = false
  /// `-c`: 0 to 9.
  private(set) var compressionLevel = 0
  /// `-t`: 1 to 32.
  private(set) var threadCount = 0
  /// `-o`: the chunk tree is left alone.
  private(set) var keepsChunkTree = false
  /// `-s`.
  private(set) var sanitizing = Sanitizing.none
  /// `-w`: trees are walked; the extent tree is not trusted.
  private(set) var walksTrees = false
  /// `-m`.
  private(set) var restoresDevices = false
  /// `-d`: file contents too.
  private(set) var includesData = false
  /// What is read.
  private(set) var source = ""
  /// What is written: one, or with `-m` a device each.
  private(set) var targets: [String] = []

  /// The name of standard input and output as an operand.
  static let standardStream = "-"
  private static let threadLimit: UInt64 = 32

  private enum Option: Sendable { case restore, level, threads, old, sanitize, walk, devices, data, version, help }

  /// Scans the words of the command line.
  ///
  /// - Throws: with what is to be printed.
  init(_ words: [String]) throws(Stop) {
    let program = words.first ?? "btrfs-image"
    var scanner = OptionScanner<Option>(
      words,
      options: [
        CommandOption(.restore, "r"), CommandOption(.level, "c", nil, .required),
        CommandOption(.threads, "t", nil, .required), CommandOption(.old, "o"), CommandOption(.sanitize, "s"),
        CommandOption(.walk, "w"), CommandOption(.devices, "m"), CommandOption(.data, "d"),
        CommandOption(.version, nil, "version", isAddition: true), CommandOption(.help, nil, "help"),
      ], style: .getopt)
    var operands: [String]?
    while operands == nil {
      let event: ScanEvent<Option>
      do throws(UsageError) {
        event = try scanner.next()
      } catch {
        throw .finished(Arguments.usage, status: 1)
      }
      switch event {
      case .option(.restore, _): isRestore = true
      case .option(.level, let text):
        let value = try Arguments.number(text ?? "")
        guard value <= 9 else { throw .finished("ERROR: compression level out of range: \(value)\n", status: 1) }
        compressionLevel = Int(value)
      case .option(.threads, let text):
        let value = try Arguments.number(text ?? "")
        guard value <= Arguments.threadLimit else {
          throw .finished("ERROR: number of threads out of range: \(value) > \(Arguments.threadLimit)\n", status: 1)
        }
        threadCount = Int(value)
      case .option(.old, _): keepsChunkTree = true
      case .option(.sanitize, _): sanitizing = sanitizing == .none ? .garbage : .collisions
      case .option(.walk, _): walksTrees = true
      case .option(.devices, _): (isRestore, restoresDevices) = (true, true)
      case .option(.data, _): includesData = true
      case .option(.version, _): throw .finished(Arguments.version, status: 0)
      case .option(.help, _): throw .finished(Arguments.usage, status: 0)
      case .end(let words): operands = words
      }
    }
    try check(operands ?? [], program)
    if threadCount == 0 { threadCount = min(processorCount(), Int(Arguments.threadLimit)) }
  }

  /// Everything that can only be said when all options are known, in the reference's order.
  private mutating func check(_ operands: [String], _ program: String) throws(Stop) {
    guard operands.count >= 2 else {
      throw .finished(
        "\(program): not enough arguments: \(operands.count) but at least 2 expected\n" + Arguments.usage, status: 1)
    }
    source = operands[0]
    targets = Array(operands.dropFirst())
    var problems: [String] = []
    if isRestore {
      if walksTrees || sanitizing != .none || compressionLevel != 0 || includesData {
        problems.append("using -w, -s, -c, -d options for restore makes no sense")
      }
      if restoresDevices && targets.count < 2 { problems.append("not enough devices specified for -m option") }
      if !restoresDevices && targets.count != 1 { problems.append("accepts only 1 device without -m option") }
    } else {
      if keepsChunkTree { problems.append("create and restore cannot be used at the same time") }
      if includesData && walksTrees { problems.append("-d conflicts with -w option") }
    }
    guard problems.isEmpty else {
      throw .finished(problems.map { "ERROR: \($0)\n" }.joined() + Arguments.usage, status: 1)
    }
  }

  /// A number as the options take it: what C's strtoull reads with base 0, where nothing at all is 0.
  private static func number(_ text: String) throws(Stop) -> UInt64 {
    let bytes = text.rawBytes
    if bytes.isEmpty { return 0 }
    let value = parseInteger(bytes)
    guard value != .failure(.malformed) else {
      throw .finished("ERROR: \(text) is not a valid numeric value\n", status: 1)
    }
    guard bytes.first != UInt8(ascii: "-") else {
      throw .finished("ERROR: \(text): negative value is invalid\n", status: 1)
    }
    guard case .success(let number) = value, number != .max else {
      throw .finished("ERROR: \(text) is too large\n", status: 1)
    }
    return number
  }

  private static let version = "btrfs-image, part of disk-imaging-tools 0.1.0\n"

  private static let usage = """
    usage: btrfs-image [options] source target

        Create or restore a filesystem image (metadata)

        Options:
        -r                        restore metadump image\u{20}
        -c value                  compression level (0 ~ 9)\u{20}
        -t value                  number of threads (1 ~ 32)\u{20}
        -o                        don't mess with the chunk tree when restoring\u{20}
        -s                        sanitize file names, use once to just use garbage, use twice if you want crc collisions
        -w                        walk all trees instead of using extent tree, do this if your extent tree is broken\u{20}
        -m                        restore for multiple devices\u{20}
        -d                        also dump data, conflicts with -w\u{20}
       \u{20}
        In the dump mode, source is the btrfs device and target is the output file (use '-' for stdout).
        In the restore mode, source is the dumped image and target is the btrfs device/file.


    """
}
