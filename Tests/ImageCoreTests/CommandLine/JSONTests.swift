import Bytes
import CommandLineInterface
import Testing

@Suite struct JSON {
  @Test func emissionOrder() {
    for (key, bucket) in [
      ("backing-image", 80), ("virtual-size", 309), ("filename", 313), ("compat", 16), ("extended-l2", 503),
      ("full-backing-filename", 360), ("vm-clock-nsec", 26), ("write-zeroes-alignment", 22), ("create-type", 251),
    ] { #expect(keyBucket(key) == bucket) }
    // One bucket: the latest first.
    let info: DataTree = ["backing-filename-format": 1, "children": 2, "compressed": 3]
    #expect(info.compactJSON() == #"{"compressed": 3, "children": 2, "backing-filename-format": 1}"#)
  }

  @Test func pretty() {
    let tree: DataTree = ["virtual-size": 1024, "snapshots": [], "format-specific": ["type": "qcow2", "data": [true]]]
    #expect(
      tree.prettyJSON() == """
        {
            "snapshots": [
            ],
            "virtual-size": 1024,
            "format-specific": {
                "type": "qcow2",
                "data": [
                    true
                ]
            }
        }
        """)
  }

  @Test func strings() {
    let text = String(rawBytes: Array("é\"\\\n\u{1}\u{7F}😀".utf8) + [0xFF])
    #expect(DataTree.string(text).compactJSON() == #""\u00E9\"\\\n\u0001\u007F\uD83D\uDE00\uFFFD""#)
  }

  /// What 7.2 printed for such file names.
  @Test(
    arguments: [
      ([0xED, 0xA0, 0x80], "\\uFFFD"), ([0xF4, 0x90, 0x80, 0x80], "\\uFFFD"), ([0xC0, 0x80], "\\u0000"),
      ([0xE9, 0x80, 0xC3, 0xA9], "\\uFFFD\\u00E9"), ([0xEF, 0xBF, 0xBF], "\\uFFFD"), ([0x80, 0x80], "\\uFFFD\\uFFFD"),
      ([0xE9, 0xE9, 0x80], "\\uFFFD\\uFFFD"), ([0xF8, 0x88, 0x80, 0x80, 0x80], "\\uFFFD"),
      ([0xEE, 0xBE, 0x80], "\\uEF80"),
      ([0xFF, 0xFE], "\\uFFFD\\uFFFD"),
    ] as [([UInt8], String)])
  func bytesThatAreNoText(_ bytes: [UInt8], _ expected: String) {
    #expect(DataTree.string(String(rawBytes: bytes)).compactJSON() == "\"\(expected)\"")
  }

  @Test func humanForm() {
    let tree: DataTree = ["compat": "1.1", "lazy-refcounts": false, "bitmaps": [["name": "b", "flags": ["auto"]]]]
    #expect(
      tree.humanLines() == """
            compat: 1.1
            lazy refcounts: false
            bitmaps:
                [0]:
                    flags:
                        [0]: auto
                    name: b

        """)
  }

  @Test func values() throws {
    #expect(
      try parseJSON(Array(#" {'a': [1, -2, 1.5, true, null, "x\u0041\n\/"], "b": {}} "#.utf8))
        == ["a": [1, -2, .real(1.5), true, .null, "xA\n/"], "b": .object([])])
    #expect(try parseJSON(Array("18446744073709551615".utf8)) == .unsigned(.max))
    #expect(try parseJSON(Array(#""\ud83d\ude00""#.utf8)) == "😀")
  }

  @Test(arguments: [
    ("", "Expecting a JSON value"), ("  ", "Expecting a JSON value"), ("{", "JSON parse error, premature EOI"),
    (#"{"a":1}x"#, "Expecting at most one JSON value"), ("{a:1}", "JSON parse error, invalid keyword 'a'"),
    (#"{"a":01}"#, "JSON parse error, stray '01'"), (#"{"a" 1}"#, "JSON parse error, missing : in object pair"),
    (#"{"a":1,}"#, "JSON parse error, expecting value"), (#"{"a":%d}"#, "JSON parse error, stray '%'"),
    (#"{"a":"\x"}"#, "JSON parse error, invalid escape sequence in string"),
    (#"{"a":"\u12"}"#, #"JSON parse error, \u12" is not a valid Unicode character"#),
    (#"{"a":"\u12zz56"}"#, #"JSON parse error, \u12zz is not a valid Unicode character"#),
    (#"{"a":"\ud800\u0041"}"#, #"JSON parse error, \ud800 is not a valid Unicode character"#),
    (#"{"a":1,"a":2}"#, "JSON parse error, duplicate key"), (#"{"a":"b"#, #"JSON parse error, stray '"b'"#),
    (#"{"a":-}"#, "JSON parse error, stray '-}'"), (#"{"a":1.}"#, "JSON parse error, stray '1.}'"),
    ("{1:2", "JSON parse error, key is not a string in object"),
    ("{1:2}", "JSON parse error, key is not a string in object"),
    (#"{"a" 1 %}"#, "JSON parse error, stray '%'"), (#"{"a":1]"#, "JSON parse error, expected separator in dict"),
    ("[1 2]", "JSON parse error, expected separator in list"), ("}", "JSON parse error, expecting value"),
    (#"{"a":"\"#, #"JSON parse error, stray '"\'"#), (#"{"a":True}"#, "JSON parse error, stray 'T'"),
    ("\"\u{FFFF}\"", "JSON parse error, invalid UTF-8 sequence in string"), ("00", "JSON parse error, stray '00'"),
    (String(repeating: "[", count: 1025), "JSON nesting depth limit exceeded"),
    (String(repeating: "[", count: 1024), "JSON parse error, premature EOI"),
  ])
  func errors(_ text: String, _ message: String) {
    do {
      _ = try parseJSON(Array(text.utf8))
      Issue.record("accepted")
    } catch {
      #expect(error.message == message)
    }
  }

  @Test func treesAreSpelledOut() throws {
    guard case .object(let members) = try parseJSON(Array(#"{"driver":"raw","file":{"filename":"a","x":[1,2]}}"#.utf8))
    else { return }
    var tree = OptionTree(members)
    #expect(tree.members.map(\.key) == ["driver", "file.filename", "file.x.0", "file.x.1"])
    #expect(tree.take("driver") == "raw")
    #expect(tree.hasSubtree("file"))
    let file = tree.takeSubtree("file")
    #expect(tree.isEmpty)
    #expect(file["filename"] == "a")
    #expect(file["x.1"]?.text == "2")
  }
}
