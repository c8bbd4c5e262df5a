import Testing

@testable import E2imageImage
@testable import ImageCore

/// The layout of e2image's QCOW2 images (ext4-e2image §10.1).
@Suite struct ExtQcow2LayoutTests {
  private func layout(blockSize: Int = 1024, blockCount: UInt64, marks: UInt64) -> ExtQcow2Layout {
    ExtQcow2Layout(blockSize: blockSize, blockCount: blockCount, markCount: marks, storedCount: marks)
  }

  @Test func fixedArea() {
    let layout = layout(blockCount: 8192, marks: 100)
    #expect(layout.l1Count == 64)
    #expect(layout.l1Offset == 1024)
    #expect(layout.refcountTableOffset == 2048)
    #expect(layout.refcountTableClusters == 1)
    // Header, L1 table, refcount table, a cluster that nobody uses, the first L2 table, the first refcount block.
    #expect(layout.nextTable == 4096)
    #expect(layout.refcountBlock == 5120)
  }

  @Test func tablesFollowTheFirstBlockOfTheOneBefore() {
    var layout = layout(blockCount: 8192, marks: 100)
    let first = layout.place(1)
    #expect(first == ExtQcow2Layout.Step(data: 6144, newTable: 4096, reserved: 7168))
    #expect(layout.place(2) == ExtQcow2Layout.Step(data: 8192))
    let next = layout.place(128)
    #expect(next == ExtQcow2Layout.Step(data: 9216, newTable: 7168, reserved: 10240))
  }

  @Test(arguments: [1024, 2048, 4096, 65536])
  func everyClusterIsCountedOnceAndInItsBlock(blockSize: Int) {
    let count: UInt64 = 4000
    var layout = layout(blockSize: blockSize, blockCount: count, marks: count)
    let size = UInt64(blockSize)
    var used: Set<UInt64> = []
    var blocks = layout.firstRefcountBlocks
    for block in 0..<count {
      let step = layout.place(block)
      for place in [step.data, step.newTable, step.reserved].compactMap({ $0 }) + step.newRefcountBlocks {
        #expect(place % size == 0)
        // A table's place has been reserved by the one before.
        if place != step.newTable { #expect(used.insert(place).inserted) }
      }
      blocks += step.newRefcountBlocks
    }
    let last = used.max() ?? 0
    if let block = layout.end() { blocks.append(block) }
    // Block i of refcounts counts the clusters from i · size / 2 on; the last has one entry more than there are clusters.
    let perBlock = size / 2
    #expect(UInt64(blocks.count) == (last / size + 2).dividedUp(by: perBlock))
    #expect(layout.refcountEntries == (last / size + 2) - (UInt64(blocks.count) - 1) * perBlock)
    #expect(layout.refcountTableClusters * (size / 8) >= UInt64(blocks.count))
  }

  /// With blocks of 1 KiB the counter allows for 65536 clusters from 32768 marks on, and is not always right.
  @Test(arguments: [64000, 64500, 64900, 65000, 65300, 65500] as [UInt64])
  func theRefcountTableIsLargerOnlyWhereItHasToBe(count: UInt64) {
    var stored = BlockSet(limit: 1 << 20)
    stored.insert(1..<count + 1)
    let tables = ExtQcow2Layout.tableCount(stored, blockSize: 1024)
    #expect(tables == count / 128 + 1)
    var layout = ExtQcow2Layout(
      blockSize: 1024, blockCount: count + 1, markCount: count, storedCount: count, tableCount: tables)
    var blocks = layout.firstRefcountBlocks.count
    for block in 1...count { blocks += layout.place(block).newRefcountBlocks.count }
    if layout.end() != nil { blocks += 1 }
    #expect(layout.exceedsCounter == (blocks > 128))
    #expect(layout.refcountTableClusters == (blocks > 128 ? 3 : 1))
  }
}
