import ImageCore

/// `qemu-img measure` (qemu-img-cli-1 §13).
enum MeasureCommand: Command {
  static let name = "measure"
  static let synopsis =
    "[--output=ofmt] [-O output_fmt] [-o options] [--size N | [--object objectdef] [--image-opts] [-f fmt] [-l snapshot_param] filename]"

  private static let options: [CommandOption<Option>] =
    CommandOption.common + [
      CommandOption(.format, "f", "format", .required, isAddition: true),
      CommandOption(.format, nil, "source-format", .required, isAddition: true),
      CommandOption(.targetFormat, "O", "target-format", .required, isAddition: true),
      CommandOption(.options, "o", "options", .required, isAddition: true),
      CommandOption(.options, nil, "target-format-options", .required, isAddition: true),
      CommandOption(.snapshot, "l", "snapshot", .required, isAddition: true),
      CommandOption(.size, nil, "size", .required),
      CommandOption(.size, "s", nil, .required),
      CommandOption(.imageOptions, nil, "source-image-opts", isAddition: true),
      .output, .forceShare, .imageOptions,
    ]

  static func run(_ words: [String], _ tool: Tool) throws(Stop) -> Int32 {
    let console = tool.console
    var size: UInt64?
    var snapshot: SnapshotChoice?
    var json = false
    let arguments = try Arguments(words, options, tool) { (option, value) throws(Stop) in
      switch option {
      case .size:
        size = try stopping { () throws(ImageError) in
          try sizeArgument(value, name: "image size", warn: console.warn)
        }
      case .snapshot:
        let choice = try SnapshotChoice(value, console)
        if choice.replaces(snapshot) { snapshot = choice }
      case .output:
        guard value == "human" || value == "json" else {
          throw .failed("--output must be used with human or json as argument.")
        }
        json = value == "json"
      default: break
      }
    }
    let format = arguments.value(.targetFormat) ?? "raw"
    if arguments.creationOptions.asksForHelp {
      try CreationOptions.printHelp(format: format, file: nil, tool)
      return 0
    }
    let source = try source(arguments, size, snapshot, tool)
    let measure = try measure(format, arguments, size: size ?? source?.virtualSize ?? 0, source, tool)
    if json {
      var members: [DataTree.Member] = [
        ("required", .number(measure.required)), ("fully-allocated", .number(measure.fullyAllocated)),
      ]
      if let bitmaps = measure.bitmaps { members.append(("bitmaps", .number(bitmaps))) }
      console.printLine(DataTree.object(members).prettyJSON())
    } else {
      console.printLine("required size: \(measure.required)")
      console.printLine("fully allocated size: \(measure.fullyAllocated)")
      if let bitmaps = measure.bitmaps { console.printLine("bitmaps size: \(bitmaps)") }
    }
    return 0
  }

  /// The image that is measured, if one is named.
  private static func source(
    _ arguments: Arguments, _ size: UInt64?, _ snapshot: SnapshotChoice?, _ tool: Tool
  ) throws(Stop) -> (any DiskImage)? {
    guard arguments.operands.count <= 1 else { throw .failed("At most one filename argument is allowed.") }
    guard let operand = arguments.operands.first else {
      if arguments.has(.imageOptions) || arguments.has(.format) || snapshot != nil {
        throw .failed("--image-opts, -f, and -l require a filename argument.")
      }
      if size == nil { throw .failed("Either --size N or one filename must be specified.") }
      return nil
    }
    if size != nil { throw .failed("--size N cannot be used together with a filename.") }
    let image = try tool.open(operand, arguments)
    return try snapshot?.open(image) ?? image
  }

  private static func measure(
    _ formatName: String, _ arguments: Arguments, size: UInt64, _ source: (any DiskImage)?, _ tool: Tool
  ) throws(Stop) -> ImageMeasure {
    let format = try stopping { () throws(ImageError) in try tool.creatableFormat(formatName) }
    var options = OptionValues(format.creationOptions + fileCreationOptions)
    do throws(ImageError) {
      try arguments.creationOptions.apply(to: &options, warn: tool.console.warn)
    } catch {
      tool.console.error(error)
      throw .failed("Invalid options for file format '\(formatName)'")
    }
    if options["size"] != nil {
      tool.console.warn("option 'size' is ignored: the size comes from \(source == nil ? "--size" : "the image")")
    }
    return try stopping { () throws(ImageError) in
      guard let format = format as? any MeasurableFormat.Type else {
        throw ImageError("Block driver '\(formatName)' does not support size measurement", errno: 95)
      }
      guard let rounded = size.roundedUp(to: 512) else { throw ImageError("The image size is too large", errno: 27) }
      return try format.measure(options, size: rounded, source: source)
    }
  }
}
