import ImageCore

/// The tool: standard options, then a command (qemu-img-cli-1 §2).
enum QemuImg {
  /// The commands, in the order in which the help lists them.
  static let commands: [any Command.Type] = [
    AmendCommand.self, BenchCommand.self, BitmapCommand.self, CheckCommand.self, CommitCommand.self,
    CompareCommand.self, ConvertCommand.self, CreateCommand.self, DDCommand.self, InfoCommand.self, MapCommand.self,
    MeasureCommand.self, RebaseCommand.self, ResizeCommand.self, SnapshotCommand.self,
  ]

  /// The first line is what scripts parse; it names the version whose behaviour this tool has.
  static let version = """
    qemu-img version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)
    Copyright (c) 2003-2022 Fabrice Bellard and the QEMU Project developers
    """

  /// Runs the command line and returns the exit status.
  static func run(_ words: [String]) -> Int32 {
    let console = Console(program: words.first ?? "qemu-img")
    console.ignoreProgressRequests()
    console.ignoreFileSizeSignal()
    let tool = Tool(console: console)
    var status: Int32
    do throws(Stop) {
      status = try dispatch(words, tool)
    } catch {
      status = report(error, console)
    }
    return console.finish(status: status)
  }

  private static func report(_ stop: Stop, _ console: Console) -> Int32 {
    switch stop {
    case .finished(let status):
      return status
    case .help:
      console.print(Help.text)
      return 0
    case .usage(let message):
      console.error(message)
      // The reference names itself here, whatever it was called as.
      console.note("Try 'qemu-img --help' for more information")
      return 1
    case .failure(let error, let status):
      console.error(error)
      return status
    }
  }

  private static func dispatch(_ words: [String], _ tool: Tool) throws(Stop) -> Int32 {
    enum Standard { case help, version, trace }
    guard words.count > 1 else { throw .usage("Not enough arguments") }
    var scanner = OptionScanner(
      words,
      options: [
        CommandOption(Standard.help, "h", "help"), CommandOption(.version, "V", "version"),
        CommandOption(.trace, "T", "trace", .required),
      ], stopsAtOperand: true)
    var traces = false
    while true {
      switch try scanner.nextEvent() {
      case .option(.help, _):
        throw .help
      case .option(.version, _):
        tool.console.printLine(version)
        return 0
      case .option(.trace, let argument):
        try Trace.apply(argument ?? "", tool.console)
        traces = true
      case .end(let operands):
        guard let name = operands.first else {
          if traces { return 0 }
          throw .usage("Not enough arguments")
        }
        guard let command = commands.first(where: { $0.name == name }) else {
          throw .usage("Command not found: \(name)")
        }
        return try command.run(operands, tool)
      }
    }
  }
}
