import Bytes
import Storage

// New refcount blocks, and a larger refcount table when they no longer fit (qcow2-qcow-qed §11.3, §11.4).

extension Refcounts {
  /// Makes the missing refcount block that counts for `cluster`; the caller then searches again.
  func makeBlock(for cluster: UInt64) throws(ImageError) {
    let index = cluster >> blockShift
    let place = try findFree(1, endingBefore: Qcow2Header.hostOffsetLimit)
    guard place != 0 else { throw corruption.fatal("Preventing invalid allocation of refcount block at offset 0") }
    if let kind = metadata.overlap(place..<place + 1) { throw overlap(kind) }
    let isWithin = place >> blockShift == index
    // A block that lies in another block's range is counted there, which may need a block itself: then all begins anew.
    if !isWithin, try !retain(place..<place + 1) { return }
    let block = insertBlock(Int(index), offset: place << clusterBits)
    if isWithin { width.setCount(&block.words, Int(place & (blockEntries - 1)), 1) }
    if index < UInt64(table.count) {
      setTableEntry(Int(index), place << clusterBits)
      return
    }
    let used = max(cluster + 1, place + 1).dividedUp(by: blockEntries)
    try makeArea(at: used << blockShift, adding: 0, isExact: false, newBlock: (Int(index), place << clusterBits))
  }

  /// Most entries of a refcount table.
  private static let tableLimit = Qcow2Header.refcountTableLimit / 8

  /// Makes a new refcount table at the cluster `start`, with blocks behind which all clusters up to there, `additional`
  /// more, and the area itself are counted; the old table is released (§11.4).
  ///
  /// - Parameters:
  ///   - isExact: do not leave room for growth.
  ///   - newBlock: a block that is not in the old table.
  /// - Returns: the first cluster behind the area.
  @discardableResult
  func makeArea(
    at start: UInt64, adding additional: UInt64, isExact: Bool, newBlock: (index: Int, offset: UInt64)? = nil
  ) throws(ImageError) -> UInt64 {
    // The old table is complete before it is given up.
    try writeBack()
    let (blockCount, entries) = try sizeOfArea(start, additional, isExact)
    var newTable = table
    newTable.append(contentsOf: repeatElement(0, count: Int(entries) - min(table.count, Int(entries))))
    if let newBlock { newTable[newBlock.index] = newBlock.offset }
    var next = start
    for index in Int(start >> blockShift)..<Int(blockCount) where newTable[index] == 0 {
      newTable[index] = next << clusterBits
      _ = insertBlock(index, offset: next << clusterBits)
      next += 1
    }
    let tableStart = next
    let tableClusters = (UInt64(newTable.count) * 8) >> clusterBits
    let end = tableStart + tableClusters

    let oldClusters = tableOffset >> clusterBits..<(tableOffset + UInt64(table.count) * 8) >> clusterBits
    table = newTable
    var position = start
    while position < end {
      let part = part(position..<end)
      guard let block = try block(part.index) else {
        throw corruption.fatal(
          "Refblock at \(alternateHex(position << clusterBits)) is not covered by the refcount structures")
      }
      try change(block)
      for index in part.range { width.setCount(&block.words, index, 1) }
      position = part.end
    }
    if let kind = metadata.overlap(tableStart..<end) { throw overlap(kind) }

    // Everything that the new table points to, the table, the header: in this order the image is valid at any moment.
    try writeBlocks()
    if !isUnfinished { try storage.flush() }
    try storage.writeBigEndianWords(table[...], at: tableStart << clusterBits)
    changedTableEntries = nil
    if !isUnfinished { try storage.flush() }
    tableOffset = tableStart << clusterBits
    if !isUnfinished {
      try storage.write(tableOffset.bigEndianBytes + UInt32(tableClusters).bigEndianBytes, at: 48)
      try storage.flush()
    }
    metadata.set(.refcountTable, tableStart..<end)
    unusedStart = max(unusedStart, end)
    try lower(oldClusters)
    return end
  }

  /// Number of blocks, and entries of the table, that an area at the cluster `start` needs.
  private func sizeOfArea(_ start: UInt64, _ additional: UInt64, _ isExact: Bool) throws(ImageError) -> (
    blocks: UInt64, entries: UInt64
  ) {
    // Far below an overflow: host clusters have at most 47 bits.
    var clusters = start + additional
    var blocks: UInt64 = 0
    var tableClusters: UInt64 = 0
    func settle() {
      while true {
        let before = (blocks, tableClusters)
        blocks = (clusters + tableClusters + blocks).dividedUp(by: blockEntries)
        tableClusters = blocks.dividedUp(by: tableEntriesPerCluster)
        if before == (blocks, tableClusters) { return }
      }
    }
    settle()
    if !isExact {
      clusters += tableClusters.dividedUp(by: 2)
      settle()
    }
    let wanted = isExact ? blocks : blocks + blocks.dividedUp(by: 2)
    let entries = max(wanted, UInt64(table.count)).dividedUp(by: tableEntriesPerCluster) * tableEntriesPerCluster
    guard entries <= Refcounts.tableLimit else { throw ImageError.system(27 /* EFBIG */) }
    return (blocks, entries)
  }
}
