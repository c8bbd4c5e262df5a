import Bytes
import Storage

/// The reference counts of an image that is being written: table and blocks in memory, and the cursors of the allocator
/// (Allocation.swift, RefcountGrowth.swift). Used under the image's lock.
///
/// Counts that rise may be written at any time: a crash then leaves clusters that nothing refers to. Counts that fall wait
/// in ``released`` until the tables that dropped the references are in the file.
package final class Refcounts {
  /// Takes the blocks and the table.
  let storage: any WritableStorage
  /// The base-two logarithm of the cluster size.
  let clusterBits: UInt64
  /// Width of a count.
  let width: RefcountWidth
  /// Clusters of the file that hold metadata.
  package var metadata: MetadataMap
  /// Offsets of the blocks in bytes, 0 where there is none; reserved bits as read.
  package internal(set) var table: [UInt64]
  /// Offset of the table in the file in bytes.
  package internal(set) var tableOffset: UInt64
  /// Entries of the table that are not in the file.
  var changedTableEntries: Range<Int>?

  /// The image is new and becomes valid only when it is closed: nothing in the file refers to anything yet, so that order
  /// does not matter and released clusters are free at once.
  let isUnfinished: Bool
  let corruption: CorruptionReport

  /// Where the search for free clusters begins: all clusters below are in use, or were passed over (F of §11).
  package internal(set) var cursor: UInt64 = 0
  /// Where the next compressed cluster goes, in bytes; 0 for a new cluster (B of §11).
  package internal(set) var byteCursor: UInt64 = 0
  /// Clusters from this one on were never used, and read as zeros.
  package internal(set) var unusedStart: UInt64
  /// Clusters whose counts are to fall by one.
  var released: [Range<UInt64>] = []
  /// Of these, clusters whose space the file system gets back when nothing refers to them any more.
  private var unneeded: [Range<UInt64>] = []

  /// Takes the new versions of blocks while the changes of ``Qcow2Tables/changeAtOnce(_:)`` are prepared.
  var shadow: ShadowArea?

  private var blocks: [Int: RefcountBlock] = [:]
  private var lastBlock: RefcountBlock?
  private var uses = 0
  /// Number of blocks kept in memory.
  private let capacity: Int
  /// Number of blocks that differ from the file.
  package private(set) var changedBlocks = 0

  /// The counts of an image whose refcount table is `table`.
  ///
  /// - Parameter memory: bytes of blocks to keep.
  package init(
    storage: any WritableStorage, header: Qcow2Header, table: [UInt64], metadata: MetadataMap, isUnfinished: Bool,
    memory: Int = 4 << 20, corruption: CorruptionReport
  ) {
    self.storage = storage
    clusterBits = UInt64(header.clusterBits)
    width = RefcountWidth(order: header.refcountOrder)
    self.table = table
    tableOffset = header.refcountTableOffset
    self.metadata = metadata
    self.isUnfinished = isUnfinished
    self.corruption = corruption
    capacity = max(4, memory >> Int(header.clusterBits))
    unusedStart = storage.growsWithZeros ? storage.length.dividedUp(by: header.clusterSize) : .max
  }

  /// Size of a cluster in bytes.
  package var clusterSize: UInt64 { 1 << clusterBits }
  /// The base-two logarithm of the number of counts of a block.
  var blockShift: UInt64 { clusterBits + 3 - UInt64(width.order) }
  /// Number of counts of a block (R of §11).
  package var blockEntries: UInt64 { 1 << blockShift }
  /// Entries of the table that fit a cluster.
  var tableEntriesPerCluster: UInt64 { clusterSize / 8 }
  /// Whether changed blocks should be written back before more is allocated.
  package var isFull: Bool { changedBlocks >= capacity }

  // MARK: Blocks

  /// The block that counts for the clusters from `index`·R on; nil if there is none.
  func block(_ index: Int) throws(ImageError) -> RefcountBlock? {
    uses += 1
    if let lastBlock, lastBlock.index == index {
      lastBlock.lastUse = uses
      return lastBlock
    }
    guard index < table.count else { return nil }
    let offset = table[index] & ~EntryBits.reservedRefcountTable
    if offset == 0 { return nil }
    let block: RefcountBlock
    if let known = blocks[index] {
      block = known
    } else {
      guard offset % clusterSize == 0 else {
        throw corruption.fatal(
          "Refblock offset \(alternateHex(offset)) unaligned (reftable index: \(alternateHex(UInt64(index))))")
      }
      block = RefcountBlock(
        index: index, offset: offset, words: try storage.readLittleEndianWords(at: offset, count: Int(clusterSize / 8)),
        isDirty: false)
      keep(block)
    }
    block.lastUse = uses
    lastBlock = block
    return block
  }

  /// Enters a new block of zeros into the memory, not into the table.
  func insertBlock(_ index: Int, offset: UInt64) -> RefcountBlock {
    uses += 1
    let block = RefcountBlock(
      index: index, offset: offset, words: Array(repeating: 0, count: Int(clusterSize / 8)), isDirty: true)
    changedBlocks += 1
    block.lastUse = uses
    keep(block)
    unusedStart = max(unusedStart, (offset >> clusterBits) + 1)
    metadata.insert(.refcountBlock, cluster: offset >> clusterBits)
    return block
  }

  /// Forgets a block whose cluster is one no longer.
  func dropBlock(_ index: Int) {
    if let block = blocks.removeValue(forKey: index) {
      if block.isDirty { changedBlocks -= 1 }
      metadata.remove(.refcountBlock, cluster: block.offset >> clusterBits)
    }
    if lastBlock?.index == index { lastBlock = nil }
  }

  private func keep(_ block: RefcountBlock) {
    if blocks.count >= capacity + changedBlocks {
      // The half of the unchanged blocks that was used least recently goes: seldom, and never one in use.
      let unchanged = blocks.values.filter { !$0.isDirty }.sorted { $0.lastUse < $1.lastUse }
      for old in unchanged.prefix(unchanged.count / 2) { blocks[old.index] = nil }
      lastBlock = nil
    }
    blocks[block.index] = block
  }

  /// Notes that a block differs from the file; called before it is changed.
  func change(_ block: RefcountBlock) throws(ImageError) {
    if block.isDirty { return }
    let cluster = block.offset >> clusterBits
    if let kind = metadata.overlap(cluster..<cluster + 1, except: .refcountBlock) { throw overlap(kind) }
    if let copy = shadow?.newCopy(ofBlock: block.index, at: block.offset) {
      block.offset = copy << clusterBits
      table[block.index] = block.offset
    }
    block.isDirty = true
    changedBlocks += 1
  }

  /// The error for a write that would hit metadata.
  package func overlap(_ kind: MetadataMap.Kind) -> ImageError {
    corruption.fatal("Preventing invalid write on metadata (overlaps with \(kind.name))")
  }

  // MARK: Counts

  /// The reference count of a cluster, with what was released already taken off only when that has been applied.
  package func count(_ cluster: UInt64) throws(ImageError) -> UInt64 {
    guard let block = try block(Int(cluster >> blockShift)) else { return 0 }
    return width.count(block.words, Int(cluster & (blockEntries - 1)))
  }

  /// The part of `clusters` that one block counts: its index and the range within it.
  func part(_ clusters: Range<UInt64>) -> (index: Int, range: Range<Int>, end: UInt64) {
    let index = clusters.lowerBound >> blockShift
    let start = index << blockShift
    let end = min(clusters.upperBound, start + blockEntries)
    return (Int(index), Int(clusters.lowerBound - start)..<Int(end - start), end)
  }

  /// Raises the counts of `clusters` by one.
  ///
  /// - Returns: false if a refcount block was missing: one has been made, nothing else is changed, and the caller has to
  ///   look for free clusters again (§11.1, 3).
  /// - Throws: EINVAL if a count is at its limit; nothing is changed then.
  package func retain(_ clusters: Range<UInt64>) throws(ImageError) -> Bool {
    var position = clusters.lowerBound
    func undo() throws(ImageError) { try lower(clusters.lowerBound..<position) }
    while position < clusters.upperBound {
      let part = part(position..<clusters.upperBound)
      guard let block = try block(part.index) else {
        try makeBlock(for: position)
        try undo()
        cursor = min(cursor, clusters.lowerBound)
        return false
      }
      try change(block)
      if width.firstUsed(block.words, part.range) == nil {
        width.setOnes(&block.words, part.range)
      } else {
        for index in part.range {
          let count = width.count(block.words, index)
          guard count < width.limit else {
            position = (UInt64(part.index) << blockShift) + UInt64(index)
            try undo()
            throw ImageError.system(22)
          }
          width.setCount(&block.words, index, count + 1)
        }
      }
      position = part.end
    }
    unusedStart = max(unusedStart, clusters.upperBound)
    return true
  }

  /// Lowers the counts of `clusters` by one, at once. Counts of 0 are left alone: the image is damaged, and a check will
  /// say so.
  func lower(_ clusters: Range<UInt64>) throws(ImageError) {
    var position = clusters.lowerBound
    while position < clusters.upperBound {
      let part = part(position..<clusters.upperBound)
      position = part.end
      guard let block = try block(part.index) else { continue }
      try change(block)
      let base = UInt64(part.index) << blockShift
      for index in part.range {
        let count = width.count(block.words, index)
        guard count > 0 else { continue }
        width.setCount(&block.words, index, count - 1)
        if count == 1 {
          let cluster = base + UInt64(index)
          cursor = min(cursor, cluster)
          if byteCursor >> clusterBits == cluster { byteCursor = 0 }
        }
      }
    }
  }

  /// One reference to each of `clusters` goes away with the next write-back of the tables. `givesBack`: what nothing
  /// refers to then is given back to the file system.
  package func release(_ clusters: Range<UInt64>, givesBack: Bool = false) throws(ImageError) {
    if clusters.isEmpty { return }
    if isUnfinished { return try lower(clusters) }
    if givesBack {
      if let last = unneeded.last, last.upperBound == clusters.lowerBound {
        unneeded[unneeded.count - 1] = last.lowerBound..<clusters.upperBound
      } else {
        unneeded.append(clusters)
      }
    }
    if let last = released.last, last.upperBound == clusters.lowerBound {
      released[released.count - 1] = last.lowerBound..<clusters.upperBound
    } else {
      released.append(clusters)
    }
  }

  /// Whether counts wait to be lowered.
  package var hasReleased: Bool { !released.isEmpty }

  /// Lowers the counts that were released: the tables that dropped the references are in the file.
  package func applyReleased() throws(ImageError) {
    let ranges = released
    released = []
    for range in ranges { try lower(range) }
    let candidates = unneeded
    unneeded = []
    for range in candidates { try giveBack(range) }
  }

  /// Gives the space of those of `clusters` back that nothing refers to.
  private func giveBack(_ clusters: Range<UInt64>) throws(ImageError) {
    var start = clusters.lowerBound
    for cluster in clusters where try count(cluster) != 0 {
      try storage.discard(start << clusterBits..<cluster << clusterBits)
      start = cluster + 1
    }
    try storage.discard(start << clusterBits..<clusters.upperBound << clusterBits)
  }

  // MARK: Writing back

  /// Writes changed blocks, then changed table entries, in the order of their offsets.
  package func writeBack() throws(ImageError) {
    try writeBlocks()
    guard let changed = changedTableEntries else { return }
    // Blocks must be in the file before the table points to them.
    if !isUnfinished { try storage.flush() }
    try storage.writeBigEndianWords(table[changed], at: tableOffset + UInt64(changed.lowerBound) * 8)
    changedTableEntries = nil
  }

  /// Writes changed blocks; none once the image has been marked as corrupt, since their places may be wrong.
  func writeBlocks() throws(ImageError) {
    if changedBlocks == 0 { return }
    try corruption.check()
    let dirty = blocks.values.filter(\.isDirty).sorted { $0.offset < $1.offset }
    var writer = TableWriter(storage, tableSize: Int(clusterSize))
    for block in dirty { try writer.append(block.words, at: block.offset, isBigEndian: false) }
    try writer.finish()
    for block in dirty { block.isDirty = false }
    changedBlocks -= dirty.count
  }

  /// Notes that a table entry differs from the file.
  func setTableEntry(_ index: Int, _ offset: UInt64) {
    table[index] = offset
    let changed = changedTableEntries ?? index..<index
    changedTableEntries = min(changed.lowerBound, index)..<max(changed.upperBound, index + 1)
  }
}
