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
  /// - Returns: false if the image holds more than the disk's contents; nothing is changed then.
  func reset() throws(ImageError) -> Bool {
    let writing = try writer()
    let size = header.clusterSize
    let l1Clusters = (UInt64(header.l1Size) * 8).dividedUp(by: size)
    let used = 3 + l1Clusters
    guard header.version >= 3, header.snapshotCount == 0, bitmaps.isEmpty, header.extensions.bitmaps == nil,
      header.encryption == .none, !header.hasDataFile, used <= writing.refcounts.blockEntries
    else { return false }
    try commit()
    try writing.barrier()
    // Entry by entry the disk shows the layer below, which holds the same.
    let l1Start = header.l1TableOffset
    try writing.storage.zero(l1Start..<l1Start + l1Clusters * size, mayUnmap: false)
    try writing.barrier()
    l2.removeAll()

    let refcounts = writing.refcounts
    let isInPlace =
      l1Start == 3 * size && refcounts.tableOffset == size && UInt64(refcounts.table.count) * 8 == size
      && refcounts.table[0] == 2 * size
    // Where tables have moved, counts are wrong for a moment; the mark has whoever opens the image then count again.
    if !isInPlace { try moveTables(l1Clusters, writing) }
    var block = Array(repeating: UInt64(0), count: Int(size / 8))
    refcounts.width.setOnes(&block, 0..<Int(used))
    var table = Array(repeating: UInt64(0), count: Int(size / 8))
    table[0] = 2 * size
    // The other blocks go first: what they count is referred to by nothing any more.
    try writing.storage.writeBigEndianWords(table[...], at: size)
    try writing.barrier()
    try writing.storage.writeLittleEndianWords(block, at: 2 * size)
    try writing.barrier()
    if !isInPlace { try setDirty(false, writing) }
    try writing.storage.resize(to: used * size)
    try restartWriting(table)
    return true
  }

  /// Points the header to the places that the tables have in a new image, which are cleared before.
  private func moveTables(_ l1Clusters: UInt64, _ writing: Qcow2Writing) throws(ImageError) {
    let size = header.clusterSize
    try setDirty(true, writing)
    try writing.storage.zero(size..<(3 + l1Clusters) * size, mayUnmap: false)
    try writing.barrier()
    header.l1TableOffset = 3 * size
    header.refcountTableOffset = size
    header.refcountTableClusters = 1
    try writeHeaderBytes(
      header.l1TableOffset.bigEndianBytes + header.refcountTableOffset.bigEndianBytes
        + header.refcountTableClusters.bigEndianBytes, at: 40)
    try writing.barrier()
  }

  private func setDirty(_ isDirty: Bool, _ writing: Qcow2Writing) throws(ImageError) {
    if isDirty {
      header.incompatibleFeatures.insert(.dirty)
    } else {
      header.incompatibleFeatures.remove(.dirty)
    }
    try writeHeaderBytes(header.incompatibleFeatures.rawValue.bigEndianBytes, at: 72)
    try writing.barrier()
  }
}
