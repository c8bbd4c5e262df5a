import Bytes
import Images
import Storage

// What refers to which clusters (qcow2-qcow-qed §16.1, 2).

extension Qcow2Check {
  /// Counts the references of all structures, except those of the refcount table to its blocks.
  func countReferences() throws(ImageError) {
    _ = count(0, clusterSize)
    try countTable(header.l1TableOffset, entries: Int(header.l1Size), isActive: true)
    try countRepeated(isActive: true)
    if header.hasDataFile && !snapshots.isEmpty {
      corruption("ERROR \(snapshots.count) snapshots in image with data file")
    }
    for snapshot in snapshots {
      let name = "snapshot \(snapshot.shownID) (\(snapshot.shownName))"
      if snapshot.l1TableOffset % clusterSize != 0 {
        corruption(
          "ERROR \(name) l1_offset=0x\(hex(snapshot.l1TableOffset)): L1 table is not cluster aligned; "
            + "snapshot table entry corrupted")
        hidesReferences = true
      } else if UInt64(snapshot.l1Size) > Qcow2Header.l1TableLimit / 8 {
        corruption(
          "ERROR \(name) l1_size=0x\(hex(UInt64(snapshot.l1Size))): L1 table is too large; "
            + "snapshot table entry corrupted")
        hidesReferences = true
      } else {
        try countTable(snapshot.l1TableOffset, entries: Int(snapshot.l1Size), isActive: false)
      }
    }
    try countRepeated(isActive: false)
    countSnapshotTable()
    _ = count(header.refcountTableOffset, UInt64(header.refcountTableClusters) * clusterSize)
    if let place = header.extensions.encryptionHeader { _ = count(place.offset, place.length) }
    try countBitmaps()
    try countRefcountBlocks()
    try repairEntries()
  }

  /// Something that is wrong with an entry: repaired when everything was counted, if that is safe and allowed, because
  /// what is taken for a table now may turn out to be something else, too.
  func found(_ fault: EntryRepair) {
    if repair == .all {
      entryRepairs.append(fault)
    } else {
      corruption(fault.refusal + fault.fault)
    }
  }

  private func repairEntries() throws(ImageError) {
    for entry in entryRepairs {
      let isSafe = entry.l2Table.map(isOnlyTable) ?? (references[entry.position / clusterSize] == 1)
      if isSafe, let writable {
        repaired("Repairing " + entry.fault)
        try writable.writeBigEndianWord(entry.word, at: entry.position)
        if let table = entry.l2Table { recentTables[table] = nil }
        if let misplaced = entry.misplaced, misplaced.isActive { result.allocatedClusters &-= misplaced.times }
      } else {
        corruption(entry.refusal + entry.fault)
        if let misplaced = entry.misplaced, !header.hasDataFile {
          _ = count(misplaced.offset, clusterSize, times: misplaced.times)
        }
      }
    }
    entryRepairs.removeAll()
  }

  /// Whether all references to the L2 table at `offset` are those of L1 entries: then writing to it changes no data.
  func isOnlyTable(_ offset: UInt64) -> Bool {
    references[offset / clusterSize] == 1 + (visits[offset] ?? 0) && !suspects.contains(offset)
  }

  /// Counts a reference to every cluster that `length` bytes at `offset` touch; false when they are not in the file.
  func count(_ offset: UInt64, _ length: UInt64, times: UInt64 = 1) -> Bool {
    if length == 0 { return true }
    let end = offset.saturatingAdd(length)
    guard end < fileLength || end - fileLength < clusterSize else {
      corruption(
        "ERROR: counting reference for region exceeding the end of the file by one cluster or more: offset "
          + "0x\(hex(offset)) size 0x\(hex(length))")
      return false
    }
    let last = (end - 1) / clusterSize
    clusters = max(clusters, last + 1)
    var cluster = offset / clusterSize
    while cluster <= last {
      if times != 1 || !references.incrementQuickly(cluster, limit: header.refcountLimit) {
        countSlowly(cluster, times)
      }
      cluster += 1
    }
    return true
  }

  private func countSlowly(_ cluster: UInt64, _ times: UInt64) {
    let (sum, overflow) = references[cluster].addingReportingOverflow(times)
    if overflow || sum > header.refcountLimit {
      corruption("ERROR: overflow cluster offset=0x\(hex(cluster * clusterSize))")
      message(
        "Use qemu-img amend to increase the refcount entry width or qemu-img convert to create a clean copy if the "
          + "image cannot be opened for writing")
      references[cluster] = header.refcountLimit
    } else {
      references[cluster] = sum
    }
  }

  // MARK: Mapping tables

  private func countTable(_ offset: UInt64, entries: Int, isActive: Bool) throws(ImageError) {
    if !count(offset, UInt64(entries) * 8) { hidesReferences = true }
    // Offsets end here in the reference's block layer.
    if offset > UInt64(Int64.max) - (1 << 30) {
      message("ERROR: I/O error in check_refcounts_l1")
      throw .system(5 /* EIO */)
    }
    var table = LazyTable(storage, offset: offset, count: entries)
    var index = try table.firstNonZero(0, below: entries)
    while index < entries {
      let entry = L1Entry(rawValue: try table.word(index))
      // COPIED without a table means nothing; the reference takes the header for a table then.
      if entry.reservedBits != 0 || entry.offset == 0 {
        found(
          EntryRepair(
            l2Table: nil, position: offset + UInt64(index * 8),
            word: entry.offset == 0 ? 0 : entry.rawValue & ~EntryBits.reservedL1,
            fault: "L1 entry with reserved bits set: \(hex(entry.rawValue))", refusal: "ERROR found "))
      }
      if entry.offset != 0 { try countL2Table(entry.offset, isActive: isActive) }
      index = try table.firstNonZero(index + 1, below: entries)
    }
  }

  private func countL2Table(_ offset: UInt64, isActive: Bool) throws(ImageError) {
    if !count(offset, clusterSize) { hidesReferences = true }
    if offset % clusterSize != 0 {
      corruption("ERROR l2_offset=\(hex(offset)): Table is not cluster aligned; L1 entry corrupted")
      // Whatever lies there is no table: it is not walked (§24, 30).
      hidesReferences = true
      return
    }
    if offset >= fileLength { return }
    if !walked.insert(offset / clusterSize) {
      // Met before: what it says counts once more, when all tables have been seen.
      repeated[offset, default: 0] += 1
      visits[offset, default: 0] += 1
      return
    }
    let words = try readTable(offset)
    if (recentTables.count + 1) * words.count * 8 <= Qcow2Check.recentTablesLimit && isActive {
      recentTables[offset] = words
    }
    var walk = L2Walk(check: self, tableOffset: offset, words: words, times: 1, isActive: isActive)
    try walk.run()
  }

  /// Tables that several L1 entries share, as snapshots do, count for each of them but are read only once more.
  private func countRepeated(isActive: Bool) throws(ImageError) {
    for (offset, times) in repeated.sorted(by: { $0.key < $1.key }) {
      let words = try readTable(offset)
      // What is wrong is told as often as the reference does, within reason.
      for _ in 0..<(times <= 16 ? times : 1) {
        var walk = L2Walk(
          check: self, tableOffset: offset, words: words, times: times <= 16 ? 1 : times, isActive: isActive)
        try walk.run()
      }
    }
    repeated.removeAll()
  }

  /// The words of the L2 table at `offset`.
  func readTable(_ offset: UInt64) throws(ImageError) -> [UInt64] {
    if let words = recentTables[offset] { return words }
    do throws(ImageError) {
      return try storage.readBigEndianWords(at: offset, count: Int(clusterSize / 8))
    } catch {
      result.checkErrors += 1
      message("ERROR: I/O error in check_refcounts_l2")
      throw error
    }
  }

  // MARK: Bitmaps and refcount blocks

  private func countBitmaps() throws(ImageError) {
    guard let directory = header.extensions.bitmaps else { return }
    if !count(directory.directoryOffset, directory.directorySize) { hidesReferences = true }
    for bitmap in bitmaps {
      if !count(bitmap.tableOffset, UInt64(bitmap.tableSize) * 8) { hidesReferences = true }
      // Zeros past the file's end need no visit.
      let inFile = fileLength - min(fileLength, bitmap.tableOffset)
      let end = Int(min(UInt64(bitmap.tableSize), inFile.dividedUp(by: 8)))
      var table = LazyTable(storage, offset: bitmap.tableOffset, count: Int(bitmap.tableSize))
      var index = try table.firstNonZero(0, below: end)
      while index < end {
        let word = try table.word(index)
        if !header.isValidBitmapTableEntry(word) {
          // Only in the table of a bitmap that is in use: the others were looked at when the image was opened.
          corruption("ERROR bitmap '\(bitmap.shownName)' has an invalid table entry: \(hex(word))")
        } else if word & EntryBits.offset != 0 {
          _ = count(word & EntryBits.offset, clusterSize)
        }
        index = try table.firstNonZero(index + 1, below: end)
      }
    }
  }

  private func countRefcountBlocks() throws(ImageError) {
    refcountTable = LazyTable(storage, offset: header.refcountTableOffset, count: Int(header.refcountTableEntries))
    var index = try refcountTable.firstNonZero(0, below: refcountTable.count)
    while index < refcountTable.count {
      try countRefcountBlock(index, try refcountTable.word(index))
      index = try refcountTable.firstNonZero(index + 1, below: refcountTable.count)
    }
  }

  private func countRefcountBlock(_ index: Int, _ entry: UInt64) throws(ImageError) {
    let offset = entry & ~EntryBits.reservedRefcountTable
    if entry & EntryBits.reservedRefcountTable != 0 {
      corruption("ERROR refcount table entry \(index) has reserved bits set")
      needsRebuild = true
      // The block itself has no reference now, but its counts are in use.
      hidesReferences = true
      return
    }
    if offset % clusterSize != 0 {
      corruption("ERROR refcount block \(index) is not cluster aligned; refcount table entry corrupted")
      needsRebuild = true
      hidesReferences = true
      return
    }
    if offset / clusterSize >= clusters {
      guard repair == .all, let writable else {
        return corruption("ERROR refcount block \(index) is outside image")
      }
      repaired("Repairing refcount block \(index) is outside image")
      // Far away there is no block that a cut file could have lost: the table is built anew without it, rather than the
      // file made as long as the damaged entry says.
      guard offset <= extensionLimit else {
        if offset > UInt64(Int64.max) - clusterSize { message("ERROR could not resize image: Invalid argument") }
        needsRebuild = true
        return
      }
      do throws(ImageError) {
        try writable.resize(to: offset + clusterSize)
      } catch {
        corruption("ERROR could not resize image: \(error.message)")
        result.corruptionsFixed -= 1
        needsRebuild = true
        return
      }
      fileLength = storage.length.roundedUp(to: 512) ?? storage.length
      clusters = max(clusters, fileLength.dividedUp(by: clusterSize))
    }
    _ = count(offset, clusterSize)
    let references = references[offset / clusterSize]
    if references != 1 {
      corruption("ERROR refcount block \(index) refcount=\(references)")
      needsRebuild = true
    }
  }
}

/// One pass over an L2 table.
private struct L2Walk {
  let check: Qcow2Check
  let tableOffset: UInt64
  var words: [UInt64]
  /// How often the table's references count.
  let times: UInt64
  /// Whether the table belongs to the active L1 table, whose clusters are what the statistics tell about.
  let isActive: Bool

  /// Where the next allocated cluster lies if it follows the last one.
  private var expected: UInt64 = 0

  init(check: Qcow2Check, tableOffset: UInt64, words: [UInt64], times: UInt64, isActive: Bool) {
    self.check = check
    self.tableOffset = tableOffset
    self.words = words
    self.times = times
    self.isActive = isActive
  }

  /// Faults in one table from which on it is taken for something else, guest data for instance: such a table is not
  /// written to, and what the right one refers to is not given back.
  private static let suspiciousFaults = 16

  mutating func run() throws(ImageError) {
    let before = check.result.corruptions + check.entryRepairs.count
    try visitAll()
    if check.result.corruptions + check.entryRepairs.count - before > L2Walk.suspiciousFaults {
      check.suspects.insert(tableOffset)
      check.hidesReferences = true
    }
  }

  private mutating func visitAll() throws(ImageError) {
    let step = check.header.wordsPerL2Entry
    let size = check.clusterSize
    // What a word of an ordinary cluster does not have: flags, reserved bits, an odd offset.
    let unusual = step == 1 && !check.rules.hasDataFile ? ~EntryBits.copied & (~EntryBits.offset | (size - 1)) : .max
    let limit = check.header.refcountLimit
    let end = check.fileLength
    var index = 0
    while index < words.count {
      let word = words[index]
      let offset = word & EntryBits.offset
      if word & unusual == 0, offset != 0, times == 1, offset + size <= end,
        check.references.incrementQuickly(offset / size, limit: limit)
      {
        if isActive {
          check.result.allocatedClusters &+= 1
          if expected != 0 && offset != expected { check.result.fragmentedClusters &+= 1 }
          expected = offset + size
        }
        index += step
        continue
      }
      if word != 0 || (step == 2 && words[index + 1] != 0) { try visit(index, step) }
      index += step
    }
  }

  private mutating func visit(_ index: Int, _ step: Int) throws(ImageError) {
    let entry = L2Entry(rawValue: words[index])
    let bitmap = step == 2 ? SubclusterBitmap(rawValue: words[index + 1]) : nil
    if !entry.isCompressed && wrongBits(entry) != 0 {
      check.found(
        Qcow2Check.EntryRepair(
          l2Table: tableOffset, position: tableOffset + UInt64(index * 8), word: entry.rawValue & ~wrongBits(entry),
          fault: "l2 entry with reserved bits set: \(check.hex(entry.rawValue))", refusal: "ERROR found "))
    }
    switch entry.kind(check.rules) {
    case .compressed:
      try visitCompressed(entry, bitmap, index, index / step)
    case .unallocated, .zeroPlain:
      checkZeroFlag(entry)
      if let bitmap, bitmap.allocated != 0 {
        check.corruption("ERROR: Unallocated cluster has non-zero subcluster allocation map")
      }
    case .normal, .zeroAllocated:
      try visitStandard(entry, bitmap, index)
    }
  }

  /// Bits of a standard entry that should be 0. Nobody reads them, so that clearing them changes nothing.
  ///
  /// The reference does not see an entry that is only COPIED: there is nothing that it could own (§24, 23).
  private func wrongBits(_ entry: L2Entry) -> UInt64 {
    if entry.rawValue == EntryBits.copied && !check.rules.hasDataFile { return EntryBits.copied }
    return entry.reservedBits
  }

  /// Reading such a cluster fails in version 2; the reference's check passes it (§24, 24).
  private func checkZeroFlag(_ entry: L2Entry) {
    if check.header.version < 3 && entry.rawValue & EntryBits.zero != 0 {
      check.corruption("ERROR zero cluster entry in pre-v3 image: \(check.hex(entry.rawValue))")
    }
  }

  private mutating func visitCompressed(
    _ entry: L2Entry, _ bitmap: SubclusterBitmap?, _ index: Int, _ number: Int
  ) throws(ImageError) {
    var entry = entry
    if entry.isCopied {
      entry.rawValue &= ~EntryBits.copied
      let offset = entry.compressedData(check.rules).offset
      let fault = "coffset=0x\(check.hex(offset)): copied flag must never be set for compressed clusters"
      check.found(
        Qcow2Check.EntryRepair(
          l2Table: tableOffset, position: tableOffset + UInt64(index * 8), word: entry.rawValue, fault: fault,
          refusal: "ERROR: "))
    }
    if check.rules.hasDataFile {
      check.corruption("ERROR compressed cluster \(number) with data file, entry=0x\(check.hex(entry.rawValue))")
      return
    }
    if let bitmap, bitmap.rawValue != 0 {
      check.corruption(
        "ERROR compressed cluster \(number) with non-zero subcluster allocation bitmap, "
          + "entry=0x\(check.hex(entry.rawValue))")
      return
    }
    let data = entry.compressedData(check.rules)
    _ = check.count(data.offset, data.length, times: times)
    countAllocated(isCompressed: true)
  }

  private func countAllocated(isCompressed: Bool) {
    guard isActive else { return }
    check.result.allocatedClusters &+= times
    if isCompressed {
      check.result.compressedClusters &+= times
      // There is no telling whether compressed clusters follow each other.
      check.result.fragmentedClusters &+= times
    }
  }

  private mutating func visitStandard(_ entry: L2Entry, _ bitmap: SubclusterBitmap?, _ index: Int) throws(ImageError) {
    let offset = entry.offset
    let size = check.clusterSize
    if let bitmap, !bitmap.isValid(hasCluster: true) {
      check.corruption(
        "ERROR offset=\(check.hex(offset)): Allocated cluster has corrupted subcluster allocation bitmap")
    }
    checkZeroFlag(entry)
    countAllocated(isCompressed: false)
    if isActive {
      if expected != 0 && offset != expected { check.result.fragmentedClusters &+= times }
      expected = offset &+ size
    }
    if offset % size != 0 {
      let holdsData = bitmap.map { $0.allocated != 0 } ?? (entry.kind(check.rules) == .normal)
      if holdsData {
        check.corruption(
          "ERROR offset=\(check.hex(offset)): Data cluster is not properly aligned; L2 entry corrupted.")
      } else {
        let fault = "offset=\(check.hex(offset)): Preallocated cluster is not properly aligned; L2 entry corrupted."
        check.found(
          Qcow2Check.EntryRepair(
            l2Table: tableOffset, position: tableOffset + UInt64(index * 8),
            word: bitmap == nil ? L2Entry.zeroPlain.rawValue : 0, fault: fault, refusal: "ERROR ",
            misplaced: (offset, times, isActive)))
        // Counted when it is certain that it stays.
        if check.repair == .all { return }
      }
    }
    if !check.rules.hasDataFile { _ = check.count(offset, size, times: times) }
  }
}

extension WritableStorage {
  /// Stores a big-endian word at `offset`.
  func writeBigEndianWord(_ word: UInt64, at offset: UInt64) throws(ImageError) {
    var buffer = Buffer(8)
    var bytes = buffer.mutableBytes
    bytes.storeBigEndian(word, at: 0)
    try write(buffer.bytes, at: offset)
  }
}
