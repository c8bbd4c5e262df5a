import ImageCore

/// `qemu-img resize` (qemu-img-cli-1 §15).
enum ResizeCommand: Command {
  static let name = "resize"
  static let synopsis =
    "[--object objectdef] [--image-opts] [-f fmt] [--preallocation=prealloc] [-q] [--shrink] filename [+ | -]size"

  private static let options: [CommandOption<Option>] =
    CommandOption.common + [
      CommandOption(.format, "f", "format", .required, isAddition: true),
      CommandOption(.preallocation, nil, "preallocation", .required),
      CommandOption(.shrink, nil, "shrink"),
      CommandOption(.quiet, "q", "quiet", isAddition: true),
      .imageOptions,
    ]

  static func run(_ words: [String], _ tool: Tool) throws(Stop) -> Int32 {
    if let last = words.last, ["-h", "--help"].contains(last) { throw .help }
    guard words.count > 2 else { throw .usage("Not enough arguments") }
    let (arguments, file, sizeText) = try operands(words, tool)
    let size = try stopping { () throws(ImageError) in try SizeChange(sizeText, tool.console) }
    let preallocation = arguments.value(.preallocation).flatMap(Preallocation.init) ?? .off

    let image = try tool.open(file, arguments) { $0.use = .resize }
    let current = image.virtualSize
    let target = try stopping { () throws(ImageError) in try size.applied(to: current) }
    if target <= current, preallocation != .off {
      throw .failed("Preallocation can only be used for growing images")
    }
    if target < current, !arguments.has(.shrink) {
      tool.console.error("Use the --shrink option to perform a shrink operation.")
      tool.console.warn(
        "Shrinking an image will delete all data beyond the shrunken image's end. "
          + "Before performing such an operation, make sure there is no important data there.")
      return 1
    }
    try stopping { () throws(ImageError) in
      guard let image = image as? any WritableDiskImage else {
        throw ImageError("Image format driver does not support resize", errno: 95 /* ENOTSUP */)
      }
      try image.resize(to: target, preallocation: preallocation)
      try image.close()
    }
    if !arguments.has(.quiet) { tool.console.printLine("Image resized.") }
    return 0
  }

  /// The file and the size. The last word is the size, whatever it looks like; if that leaves no file, options may stand
  /// anywhere, and a size below zero follows the file.
  private static func operands(_ words: [String], _ tool: Tool) throws(Stop) -> (Arguments, String, String) {
    func parse(_ words: [String]) throws(Stop) -> Arguments {
      try Arguments(words, options, tool) { (option, value) throws(Stop) in
        if option == .preallocation, Preallocation(rawValue: value) == nil {
          throw .failed("Invalid preallocation mode '\(value)'")
        }
      }
    }
    let natural = try parse(words.dropLast())
    if let file = natural.operands.first, natural.operands.count == 1 { return (natural, file, words[words.count - 1]) }
    // A relative size such as -1M would be taken for options.
    var rest = words
    let negative = rest.lastIndex { word in
      word.utf8.first == UInt8(ascii: "-") && word.utf8.dropFirst().first.map { 0x30...0x39 ~= $0 } == true
    }
    let size = negative.map { rest.remove(at: $0) }
    let free = try parse(rest)
    let words = free.operands + (size.map { [$0] } ?? [])
    guard words.count == 2 else { throw .usage("Expecting image file name and size") }
    return (free, words[0], words[1])
  }
}

/// A new size, or how much is added or taken away.
private struct SizeChange {
  private enum Sign { case none, plus, minus }

  private let sign: Sign
  private let bytes: UInt64
  private let text: String

  /// Reads `[+|-]SIZE`.
  init(_ text: String, _ console: Console) throws(ImageError) {
    sign =
      switch text.utf8.first {
      case UInt8(ascii: "+"): .plus
      case UInt8(ascii: "-"): .minus
      default: .none
      }
    self.text = sign == .none ? text : String(rawBytes: text.rawBytes.dropFirst())
    let value = try optionValue(self.text, for: OptionDefinition("size", .size, ""), warn: console.warn)
    guard case .number(let number) = value.parsed else { throw ImageError("Parameter 'size' expects a number") }
    bytes = number
  }

  /// The new size in bytes.
  func applied(to current: UInt64) throws(ImageError) -> UInt64 {
    let (size, overflow): (UInt64, Bool) =
      switch sign {
      case .none: (bytes, false)
      case .plus: current.addingReportingOverflow(bytes)
      case .minus: (current > bytes ? current - bytes : 0, false)
      }
    if overflow || size > UInt64(Int64.max) {
      throw ImageError("Value '\(text)' is out of range for parameter 'size'", errno: 34)
    }
    guard size > 0 else { throw ImageError("New image size must be positive") }
    return size
  }
}
