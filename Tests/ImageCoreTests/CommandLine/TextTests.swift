import Bytes
import CommandLineInterface
import Testing

@Suite struct TextLayout {
  @Test(arguments: [
    (0, "0 B"), (512, "512 B"), (999, "999 B"), (1000, "0.977 KiB"), (1024, "1 KiB"), (1536, "1.5 KiB"),
    (10235, "10 KiB"), (10752, "10.5 KiB"), (100352, "98 KiB"), (197120, "192 KiB"), (1_000_448, "977 KiB"),
    (1_023_488, "1e+03 KiB"), (1_024_000, "0.977 MiB"), (1_047_552, "0.999 MiB"), (1_079_296, "1.03 MiB"),
    (1_000_000_000, "954 MiB"), (1 << 30, "1 GiB"), (123_456_789_012_480, "112 TiB"), (1 << 50, "1 PiB"),
    (UInt64.max, "16 EiB"),
  ])
  func humanSizes(_ bytes: UInt64, _ expected: String) { #expect(humanSize(bytes) == expected) }

  @Test func columns() {
    #expect(padded("ab", to: 4) == "ab  ")
    #expect(padded("abcde", to: 4) == "abcde")
    #expect(rightAligned("ab", to: 4) == "  ab")
    #expect(zeroPadded(7, to: 2) == "07")
    #expect(zeroPadded(-7, to: 4) == "-007")
    #expect(hexadecimal(0) == "0")
    #expect(hexadecimal(0x10000) == "0x10000")
    #expect(decimal(200, over: 16, digits: 2) == "12.50")
    #expect(decimal(200, over: 3, digits: 2) == "66.67")
    #expect(decimal(UInt64.max, over: 1, digits: 2) == "18446744073709551615.00")
  }

  @Test func snapshotRows() {
    let row = SnapshotRow(id: "1", name: "s1", stateSize: 0, date: 0, clock: 3_723_004_000_000, instructionCount: 5)
    let lines = snapshotTable([row]).split(separator: "\n").map(String.init)
    #expect(lines[0] == "ID        TAG               VM SIZE                DATE     VM CLOCK     ICOUNT")
    #expect(lines[1].hasPrefix("1         s1                    0 B "))
    #expect(lines[1].hasSuffix(" 01:02:03.004          5"))
  }

  @Test(
    arguments: [
      [], [0x61], [0x80], [0xFF, 0x41, 0xC3, 0xA9], [0xEE, 0xBE, 0x80], [0xEE, 0xBF, 0xBF, 0xEE], [0xED, 0xA0, 0x80],
      [0xF4, 0x90, 0x80, 0x80], [0xC0, 0x80], [0xE2, 0x82], [0xF0, 0x9F, 0x98, 0x80], [0xEE, 0x80, 0x80],
    ] as [[UInt8]])
  func bytesSurviveAsText(_ bytes: [UInt8]) { #expect(String(rawBytes: bytes).rawBytes == bytes) }

  @Test func controlsAreSpelled() {
    #expect(escapingControls(String(rawBytes: [0x61, 0x1B, 0x0A, 0xFF, 0x7F, 0xC3, 0xA9])) == "a\\x1B\\x0A\\xFF\\x7Fé")
  }

  @Test func allPairsOfBytesSurvive() {
    for first in UInt8.min...UInt8.max {
      for second in UInt8.min...UInt8.max {
        let bytes: [UInt8] = [0xEE, first, second]
        #expect(String(rawBytes: bytes).rawBytes == bytes)
      }
    }
  }
}
