import Bytes
import CommandLineInterface
import Glibc
import Testing

private enum ID: Sendable { case format, output, quiet, help, backing, object, new }

private let options: [CommandOption<ID>] = [
  CommandOption(.help, "h", "help"),
  CommandOption(.format, "f", nil, .required),
  CommandOption(.format, nil, "format", .required, isAddition: true),
  CommandOption(.output, nil, "output", .required),
  CommandOption(.object, nil, "object", .required),
  CommandOption(.quiet, "q", "quiet", isAddition: true),
  CommandOption(.backing, nil, "backing-chain"),
  CommandOption(.new, nil, "hello", isAddition: true),
]

/// What a scan met, as text.
private func scan(_ words: [String], stopsAtOperand: Bool = false) -> String {
  var scanner = OptionScanner(["qemu-img"] + words, options: options, stopsAtOperand: stopsAtOperand)
  var text = ""
  do {
    while true {
      switch try scanner.next() {
      case .option(let id, let argument): text += "\(id)" + (argument.map { "=\($0)" } ?? "") + " "
      case .end(let operands): return text + "| " + operands.joined(separator: " ")
      }
    }
  } catch {
    return text + "! " + error.message
  }
}

/// getopt has one state for the whole process: one test at a time.
@Suite(.serialized) struct OptionScanners {
  @Test(
    arguments: [
      (["-q", "a", "-fraw", "b", "-f", "qcow2"], "quiet format=raw format=qcow2 | a b"),
      (["-qfraw"], "quiet format=raw | "),
      (["a", "--", "-q", "b"], "| a -q b"),
      (["--output=json", "--output", "human"], "output=json output=human | "),
      (["--back"], "backing | "),
      (["--output="], "output= | "),
      (["--foo"], "! unrecognized option '--foo'"),
      (["-x"], "! unrecognized option '-x'"),
      (["-xq"], "! unrecognized option '-x'"),
      (["-qx"], "quiet ! unrecognized option '-x'"),
      (["-f"], "! missing argument for option '-f'"),
      (["--output"], "! missing argument for option '--output'"),
      (["--backing-chain=1"], "! unrecognized option '--backing-chain=1'"),
      (["--o=x"], "! option '--o=x' is ambiguous; possibilities: '--output' '--object'"),
      // Unique before --hello and --format came.
      (["--h"], "help | "),
      (["--hell"], "new | "),
      (["--fo", "raw"], "format=raw | "),
    ] as [([String], String)])
  func words(_ words: [String], _ expected: String) { #expect(scan(words) == expected) }

  @Test func bytesThatAreNoText() {
    let name = String(rawBytes: [0x2D, 0x66, 0xFF, 0xFE])
    #expect(scan([name]) == "format=" + String(rawBytes: [0xFF, 0xFE]) + " | ")
    #expect(scan([String(rawBytes: [0x2D, 0xFF])]) == "! unrecognized option '-" + String(rawBytes: [0xFF]) + "'")
  }

  @Test func standardOptionsEndAtTheCommand() {
    #expect(scan(["-q", "create", "-q", "a"], stopsAtOperand: true) == "quiet | create -q a")
    #expect(scan(["-q", "--", "-q"], stopsAtOperand: true) == "quiet | -q")
  }
}
