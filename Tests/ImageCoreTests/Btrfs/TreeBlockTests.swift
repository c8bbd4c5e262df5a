import Btrfs
import Bytes
import Testing

@Suite struct TreeBlocks {
  private static let size = 4096

  /// A leaf with items of these types and contents, everything else filled with 0xEE.
  private func leaf(_ items: [(type: ItemType, data: [UInt8])]) -> Buffer {
    var buffer = Buffer(Self.size)
    var bytes = buffer.mutableBytes
    bytes.fill(0..<Self.size, with: 0xEE)
    bytes.storeLittleEndian(UInt32(items.count), at: 96)
    bytes.fill(100..<101)
    var end = Self.size
    for (index, item) in items.enumerated() {
      end -= item.data.count
      let place = TreeBlockHeader.size + index * LeafItem.headerSize
      ItemKey(UInt64(index), item.type, 0).store(in: &bytes, at: place)
      bytes.storeLittleEndian(UInt32(end - TreeBlockHeader.size), at: place + 17)
      bytes.storeLittleEndian(UInt32(item.data.count), at: place + 21)
      bytes.copy(item.data.rawBytes, at: end)
    }
    return buffer
  }

  private func scrubbed(_ buffer: consuming Buffer, _ transform: (any TreeBlockTransform)? = nil) -> [UInt8] {
    var buffer = buffer
    var bytes = buffer.mutableBytes
    _ = scrub(&bytes, transform: transform)
    return buffer.bytes.array(0..<Self.size)
  }

  @Test func leavesAreScrubbed() {
    var inline = [UInt8](repeating: 7, count: 40)
    inline[20] = 0
    var regular = [UInt8](repeating: 7, count: 53)
    regular[20] = 1
    let result = scrubbed(
      leaf([(.inodeItem, [1, 2, 3]), (.extentData, inline), (.extentData, regular), (.legacyChecksum, [9, 9])]))
    #expect(Array(result[(Self.size - 3)...]) == [1, 2, 3])
    #expect(
      Array(result[(Self.size - 43)..<(Self.size - 3)]) == Array(inline.prefix(21)) + [UInt8](repeating: 0, count: 19))
    #expect(Array(result[(Self.size - 96)..<(Self.size - 43)]) == regular)
    #expect(result[(101 + 4 * 25)..<(Self.size - 96)].allSatisfy { $0 == 0 })
    #expect(result[50] == 0xEE)
  }

  /// File extents that end before their contents would begin, or before they say that they have any: nothing is taken from
  /// them or from their neighbours.
  @Test func shortFileExtents() {
    for count in [0, 1, 20, 21] {
      var short = [UInt8](repeating: 7, count: count)
      if count > 20 { short[20] = 0 }
      let before = [UInt8](repeating: 0, count: 40)
      let result = scrubbed(leaf([(.inodeItem, before), (.extentData, short), (.inodeItem, before)]))
      let start = Self.size - 40 - count
      #expect(Array(result[start..<start + count]) == short)
      #expect(Array(result[(start + count)...]) == before && Array(result[(start - 40)..<start]) == before)
    }
  }

  @Test func nodesAndEmptyBlocksAreScrubbed() {
    #expect(scrubbed(leaf([]))[101...].allSatisfy { $0 == 0 })
    var node = leaf([])
    var bytes = node.mutableBytes
    bytes.storeLittleEndian(UInt32(2), at: 96)
    bytes.fill(100..<101, with: 1)
    let result = scrubbed(node)
    #expect(result[101 + 65] == 0xEE && result[(101 + 66)...].allSatisfy { $0 == 0 })
  }

  @Test func secondTimeChangesNothing() {
    var buffer = leaf([(.inodeItem, [1, 2, 3])])
    var bytes = buffer.mutableBytes
    let first = scrub(&bytes, transform: nil)
    let second = scrub(&bytes, transform: nil)
    #expect(first && !second)
  }

  /// Items that lie anywhere: nothing beyond the block is touched, and nothing is left that no item holds.
  @Test func disorderlyLeaves() {
    var buffer = leaf([(.inodeItem, [1, 2, 3]), (.inodeItem, [4, 5])])
    var bytes = buffer.mutableBytes
    bytes.storeLittleEndian(UInt32.max, at: 101 + 17)
    let result = scrubbed(buffer)
    #expect(Array(result[(Self.size - 5)...]) == [4, 5, 0, 0, 0])
    #expect(result[(101 + 50)..<(Self.size - 5)].allSatisfy { $0 == 0 })
  }

  private final class Marking: TreeBlockTransform {
    func apply(to superblock: inout BtrfsSuperblock) {}
    func apply(to block: inout MutableRawSpan) { block.fill(200..<201, with: 0x55) }
  }

  @Test func transformsAreApplied() {
    #expect(scrubbed(leaf([(.inodeItem, [1])]), Marking())[200] == 0x55)
    var disorderly = leaf([(.inodeItem, [1, 2, 3])])
    var bytes = disorderly.mutableBytes
    bytes.storeLittleEndian(UInt32(7), at: 101 + 17)
    let result = scrubbed(disorderly, Marking())
    #expect(result[126...].allSatisfy { $0 == 0 })
  }

  @Test(arguments: ChecksumAlgorithm.allCases) func checksums(_ algorithm: ChecksumAlgorithm) {
    var buffer = leaf([(.inodeItem, [1])])
    let isGoodBefore = algorithm.verifies(buffer.bytes)
    #expect(!isGoodBefore)
    var bytes = buffer.mutableBytes
    algorithm.store(in: &bytes)
    let isGood = algorithm.verifies(bytes.bytes)
    #expect(isGood)
    // What the algorithm leaves of the field is not touched.
    let next = bytes.bytes[min(algorithm.size, 31)]
    #expect(algorithm.size == 32 || next == 0xEE)
    bytes.fill(4095..<4096, with: 0x77)
    let isGoodAfter = algorithm.verifies(bytes.bytes)
    #expect(!isGoodAfter)
  }

  @Test func orderOfKeys() {
    let keys = [
      ItemKey(1, .chunkItem, 9), ItemKey(2, .inodeItem, .max), ItemKey(2, .inodeReference, 0),
      ItemKey(.max, .inodeItem, 0),
    ]
    #expect(keys == keys.reversed().sorted())
  }
}
