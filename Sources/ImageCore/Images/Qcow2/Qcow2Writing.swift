import Bytes
import Storage

/// What the tables of an image need besides themselves while the image is open for writing.
///
/// Changes stay in memory and go to the file in ``Qcow2Tables/commit()``, in large sorted pieces and in the order that
/// keeps the image valid at every moment (qcow2-qcow-qed §17): data, reference counts, L2 tables, L1 table, and only then
/// the counts that fall. A program that is killed leaves clusters behind that nothing refers to, and no other damage.
package final class Qcow2Writing {
  /// The image's file.
  let storage: any WritableStorage
  /// The storage of the guest's clusters: ``storage`` or the data file.
  let dataStorage: any WritableStorage
  /// Reference counts and allocation.
  private(set) var refcounts: Refcounts
  /// The image is new and its first cluster is not in the file yet: it becomes valid when it is closed.
  var isUnfinished: Bool { refcounts.isUnfinished }
  /// Entries of the L1 table that are not in the file.
  var changedL1: Range<Int>?
  /// Size of the changed L2 slices in bytes.
  var changedSliceBytes = 0
  /// The file's length in bytes after the next commit, at least.
  var neededLength: UInt64 = 0
  /// Whether the disk's contents or size may have been changed.
  var hasBegun = false
  /// Whether ``bitmaps`` has the bitmaps of the file.
  var hasBitmaps = false
  /// Persistent bitmaps that will be stored when the image is closed.
  var bitmaps: [LiveBitmap] = []
  /// Bitmaps of the file that will be deleted when the image is closed.
  var removedBitmaps: [BitmapRecord] = []
  /// L2 entries that are handled at once by one write; bounds the runs that are allocated together (§11.6).
  let pieceEntries: UInt64

  /// Changed L2 slices are written back when they take so many bytes.
  static let sliceLimit = 4 << 20

  init(
    storage: any WritableStorage, dataStorage: any WritableStorage, refcounts: Refcounts, header: Qcow2Header
  ) {
    self.storage = storage
    self.dataStorage = dataStorage
    self.refcounts = refcounts
    // The reference keeps whole tables if all of them fit 32 MiB.
    let needed = (header.guestClusters * header.l2EntrySize).roundedUp(to: header.clusterSize) ?? .max
    let slice = needed <= 32 << 20 ? header.clusterSize : min(header.clusterSize, 4096)
    pieceEntries = slice / header.l2EntrySize
  }

  /// Goes on with the reference counts as they are in the file.
  func restart(with refcounts: Refcounts) {
    self.refcounts = refcounts
    changedL1 = nil
    changedSliceBytes = 0
  }

  /// Notes a changed entry of the L1 table.
  func changeL1(_ index: Int) {
    let changed = changedL1 ?? index..<index
    changedL1 = min(changed.lowerBound, index)..<max(changed.upperBound, index + 1)
  }

  /// What came before is durable before what comes after, as far as the cache mode wants that.
  func barrier() throws(ImageError) {
    if isUnfinished { return }
    if dataStorage !== storage { try dataStorage.flush() }
    try storage.flush()
  }
}

extension Qcow2Tables {
  /// The writing side, for an image that was opened for writing.
  func writer() throws(ImageError) -> Qcow2Writing {
    guard let writing else { throw ImageError("Block node is read-only", errno: 30 /* EROFS */) }
    return writing
  }

  /// Whether changes have to be committed before more clusters are allocated: memory is full, or clusters were released
  /// that are the next to be used again.
  func needsCommit() throws(ImageError) -> Bool {
    let writing = try writer()
    return writing.changedSliceBytes >= Qcow2Writing.sliceLimit || writing.refcounts.isFull
      || writing.refcounts.hasReleased
  }

  /// Writes all changes of the tables to the file. All data that the tables refer to must have been stored.
  func commit() throws(ImageError) {
    let writing = try writer()
    let refcounts = writing.refcounts
    if writing.storage.length < writing.neededLength { try writing.storage.resize(to: writing.neededLength) }
    try refcounts.writeBack()
    noteRefcountTable(refcounts)
    if writing.changedSliceBytes > 0 {
      try writing.barrier()
      try writeSlices(writing)
    }
    if let changed = writing.changedL1 {
      try writing.barrier()
      let words = try l1.words(changed)
      try writing.storage.writeBigEndianWords(words[...], at: header.l1TableOffset + UInt64(changed.lowerBound) * 8)
      writing.changedL1 = nil
    }
    if refcounts.hasReleased {
      try writing.barrier()
      try refcounts.applyReleased()
      try refcounts.writeBack()
    }
  }

  private func writeSlices(_ writing: Qcow2Writing) throws(ImageError) {
    let slices = l2.dirtySlices
    var output = TableWriter(writing.storage, tableSize: Int(l2.sliceSize))
    for slice in slices { try output.append(slice.words, at: slice.hostOffset) }
    try output.finish()
    for slice in slices { slice.isDirty = false }
    writing.changedSliceBytes = 0
  }

  /// Notes that a slice is about to be changed.
  func change(_ slice: L2Slice, _ writing: Qcow2Writing) throws(ImageError) {
    if slice.isDirty { return }
    let cluster = slice.hostOffset / header.clusterSize
    if let kind = writing.refcounts.metadata.overlap(cluster..<cluster + 1, except: .activeL2) {
      throw writing.refcounts.overlap(kind)
    }
    slice.isDirty = true
    writing.changedSliceBytes += slice.words.count * 8
  }

  /// The offset (bytes) of the L2 table of an L1 entry, which is this image's own: made if there is none, copied if a
  /// snapshot shares it.
  func writableTable(_ index: UInt64) throws(ImageError) -> UInt64 {
    let writing = try writer()
    guard index < UInt64(l1.count) else { throw .system(5 /* EIO */) }
    let entry = L1Entry(rawValue: try l1.word(Int(index)))
    guard entry.offset % header.clusterSize == 0 else {
      throw writing.refcounts.corruption.fatal(
        "L2 table offset \(alternateHex(entry.offset)) unaligned (L1 index: \(alternateHex(index)))")
    }
    if entry.offset != 0 && entry.isCopied { return entry.offset }
    let bits = UInt64(header.clusterBits)
    let cluster = try writing.refcounts.allocate(1, for: .l2Table)
    let offset = cluster << bits
    // What is known about that place is out of date.
    l2.remove(offset..<offset + header.clusterSize)
    var position: UInt64 = 0
    while position < header.clusterSize {
      let words =
        entry.offset == 0
        ? Array(repeating: 0, count: Int(l2.sliceSize / 8)) : try l2.slice(at: entry.offset + position).words
      let slice = L2Slice(hostOffset: offset + position, words: words)
      slice.isDirty = true
      writing.changedSliceBytes += words.count * 8
      l2.insert(slice)
      position += l2.sliceSize
    }
    writing.refcounts.metadata.insert(.activeL2, cluster: cluster)
    try l1.set(Int(index), to: L1Entry(offset: offset, isCopied: true).rawValue)
    writing.changeL1(Int(index))
    if entry.offset != 0 {
      let old = entry.offset >> bits
      writing.refcounts.metadata.remove(.activeL2, cluster: old)
      try writing.refcounts.release(old..<old + 1)
    }
    return offset
  }

  /// The slice of a table that holds entry number `index`, and the number of its first entry.
  func slice(of table: UInt64, _ index: UInt64) throws(ImageError) -> (slice: L2Slice, first: UInt64) {
    let perSlice = l2.sliceSize / header.l2EntrySize
    let first = index / perSlice * perSlice
    return (try l2.slice(at: table + first * header.l2EntrySize), first)
  }

  // MARK: The header

  /// The header in memory says where the refcount table is; in the file it was changed when the table was moved.
  private func noteRefcountTable(_ refcounts: Refcounts) {
    if header.refcountTableOffset == refcounts.tableOffset { return }
    header.refcountTableOffset = refcounts.tableOffset
    header.refcountTableClusters = UInt32(UInt64(refcounts.table.count) * 8 / header.clusterSize)
  }

  /// Writes the whole header; while the image is unfinished only its contents are checked.
  func writeHeader() throws(ImageError) {
    let writing = try writer()
    noteRefcountTable(writing.refcounts)
    let cluster = try header.firstCluster()
    if writing.isUnfinished { return }
    try writing.storage.write(cluster, at: 0)
  }

  /// Writes some bytes of the header that change together; not while the image is unfinished.
  func writeHeaderBytes(_ bytes: [UInt8], at offset: UInt64) throws(ImageError) {
    let writing = try writer()
    if writing.isUnfinished { return }
    try writing.storage.write(bytes, at: offset)
  }
}
