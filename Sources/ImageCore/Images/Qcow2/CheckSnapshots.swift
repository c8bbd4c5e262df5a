import Bytes
import Images
import Storage

// The snapshot table (qcow2-qcow-qed §16.1, 1). It is read before anything is changed: a repair that did not know the
// snapshots would give their clusters back (§24, 32).

extension Qcow2Check {
  /// Reads the table; what is wrong with single records is told, and with `-r all` set right in memory.
  func readSnapshots() throws(ImageError) {
    var count = header.snapshotCount
    if count > Qcow2Header.snapshotLimit {
      let extra = count - Qcow2Header.snapshotLimit
      guard repair == .all else {
        notify(.error("ERROR snapshot table too large"))
        message("You can force-remove all \(extra) overhanging snapshots with qemu-img check -r all")
        throw .system(27 /* EFBIG */)
      }
      repaired("Discarding \(extra) overhanging snapshots", count: Int(extra))
      count = Qcow2Header.snapshotLimit
      rewritesSnapshots = true
    }
    let offset = header.snapshotsOffset
    guard offset % clusterSize == 0, offset <= UInt64(Int64.max) - UInt64(count) * 40 else {
      notify(.error("ERROR snapshot table offset invalid"))
      throw .system(22 /* EINVAL */)
    }
    var reader = SnapshotTableReader(storage, at: offset)
    for index in 0..<count {
      guard try readSnapshot(&reader, index, of: count) else { break }
    }
    completeRecords()
    snapshotTableSize = snapshots.isEmpty ? 0 : reader.size
  }

  /// Reads record number `index`; false when the table is not to be read further.
  private func readSnapshot(_ reader: inout SnapshotTableReader, _ index: UInt32, of count: UInt32) throws(ImageError)
    -> Bool
  {
    let (record, extraLength): (SnapshotRecord, UInt32)
    do throws(ImageError) {
      (record, extraLength) = try reader.next()
    } catch {
      notify(.error("ERROR failed to read the snapshot table: Failed to read snapshot table: \(error.message)"))
      throw error
    }
    if extraLength > SnapshotRecord.extraDataLimit {
      guard repair == .all else {
        notify(
          .error("ERROR failed to read the snapshot table: Too much extra metadata in snapshot table entry \(index)"))
        message("You can force-remove this extra metadata with qemu-img check -r all")
        throw .system(27)
      }
      repaired(
        "Discarding too much extra metadata in snapshot table entry \(index) (\(extraLength) > "
          + "\(SnapshotRecord.extraDataLimit))")
      rewritesSnapshots = true
    }
    if reader.size > SnapshotTableReader.sizeLimit {
      let left = count - index
      guard repair == .all else {
        notify(.error("ERROR failed to read the snapshot table: Snapshot table is too big"))
        message("You can force-remove all \(left) overhanging snapshots with qemu-img check -r all")
        throw .system(27)
      }
      repaired("Discarding \(left) overhanging snapshots (snapshot table is too big)", count: Int(left))
      rewritesSnapshots = true
      return false
    }
    snapshots.append(record)
    return true
  }

  /// Version 3 asks for extra data in every record.
  private func completeRecords() {
    guard header.version >= 3 else { return }
    for index in snapshots.indices where snapshots[index].extraData.count < SnapshotRecord.extraDataNeeded {
      if repair == .all {
        repaired("Repairing snapshot table entry \(index) is incomplete")
        snapshots[index] = snapshots[index].completed(diskSize: header.virtualSize)
        rewritesSnapshots = true
      } else {
        corruption("ERROR snapshot table entry \(index) is incomplete")
      }
    }
  }

  /// Counts the table's own clusters.
  func countSnapshotTable() {
    snapshotTableClusters = 0..<0
    if snapshotTableSize == 0 { return }
    let start = header.snapshotsOffset
    if count(start, snapshotTableSize) {
      snapshotTableClusters = start / clusterSize..<(start + snapshotTableSize).dividedUp(by: clusterSize)
    } else if rewritesSnapshots && start < fileLength {
      // A record claims more than there is: its beginning at least is where the header says, until the new table is.
      _ = count(start, 1)
      snapshotTableClusters = start / clusterSize..<start / clusterSize + 1
    } else {
      hidesReferences = true
    }
  }

  /// Writes the table anew: into clusters that nothing uses, counts first, header last; then the old one is given back.
  func rewriteSnapshots() throws(ImageError) {
    guard let writable else { return }
    snapshots = snapshots.map { $0.completed(diskSize: header.virtualSize) }
    let table = snapshots.serialized
    let needed = UInt64(table.count).dividedUp(by: clusterSize)
    let old = snapshotTableClusters
    var start: UInt64 = 0
    if needed > 0 {
      start = references.firstZeros(needed, from: 0)
      for cluster in start..<start + needed {
        guard try changeCount(cluster, by: 1) else {
          notify(.error("ERROR failed to update snapshot table: No space left on device"))
          result.checkErrors += 1
          return
        }
      }
      try writable.flush()
      try writable.write(table, at: start * clusterSize)
      try writable.flush()
    }
    header.snapshotCount = UInt32(snapshots.count)
    header.snapshotsOffset = start * clusterSize
    snapshotTableSize = UInt64(table.count)
    var fields = Buffer(12)
    var bytes = fields.mutableBytes
    bytes.storeBigEndian(header.snapshotCount, at: 0)
    bytes.storeBigEndian(header.snapshotsOffset, at: 4)
    try writable.write(fields.bytes, at: 60)
    try writable.flush()
    for cluster in old where references[cluster] > 0 { _ = try changeCount(cluster, by: -1) }
    try writable.flush()
    for cluster in old where references[cluster] == 0 {
      try writable.discard(cluster * clusterSize..<(cluster + 1) * clusterSize)
    }
  }

  /// Changes the stored count of a cluster; false where there is no refcount block for it, or no room in the count.
  private func changeCount(_ cluster: UInt64, by change: Int64) throws(ImageError) -> Bool {
    let perBlock = header.refcountBlockEntries
    guard let writable, cluster / perBlock < UInt64(refcountTable.count) else { return false }
    let offset = try refcountTable.word(Int(cluster / perBlock)) & ~EntryBits.reservedRefcountTable
    guard offset != 0, offset % clusterSize == 0, references[offset / clusterSize] == 1 else { return false }
    let width = RefcountWidth(order: header.refcountOrder)
    var words = try storage.readLittleEndianWords(at: offset, count: Int(clusterSize / 8))
    let count = width.count(words, Int(cluster % perBlock))
    guard let new = Int64(exactly: count).map({ $0 + change }), new >= 0, UInt64(new) <= width.limit else {
      return false
    }
    width.setCount(&words, Int(cluster % perBlock), UInt64(new))
    try writable.writeLittleEndianWords(words, at: offset)
    // The block still says what is counted, if it did before.
    references[cluster] = UInt64(new)
    if cluster < clusters { stored[cluster] = UInt64(new) }
    return true
  }
}
