import Bytes
import Testing

@testable import Copying

/// The check values of qemu-img-cli-1 §11.9, observed with the reference.
struct SparseRunsTests {
  private static let dataSectors = [0, 4, 16, 24, 100, 105] + Array(300..<320) + [1000]

  /// 1024 sectors, those listed hold data.
  private func pattern(sectors: Int = 2048) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: sectors * 512)
    for sector in Self.dataSectors { bytes[sector * 512 + 17] = 0xAA }
    return bytes
  }

  /// What is written for a value of -S: first sector and length of each run.
  struct Expectation: Sendable {
    let size: UInt64
    let runs: [[Int]]
    init(_ size: UInt64, _ runs: [[Int]]) {
      self.size = size
      self.runs = runs
    }
  }

  static let expectations: [Expectation] = [
    Expectation(512, [[0, 1], [4, 1], [16, 1], [24, 1], [100, 1], [105, 1], [300, 20], [1000, 1]]),
    Expectation(1024, [[0, 2], [4, 2], [16, 2], [24, 2], [100, 2], [104, 2], [300, 20], [1000, 2]]),
    Expectation(2048, [[0, 8], [16, 4], [24, 4], [100, 8], [300, 20], [1000, 4]]),
    Expectation(4096, [[0, 8], [16, 16], [96, 16], [296, 24], [1000, 8]]),
    Expectation(65536, [[0, 128], [256, 128], [896, 128]]),
    Expectation(0, [[0, 2048]]),
  ]

  @Test(arguments: expectations)
  func matchesTheReference(expected: Expectation) {
    let bytes = pattern()
    var merged: [[Int]] = []
    for run in SparseRule(bytes: expected.size).runs(bytes.rawBytes, at: 0) where run.isData {
      let start = run.range.lowerBound / 512
      let length = run.range.count / 512
      // Neighbouring runs are one write.
      if let last = merged.last, last[0] + last[1] == start {
        merged[merged.count - 1][1] += length
      } else {
        merged.append([start, length])
      }
    }
    #expect(merged == expected.runs)
  }

  /// Whatever the rule, the runs cover the buffer in order, and nothing but zeros is left out.
  @Test func runsCoverEverything() {
    var random = SystemRandomNumberGenerator()
    for size in [512, 1024, 1536, 4096, 12288, 65536] as [UInt64] {
      for _ in 0..<50 {
        var bytes = [UInt8](repeating: 0, count: Int.random(in: 1...200, using: &random) * 256)
        for _ in 0..<Int.random(in: 0...20, using: &random) {
          bytes[Int.random(in: bytes.indices, using: &random)] = 1
        }
        let offset = UInt64(Int.random(in: 0...64, using: &random)) * 512
        var end = 0
        for run in SparseRule(bytes: size).runs(bytes.rawBytes, at: offset) {
          #expect(run.range.lowerBound == end)
          #expect(!run.range.isEmpty)
          if !run.isData { #expect(bytes[run.range].allSatisfy { $0 == 0 }) }
          end = run.range.upperBound
        }
        #expect(end == bytes.count)
      }
    }
  }

  /// The block-wise way gives what the sector-wise one gives.
  @Test func bothWaysAgree() {
    let bytes = pattern(sectors: 1024)
    let rule = SparseRule(bytes: 4096)
    let fast = rule.runs(bytes.rawBytes, at: 8192)
    let slow = rule.sectorRuns(bytes.rawBytes, 0)
    #expect(fast.filter(\.isData) == slow.filter(\.isData))
  }
}
