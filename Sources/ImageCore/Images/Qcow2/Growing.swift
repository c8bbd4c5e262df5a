import Bytes
import Images
import Storage

// A disk gets larger (qcow2-qcow-qed §10, §10.1, §19.1): L1 table, preallocation, size.

extension Qcow2Tables {
  /// Makes room in the L1 table for a disk of `size` bytes (a multiple of 512).
  func makeL1Room(for size: UInt64) throws(ImageError) {
    let needed = size.dividedUp(by: header.bytesPerL1Entry)
    if needed <= UInt64(header.l1Size) { return }
    do throws(ImageError) { try growL1(to: needed) } catch { throw error.prefixed("Failed to grow the L1 table: ") }
  }

  /// Prepares the guest bytes of `range`, by which the disk gets larger; the L1 table has room for them.
  func prepareSpace(_ range: Range<UInt64>, _ preallocation: Preallocation) throws(ImageError) {
    if header.hasDataFile {
      try growDataFile(try writer().dataStorage, to: range.upperBound, preallocation: preallocation)
    }
    if preallocation == .off {
      // A raw data file is mapped one to one.
      if header.hasRawDataFile { try preallocateMetadata(range) }
    } else if preallocation == .metadata || header.hasDataFile {
      try preallocateMetadata(range)
    } else {
      try preallocateData(range, preallocation)
    }
  }

  /// Records the disk's size; all else is in the file before.
  func setSize(_ size: UInt64) throws(ImageError) {
    let writing = try writer()
    if !writing.isUnfinished {
      try commit()
      try writing.barrier()
    }
    header.size = size
    do throws(ImageError) {
      try writeHeaderBytes(size.bigEndianBytes, at: 24)
    } catch {
      throw error.prefixed("Failed to update the image size: ")
    }
  }

  /// L1 tables up to so many bytes are written whole; of larger ones only the parts that are not zero.
  private static let wholeL1Limit: UInt64 = 1 << 20

  /// Moves the L1 table to a place where it has room for `entries`.
  func growL1(to entries: UInt64) throws(ImageError) {
    let writing = try writer()
    guard entries <= Qcow2Header.l1TableLimit / 8 else { throw .system(27 /* EFBIG */) }
    let bits = UInt64(header.clusterBits)
    // Changes of the old table are in the file before it is copied.
    if !writing.isUnfinished { try commit() }
    let clusters = (entries * 8).dividedUp(by: header.clusterSize)
    let start = try writing.refcounts.allocate(clusters, for: .table)
    var table = LazyTable(writing.storage, zerosAt: start << bits, count: Int(entries))
    var used = 0
    while true {
      used = try l1.firstNonZero(used, below: l1.count)
      if used == l1.count { break }
      try table.set(used, to: try l1.word(used))
      used += 1
    }
    try writing.refcounts.writeBack()
    try writing.barrier()
    try write(table, at: start << bits, count: entries, writing)
    try writing.barrier()
    let oldClusters = header.l1TableOffset >> bits
    let old = oldClusters..<oldClusters + (UInt64(header.l1Size) * 8).dividedUp(by: header.clusterSize)
    header.l1Size = UInt32(entries)
    header.l1TableOffset = start << bits
    l1 = table
    writing.changedL1 = nil
    writing.refcounts.metadata.set(.activeL1, start..<start + clusters)
    try writeHeaderBytes(header.l1Size.bigEndianBytes + header.l1TableOffset.bigEndianBytes, at: 36)
    try writing.barrier()
    // Now nothing refers to the old one.
    try writing.refcounts.release(old)
    if !writing.isUnfinished { try commit() }
  }

  /// Writes an L1 table of `count` entries to `offset` (bytes).
  func write(_ table: LazyTable, at offset: UInt64, count: UInt64, _ writing: Qcow2Writing) throws(ImageError) {
    var table = table
    let size = count * 8
    if size > Qcow2Tables.wholeL1Limit { try writing.storage.zero(offset..<offset + size, mayUnmap: true) }
    let step = Int(Qcow2Tables.wholeL1Limit / 8)
    var start = 0
    while start < Int(count) {
      let end = min(Int(count), start + step)
      let isZero = try table.firstNonZero(start, below: end) == end
      if size <= Qcow2Tables.wholeL1Limit || !isZero {
        try writing.storage.writeBigEndianWords(try table.words(start..<end)[...], at: offset + UInt64(start) * 8)
      }
      start = end
    }
  }

  private func growDataFile(_ file: any WritableStorage, to size: UInt64, preallocation: Preallocation)
    throws(ImageError)
  {
    let old = file.length
    // A data file that is a device, or was larger before, stays as it is.
    if old >= size { return }
    do throws(ImageError) {
      try file.prepare(old..<size, preallocation)
    } catch {
      throw error.prefixed("Failed to resize underlying file: ")
    }
  }

  // MARK: Preallocation

  /// Gives all guest clusters of `range` a place, as one long write would, without storing anything.
  private func preallocateMetadata(_ range: Range<UInt64>) throws(ImageError) {
    do throws(ImageError) {
      try allocateAll(range)
    } catch {
      throw error.prefixed("Allocating clusters failed: ")
    }
  }

  private func allocateAll(_ range: Range<UInt64>) throws(ImageError) {
    let writing = try writer()
    var offset = range.lowerBound
    var expected: UInt64?
    while offset < range.upperBound {
      if try needsCommit() { try commit() }
      let unused = writing.refcounts.unusedStart << UInt64(header.clusterBits)
      guard let piece = try nextPiece(offset..<range.upperBound, writing, 0, expected) else {
        expected = nil
        continue
      }
      if piece.isNew && piece.hostOffset < unused && !header.hasDataFile {
        // What was there before must not show.
        let start = piece.hostOffset.roundedDown(to: header.clusterSize)
        try writing.storage.zero(start..<start + piece.clusters * header.clusterSize, mayUnmap: true)
      }
      try link([piece], isStored: false)
      if header.hasDataFile, let end = piece.guest.upperBound.roundedUp(to: header.subclusterSize),
        writing.dataStorage.length < end
      {
        // The data file has all of the last (sub)cluster.
        try writing.dataStorage.resize(to: end)
      }
      offset = piece.guest.upperBound
      expected = piece.hostOffset + (piece.guest.upperBound - piece.guest.lowerBound)
    }
  }

  /// Reserves space for all guest clusters of `range` in one run at the end of the file, with refcount blocks and table in
  /// front of it, and enters it.
  private func preallocateData(_ range: Range<UInt64>, _ mode: Preallocation) throws(ImageError) {
    let writing = try writer()
    let refcounts = writing.refcounts
    let bits = UInt64(header.clusterBits)
    if !writing.isUnfinished { try commit() }
    let first = range.lowerBound.dividedUp(by: header.clusterSize)
    let count = range.upperBound.dividedUp(by: header.clusterSize) - first
    let tables = count.dividedUp(by: header.l2Entries)
    let oldEnd = try refcounts.endOfUse()
    let start: UInt64
    do throws(ImageError) {
      start = try refcounts.makeArea(at: oldEnd, adding: count + tables + 1, isExact: true)
      guard try refcounts.retain(start..<start + count) else { throw ImageError.system(5 /* EIO */) }
    } catch {
      throw error.prefixed("Failed to resize refcount structures: ")
    }
    let fileEnd = writing.storage.length
    do throws(ImageError) {
      if start << bits < fileEnd {
        // What was there before must not show.
        try writing.storage.zero(start << bits..<min(fileEnd, (start + count) << bits), mayUnmap: false)
      }
      try writing.storage.prepare(min(fileEnd, start << bits)..<(start + count) << bits, mode)
    } catch {
      try refcounts.lower(start..<start + count)
      throw error.prefixed("Failed to resize underlying file: ")
    }
    var done: UInt64 = 0
    while done < count {
      if try needsCommit() { try commit() }
      let cluster = first + done
      let index = cluster & (header.l2Entries - 1)
      let clusters = min(count - done, writing.pieceEntries - index % writing.pieceEntries)
      let table = try writableTable(cluster / header.l2Entries)
      let piece = WritePiece(
        guest: cluster << bits..<(cluster + clusters) << bits, hostOffset: (start + done) << bits, table: table,
        firstEntry: index, clusters: clusters, isNew: true)
      try link([piece], isStored: false)
      done += clusters
    }
  }
}

extension WritableStorage {
  /// Extends the storage to the end of `range`, and prepares the space.
  fileprivate func prepare(_ range: Range<UInt64>, _ mode: Preallocation) throws(ImageError) {
    if range.isEmpty { return }
    if let file = self as? FileStorage, file.isDevice, mode == .falloc || mode == .full {
      throw ImageError(
        "Preallocation mode '\(mode.rawValue)' unsupported for this non-regular file", errno: 95 /* ENOTSUP */)
    }
    switch mode {
    case .off, .metadata:
      if length < range.upperBound { try resize(to: range.upperBound) }
    case .falloc:
      try allocate(range)
    case .full:
      if length < range.upperBound { try resize(to: range.upperBound) }
      try writeZeros(range)
    }
  }
}

extension Refcounts {
  /// The cluster behind the last one whose count is not 0.
  func endOfUse() throws(ImageError) -> UInt64 {
    for index in table.indices.reversed() where table[index] & ~EntryBits.reservedRefcountTable != 0 {
      guard let block = try block(index) else { continue }
      for position in (0..<Int(blockEntries)).reversed() where width.count(block.words, position) != 0 {
        return (UInt64(index) << blockShift) + UInt64(position) + 1
      }
    }
    return 0
  }
}
