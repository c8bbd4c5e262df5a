import ImageCore

/// The command line (ext4-e2image §6.1, §6.2).
struct Arguments {
  /// What sort of image is made.
  enum Kind { case normal, raw, qcow2 }

  var kind = Kind.normal
  /// `-a`: the contents of files too.
  var includesData = false
  /// `-b`: the block of the superblock copy to use; nil: the first superblock.
  var copyBlock: UInt64?
  /// `-B`: the block size in bytes.
  var blockSize: UInt64?
  /// `-c`: blocks that the target holds already are not written.
  var compares = false
  /// `-f`: also when the file system is mounted for writing.
  var isForced = false
  /// `-I`: the image is read, the device is written.
  var isInstall = false
  /// `-n`: say what would be written.
  var isDryRun = false
  /// `-o` and `-O`: where the file system begins in the source and in the target, in bytes.
  var sourceOffset: UInt64 = 0
  var targetOffset: UInt64 = 0
  /// `-p`: show progress.
  var showsProgress = false
  /// `-s`: scramble names.
  var scrambles = false
  /// The operands. A single one with an offset stands for both: the file system moves.
  let device: String
  let image: String
  let isMove: Bool

  /// The name of standard output as an operand.
  static let standardOutput = "-"
  var isToStandardOutput: Bool { image == Arguments.standardOutput }

  private enum Option: Sendable {
    case copyBlock, blockSize, dryRun, raw, scramble, install, qcow2, data, force, sourceOffset, targetOffset
    case progress, compare
  }

  static func usage(_ program: String) -> String {
    """
    Usage: \(program) [ -r|-Q ] [ -f ] [ -b superblock ] [ -B blocksize ] device image-file
           \(program) -I device image-file
           \(program) -ra [ -cfnp ] [ -o src_offset ] [ -O dest_offset ] src_fs [ dest_fs ]
    """
  }

  /// Scans the words of the command line.
  ///
  /// - Throws: the usage, or what does not go together.
  init(_ words: [String]) throws(Stop) {
    let program = words.first ?? "e2image"
    let usage = Stop.finished(Arguments.usage(program))
    var scanner = OptionScanner<Option>(
      words,
      options: [
        CommandOption(.copyBlock, "b", nil, .required), CommandOption(.blockSize, "B", nil, .required),
        CommandOption(.dryRun, "n"), CommandOption(.raw, "r"), CommandOption(.scramble, "s"),
        CommandOption(.install, "I"), CommandOption(.qcow2, "Q"), CommandOption(.data, "a"),
        CommandOption(.force, "f"), CommandOption(.sourceOffset, "o", nil, .required),
        CommandOption(.targetOffset, "O", nil, .required), CommandOption(.progress, "p"),
        CommandOption(.compare, "c"),
      ], style: .getopt)
    var operands: [String]?
    while operands == nil {
      let event: ScanEvent<Option>
      do throws(UsageError) {
        event = try scanner.next()
      } catch {
        throw usage
      }
      guard case .option(let option, let argument) = event else {
        if case .end(let rest) = event { operands = rest }
        continue
      }
      let number = numberAtStart(of: (argument ?? "").rawBytes)
      switch option {
      case .copyBlock: copyBlock = number == 0 ? nil : number
      case .blockSize:
        // The reference keeps 32 bits of it.
        blockSize = number & 0xFFFF_FFFF == 0 ? nil : number & 0xFFFF_FFFF
      case .raw, .qcow2:
        guard kind == .normal else { throw usage }
        kind = option == .raw ? .raw : .qcow2
      case .sourceOffset: sourceOffset = number
      case .targetOffset: targetOffset = number
      case .dryRun: isDryRun = true
      case .scramble: scrambles = true
      case .install: isInstall = true
      case .data: includesData = true
      case .force: isForced = true
      case .progress: showsProgress = true
      case .compare: compares = true
      }
    }
    let names = operands ?? []
    let hasOffset = sourceOffset != 0 || targetOffset != 0
    guard names.count == 2 || (names.count == 1 && hasOffset) else { throw usage }
    device = names[0]
    image = names[names.count - 1]
    isMove = names.count == 1
    if includesData, kind == .normal {
      throw .failure(ImageError("-a option can only be used with raw or QCOW2 images."))
    }
    if copyBlock != nil, kind == .normal {
      throw .failure(ImageError("-b option can only be used with raw or QCOW2 images."))
    }
    if hasOffset, kind != .raw { throw .failure(ImageError("Offsets are only allowed with raw images.")) }
    if isMove, !includesData { throw .failure(ImageError("Move mode requires all data mode.")) }
  }
}

/// The number at the beginning of a text as C's strtoull reads it with base 0: what follows does not matter, a text without
/// a number is 0, a minus sign wraps, and what is too large is the largest number.
func numberAtStart(of text: [UInt8]) -> UInt64 {
  var digits = text.drop { $0 == 0x20 || (0x09...0x0D).contains($0) }
  let isNegative = digits.first == UInt8(ascii: "-")
  if isNegative || digits.first == UInt8(ascii: "+") { digits = digits.dropFirst() }
  func value(_ byte: UInt8) -> UInt64 {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
    default: .max
    }
  }
  var radix: UInt64 = 10
  if digits.first == UInt8(ascii: "0") {
    radix = 8
    let rest = digits.dropFirst()
    if let letter = rest.first, letter | 0x20 == UInt8(ascii: "x"), let next = rest.dropFirst().first, value(next) < 16
    {
      radix = 16
      digits = rest.dropFirst()
    }
  }
  var number: UInt64 = 0
  for byte in digits {
    let digit = value(byte)
    guard digit < radix else { break }
    let (product, overflow) = number.multipliedReportingOverflow(by: radix)
    let (sum, carry) = product.addingReportingOverflow(digit)
    if overflow || carry { return .max }
    number = sum
  }
  return isNegative ? 0 &- number : number
}
