import ImageCore

/// `qemu-img amend` (qemu-img-cli-2 §4).
enum AmendCommand: Command {
  static let name = "amend"
  static let synopsis =
    "[--object objectdef] [--image-opts] [-p] [-q] [-f fmt] [-t cache] [--force] -o options filename"

  private static let options: [CommandOption<Option>] =
    CommandOption.common + [
      CommandOption(.options, "o", "options", .required, isAddition: true),
      CommandOption(.format, "f", "format", .required, isAddition: true),
      CommandOption(.cache, "t", "cache", .required, isAddition: true),
      CommandOption(.progress, "p", "progress", isAddition: true),
      CommandOption(.quiet, "q", "quiet", isAddition: true),
      // Concerns keys of encrypted images alone.
      CommandOption(.force, nil, "force"),
      .imageOptions,
    ]

  static func run(_ words: [String], _ tool: Tool) throws(Stop) -> Int32 {
    let arguments = try Arguments(words, options, tool)
    let given = arguments.creationOptions
    guard given.text != nil else { throw .usage("Must specify options (-o)") }
    if given.asksForHelp, let name = arguments.value(.format) {
      guard tool.isKnownFormat(name) else { throw .failed("Unknown file format '\(name)'") }
      return try printHelp(name, tool)
    }
    let quiet = arguments.has(.quiet)
    let progress = Progress(tool.console, isShown: arguments.has(.progress) && !quiet, step: 1)
    do throws(Stop) {
      try amend(arguments, progress, tool)
    } catch {
      progress.end()
      throw error
    }
    progress.end()
    return 0
  }

  private static func amend(_ arguments: Arguments, _ progress: Progress, _ tool: Tool) throws(Stop) {
    guard arguments.operands.count == 1 else { throw .failed("Expecting one image file name") }
    let cache = try arguments.cacheMode(.cache, message: "Invalid cache option")
    let image = try tool.open(arguments.operands[0], arguments) { options in
      options.use = .write
      options.cache = cache
    }
    if arguments.creationOptions.asksForHelp {
      _ = try printHelp(image.format, tool)
      return
    }
    try stopping { () throws(ImageError) in
      guard let format = tool.opener.format(image.format) as? any AmendableFormat.Type,
        let image = image as? any AmendableImage
      else { throw refusal(image.format) }
      let options = try read(arguments.creationOptions, format, tool)
      progress.report(percent: 0)
      // All of it is done only when the image is closed.
      try image.amend(options) { share in if share < 1 { progress.report(percent: share * 100) } }
      try image.close()
    }
    progress.report(percent: 100)
  }

  private static func refusal(_ format: String) -> ImageError {
    ImageError("Format driver '\(format)' does not support option amendment", errno: 95 /* ENOTSUP */)
  }

  private static func printHelp(_ name: String, _ tool: Tool) throws(Stop) -> Int32 {
    guard let format = tool.opener.format(name) as? any AmendableFormat.Type else { throw .failed(refusal(name)) }
    tool.console.printLine("Amend options for '\(name)':")
    for line in optionHelpLines(format.amendOptions) { tool.console.printLine(line) }
    return 0
  }

  /// The options' values. Those of a new image that cannot be changed later are pointed out.
  private static func read(
    _ given: OptionString, _ format: any AmendableFormat.Type, _ tool: Tool
  ) throws(ImageError) -> OptionValues {
    var values = OptionValues(format.amendOptions)
    do throws(ImageError) {
      try given.apply(to: &values, warn: tool.console.warn)
    } catch {
      var error = error
      if let format = tool.opener.format(format.name) as? any CreatableFormat.Type {
        var creation = OptionValues(format.creationOptions)
        if (try? given.apply(to: &creation, warn: { _ in })) != nil {
          error.hint = "This option is only supported for image creation"
        }
      }
      throw error
    }
    return values
  }
}
