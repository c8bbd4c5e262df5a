import Bytes

/// Where everything goes in the QCOW2 images of e2image: a version 2 image with clusters of a block (ext4-e2image §10.1).
///
/// The layout follows from the sequence of stored blocks alone, and from a number that is known before the first one.
package struct ExtQcow2Layout: Sendable {
  /// Size of a cluster in bytes.
  package let clusterSize: UInt64
  /// Entries of the L1 table.
  package let l1Count: UInt64
  /// Offsets of the tables in bytes.
  package let l1Offset: UInt64
  package let refcountTableOffset: UInt64
  /// Size of the refcount table in clusters.
  package let refcountTableClusters: UInt64
  /// Whether the scan's counter allows for fewer refcount blocks than there may be: the table is larger than it says.
  package let exceedsCounter: Bool

  /// What a block needs.
  package struct Step: Sendable, Equatable {
    /// Where its data goes, in bytes.
    package var data: UInt64
    /// A new L2 table begins with this block: where it goes, in bytes.
    package var newTable: UInt64?
    /// The cluster that was set aside for the L2 table after that, in bytes.
    package var reserved: UInt64?
    /// Refcount blocks that are new in this step, in bytes. The one in use before is full.
    package var newRefcountBlocks: [UInt64] = []
  }

  private let refcountBits: UInt64
  /// The next free cluster, in bytes.
  private var free: UInt64 = 0
  /// The refcount block in use, its number, and how many of its entries are set.
  package private(set) var refcountBlock: UInt64
  package private(set) var refcountIndex: UInt64 = 0
  package private(set) var refcountEntries: UInt64 = 0
  /// Where the next L2 table goes, in bytes.
  package private(set) var nextTable: UInt64
  /// The number of the present L2 table.
  package private(set) var tableIndex: UInt64?
  /// Refcount blocks of the fixed area, in order.
  package private(set) var firstRefcountBlocks: [UInt64] = []

  /// - Parameters:
  ///   - blockSize: of the file system, in bytes.
  ///   - blockCount: blocks of the file system.
  ///   - markCount: the scan's counter, from which the size of the refcount table follows.
  ///   - storedCount: no more blocks than this will be stored; where the counter allows for too few, it is raised.
  ///   - tableCount: no more L2 tables than this will be needed.
  package init(
    blockSize: Int, blockCount: UInt64, markCount: UInt64, storedCount: UInt64, tableCount: UInt64 = .max
  ) {
    let size = UInt64(blockSize)
    let bits = UInt64(blockSize.trailingZeroBitCount)
    clusterSize = size
    refcountBits = 2 * bits - 1
    l1Count = (blockCount << bits).dividedUp(by: 1 << (2 * bits - 3))
    l1Offset = size
    let l1Size = (l1Count * 8).dividedUp(by: size) * size
    refcountTableOffset = size + l1Size
    let fixed = refcountTableOffset >> bits
    var tables = max(1, markCount.saturatingAdd(fixed) >> (bits + 5))
    // What is counted besides the refcount blocks, each of which counts itself too: the fixed area with the refcount table,
    // the unused cluster and the first L2 table, then data, a place for another table with each table, and one at the end.
    let counted = fixed + tables + 3 + storedCount + min(storedCount, tableCount, l1Count)
    let blocks = counted.dividedUp(by: size / 2 - 1)
    exceedsCounter = tables * (size / 8) < blocks
    if exceedsCounter { tables = max(tables, (2 * blocks).dividedUp(by: size / 8)) }
    refcountTableClusters = tables

    nextTable = refcountTableOffset + (tables + 1) * size
    refcountBlock = nextTable + size
    var blocksOfFixedArea = [refcountBlock]
    var place = refcountBlock + size
    var end = refcountBlock
    var offset: UInt64 = 0
    while offset <= end {
      if count(offset, place) {
        blocksOfFixedArea.append(place)
        place += size
        end += size
      }
      offset += size
    }
    free = offset
    firstRefcountBlocks = blocksOfFixedArea
  }

  /// How many L2 tables it takes to map `blocks`.
  package static func tableCount(_ blocks: BlockSet, blockSize: Int) -> UInt64 {
    let entries = UInt64(blockSize / 8)
    var count: UInt64 = 0
    var next: UInt64 = 0
    while let run = blocks.nextRun(from: next, longest: entries) {
      count += 1
      // The rest of this table's blocks are mapped with it.
      next = (run.lowerBound / entries + 1) * entries
    }
    return count
  }

  /// Counts the cluster at `offset`; when it is the first that the present refcount block has no room for, a new one
  /// begins at `place`.
  private mutating func count(_ offset: UInt64, _ place: UInt64) -> Bool {
    let index = offset >> refcountBits
    let isNew = index != refcountIndex
    if isNew {
      refcountBlock = place
      refcountIndex = index
      refcountEntries = 0
    }
    refcountEntries += 1
    return isNew
  }

  /// Places the next block (in ascending order).
  package mutating func place(_ block: UInt64) -> Step {
    var step = Step(data: 0)
    if count(free, free) {
      step.newRefcountBlocks.append(free)
      free += clusterSize
      _ = count(free, free)
    }
    step.data = free
    let table = block / (clusterSize / 8)
    if tableIndex != table {
      tableIndex = table
      step.newTable = nextTable
      free += clusterSize
      step.reserved = free
      nextTable = free
      if count(free, free + clusterSize) {
        free += clusterSize
        step.newRefcountBlocks.append(free)
        _ = count(free, free)
      }
    }
    free += clusterSize
    return step
  }

  /// Counts the cluster behind the last one, as the reference does.
  ///
  /// - Returns: where a refcount block for it begins, if it needs one.
  package mutating func end() -> UInt64? { count(free, free) ? free : nil }
}
