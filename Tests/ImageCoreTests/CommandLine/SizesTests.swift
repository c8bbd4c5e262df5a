import Bytes
import CommandLineInterface
import Testing

@Suite struct Sizes {
  @Test(arguments: [
    ("0", 0), ("513", 513), ("1.5k", 1536), ("1.0004k", 1024), ("1.0005k", 1025), ("1.00048828125k", 1025),
    ("0.0004k", 0), ("0.0005k", 1), ("0.3M", 314573), ("1.1G", 1_181_116_006), ("0x200", 512), ("0X10", 16),
    ("0x1k", 1024), ("0x1b", 0x1B), ("0x1e", 0x1E), ("010", 10), ("08", 8), ("+512", 512), (" 512", 512),
    ("\u{0B}5", 5), ("+0x10", 16), ("1.", 1), ("1.k", 1024), ("1.0", 1), ("1.0b", 1), ("0.0B", 0), ("1e", 1 << 60),
    ("1.5e", 1_729_382_256_910_270_464), ("0.1E", 115_292_150_460_684_704),
    ("0.123456789012345678E", 142_335_986_942_043_632), ("8E", 1 << 63), ("16383P", 16383 << 50),
    ("18446744073709551615", UInt64.max),
  ])
  func value(_ text: String, _ expected: UInt64) {
    #expect(parseSize(Array(text.utf8)).value == .success(expected))
  }

  @Test(arguments: [
    "", "+", "-0", "-1", ".5k", "1kb", "1KiB", "1kk", "512 ", "abc", "nan", "inf", "1,5k", "1_0", "1e3", "1.5e1", "1.5",
    "1.5B", "0.5b", "0x", "0xg", "00x10", "+ 5", "+-5", "0x1.8k", "1..5k", "1.5.k", "0x1M5", "99999999999999999999k",
    "0xfffffffffffffffffk", "18446744073709551615.5",
  ])
  func malformed(_ text: String) {
    #expect(parseSize(Array(text.utf8)).value == .failure(.malformed))
  }

  @Test(arguments: ["16E", "16384P", "18446744073709551616", "0xfffffffffffffffff", "18446744073709551614.0k"])
  func outOfRange(_ text: String) {
    #expect(parseSize(Array(text.utf8)).value == .failure(.outOfRange))
  }

  /// The reference takes such a fraction for 0 (docs/DIFFERENCES.md).
  @Test func fractionThatRoundsUpToOne() {
    #expect(parseSize(Array("1.99999999999999999999k".utf8)).value == .success(2048))
  }

  @Test func hexMultiplierIsReportedEvenWhenTheRestIsWrong() {
    #expect(parseSize(Array("0x1k".utf8)).usedHexMultiplier)
    #expect(parseSize(Array("0x1M5".utf8)).usedHexMultiplier)
    #expect(!parseSize(Array("0x1e".utf8)).usedHexMultiplier)
    #expect(!parseSize(Array("1k".utf8)).usedHexMultiplier)
  }

  @Test(arguments: [("0x10", 16), ("020", 16), ("-1", UInt64.max), ("0", 0), (" +7", 7), ("-0x10", 0 &- 16)])
  func integer(_ text: String, _ expected: UInt64) {
    #expect(parseInteger(Array(text.utf8)) == .success(expected))
  }

  @Test(arguments: ["", "08", "1k", "0x", "-", "1 ", "x"])
  func malformedInteger(_ text: String) {
    #expect(parseInteger(Array(text.utf8)) == .failure(.malformed))
  }

  @Test func integerBeyond64Bits() {
    #expect(parseInteger(Array("99999999999999999999".utf8)) == .failure(.outOfRange))
  }

  @Test func truthValues() {
    for text in ["on", "yes", "true", "y"] { #expect(parseBoolean(text) == true) }
    for text in ["off", "no", "false", "n"] { #expect(parseBoolean(text) == false) }
    for text in ["1", "ON", "", "0"] { #expect(parseBoolean(text) == nil) }
  }

  @Test func argumentMessages() {
    var malformed = ImageError("Invalid image size specified. You may use k, M, G, T, P or E suffixes for")
    malformed.continuation = "kilobytes, megabytes, gigabytes, terabytes, petabytes and exabytes."
    #expect(throws: malformed) { try sizeArgument("1kb", name: "image size") { _ in } }
    #expect(
      throws: ImageError("Invalid image size specified. Must be between 0 and 9223372036854775807.", errno: 34)
    ) { try sizeArgument("8E", name: "image size") { _ in } }
    var warnings: [String] = []
    #expect(throws: Never.self) { try sizeArgument("0x1k", name: "image size") { warnings.append($0) } }
    #expect(warnings == ["Using a multiplier suffix on hex numbers is deprecated: 0x1k"])
  }
}
