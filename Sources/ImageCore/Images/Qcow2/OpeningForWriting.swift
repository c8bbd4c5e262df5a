import Bytes
import Images
import Storage

extension Qcow2Image {
  /// Takes away autoclear bits that we do not know and bitmaps that were not kept up to date, before anything is written:
  /// what they promise will not hold any longer.
  func dropUnkeptPromises() throws(ImageError) {
    guard let storage = storage as? any WritableStorage else { return }
    try tables.withLock { (tables) throws(ImageError) in
      let known = tables.header.autoclearFeatures.intersection(.known)
      if known == tables.header.autoclearFeatures && !tables.header.extensions.hasStaleBitmaps { return }
      tables.header.autoclearFeatures = known
      tables.header.extensions.hasStaleBitmaps = false
      try storage.write(try tables.header.firstCluster(), at: 0)
      try storage.flush()
    }
  }

  /// Prepares an image that was opened for writing: loads the refcount table, and learns where metadata is.
  func beginWriting() throws(ImageError) {
    guard let storage = storage as? any WritableStorage, let data = dataStorage as? any WritableStorage else {
      throw ImageError("Block node is read-only", errno: 30 /* EROFS */)
    }
    if header.incompatibleFeatures.contains(.dirty) { try repairDirtyImage() }
    let corruption = self.corruption
    try tables.withLock { (tables) throws(ImageError) in
      try tables.beginWriting(storage, data, corruption)
    }
  }
}

extension Qcow2Image {
  /// Brings the reference counts of an image that was not closed up to date.
  private func repairDirtyImage() throws(ImageError) {
    let notify = self.notify
    do throws(ImageError) {
      let result = try check(repair: .all, isOpening: true) { notify(.line($0)) }
      if result.corruptions > 0 || result.checkErrors > 0 { throw ImageError.system(5 /* EIO */) }
    } catch {
      throw error.prefixed("Could not repair dirty image: ")
    }
  }
}

extension Qcow2Tables {
  /// Forgets what is in memory of the tables: they were changed in the file. The search for free clusters goes on at
  /// `cursor`.
  func reload(cursor: UInt64) throws(ImageError) {
    let writing = try writer()
    l2.removeAll()
    l1 = LazyTable(writing.storage, offset: header.l1TableOffset, count: Int(header.l1Size))
    let refcounts = try loadRefcounts(writing.storage, writing.refcounts.corruption)
    refcounts.cursor = cursor
    writing.restart(with: refcounts)
  }

  fileprivate func beginWriting(
    _ storage: any WritableStorage, _ data: any WritableStorage, _ corruption: CorruptionReport
  ) throws(ImageError) {
    let refcounts = try loadRefcounts(storage, corruption)
    writing = Qcow2Writing(storage: storage, dataStorage: data, refcounts: refcounts, header: header)
  }

  private func loadRefcounts(_ storage: any WritableStorage, _ corruption: CorruptionReport) throws(ImageError)
    -> Refcounts
  {
    let table = try storage.readBigEndianWords(
      at: header.refcountTableOffset, count: Int(header.refcountTableEntries))
    return Refcounts(
      storage: storage, header: header, table: table, metadata: try metadataMap(table), isUnfinished: false,
      corruption: corruption)
  }

  /// Begins anew after the tables were replaced as a whole: no cluster but theirs is in use.
  func restartWriting(_ refcountTable: [UInt64]) throws(ImageError) {
    let old = try writer()
    l1 = LazyTable(old.storage, zerosAt: header.l1TableOffset, count: Int(header.l1Size))
    let refcounts = Refcounts(
      storage: old.storage, header: header, table: refcountTable, metadata: try metadataMap(refcountTable),
      isUnfinished: false, corruption: old.refcounts.corruption)
    writing = Qcow2Writing(
      storage: old.storage, dataStorage: old.dataStorage, refcounts: refcounts, header: header)
    writing?.hasBegun = old.hasBegun
  }

  /// Where the image's metadata lies.
  private func metadataMap(_ refcountTable: [UInt64]) throws(ImageError) -> MetadataMap {
    let size = header.clusterSize
    func clusters(_ offset: UInt64, _ length: UInt64) -> Range<UInt64> {
      offset / size..<offset.saturatingAdd(length).dividedUp(by: size)
    }
    var map = MetadataMap()
    map.set(.activeL1, clusters(header.l1TableOffset, UInt64(header.l1Size) * 8))
    map.set(.refcountTable, clusters(header.refcountTableOffset, UInt64(refcountTable.count) * 8))
    if let bitmaps = header.extensions.bitmaps {
      map.set(.bitmapDirectory, clusters(bitmaps.directoryOffset, bitmaps.directorySize))
    }
    map.set(.snapshotTable, clusters(header.snapshotsOffset, UInt64(snapshots.tableLength)))
    map.setInactiveL1(snapshots.map { clusters($0.l1TableOffset, UInt64($0.l1Size) * 8) })
    for entry in refcountTable {
      let offset = entry & ~EntryBits.reservedRefcountTable
      if offset != 0 { map.insert(.refcountBlock, cluster: offset / size) }
    }
    var index = 0
    while true {
      index = try l1.firstNonZero(index, below: l1.count)
      if index == l1.count { break }
      let entry = L1Entry(rawValue: try l1.word(index))
      if entry.offset != 0 { map.insert(.activeL2, cluster: entry.offset / size) }
      index += 1
    }
    return map
  }
}
