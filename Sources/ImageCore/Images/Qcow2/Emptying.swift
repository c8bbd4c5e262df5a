import Bytes
import Images
import Storage

// An image whose contents have been committed gives them up (qcow2-qcow-qed §19.3).

extension Qcow2Image: EmptyableImage {
  public func makeEmpty() throws(ImageError) {
    try checkWritable()
    let header = self.header
    let isReset = try tables.withLock { (tables) throws(ImageError) in try tables.reset() }
    if isReset {
      decompression.forget()
    } else {
      // Snapshots, bitmaps and the data file stay; so do the tables.
      try changeClusters(0..<virtualSize.dividedUp(by: header.clusterSize), .discarding(isFull: true))
      try flush()
      // Nothing refers to the data file any more; without a layer of its own an image with a raw one cannot get here.
      if header.hasDataFile, let data = dataStorage as? any WritableStorage { try data.discard(0..<data.length) }
    }
  }
}

extension Qcow2Tables {
  /// Makes the image what it was when it was new: header, refcount table, one refcount block, L1 table, nothing else.
  ///
  /// - Returns: false if the image holds more than the disk's contents, or its tables lie where they cannot be moved from in
  ///   one step; nothing is changed then.
  func reset() throws(ImageError) -> Bool {
    let writing = try writer()
    let size = header.clusterSize
    let l1Clusters = (UInt64(header.l1Size) * 8).dividedUp(by: size)
    let used = 3 + l1Clusters
    guard header.version >= 3, header.snapshotCount == 0, bitmaps.isEmpty, header.extensions.bitmaps == nil,
      header.encryption == .none, !header.hasDataFile, used <= writing.refcounts.blockEntries
    else { return false }
    try commit()
    let places = TablePlaces(header, writing.refcounts)
    guard places.isInPlace || places.canMove(below: used) else { return false }
    try writing.barrier()
    // Entry by entry the disk shows the layer below, which holds the same.
    let l1Start = header.l1TableOffset
    try writing.storage.zero(l1Start..<l1Start + l1Clusters * size, mayUnmap: false)
    try writing.barrier()
    l2.removeAll()

    if !places.isInPlace { try moveTables(used, places, writing) }
    var block = Array(repeating: UInt64(0), count: Int(size / 8))
    writing.refcounts.width.setOnes(&block, 0..<Int(used))
    let table = newTable()
    // The other blocks go first: what they count is referred to by nothing any more.
    try writing.storage.writeBigEndianWords(table[...], at: size)
    try writing.barrier()
    try writing.storage.writeLittleEndianWords(block, at: 2 * size)
    try writing.barrier()
    try writing.storage.resize(to: used * size)
    try restartWriting(table)
    return true
  }

  /// The refcount table of a new image: one block, in cluster 2.
  private func newTable() -> [UInt64] {
    [2 * header.clusterSize] + Array(repeating: UInt64(0), count: Int(header.clusterSize / 8) - 1)
  }

  /// Moves the tables to clusters 1 to `used`, where a new image has them: they are filled and counted before the header
  /// leads there. The L1 table holds zeros only.
  private func moveTables(_ used: UInt64, _ places: TablePlaces, _ writing: Qcow2Writing) throws(ImageError) {
    let size = header.clusterSize
    let refcounts = writing.refcounts
    for cluster in 0..<used where try refcounts.count(cluster) == 0 {
      _ = try refcounts.retain(cluster..<cluster + 1)
    }
    try refcounts.writeBack()
    try writing.barrier()
    if places.l1.lowerBound != 3 { try writing.storage.zero(3 * size..<used * size, mayUnmap: false) }
    if places.firstBlock != 2 {
      guard let block = try refcounts.block(0) else { throw .system(5 /* EIO */) }
      try writing.storage.writeLittleEndianWords(block.words, at: 2 * size)
      try writing.barrier()
    }
    if places.table.lowerBound != 1 {
      try writing.storage.writeBigEndianWords(newTable()[...], at: size)
    } else {
      try writing.storage.writeBigEndianWord(2 * size, at: size)
    }
    try writing.barrier()
    header.l1TableOffset = 3 * size
    header.refcountTableOffset = size
    header.refcountTableClusters = 1
    try writeHeaderBytes(
      header.l1TableOffset.bigEndianBytes + header.refcountTableOffset.bigEndianBytes
        + header.refcountTableClusters.bigEndianBytes, at: 40)
    try writing.barrier()
  }
}

/// Where the tables of an image are, in clusters.
private struct TablePlaces {
  let l1: Range<UInt64>
  let table: Range<UInt64>
  /// The block that counts the first clusters.
  let firstBlock: UInt64
  let blocks: Set<UInt64>

  init(_ header: Qcow2Header, _ refcounts: Refcounts) {
    let size = header.clusterSize
    func range(_ offset: UInt64, _ entries: Int) -> Range<UInt64> {
      offset / size..<offset / size + (UInt64(entries) * 8).dividedUp(by: size)
    }
    l1 = range(header.l1TableOffset, Int(header.l1Size))
    table = range(refcounts.tableOffset, refcounts.table.count)
    let clusters = refcounts.table.map { ($0 & ~EntryBits.reservedRefcountTable) / size }
    firstBlock = clusters.first ?? 0
    blocks = Set(clusters)
  }

  /// Whether everything lies where a new image has it.
  var isInPlace: Bool { l1.lowerBound == 3 && table == 1..<2 && firstBlock == 2 }

  /// Whether the places of a new image, clusters 1 to `used`, hold nothing that is needed until the header leads there.
  func canMove(below used: UInt64) -> Bool {
    func isFree(_ cluster: UInt64) -> Bool { !table.contains(cluster) && !blocks.contains(cluster) }
    return firstBlock != 0
      && (table == 1..<2 || (isFree(1) && !l1.contains(1)))
      && (firstBlock == 2 || (isFree(2) && !l1.contains(2)))
      && (3..<used).allSatisfy(isFree)
  }
}
