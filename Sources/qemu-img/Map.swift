import ImageCore

/// `qemu-img map` (qemu-img-cli-1 §10).
enum MapCommand: Command {
  static let name = "map"
  static let synopsis =
    "[--object objectdef] [--image-opts] [-f fmt] [--start-offset=offset] [--max-length=len] [--output=ofmt] [-U] filename"

  private static let options: [CommandOption<Option>] =
    CommandOption.common + [
      CommandOption(.format, "f", "format", .required),
      .output, .forceShare, .imageOptions,
      CommandOption(.startOffset, "s", "start-offset", .required),
      CommandOption(.maxLength, "l", "max-length", .required),
    ]

  static func run(_ words: [String], _ tool: Tool) throws(Stop) -> Int32 {
    var start: UInt64 = 0
    var most: UInt64?
    let arguments = try Arguments(words, options, tool) { (option, value) throws(Stop) in
      try stopping { () throws(ImageError) in
        if option == .startOffset { start = try sizeArgument(value, name: "start offset", warn: tool.console.warn) }
        if option == .maxLength { most = try sizeArgument(value, name: "max length", warn: tool.console.warn) }
      }
    }
    let operand = try arguments.singleOperand()
    let json = try arguments.wantsJSON()
    let image = try tool.open(operand, arguments)
    var end = image.virtualSize
    if let most { end = min(end, start.saturatingAdd(most)) }

    let console = tool.console
    if json {
      // An error leaves the list open, as the reference does: nobody takes it for a whole one.
      console.print("[")
    } else {
      console.printLine(
        padded("Offset", to: 16) + padded("Length", to: 16) + padded("Mapped to", to: 16) + "File")
    }
    let printer = MapPrinter(console: console, json: json, end: end)
    var current: MapEntry?
    var position = start
    while position < end {
      var entry: MapEntry
      do throws(ImageError) {
        entry = try MapEntry(image, at: position, limit: end - position)
      } catch {
        throw .failed(ImageError("Could not read file metadata: \(errorText(error.errno))", errno: error.errno))
      }
      if !json { entry.simplify() }
      position += entry.length
      if current?.absorb(entry) != true {
        if let finished = current { try printer.print(finished) }
        current = entry
      }
    }
    if let last = current { try printer.print(last) }
    printer.finish()
    return 0
  }
}

/// A run of the disk in which everything is of one kind.
private struct MapEntry {
  var start: UInt64
  var length: UInt64
  var depth: Int
  var isData: Bool
  var isZero: Bool
  var isPresent: Bool
  var hostOffset: UInt64?
  var hostName: String?

  init(_ image: any DiskImage, at start: UInt64, limit: UInt64) throws(ImageError) {
    // Unlike a copy, the map stops at the first layer that says anything: zeros because the layer below is shorter are
    // told at this layer's depth, as not present.
    var layer = image
    depth = 0
    var extent = try layer.completedExtent(at: start, limit: limit)
    while extent.flags.isDisjoint(with: [.data, .zero]), extent.length > 0, let below = layer.backing {
      layer = below
      depth += 1
      extent = try layer.completedExtent(at: start, limit: extent.length)
    }
    self.start = start
    // An answer of no length would never end.
    length = min(max(extent.length, 1), limit)
    isData = extent.flags.contains(.data)
    isZero = extent.flags.contains(.zero)
    isPresent = extent.flags.contains(.allocated)
    hostOffset = extent.hostOffset
    hostName = extent.hostOffset == nil ? nil : extent.host?.name
  }

  /// The human form shows data only: everything else is alike.
  mutating func simplify() {
    guard !isData || isZero else { return }
    isData = false
    isZero = true
    isPresent = false
    depth = 0
    hostOffset = nil
    hostName = nil
  }

  /// Takes in a neighbour of the same kind; false when it is another kind.
  mutating func absorb(_ next: MapEntry) -> Bool {
    guard isZero == next.isZero, isData == next.isData, depth == next.depth, isPresent == next.isPresent,
      hostName == next.hostName, (hostOffset == nil) == (next.hostOffset == nil)
    else { return false }
    if let hostOffset, let following = next.hostOffset, hostOffset &+ length != following { return false }
    length += next.length
    return true
  }
}

/// Writes the entries in one of the two forms.
private struct MapPrinter {
  let console: Console
  let json: Bool
  /// Where the map ends, in bytes.
  let end: UInt64

  func print(_ entry: MapEntry) throws(Stop) {
    if json { printJSON(entry) } else { try printRow(entry) }
  }

  private func printJSON(_ entry: MapEntry) {
    var text = """
      { "start": \(entry.start), "length": \(entry.length), "depth": \(entry.depth), \
      "present": \(entry.isPresent), "zero": \(entry.isZero), "data": \(entry.isData)
      """
    if let offset = entry.hostOffset { text += ", \"offset\": \(offset)" }
    console.print(text + (entry.start + entry.length < end ? "},\n" : "}"))
  }

  private func printRow(_ entry: MapEntry) throws(Stop) {
    guard entry.isData, !entry.isZero else { return }
    guard let offset = entry.hostOffset else {
      throw .failed("File contains external, encrypted or compressed clusters.")
    }
    console.printLine(
      padded(hexadecimal(entry.start), to: 16) + padded(hexadecimal(entry.length), to: 16)
        + padded(hexadecimal(offset), to: 16) + console.shown(entry.hostName ?? ""))
  }

  func finish() {
    // An empty range has no entries (the reference shows one of length 0).
    if json { console.print("]\n") }
  }
}
