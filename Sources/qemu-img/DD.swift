import ImageCore

/// `qemu-img dd`: copies a range of an image into a new one (qemu-img-cli-1 §14).
enum DDCommand: Command {
  static let name = "dd"
  static let synopsis =
    "[--image-opts] [-U] [-f fmt] [-O output_fmt] [bs=block_size] [count=blocks] [skip=blocks] if=input of=output"

  private static let options: [CommandOption<Option>] =
    CommandOption.common + [
      CommandOption(.format, "f", "format", .required, isAddition: true),
      CommandOption(.targetFormat, "O", "output-format", .required, isAddition: true),
      .forceShare, .imageOptions,
    ]

  /// The operands, NAME=VALUE in any order; the last of a name wins.
  private struct Operands {
    var blockSize: UInt64 = 512
    var count: UInt64?
    var skip: UInt64 = 0
    var input: String?
    var output: String?

    init(_ words: [String], _ console: Console) throws(Stop) {
      for word in words {
        guard let sign = word.utf8.firstIndex(of: UInt8(ascii: "=")) else {
          throw .failed("unrecognized operand \(word)")
        }
        let name = String(word[..<sign])
        let value = String(word[word.utf8.index(after: sign)...])
        func number(_ range: ClosedRange<UInt64> = 0...UInt64(Int64.max)) throws(Stop) -> UInt64 {
          try stopping { () throws(ImageError) in try sizeArgument(value, name: name, in: range, warn: console.warn) }
        }
        switch name {
        case "bs": blockSize = try number(1...UInt64(Int32.max))
        case "count": count = try number()
        case "skip": skip = try number()
        case "if": input = value
        case "of": output = value
        default: throw .failed("unrecognized operand \(name)")
        }
      }
    }
  }

  static func run(_ words: [String], _ tool: Tool) throws(Stop) -> Int32 {
    let arguments = try Arguments(words, options, tool)
    let operands = try Operands(arguments.operands, tool.console)
    guard let input = operands.input, let output = operands.output else {
      throw .failed("Must specify both input and output files")
    }
    let source = try tool.open(input, arguments)
    let name = arguments.value(.targetFormat) ?? "raw"
    guard tool.isKnownFormat(name) else { throw .failed("Unknown file format") }
    try stopping { () throws(ImageError) in
      let holderOptions = try CreationOptions.protocolDefinitions(output)
      let format = try tool.creatableFormat(name)
      // What is copied is `count` blocks behind the `skip` first ones (D-1: the reference counts from the beginning).
      let size = source.virtualSize
      let (start, overflow) = operands.skip.multipliedReportingOverflow(by: operands.blockSize)
      let isBeyond = overflow || start > size
      var length = isBeyond ? 0 : size - start
      if let count = operands.count {
        let (wanted, overflow) = count.multipliedReportingOverflow(by: operands.blockSize)
        if !overflow { length = min(length, wanted) }
      }
      try refuse(output, as: name, source)
      do throws(ImageError) {
        var values = OptionValues(format.creationOptions + holderOptions)
        values.set("size", number: length)
        try format.create(output, values, warn: tool.console.warn)
      } catch {
        throw error.prefixed("\(output): error while creating output image: ")
      }
      if isBeyond { tool.console.error("\(input): cannot skip to specified offset") }
      try copy(source, from: isBeyond ? 0 : start, length: length, to: output, format: name, tool)
    }
    return 0
  }

  /// An output that is one of the input's files would be emptied before it is read (D-2).
  private static func refuse(_ output: String, as format: String, _ source: any DiskImage) throws(ImageError) {
    guard let identity = FileStorage.identity(of: ImageName.localPath(output)) else { return }
    for layer in source.layers where shareBytes(layer.storage.identity, identity) {
      throw ImageError(
        "\(output): error while creating output image: Failed to get \"write\" lock",
        hint: "Is another process using the image [\(output)]?")
    }
  }

  /// Everything is written, zeros too, so that the output is fully allocated, as the reference leaves it.
  private static func copy(
    _ source: any DiskImage, from start: UInt64, length: UInt64, to output: String, format: String, _ tool: Tool
  ) throws(ImageError) {
    var how = OpenOptions()
    how.format = format
    how.use = .write
    guard let target = try tool.opener.open(output, how) as? any WritableDiskImage else {
      throw ImageError("Block node is read-only", errno: 30 /* EROFS */)
    }
    let sink = DiskImageSink(
      target, DiskImageSink.Rule(sparse: SparseRule(bytes: 0), targetIsZero: false))
    var engine = CopyEngine(bufferSize: 2 << 20)
    engine.readFailure = { error, _ in error.prefixed(OffsetSource.marker) }
    do throws(ImageError) {
      try engine.run(
        WholeRange(min(length.roundedUp(to: 512) ?? length, target.virtualSize), segmentSize: 2 << 20),
        from: OffsetSource(source, start: start, length: length), to: sink)
      try target.close()
    } catch {
      guard error.message.hasPrefix(OffsetSource.marker) else {
        throw ImageError(
          "error while writing to output image file: \(errorText(error.errno))", errno: error.errno)
      }
      throw ImageError(
        "error while reading from input image file: \(errorText(error.errno))", errno: error.errno)
    }
  }
}

/// Everything from the beginning to a length, as data.
private final class WholeRange: Selection {
  private var offset: UInt64 = 0
  private let length: UInt64
  private let segmentSize: UInt64

  init(_ length: UInt64, segmentSize: Int) {
    self.length = length
    self.segmentSize = UInt64(segmentSize)
  }

  func next() -> Segment? {
    guard offset < length else { return nil }
    let start = offset
    offset = min(length, start + segmentSize)
    return Segment(offset: start, length: offset - start, kind: .data)
  }
}

/// A part of a disk; what lies behind its end is zeros.
private final class OffsetSource: CopySource {
  /// Marks an error of reading, so that it can be told from one of writing.
  static let marker = "reading: "
  private let image: any DiskImage
  private let start: UInt64
  private let length: UInt64

  init(_ image: any DiskImage, start: UInt64, length: UInt64) {
    self.image = image
    self.start = start
    self.length = length
  }

  func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    let count = offset < length ? Int(min(UInt64(buffer.byteCount), length - offset)) : 0
    buffer.fill(count..<buffer.byteCount)
    var part = buffer.slice(0..<count)
    try image.read(into: &part, at: start + offset)
  }
}
