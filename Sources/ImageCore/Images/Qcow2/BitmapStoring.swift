import Bytes
import Images
import Storage

// The life of persistent bitmaps while an image is open for writing (qcow2-qcow-qed §7): at the beginning they are marked
// as in use, so that a crash leaves no bitmap that looks complete; at the end they are stored anew and the old ones freed.

extension Qcow2Tables {
  /// Loads the bitmaps that can be trusted; they are stored anew when the image is closed.
  func loadBitmaps() throws(ImageError) {
    let writing = try writer()
    if writing.hasBitmaps { return }
    writing.hasBitmaps = true
    writing.bitmaps = bitmaps.filter { !$0.isInUse }.map { LiveBitmap($0, header, writing.storage) }
  }

  /// Before the first change of the disk: loads the bitmaps that can be trusted, and marks them in the file.
  func beginChange() throws(ImageError) {
    let writing = try writer()
    if writing.hasBegun { return }
    writing.hasBegun = true
    guard let directory = header.extensions.bitmaps, bitmaps.contains(where: { !$0.isInUse }) else { return }
    try loadBitmaps()
    let bytes = markedInUse(bitmaps)
    // The entries are as long as they were; anything else was refused when they were read.
    guard UInt64(bytes.count) == directory.directorySize else { throw ImageError("Broken bitmap directory") }
    header.autoclearFeatures.remove(.bitmaps)
    try writeHeader()
    try writing.barrier()
    try writing.storage.write(bytes, at: directory.directoryOffset)
    try writing.barrier()
    header.autoclearFeatures.insert(.bitmaps)
    try writeHeader()
    try writing.barrier()
  }

  /// A directory that says of all bitmaps that they are not to be trusted.
  private func markedInUse(_ records: [BitmapRecord]) -> [UInt8] {
    records.flatMap { record in
      var marked = record
      marked.flags |= BitmapRecord.inUse
      return marked.bytes
    }
  }

  /// Notes a change of guest bytes in all bitmaps that record them.
  func mark(_ range: Range<UInt64>) throws(ImageError) {
    guard let writing, !writing.bitmaps.isEmpty else { return }
    for index in writing.bitmaps.indices where writing.bitmaps[index].isEnabled {
      try writing.bitmaps[index].mark(range)
    }
  }

  /// Bitmaps follow the disk to a new size.
  func resizeBitmaps(to size: UInt64) throws(ImageError) {
    guard let writing else { return }
    for index in writing.bitmaps.indices { try writing.bitmaps[index].resize(to: size) }
  }

  /// The first bitmap that is not to be trusted, which keeps the disk from changing its size.
  func checkBitmapsBeforeResize() throws(ImageError) {
    guard let bad = bitmaps.first(where: \.isInUse) else { return }
    throw .inconsistentBitmap(String(rawBytes: bad.name))
  }

  /// Adds a bitmap that is stored when the image is closed.
  func addBitmap(_ description: BitmapDescription, bits: [UInt8]) throws(ImageError) {
    try beginChange()
    let writing = try writer()
    let name = description.name.rawBytes
    guard header.version >= 3 else { throw ImageError("Cannot store dirty bitmaps in qcow2 v2 files") }
    guard name.count <= BitmapRecord.nameLimit else {
      throw ImageError("Name length exceeds maximum (\(BitmapRecord.nameLimit) characters)")
    }
    guard !bitmaps.contains(where: { $0.name == name }), !writing.bitmaps.contains(where: { $0.record.name == name })
    else { throw ImageError("Bitmap already exists: \(description.name)") }
    guard description.granularity.nonzeroBitCount == 1, (9...31).contains(description.granularity.trailingZeroBitCount)
    else { throw ImageError("Granularity must be power of two and at least 512") }
    let record = BitmapRecord(
      tableOffset: 0, tableSize: 0, flags: description.isEnabled ? BitmapRecord.auto : 0,
      granularityBits: UInt8(description.granularity.trailingZeroBitCount), name: name)
    let bitmap = LiveBitmap(new: record, bits: bits, header, writing.storage)
    guard UInt64(bitmap.chunkCount) * header.clusterSize <= BitmapRecord.sizeLimit else {
      throw ImageError("Too much memory is needed for bitmap '\(description.name)'", errno: 27 /* EFBIG */)
    }
    writing.bitmaps.append(bitmap)
  }

  /// Stores all bitmaps anew, points the header to them, and frees their old clusters. Removed ones go first, as with the
  /// reference, unless another one is added: then both take effect at one instant.
  ///
  /// - Throws: before the header is written, so that the file's bitmaps are what they were, or when nothing is left to do
  ///   but to free clusters.
  func storeBitmaps() throws(ImageError) {
    let writing = try writer()
    if writing.bitmaps.allSatisfy(\.isInFile) { try dropRemovedBitmaps() }
    if writing.bitmaps.isEmpty { return }
    let (old, oldData) = try clusters(
      of: writing.bitmaps.filter(\.isInFile).map(\.record) + writing.removedBitmaps, writing)
    // Bitmaps that are not to be trusted stay as they are, at their place.
    var records = keptBitmaps(writing)
    for index in writing.bitmaps.indices {
      let record = try store(&writing.bitmaps[index], writing)
      if let place = records.firstIndex(where: { $0.name == record.name }) {
        records[place] = record
      } else {
        records.append(record)
      }
    }
    guard records.count <= Int(HeaderExtensions.bitmapLimit) else { throw .system(27 /* EFBIG */) }
    try replaceDirectory(records, freeing: old, oldData, writing)
    writing.removedBitmaps = []
    // Whoever changes the disk from here on has to mark them again.
    writing.bitmaps = []
    writing.hasBitmaps = false
    writing.hasBegun = false
  }

  /// Takes removed bitmaps out of the directory, and frees their clusters.
  func dropRemovedBitmaps() throws(ImageError) {
    let writing = try writer()
    if writing.removedBitmaps.isEmpty { return }
    let (old, oldData) = try clusters(of: writing.removedBitmaps, writing)
    try replaceDirectory(keptBitmaps(writing), freeing: old, oldData, writing)
    writing.removedBitmaps = []
  }

  /// Bitmaps that are in the directory and stay there.
  func keptBitmaps(_ writing: Qcow2Writing) -> [BitmapRecord] {
    bitmaps.filter { record in !writing.removedBitmaps.contains { $0.name == record.name } }
  }

  /// The clusters of the directory and of the tables that `records` name, and those that hold bits.
  private func clusters(
    of records: [BitmapRecord], _ writing: Qcow2Writing
  ) throws(ImageError) -> (tables: [Range<UInt64>], data: [Range<UInt64>]) {
    let bits = UInt64(header.clusterBits)
    var tables: [Range<UInt64>] = []
    var data: [Range<UInt64>] = []
    if let directory = header.extensions.bitmaps {
      let start = directory.directoryOffset >> bits
      tables.append(start..<start + directory.directorySize.dividedUp(by: header.clusterSize))
    }
    for record in records {
      let start = record.tableOffset >> bits
      tables.append(start..<start + (UInt64(record.tableSize) * 8).dividedUp(by: header.clusterSize))
      data += try dataClusters(of: record, writing)
    }
    return (tables, data)
  }

  /// Writes a new directory, points the header to it, and frees the clusters `old` and `oldData`; the space of the latter is
  /// given back.
  private func replaceDirectory(
    _ records: [BitmapRecord], freeing old: [Range<UInt64>], _ oldData: [Range<UInt64>], _ writing: Qcow2Writing
  ) throws(ImageError) {
    let refcounts = writing.refcounts
    let bits = UInt64(header.clusterBits)
    let before = header.extensions.bitmaps
    let bytes = records.flatMap(\.bytes)
    let size = UInt64(bytes.count)
    guard size <= HeaderExtensions.bitmapDirectoryLimit else { throw .system(27 /* EFBIG */) }
    let clusters = size.dividedUp(by: header.clusterSize)
    var start: UInt64 = 0
    if clusters > 0 {
      start = try refcounts.allocate(clusters, for: .table)
      try writing.storage.write(bytes, at: start << bits)
    }
    try commit()
    try writing.barrier()
    if clusters > 0 {
      header.extensions.bitmaps = HeaderExtensions.BitmapDirectoryPointer(
        count: UInt32(records.count), directorySize: size, directoryOffset: start << bits)
      header.autoclearFeatures.insert(.bitmaps)
    } else {
      header.extensions.bitmaps = nil
      header.autoclearFeatures.remove(.bitmaps)
    }
    try writeHeader()
    try writing.barrier()
    refcounts.metadata.set(.bitmapDirectory, start..<start + clusters)
    // Whoever comes upon the old directory must not take its bitmaps for valid.
    if let before { try writing.storage.write(markedInUse(bitmaps), at: before.directoryOffset) }
    bitmaps = records
    for range in old + oldData { try refcounts.release(range) }
    try commit()
    for range in oldData { try writing.storage.discard(range.lowerBound << bits..<range.upperBound << bits) }
  }

  /// Stores one bitmap in new clusters: its data, then its table.
  private func store(_ bitmap: inout LiveBitmap, _ writing: Qcow2Writing) throws(ImageError) -> BitmapRecord {
    let refcounts = writing.refcounts
    let bits = UInt64(header.clusterBits)
    var table = [UInt64](repeating: 0, count: bitmap.chunkCount)
    for index in table.indices {
      // An entry could say that all bits are set; other programs store the bits, and so the image stays the same to the byte.
      if let bytes = try bitmap.bytes(index) {
        let offset = try refcounts.allocate(1, for: .data) << bits
        try writing.storage.write(bytes, at: offset)
        table[index] = offset
      }
    }
    let clusters = (UInt64(table.count) * 8).dividedUp(by: header.clusterSize)
    let offset = try refcounts.allocate(max(clusters, 1), for: .table) << bits
    try writing.storage.writeBigEndianWords(table[...], at: offset)
    var record = bitmap.record
    record.tableOffset = offset
    record.tableSize = UInt32(table.count)
    record.flags &= ~BitmapRecord.inUse
    return record
  }

  /// The clusters that hold a bitmap's bits in the file.
  private func dataClusters(of record: BitmapRecord, _ writing: Qcow2Writing) throws(ImageError) -> [Range<UInt64>] {
    let bits = UInt64(header.clusterBits)
    var result: [Range<UInt64>] = []
    var table = LazyTable(writing.storage, offset: record.tableOffset, count: Int(record.tableSize))
    var index = 0
    while true {
      index = try table.firstNonZero(index, below: table.count)
      if index == table.count { break }
      let offset = try table.word(index) & EntryBits.offset
      if offset != 0 { result.append(offset >> bits..<(offset >> bits) + 1) }
      index += 1
    }
    return result
  }
}

extension BitmapRecord {
  /// The entry as it stands in the directory, padded; a name ends at a NUL.
  fileprivate var bytes: [UInt8] {
    let name = self.name.prefix { $0 != 0 }
    let length = (BitmapRecord.fixedLength + name.count + 7) & ~7
    let text =
      tableOffset.bigEndianBytes + tableSize.bigEndianBytes + flags.bigEndianBytes
      + [BitmapRecord.dirtyTracking, granularityBits] + UInt16(name.count).bigEndianBytes + UInt32(0).bigEndianBytes
      + name
    return text + Array(repeating: 0, count: length - text.count)
  }
}

extension Qcow2Image: WritableBitmapImage {
  public func addBitmap(_ description: BitmapDescription, bits: [UInt8]) throws(ImageError) {
    try checkWritable()
    try tables.withLock { (tables) throws(ImageError) in try tables.addBitmap(description, bits: bits) }
  }
}
