import Bytes
import Images
import Storage

// Snapshots are made, gone back to, and deleted (qcow2-qcow-qed §19.2). New clusters are filled before anything refers to
// them; the rest takes effect at one instant (ShadowArea.swift).

extension Qcow2Tables {
  /// A snapshot table that is in the file, and that no header names yet.
  private struct NewTable {
    /// The file's length before, in bytes.
    var fileLength: UInt64
    var records: [SnapshotRecord] = []
    /// Its place in bytes; 0 for no table at all.
    var offset: UInt64 = 0
    /// The clusters that were allocated for it, and for what its records refer to.
    var clusters: [Range<UInt64>] = []
  }

  /// Records the disk as it is as a snapshot.
  ///
  /// - Throws: ENOTSUP for an image with an external data file, EFBIG if there are as many snapshots as there may be,
  ///   EINVAL if a reference count is at its limit. Nothing is changed then.
  func createSnapshot(_ name: [UInt8], seconds: UInt32, nanoseconds: UInt32) throws(ImageError) {
    let writing = try writer()
    if header.hasDataFile { throw .system(95 /* ENOTSUP */) }
    guard snapshots.count < Int(Qcow2Header.snapshotLimit) else { throw .system(27 /* EFBIG */) }
    try loadBitmaps()
    try commit()
    let bits = UInt64(header.clusterBits)
    let l1Clusters = (UInt64(header.l1Size) * 8).dividedUp(by: header.clusterSize)
    var new = NewTable(fileLength: writing.storage.length)
    do throws(ImageError) {
      var start: UInt64 = 0
      if l1Clusters > 0 {
        start = try writing.refcounts.allocate(l1Clusters, for: .table)
        new.clusters.append(start..<start + l1Clusters)
        try write(l1, at: start << bits, count: UInt64(header.l1Size), writing)
      }
      // No extra data is unknown to us in a new record, and its machine state is empty.
      new.records = snapshots
      new.records.append(
        SnapshotRecord(
          l1TableOffset: start << bits, l1Size: header.l1Size, seconds: seconds, nanoseconds: nanoseconds, vmClock: 0,
          shortVMStateSize: 0,
          extraData: UInt64(0).bigEndianBytes + header.virtualSize.bigEndianBytes + UInt64(0).bigEndianBytes,
          id: snapshots.unusedID, name: name))
      try store(&new, writing)
    } catch {
      try? release(new)
      throw error
    }
    try replaceSnapshots(new) { (shadow) throws(ImageError) in
      try changeReferences(of: &l1, by: 1, in: &shadow)
    }
  }

  /// Deletes snapshot number `index`.
  ///
  /// - Throws: the reference's text, see qemu-img-cli-2 §1.8. Nothing is changed then.
  func deleteSnapshot(_ index: Int) throws(ImageError) {
    let writing = try writer()
    let record = snapshots[index]
    try checkL1(of: record)
    try loadBitmaps()
    try commit()
    var new = NewTable(fileLength: writing.storage.length)
    new.records = snapshots
    new.records.remove(at: index)
    do throws(ImageError) {
      try store(&new, writing)
    } catch {
      try? release(new)
      throw error.prefixed("Failed to remove snapshot from snapshot list: ")
    }
    do throws(ImageError) {
      try replaceSnapshots(new) { (shadow) throws(ImageError) in
        var table = LazyTable(writing.storage, offset: record.l1TableOffset, count: Int(record.l1Size))
        try changeReferences(of: &table, by: -1, in: &shadow)
        try writing.refcounts.lower(clusters(of: record))
        // Of the disk's own tables those matter that took the place of one of the snapshot's: clusters that both referred
        // to have one owner now. A table that they shared has been seen to.
        var old = table
        try changeReferences(of: &l1, by: 0, in: &shadow) { (index, entry) throws(ImageError) in
          guard index < old.count else { return .skipped }
          return try old.word(index) & EntryBits.offset != 0 ? .flagged : .skipped
        }
      }
    } catch {
      throw error.prefixed("Failed to free the cluster and L1 table: ")
    }
  }

  /// Makes the disk what it was at snapshot number `index`, with the size that it had then.
  func applySnapshot(_ index: Int) throws(ImageError) {
    let writing = try writer()
    let record = snapshots[index]
    try checkL1(of: record)
    let size = record.diskSize ?? header.virtualSize
    let isShrinking = size < header.virtualSize
    if size != header.virtualSize { try makeL1Room(for: size) }
    if record.l1Size > header.l1Size { try growL1(to: UInt64(record.l1Size)) }
    var table = LazyTable(writing.storage, offset: record.l1TableOffset, count: Int(record.l1Size))
    try changeAtOnce { (shadow) throws(ImageError) in
      // A table that the disk still shares with the snapshot keeps its counts, and with them its flags.
      var present = l1
      try changeReferences(of: &table, by: 1, in: &shadow) { (index, entry) throws(ImageError) in
        try L1Entry(rawValue: present.word(index)).offset != entry.offset ? .flagged : .skipped
      }
      var target = LazyTable(writing.storage, zerosAt: header.l1TableOffset, count: Int(header.l1Size))
      var index = 0
      while true {
        index = try table.firstNonZero(index, below: table.count)
        if index == table.count { break }
        let entry = L1Entry(rawValue: try table.word(index))
        // The disk and the snapshot refer to it: it is no one's own.
        if entry.offset != 0 { try table.set(index, to: entry.rawValue & ~EntryBits.copied) }
        try target.set(index, to: try table.word(index))
        index += 1
      }
      var applied = table
      var old = l1
      // Tables with clusters behind the new end are cut before anything else; a snapshot's are left as they are.
      let whole = size < header.virtualSize ? Int(size.dividedUp(by: header.clusterSize) / header.l2Entries) : Int.max
      try changeReferences(of: &old, by: -1, in: &shadow) { (index, entry) throws(ImageError) in
        if index < applied.count, try applied.word(index) & EntryBits.offset == entry.offset { return .skipped }
        return index < whole ? .flagged : .counted
      }
      try changeReferences(of: &target, by: 0, in: &shadow) { (index, entry) throws(ImageError) in
        try L1Entry(rawValue: present.word(index)).offset != entry.offset ? .flagged : .skipped
      }
      l1 = target
      if size != header.virtualSize { header.size = size }
    }
    // Flags in a snapshot's own table say nothing to anybody, but are kept as they are for the disk.
    try write(table, at: record.l1TableOffset, count: UInt64(record.l1Size), writing)
    if isShrinking, writing.storage.growsWithZeros {
      let end = try writing.refcounts.endOfUse() << UInt64(header.clusterBits)
      if writing.storage.length > end { try writing.storage.resize(to: end) }
    }
  }

  // MARK: The table

  /// Writes the table anew, with all that a version 3 image needs.
  func rewriteSnapshots() throws(ImageError) {
    let writing = try writer()
    var new = NewTable(fileLength: writing.storage.length)
    new.records = snapshots
    do throws(ImageError) {
      try store(&new, writing)
    } catch {
      try? release(new)
      throw error
    }
    try replaceSnapshots(new) { (_) throws(ImageError) in }
  }

  /// Writes a table to new clusters.
  private func store(_ new: inout NewTable, _ writing: Qcow2Writing) throws(ImageError) {
    new.records = new.records.map { $0.completed(diskSize: header.virtualSize) }
    let bytes = new.records.serialized
    guard UInt64(bytes.count) <= SnapshotTableReader.sizeLimit else { throw .system(27 /* EFBIG */) }
    if !bytes.isEmpty {
      let clusters = UInt64(bytes.count).dividedUp(by: header.clusterSize)
      let start = try writing.refcounts.allocate(clusters, for: .table)
      new.clusters.append(start..<start + clusters)
      new.offset = start << UInt64(header.clusterBits)
      try writing.storage.write(bytes, at: new.offset)
    }
    try commit()
  }

  /// Gives the header the new table, frees the old one, and carries out `body` with it.
  private func replaceSnapshots(
    _ new: NewTable, _ body: (inout TableShadow) throws(ImageError) -> Void
  ) throws(ImageError) {
    let refcounts = try writer().refcounts
    let old = snapshots
    let length = old.tableLength
    let start = header.snapshotsOffset >> UInt64(header.clusterBits)
    let clusters = length == 0 ? start..<start : start..<start + UInt64(length).dividedUp(by: header.clusterSize)
    try changeAtOnce { (shadow) throws(ImageError) in
      try body(&shadow)
      try refcounts.lower(clusters)
      header.snapshotCount = UInt32(new.records.count)
      header.snapshotsOffset = new.offset
      snapshots = new.records
    } undo: { () throws(ImageError) in
      snapshots = old
      try release(new)
    }
  }

  /// Frees what was allocated for a table that did not become valid.
  private func release(_ new: NewTable) throws(ImageError) {
    let refcounts = try writer().refcounts
    for clusters in new.clusters { try refcounts.lower(clusters) }
    try refcounts.writeBack()
    let end = max(new.fileLength, try refcounts.endOfUse() << UInt64(header.clusterBits))
    if refcounts.storage.growsWithZeros && refcounts.storage.length > end { try refcounts.storage.resize(to: end) }
  }

  /// The clusters of a snapshot's L1 table.
  private func clusters(of record: SnapshotRecord) -> Range<UInt64> {
    let start = record.l1TableOffset >> UInt64(header.clusterBits)
    return start..<start + (UInt64(record.l1Size) * 8).dividedUp(by: header.clusterSize)
  }

  fileprivate func checkL1(of record: SnapshotRecord) throws(ImageError) {
    try header.checkTable(
      "Snapshot L1 table", offset: record.l1TableOffset, entries: UInt64(record.l1Size), entrySize: 8,
      limit: Qcow2Header.l1TableLimit)
  }
}

extension [SnapshotRecord] {
  /// Length of the records as they stand in the file, in bytes.
  var tableLength: Int { reduce(0) { (($0 + 7) & ~7) + $1.length } }

  /// A number, as text, that no record has as its identifier: the largest one and one more (§6).
  fileprivate var unusedID: [UInt8] {
    let largest = reduce(UInt64(0)) { Swift.max($0, number($1.id)) }
    if largest < .max { return [UInt8](String(largest + 1).utf8) }
    // Somebody numbered a snapshot with all there is: any number that is free will do.
    let used = Set(map { number($0.id) })
    var free: UInt64 = 1
    while used.contains(free) { free += 1 }
    return [UInt8](String(free).utf8)
  }

  /// The number that a text begins with, the largest one if it is larger; 0 for other texts.
  private func number(_ text: [UInt8]) -> UInt64 {
    var value: UInt64 = 0
    for byte in text {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { break }
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
      if overflow || carry { return .max }
      value = sum
    }
    return value
  }
}

extension Qcow2Image: WritableSnapshotImage {
  public func createSnapshot(_ name: String, seconds: UInt32, nanoseconds: UInt32) throws(ImageError) {
    try checkWritable()
    try tables.withLock { (tables) throws(ImageError) in
      try tables.createSnapshot(SnapshotRecord.storedName(name), seconds: seconds, nanoseconds: nanoseconds)
    }
  }

  public func deleteSnapshot(_ index: Int) throws(ImageError) {
    try checkWritable()
    try tables.withLock { (tables) throws(ImageError) in try tables.deleteSnapshot(index) }
    decompression.forget()
  }

  public func applySnapshot(_ name: String) throws(ImageError) {
    try checkWritable()
    let header = self.header
    let (bitmaps, records) = tables.withLock { ($0.bitmaps, $0.snapshots) }
    guard bitmaps.isEmpty else { throw ImageError("Device has active dirty bitmaps", errno: 16 /* EBUSY */) }
    do throws(ImageError) {
      if header.hasDataFile { throw ImageError.system(95 /* ENOTSUP */) }
      guard let index = records.index(named: name) else { throw ImageError.system(2 /* ENOENT */) }
      try tables.withLock { (tables) throws(ImageError) in
        do throws(ImageError) {
          try tables.checkL1(of: records[index])
        } catch {
          notify(.error(error.message))
          throw ImageError.system(error.errno == 0 ? 22 /* EINVAL */ : error.errno)
        }
      }
      let size = records[index].diskSize ?? header.virtualSize
      if size != header.virtualSize { try checkSize(size, header) }
      try tables.withLock { (tables) throws(ImageError) in try tables.applySnapshot(index) }
      setVirtualSize(size)
    } catch {
      throw error.prefixed("Failed to load snapshot: ")
    }
    decompression.forget()
  }

  /// Whether the disk can take the size that a snapshot has. What is wrong is told like this, beside the failure itself.
  private func checkSize(_ size: UInt64, _ header: Qcow2Header) throws(ImageError) {
    if size > UInt64(Int64.max) {
      notify(.error("Image size cannot be negative"))
      throw .system(22 /* EINVAL */)
    }
    if size % 512 != 0 {
      notify(.error("The new size must be a multiple of 512"))
      throw .system(22)
    }
    if header.version < 3 {
      notify(.error("Can't resize a v2 image which has snapshots"))
      throw .system(95 /* ENOTSUP */)
    }
  }
}

extension SnapshotRecord {
  /// Longest name in bytes that is stored.
  static let nameLimit = 255

  /// A name as it is stored: its first 255 bytes, without half a character at the end.
  static func storedName(_ name: String) -> [UInt8] {
    let bytes = name.rawBytes
    if bytes.count <= nameLimit { return bytes }
    var end = nameLimit
    while end > 0 && bytes[end] & 0xC0 == 0x80 { end -= 1 }
    // Text that is not UTF-8 is cut where it has to be.
    return Array(bytes[..<(nameLimit - end < 4 ? end : nameLimit)])
  }
}

extension [SnapshotRecord] {
  /// The snapshot with this identifier or, if there is none, with this name; the first of several.
  fileprivate func index(named text: String) -> Int? {
    let wanted = SnapshotRecord.storedName(text)
    return firstIndex { $0.shownID.rawBytes == text.rawBytes } ?? firstIndex { $0.shownName.rawBytes == wanted }
  }
}
