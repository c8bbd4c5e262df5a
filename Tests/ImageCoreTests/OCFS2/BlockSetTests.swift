import Testing

@testable import ImageCore
import TestSupport

/// Sets of blocks beside the obvious set.
@Suite struct BlockSetTests {
  @Test func runsAndRanksAgreeWithAPlainSet() {
    var generator = SplitMix64(7)
    let limit: UInt64 = 100_000
    var blocks = BlockSet(limit: limit)
    var plain: Set<UInt64> = []
    for _ in 0..<300 {
      let start = generator.next() % (limit + 100)
      let end = start + generator.next() % 200
      blocks.insert(start..<end)
      plain.formUnion((start..<end).filter { $0 < limit })
    }
    #expect(blocks.count == UInt64(plain.count))
    #expect((0..<limit).allSatisfy { blocks.contains($0) == plain.contains($0) })
    for block in stride(from: UInt64(0), to: limit, by: 997) {
      #expect(blocks.rank(of: block) == UInt64(plain.count { $0 < block }))
    }
    var found: Set<UInt64> = []
    var next: UInt64 = 0
    while let run = blocks.nextRun(from: next, longest: 64) {
      #expect(run.count <= 64 && !run.isEmpty && run.lowerBound >= next)
      found.formUnion(run)
      next = run.upperBound
    }
    #expect(found == plain)
  }

  @Test func piecesSurviveTheWayToTheDisk() {
    var blocks = BlockSet(limit: 70_000)
    blocks.insert(5..<9)
    blocks.insert(32_760..<32_780)
    blocks.insert(69_990..<80_000)
    var copy = BlockSet(limit: 70_000)
    var buffer = Buffer(BlockSet.pieceSize)
    for piece in 0..<blocks.pieceCount {
      var bytes = buffer.mutableBytes
      blocks.store(piece: piece, into: &bytes)
      copy.load(piece: piece, from: buffer.bytes)
    }
    #expect(blocks.pieceCount == 3 && copy.count == blocks.count)
    #expect((0..<70_000).allSatisfy { copy.contains($0) == blocks.contains($0) })
  }

  @Test func bitsBehindTheLimitAreNotRead() {
    var blocks = BlockSet(limit: 10)
    blocks.load(piece: 0, from: [UInt8](repeating: 0xFF, count: BlockSet.pieceSize).rawBytes)
    #expect(blocks.count == 10)
    #expect(blocks.nextRun(from: 0, longest: 100) == 0..<10)
  }
}
