import ImageCore

/// `qemu-img bench` (qemu-img-cli-2 §5).
enum BenchCommand: Command {
  static let name = "bench"
  static let synopsis =
    "[-c count] [-d depth] [-f fmt] [--flush-interval=flush_interval] [-i aio] [-n] [--no-drain] [-o offset] [--pattern=pattern] [-q] [-s buffer_size] [-S step_size] [-t cache] [-w] [-U] filename"

  private static let options: [CommandOption<Option>] = [
    CommandOption(.help, "h", "help"),
    CommandOption(.object, nil, "object", .required, isAddition: true),
    CommandOption(.count, "c", "count", .required, isAddition: true),
    CommandOption(.depth, "d", "depth", .required, isAddition: true),
    CommandOption(.format, "f", "format", .required, isAddition: true),
    CommandOption(.flushInterval, nil, "flush-interval", .required),
    CommandOption(.asynchronousIO, "i", "aio", .required, isAddition: true),
    CommandOption(.nativeIO, "n", "native", isAddition: true),
    CommandOption(.noDrain, nil, "no-drain"),
    CommandOption(.offset, "o", "offset", .required, isAddition: true),
    CommandOption(.pattern, nil, "pattern", .required),
    CommandOption(.quiet, "q", "quiet", isAddition: true),
    CommandOption(.bufferSize, "s", "buffer-size", .required, isAddition: true),
    CommandOption(.stepSize, "S", "step-size", .required, isAddition: true),
    CommandOption(.cache, "t", "cache", .required, isAddition: true),
    CommandOption(.write, "w", "write", isAddition: true),
    .forceShare, .imageOptions,
  ]

  static func run(_ words: [String], _ tool: Tool) throws(Stop) -> Int32 {
    var settings = Settings()
    let arguments = try Arguments(words, options, tool) { (option, value) throws(Stop) in
      try settings.take(option, value, tool)
    }
    let operand = try arguments.singleOperand()
    var benchmark = settings.benchmark
    let isWriting = arguments.has(.write)
    benchmark.kind = isWriting ? .write(settings.pattern) : .read
    benchmark.drains = !arguments.has(.noDrain)
    if benchmark.flushInterval > 0 {
      guard isWriting else { throw .failed("--flush-interval is only available in write tests") }
      guard benchmark.flushInterval >= benchmark.depth else {
        throw .failed("Flush interval can't be smaller than depth")
      }
    }
    try settings.refuseNothing()
    let image = try open(operand, arguments, settings, tool)
    if benchmark.step == 0 { benchmark.step = UInt64(benchmark.size) }
    tool.console.printLine(
      "Sending \(benchmark.count) \(isWriting ? "write" : "read") requests, \(benchmark.size) bytes each, "
        + "\(benchmark.depth) in parallel (starting at offset \(benchmark.offset), step size \(benchmark.step))")
    if benchmark.flushInterval > 0 {
      tool.console.printLine("Sending flush every \(benchmark.flushInterval) requests")
    }
    let start = monotonicNanoseconds()
    do throws(RequestBenchmark.Failure) {
      try benchmark.run(on: image)
    } catch {
      switch error {
      case .request(let cause):
        throw .failed(ImageError("Failed request: \(errorText(cause.errno))", errno: cause.errno))
      case .flush(let cause):
        throw .failed(ImageError("Failed flush request: \(errorText(cause.errno))", errno: cause.errno))
      }
    }
    let milliseconds = (monotonicNanoseconds() - start + 500_000) / 1_000_000
    tool.console.printLine(
      "Run completed in \(milliseconds / 1000).\(zeroPadded(milliseconds % 1000, to: 3)) seconds.")
    if isWriting, let image = image as? any WritableDiskImage {
      try stopping { () throws(ImageError) in
        do throws(ImageError) { try image.close() } catch { throw error.prefixed("Error while closing the image: ") }
      }
    }
    return 0
  }

  private static func open(_ operand: String, _ arguments: Arguments, _ settings: Settings, _ tool: Tool) throws(Stop)
    -> any DiskImage
  {
    let image = try tool.open(operand, arguments) { options in
      options.cache = settings.cache
      if arguments.has(.write) { options.use = .write }
    }
    // Requests are carried out by threads in any case; what was asked for has to be possible all the same.
    if settings.isNative, !settings.cache.isDirect {
      throw .failed(
        "Could not open '\(operand)': aio=native was specified, but it requires cache.direct=on, which was not "
          + "specified.")
    }
    return image
  }
}

/// What the options of a benchmark say; each is read as soon as it is met.
private struct Settings {
  var benchmark = RequestBenchmark()
  var pattern: UInt8 = 0
  var cache = CacheMode.writeback
  var isNative = false

  init() { benchmark.step = 0 }

  mutating func take(_ option: Option, _ value: String, _ tool: Tool) throws(Stop) {
    func number(_ what: String, below limit: UInt64 = 1 << 31) throws(Stop) -> UInt64 {
      guard case .success(let number) = parseInteger(value.rawBytes), number < limit else {
        throw .failed("Invalid \(what) specified")
      }
      return number
    }
    func size(_ what: String, _ limit: UInt64) throws(Stop) -> UInt64 {
      try stopping { () throws(ImageError) in
        try sizeArgument(value, name: what, in: 0...limit, warn: tool.console.warn)
      }
    }
    switch option {
    case .count: benchmark.count = try number("request count")
    case .depth: benchmark.depth = try number("queue depth")
    case .flushInterval: benchmark.flushInterval = try number("flush interval")
    case .pattern: pattern = UInt8(truncatingIfNeeded: try number("pattern byte", below: 256))
    case .offset: benchmark.offset = try size("offset", UInt64(Int64.max))
    case .bufferSize: benchmark.size = Int(try size("buffer size", UInt64(Int32.max)))
    case .stepSize: benchmark.step = try size("step_size", UInt64(Int32.max))
    case .nativeIO: isNative = true
    case .asynchronousIO:
      guard ["threads", "native", "io_uring"].contains(value) else { throw .failed("Invalid aio option: \(value)") }
      isNative = value == "native"
    case .cache:
      guard let mode = CacheMode(value) else { throw .failed("Invalid cache mode") }
      cache = mode
    default: break
    }
  }

  /// Nothing to do is no benchmark; buffers for all requests under way must fit into memory.
  func refuseNothing() throws(Stop) {
    for (value, what) in [
      (benchmark.count, "request count"), (benchmark.depth, "queue depth"), (UInt64(benchmark.size), "buffer size"),
    ] where value == 0 {
      throw .failed("Invalid \(what) specified. Must be between 1 and 2147483647.")
    }
    let memory = min(benchmark.depth, 64) * UInt64(benchmark.size)
    guard memory <= 4 << 30 else {
      throw .failed("Cannot allocate memory for \(benchmark.depth) requests of \(benchmark.size) bytes")
    }
  }
}
