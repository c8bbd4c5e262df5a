import ImageCore

/// `qemu-img create` (qemu-img-cli-1 §7).
enum CreateCommand: Command {
  static let name = "create"
  static let synopsis =
    "[--object objectdef] [-q] [-f fmt] [-b backing_file [-F backing_fmt]] [-u] [-o options] filename [size]"

  private static let options: [CommandOption<Option>] =
    CommandOption.common + [
      CommandOption(.format, "f", "format", .required, isAddition: true),
      CommandOption(.backing, "b", "backing", .required, isAddition: true),
      CommandOption(.backingFormat, "F", nil, .required),
      CommandOption(.backingFormat, "B", "backing-format", .required, isAddition: true),
      CommandOption(.unsafeBacking, "u", "backing-unsafe", isAddition: true),
      CommandOption(.options, "o", "options", .required, isAddition: true),
      CommandOption(.quiet, "q", "quiet", isAddition: true),
    ]

  static func run(_ words: [String], _ tool: Tool) throws(Stop) -> Int32 {
    let arguments = try Arguments(words, options, tool)
    let format = arguments.value(.format) ?? "raw"
    if arguments.creationOptions.asksForHelp {
      try CreationOptions.printHelp(format: format, file: arguments.operands.first, tool)
      return 0
    }
    guard let file = arguments.operands.first else { throw .usage("Expecting image file name") }
    var size: UInt64?
    if arguments.operands.count > 1 {
      size = try stopping { () throws(ImageError) in
        try sizeArgument(arguments.operands[1], name: "image size", warn: tool.console.warn)
      }
    }
    if arguments.operands.count > 2 { throw .usage("Unexpected argument: \(arguments.operands[2])") }
    do throws(ImageError) {
      try create(file, format, size, arguments, tool)
      return 0
    } catch {
      throw .failed(error.prefixed("\(file): "))
    }
  }

  private static func create(
    _ file: String, _ formatName: String, _ size: UInt64?, _ arguments: Arguments, _ tool: Tool
  ) throws(ImageError) {
    // The order of the reference's checks: format, protocol, creation.
    let format: any CreatableFormat.Type
    do throws(ImageError) {
      format = try tool.creatableFormat(formatName)
    } catch {
      if tool.isKnownFormat(formatName) { _ = try CreationOptions.definitions(RawFormat.self, file: file) }
      throw error
    }
    var options = OptionValues(try CreationOptions.definitions(format, file: file))
    try arguments.creationOptions.apply(to: &options, warn: tool.console.warn)
    if let size {
      guard options["size"] == nil else { throw ImageError("The image size must be specified only once") }
      options.set("size", number: size)
    }
    try setBacking(file, formatName, arguments, &options)
    let backingSize = try checkBacking(file, arguments, options, tool)
    guard let size = options.number("size") ?? backingSize else {
      throw ImageError("Image creation needs a size parameter")
    }
    guard size <= UInt64(Int64.max) else {
      throw ImageError("Value '\(options.text("size") ?? "")' is out of range for parameter 'size'", errno: 34)
    }
    if options["size"] == nil { options.set("size", number: size) }
    if !arguments.has(.quiet) {
      tool.console.printLine(formattingLine(file: file, format: formatName, options: options))
      tool.console.flush()
    }
    try make(format, formatName, file, options, tool)
  }

  /// `-b` and `-F` are options of the format like any other.
  private static func setBacking(
    _ file: String, _ formatName: String, _ arguments: Arguments, _ options: inout OptionValues
  ) throws(ImageError) {
    if let backing = arguments.value(.backing) {
      guard options.definition("backing_file") != nil else {
        throw ImageError("Backing file not supported for file format '\(formatName)'")
      }
      options.set("backing_file", text: backing)
    }
    if let backingFormat = arguments.value(.backingFormat) {
      guard options.definition("backing_fmt") != nil else {
        throw ImageError("Backing file format not supported for file format '\(formatName)'")
      }
      options.set("backing_fmt", text: backingFormat)
    }
    guard let backing = options["backing_file"]?.text else { return }
    if backing.utf8.elementsEqual(file.utf8) {
      throw ImageError("Error: Trying to create an image with the same filename as the backing file")
    }
    if backing.isEmpty { throw ImageError("Expected backing file name, got empty string") }
  }

  /// Opens the backing file, unless `-u` says not to, and returns its size if it is needed.
  private static func checkBacking(
    _ file: String, _ arguments: Arguments, _ options: OptionValues, _ tool: Tool
  ) throws(ImageError) -> UInt64? {
    guard let backing = options["backing_file"]?.text else { return nil }
    let format = options["backing_fmt"]?.text
    var image: (any DiskImage)?
    if !arguments.has(.unsafeBacking) {
      var open = OpenOptions()
      open.format = format
      // Nothing is read but headers; all layers must be there, though.
      open.use = .inspect
      open.opensBacking = true
      open.forceShare = true
      do throws(ImageError) {
        image = try tool.opener.openWithoutPrefix(ImageName.resolve(backing, relativeTo: file), open)
      } catch {
        var error = error
        error.hint = (error.hint.map { $0 + "\n" } ?? "") + "Could not open backing image."
        throw error
      }
    }
    guard format != nil else {
      throw ImageError(
        "Backing file specified without backing format", hint: image.map { "Detected format of \($0.format)." })
    }
    return image?.virtualSize
  }

  /// Makes the image. Too large is too large for the format, whoever says so.
  private static func make(
    _ format: any CreatableFormat.Type, _ formatName: String, _ file: String, _ options: OptionValues, _ tool: Tool
  ) throws(ImageError) {
    do throws(ImageError) {
      try format.create(file, options, warn: tool.console.warn)
    } catch {
      guard error.errno == 27 /* EFBIG */ else { throw error }
      let hint = options.definition("cluster_size") == nil ? "" : " (try using a larger cluster size)"
      throw ImageError("The image size is too large for file format '\(formatName)'\(hint)", errno: error.errno)
    }
  }
}
