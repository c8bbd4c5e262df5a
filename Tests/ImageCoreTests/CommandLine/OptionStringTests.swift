import Bytes
import CommandLineInterface
import Testing

private let table = [
  OptionDefinition("lazy_refcounts", .boolean, "Postpone refcount updates", default: "off"),
  OptionDefinition("size", .size, "Virtual disk size"),
  OptionDefinition("refcount_bits", .number, "Width of a reference count entry in bits", default: "16"),
  OptionDefinition("backing_file", .text, "File name of a base image"),
  OptionDefinition("nocow", .boolean, "Turn off copy-on-write (valid only on btrfs)"),
]

private func values(_ arguments: String...) throws(ImageError) -> OptionValues {
  var string = OptionString()
  for argument in arguments { try string.append(argument) }
  var values = OptionValues(table)
  try string.apply(to: &values) { _ in }
  return values
}

@Suite struct OptionStrings {
  @Test func items() {
    #expect(
      optionItems(Array("a=1,b,c=x,,y,=z,,".utf8)) == [
        OptionItem(name: "a", value: "1"), OptionItem(name: "b", value: nil), OptionItem(name: "c", value: "x,y"),
        OptionItem(name: "", value: "z,"),
      ])
    #expect(optionItems([]) == [])
  }

  @Test func namesAndValues() throws {
    let options = try values("lazy_refcounts,size=1k", "size=2k,backing_file=a,,b")
    #expect(options.boolean("lazy_refcounts") == true)
    #expect(options.number("size") == 2048)
    #expect(options.text("backing_file") == "a,b")
    #expect(options.text("refcount_bits") == "16")
    #expect(try values("nolazy_refcounts").boolean("lazy_refcounts") == false)
    #expect(try values("nocow").boolean("nocow") == true)
  }

  @Test(arguments: ["", ",a", "a,", "a,,,"])
  func invalidLists(_ text: String) {
    #expect(throws: ImageError("Invalid option list: \(text)")) { try values(text) }
  }

  @Test(arguments: [
    ("foo=1", "Invalid parameter 'foo'"), ("nofoo", "Invalid parameter 'foo'"), ("a,,", "Invalid parameter 'a'"),
    ("size", "Parameter 'size' expects a non-negative number below 2^64"),
    ("size=16E", "Value '16E' is out of range for parameter 'size'"),
    ("refcount_bits=x", "Parameter 'refcount_bits' expects a number"),
    ("refcount_bits=99999999999999999999", "Value '99999999999999999999' is too large for parameter 'refcount_bits'"),
    ("lazy_refcounts=1", "Parameter 'lazy_refcounts' expects 'on' or 'off'"),
  ])
  func errors(_ text: String, _ message: String) {
    do {
      _ = try values(text)
      Issue.record("accepted")
    } catch {
      #expect(error.message == message)
    }
  }

  @Test func helpRequest() throws {
    for (text, asks) in [("cluster_size=1k,help", true), ("?", true), ("help=1", false), ("helpme", false)] {
      var string = OptionString()
      try string.append(text)
      #expect(string.asksForHelp == asks)
    }
  }

  @Test func helpLinesAreSorted() {
    let lines = optionHelpLines(table)
    #expect(lines[0] == "  backing_file=<str>     - File name of a base image")
    #expect(lines[1] == "  lazy_refcounts=<bool (on/off)> - Postpone refcount updates")
    #expect(lines[4] == "  size=<size>            - Virtual disk size")
  }

  @Test func formatting() throws {
    let options = try values("size=1M,backing_file=a,,b,refcount_bits=-1,lazy_refcounts=y")
    #expect(
      formattingLine(file: "a.img", format: "qcow2", options: options)
        == "Formatting 'a.img', fmt=qcow2 lazy_refcounts=y size=1048576 refcount_bits=-1 backing_file=a,,b")
  }
}
