import Bytes
import Storage

// Counts of another width: new blocks and a new table beside the old ones, which one write of the header replaces
// (qcow2-qcow-qed §19.5).

extension Qcow2Tables {
  /// Checks that all counts fit another width.
  func checkCounts(fit width: RefcountWidth) throws(ImageError) {
    let refcounts = try writer().refcounts
    try commit()
    if width.order >= refcounts.width.order { return }
    for index in refcounts.table.indices {
      guard let block = try refcounts.block(index) else { continue }
      for entry in 0..<Int(refcounts.blockEntries) {
        let count = refcounts.width.count(block.words, entry)
        if count > width.limit {
          let cluster = UInt64(index) << refcounts.blockShift + UInt64(entry)
          throw ImageError(
            "Cannot decrease refcount entry width to \(width.bits) bits: Cluster at offset "
              + "\(alternateHex(cluster << refcounts.clusterBits)) has a refcount of \(count)")
        }
      }
    }
  }

  /// Gives all reference counts the width 2^`order` bits; they fit.
  ///
  /// - Parameter progress: told how much is done, from 0 to 1.
  func changeRefcountOrder(to order: UInt32, progress: @Sendable (Float) -> Void) throws(ImageError) {
    let writing = try writer()
    let old = writing.refcounts
    let bits = UInt64(header.clusterBits)
    try commit()
    let width = RefcountWidth(order: order)
    // Counts of a new block.
    let perBlock = UInt64(1) << (bits + 3 - UInt64(order))
    var table: [UInt64] = []
    var tableClusters: Range<UInt64>?

    // New structures are counted themselves, in ranges that may need blocks because of them.
    while true {
      var isStable = true
      var index: UInt64 = 0
      while index * perBlock < UInt64(old.table.count) << old.blockShift {
        let hasBlock = index < UInt64(table.count) && table[Int(index)] != 0
        if !hasBlock, try old.hasUse(index * perBlock..<(index + 1) * perBlock) {
          let cluster = try old.allocate(1, for: .table)
          if table.count <= Int(index) {
            table.append(contentsOf: repeatElement(0, count: Int(index) + 1 - table.count))
          }
          table[Int(index)] = cluster << bits
          isStable = false
        }
        index += 1
      }
      if isStable { break }
      if let range = tableClusters { try old.lower(range) }
      let needed = (UInt64(table.count) * 8).dividedUp(by: header.clusterSize)
      guard needed * header.clusterSize <= Qcow2Header.refcountTableLimit else {
        throw ImageError(
          "This operation would make the refcount table grow beyond the maximum size supported by QEMU, aborting")
      }
      let start = try old.allocate(needed, for: .table)
      tableClusters = start..<start + needed
    }
    guard let place = tableClusters else { throw .system(5 /* EIO */) }
    progress(0.3)

    var writer = TableWriter(writing.storage, tableSize: Int(header.clusterSize))
    for index in table.indices where table[index] != 0 {
      var words = [UInt64](repeating: 0, count: Int(header.clusterSize / 8))
      try old.forEachUse(UInt64(index) * perBlock..<UInt64(index + 1) * perBlock) { (cluster, count) in
        width.setCount(&words, Int(cluster & (perBlock - 1)), count)
      }
      try writer.append(words, at: table[index], isBigEndian: false)
    }
    try writer.finish()
    table.append(
      contentsOf: repeatElement(
        0, count: Int((place.upperBound - place.lowerBound) << bits) / 8 - table.count))
    try writing.storage.writeBigEndianWords(table[...], at: place.lowerBound << bits)
    try commit()
    try writing.barrier()
    progress(0.7)

    let oldTable = old.tableOffset >> bits..<(old.tableOffset >> bits) + (UInt64(old.table.count) * 8) >> bits
    let oldBlocks = old.table.map { $0 & ~EntryBits.reservedRefcountTable }.filter { $0 != 0 }
    header.refcountOrder = order
    header.refcountTableOffset = place.lowerBound << bits
    header.refcountTableClusters = UInt32(place.upperBound - place.lowerBound)
    try writing.storage.write(try header.firstCluster(), at: 0)
    try writing.barrier()
    try reload(cursor: old.cursor)
    let new = writing.refcounts
    for block in oldBlocks { try new.release(block >> bits..<(block >> bits) + 1) }
    try new.release(oldTable)
    try commit()
    progress(1)
  }
}

extension Refcounts {
  /// Whether a cluster of the range is in use.
  fileprivate func hasUse(_ clusters: Range<UInt64>) throws(ImageError) -> Bool {
    var position = clusters.lowerBound
    while position < clusters.upperBound {
      let part = part(position..<clusters.upperBound)
      if part.index >= table.count { return false }
      if let block = try block(part.index), width.firstUsed(block.words, part.range) != nil { return true }
      position = part.end
    }
    return false
  }

  /// Calls `body` with each cluster of the range that is in use, and its count.
  fileprivate func forEachUse(_ clusters: Range<UInt64>, _ body: (UInt64, UInt64) -> Void) throws(ImageError) {
    var position = clusters.lowerBound
    while position < clusters.upperBound {
      let part = part(position..<clusters.upperBound)
      if part.index >= table.count { return }
      if let block = try block(part.index) {
        for index in part.range {
          let count = width.count(block.words, index)
          if count != 0 { body((UInt64(part.index) << blockShift) + UInt64(index), count) }
        }
      }
      position = part.end
    }
  }
}
