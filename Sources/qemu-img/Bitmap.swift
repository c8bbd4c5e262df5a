import ImageCore

/// `qemu-img bitmap` (qemu-img-cli-2 §6).
enum BitmapCommand: Command {
  static let name = "bitmap"
  static let synopsis =
    "(--merge SOURCE | --add | --remove | --clear | --enable | --disable)... [-b source_file [-F source_fmt]] "
    + "[-g granularity] [--object objectdef] [--image-opts | -f fmt] filename bitmap"

  private static let options: [CommandOption<Option>] =
    CommandOption.common + [
      CommandOption(.addBitmap, nil, "add"),
      CommandOption(.removeBitmap, nil, "remove"),
      CommandOption(.clearBitmap, nil, "clear"),
      CommandOption(.enableBitmap, nil, "enable"),
      CommandOption(.disableBitmap, nil, "disable"),
      CommandOption(.mergeBitmap, nil, "merge", .required),
      CommandOption(.mergeFile, "b", "source-file", .required),
      CommandOption(.secondFormat, "F", "source-format", .required),
      CommandOption(.format, "f", "format", .required, isAddition: true),
      CommandOption(.granularity, "g", "granularity", .required),
      .imageOptions,
    ]

  /// What is done, in the order of the command line.
  private enum Action {
    case add, remove, clear, enable, disable
    case merge(String)

    init?(_ option: Option, _ value: String) {
      switch option {
      case .addBitmap: self = .add
      case .removeBitmap: self = .remove
      case .clearBitmap: self = .clear
      case .enableBitmap: self = .enable
      case .disableBitmap: self = .disable
      case .mergeBitmap: self = .merge(value)
      default: return nil
      }
    }

    /// The word in messages.
    var name: String {
      switch self {
      case .add: "add"
      case .remove: "remove"
      case .clear: "clear"
      case .enable: "enable"
      case .disable: "disable"
      case .merge: "merge"
      }
    }
  }

  static func run(_ words: [String], _ tool: Tool) throws(Stop) -> Int32 {
    var actions: [Action] = []
    var granularity: UInt64 = 0
    let arguments = try Arguments(words, options, tool) { (option, value) throws(Stop) in
      if let action = Action(option, value) { actions.append(action) }
      if option == .granularity {
        granularity = try stopping { () throws(ImageError) in
          try sizeArgument(value, name: "granularity", warn: tool.console.warn)
        }
      }
    }
    try check(arguments, actions)
    let (file, name) = (arguments.operands[0], arguments.operands[1])
    let image = try tool.open(file, arguments) { options in
      options.use = .write
      options.opensBacking = false
    }
    let source = try source(arguments, tool)
    for action in actions {
      do throws(ImageError) {
        try run(action, on: name, granularity, image, source)
      } catch {
        throw .failed(error.prefixed("Operation \(action.name) on bitmap \(name) failed: "))
      }
    }
    // Only now anything is stored: all actions, or none.
    do throws(ImageError) {
      try (image as? any WritableDiskImage)?.close()
    } catch {
      throw .failed(error.prefixed("Error while closing the image: "))
    }
    return 0
  }

  private static func check(_ arguments: Arguments, _ actions: [Action]) throws(Stop) {
    guard !actions.isEmpty else {
      throw .failed("Need at least one of --add, --remove, --clear, --enable, --disable, or --merge")
    }
    if arguments.has(.granularity), !arguments.has(.addBitmap) {
      throw .failed("granularity only supported with --add")
    }
    if arguments.has(.secondFormat), !arguments.has(.mergeFile) { throw .failed("-F only supported with -b") }
    if arguments.has(.mergeFile), !arguments.has(.mergeBitmap) {
      throw .failed("Merge bitmap source file only supported with --merge")
    }
    guard arguments.operands.count == 2 else { throw .failed("Expecting filename and bitmap name") }
  }

  /// The image that `-b` names, whose bitmaps are merged.
  private static func source(_ arguments: Arguments, _ tool: Tool) throws(Stop) -> (any DiskImage)? {
    guard let file = arguments.value(.mergeFile) else { return nil }
    var options = OpenOptions()
    options.format = arguments.value(.secondFormat)
    options.opensBacking = false
    return try stopping { () throws(ImageError) in try tool.opener.open(file, options) }
  }

  private static func run(
    _ action: Action, on name: String, _ granularity: UInt64, _ image: any DiskImage, _ source: (any DiskImage)?
  ) throws(ImageError) {
    if case .add = action {
      guard !name.isEmpty else { throw ImageError("Bitmap name cannot be empty") }
      guard granularity == 0 || (granularity.nonzeroBitCount == 1 && 512...(1 << 31) ~= granularity) else {
        throw ImageError("Granularity must be power of 2 and at least 512")
      }
    }
    guard let image = image as? any EditableBitmapImage else {
      if case .add = action {
        throw ImageError(
          "Can't store persistent bitmaps to #block101: Operation not supported", errno: 95 /* ENOTSUP */)
      }
      throw .missingBitmap(name)
    }
    switch action {
    case .add: try image.editBitmap(name, .add(granularity: granularity == 0 ? nil : granularity))
    case .remove: try image.editBitmap(name, .remove)
    case .clear: try image.editBitmap(name, .clear)
    case .enable: try image.editBitmap(name, .enable)
    case .disable: try image.editBitmap(name, .disable)
    case .merge(let other):
      // The target is looked for first, and what is merged into itself stays as it is.
      let nothing = BitmapContents(granularity: 1, diskSize: image.virtualSize, bits: [])
      try image.editBitmap(name, .merge(nothing))
      if source == nil && other == name { return }
      try image.editBitmap(name, .merge(contents(of: other, in: source ?? image)))
    }
  }

  private static func contents(of name: String, in image: any DiskImage) throws(ImageError) -> BitmapContents {
    guard let image = image as? any BitmapImage, let index = image.bitmaps.firstIndex(where: { $0.name == name }) else {
      throw .missingBitmap(name)
    }
    let bitmap = image.bitmaps[index]
    if bitmap.isInconsistent { throw .inconsistentBitmap(name) }
    return BitmapContents(
      granularity: bitmap.granularity, diskSize: image.virtualSize, bits: try image.readBitmap(index))
  }
}
