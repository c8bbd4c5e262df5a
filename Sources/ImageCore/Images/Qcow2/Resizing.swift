import Bytes
import Images
import Storage

extension Qcow2Image {
  /// Changes the disk's size (qcow2-qcow-qed §19.1). Where the layer below is larger than the disk was, new space is made
  /// zeros.
  public func resize(to size: UInt64, preallocation: Preallocation) throws(ImageError) {
    try checkWritable()
    let header = self.header
    try ImageOpener.checkLength(size)
    guard size % 512 == 0 else { throw ImageError("The new size must be a multiple of 512") }
    if header.version < 3 && header.snapshotCount > 0 {
      throw ImageError("Can't resize a v2 image which has snapshots", errno: 95 /* ENOTSUP */)
    }
    let old = virtualSize
    try tables.withLock { (tables) throws(ImageError) in try tables.checkBitmapsBeforeResize() }
    guard size >= old || preallocation == .off else {
      throw ImageError("Preallocation can't be used for shrinking an image")
    }
    // The size and the bitmaps change at one instant. What happens before and after that does not change what the guest
    // has, so that the bitmaps need no mark.
    try tables.withLock { (tables) throws(ImageError) in
      try tables.loadBitmaps()
      try tables.writer().hasBegun = true
    }
    defer { tables.withLock { $0.writing?.hasBegun = false } }
    if size < old { return try shrink(to: size, from: old, header) }
    try dropBehind(old, header)
    try grow(to: size, from: old, preallocation, header)
  }

  /// Gives back what an interrupted change of the size has left behind the disk's end.
  private func dropBehind(_ size: UInt64, _ header: Qcow2Header) throws(ImageError) {
    let entries = size.dividedUp(by: header.bytesPerL1Entry)
    let rest = size.dividedUp(by: header.clusterSize)..<entries * header.l2Entries
    let (inTable, tablesBehind) = try tables.withLock { (tables) throws(ImageError) in
      // A table that cannot be read is nothing that growing depends on.
      let inTable = (try? tables.hasEntries(rest)) ?? false
      let first = Int(min(entries, UInt64(tables.l1.count)))
      return (inTable, try tables.l1.firstNonZero(first, below: tables.l1.count) < tables.l1.count)
    }
    if inTable { try changeClusters(rest, .discarding(isFull: true)) }
    if tablesBehind { try tables.withLock { (tables) throws(ImageError) in try tables.dropTables(from: entries) } }
  }

  private func grow(to size: UInt64, from old: UInt64, _ preallocation: Preallocation, _ header: Qcow2Header)
    throws(ImageError)
  {
    try tables.withLock { (tables) throws(ImageError) in try tables.makeL1Room(for: size) }
    var start = old
    if preallocation == .metadata && !header.hasSubclusters && old % header.clusterSize != 0 {
      // The disk's last cluster keeps what it shows when it gets space of its own.
      start = min(size, old.roundedUp(to: header.clusterSize) ?? size)
      try storeZeros(old..<start)
    }
    try tables.withLock { (tables) throws(ImageError) in
      try tables.prepareSpace(start..<size, preallocation)
    }
    setVirtualSize(size)
    do throws(ImageError) {
      if let backing, backing.virtualSize > old, size > old {
        do throws(ImageError) {
          guard header.version >= 3 else { throw ImageError.system(95 /* ENOTSUP */) }
          try writeZeros(old..<size, mayUnmap: false)
        } catch {
          throw error.prefixed("Failed to zero out new clusters: ")
        }
      } else {
        try clearTail(old..<min(size, old.roundedUp(to: header.clusterSize) ?? size))
      }
      try tables.withLock { (tables) throws(ImageError) in
        try tables.setSizeWithBitmaps(size)
      }
    } catch {
      setVirtualSize(old)
      throw error
    }
  }

  /// The disk's last cluster may hold, beyond the old end, what was cut off once: it must not come back.
  private func clearTail(_ range: Range<UInt64>) throws(ImageError) {
    if range.isEmpty { return }
    // At most a cluster.
    var buffer = Buffer(Int(range.upperBound - range.lowerBound))
    var bytes = buffer.mutableBytes
    try read(into: &bytes, at: range.lowerBound)
    if !buffer.bytes.isZero { try storeZeros(range) }
  }

  private func shrink(to size: UInt64, from old: UInt64, _ header: Qcow2Header) throws(ImageError) {
    // The size comes first: a disk that is as large as before must have everything that it had.
    try tables.withLock { (tables) throws(ImageError) in try tables.setSizeWithBitmaps(size) }
    let cluster = header.clusterSize
    let tableEnd = (size.dividedUp(by: header.bytesPerL1Entry) * header.l2Entries)
    let end = old.dividedUp(by: cluster)
    do throws(ImageError) {
      // The rest of the last table that stays; the tables behind go as a whole.
      let first = size.dividedUp(by: cluster)
      if first < min(tableEnd, end) { try changeClusters(first..<min(tableEnd, end), .discarding(isFull: true)) }
    } catch {
      throw error.prefixed("Failed to discard cropped clusters: ")
    }
    let notify = self.notify
    let warning: ImageError? = try tables.withLock { (tables) throws(ImageError) in
      do throws(ImageError) {
        try tables.dropTables(from: size.dividedUp(by: header.bytesPerL1Entry))
      } catch {
        throw error.prefixed("Failed to reduce the number of L2 tables: ")
      }
      do throws(ImageError) {
        try tables.dropUnusedBlocks()
      } catch {
        throw error.prefixed("Failed to discard unused refblocks: ")
      }
      do throws(ImageError) {
        try tables.moveBitmaps()
      } catch {
        throw error.prefixed("Failed to move the bitmaps: ")
      }
      return try tables.truncateFile()
    }
    if let warning {
      notify(.warning(warning.prefixed("Failed to truncate the tail of the image: ").message))
    }
    if header.hasDataFile, let data = dataStorage as? any WritableStorage {
      do throws(ImageError) {
        try data.resize(to: size)
      } catch {
        throw error.prefixed("Failed to resize underlying file: ")
      }
    }
    setVirtualSize(size)
  }
}

extension Qcow2Tables {
  /// Records the disk's size together with the bitmaps that follow it, in one write of the header.
  func setSizeWithBitmaps(_ size: UInt64) throws(ImageError) {
    let writing = try writer()
    try resizeBitmaps(to: size)
    if writing.bitmaps.isEmpty { return try setSize(size) }
    let old = header.size
    header.size = size
    do throws(ImageError) {
      try storeBitmapsUnmarked(writing)
    } catch {
      header.size = old
      throw error.prefixed("Failed to update the image size: ")
    }
  }

  /// Stores the bitmaps once more, where a shorter disk has left room, so that the file can be cut behind them.
  func moveBitmaps() throws(ImageError) {
    try loadBitmaps()
    try storeBitmapsUnmarked(try writer())
  }

  /// Stores the bitmaps while nothing that the guest has changes, before and after.
  private func storeBitmapsUnmarked(_ writing: Qcow2Writing) throws(ImageError) {
    let hasBegun = writing.hasBegun
    defer { writing.hasBegun = hasBegun }
    try storeBitmaps()
  }

  /// Whether the guest clusters of `range`, which lie in one L2 table, have entries.
  func hasEntries(_ range: Range<UInt64>) throws(ImageError) -> Bool {
    let index = range.lowerBound / header.l2Entries
    guard !range.isEmpty, index < UInt64(l1.count) else { return false }
    let table = L1Entry(rawValue: try l1.word(Int(index))).offset
    guard table != 0, table % header.clusterSize == 0 else { return false }
    let entrySize = header.l2EntrySize
    var offset = table + (range.lowerBound - index * header.l2Entries) * entrySize
    while offset < table + header.clusterSize {
      let start = offset.roundedDown(to: l2.sliceSize)
      let words = try l2.slice(at: start).words
      if words[Int((offset - start) / 8)...].contains(where: { $0 != 0 }) { return true }
      offset = start + l2.sliceSize
    }
    return false
  }

  /// Releases the L2 tables of the L1 entries from `start` on, and all that they refer to.
  func dropTables(from start: UInt64) throws(ImageError) {
    let writing = try writer()
    let rules = EntryRules(header)
    let bits = UInt64(header.clusterBits)
    var index = Int(min(start, UInt64(l1.count)))
    while true {
      index = try l1.firstNonZero(index, below: l1.count)
      if index == l1.count { break }
      let entry = L1Entry(rawValue: try l1.word(index))
      if entry.offset % header.clusterSize == 0 {
        if entry.offset != 0 {
          try dropEntries(of: entry.offset, writing, rules)
          let cluster = entry.offset >> bits
          l2.remove(entry.offset..<entry.offset + header.clusterSize)
          writing.refcounts.metadata.remove(.activeL2, cluster: cluster)
          try writing.refcounts.release(cluster..<cluster + 1)
        }
        try l1.set(index, to: 0)
        writing.changeL1(index)
      }
      index += 1
    }
    try commit()
  }

  private func dropEntries(of table: UInt64, _ writing: Qcow2Writing, _ rules: EntryRules) throws(ImageError) {
    let step = header.wordsPerL2Entry
    var offset = table
    while offset < table + header.clusterSize {
      let slice = try l2.slice(at: offset)
      if slice.isDirty {
        // What is released here must not come back when the slice is written.
        slice.isDirty = false
        writing.changedSliceBytes -= slice.words.count * 8
      }
      for position in stride(from: 0, to: slice.words.count, by: step) where slice.words[position] != 0 {
        try release(L2Entry(rawValue: slice.words[position]), writing, rules)
      }
      offset += l2.sliceSize
    }
  }

  /// Frees the refcount blocks that count nothing, except perhaps themselves.
  func dropUnusedBlocks() throws(ImageError) {
    let writing = try writer()
    let refcounts = writing.refcounts
    let unused = try refcounts.takeUnusedBlocks()
    try refcounts.writeBack()
    try writing.barrier()
    for cluster in unused { try refcounts.lower(cluster..<cluster + 1) }
    try refcounts.writeBack()
  }

  /// Cuts the file behind the last cluster in use; an error of that is no reason to fail.
  func truncateFile() throws(ImageError) -> ImageError? {
    let writing = try writer()
    let end = try writing.refcounts.endOfUse() << UInt64(header.clusterBits)
    writing.neededLength = 0
    if end >= writing.storage.length { return nil }
    do throws(ImageError) {
      try writing.storage.resize(to: end)
      return nil
    } catch {
      return error
    }
  }
}

extension Refcounts {
  /// Takes blocks that count nothing, except perhaps themselves, out of the table, and returns their clusters.
  func takeUnusedBlocks() throws(ImageError) -> [UInt64] {
    var clusters: [UInt64] = []
    for index in table.indices where table[index] & ~EntryBits.reservedRefcountTable != 0 {
      guard let block = try block(index) else { continue }
      let cluster = block.offset >> clusterBits
      let isOwn = Int(cluster >> blockShift) == index
      let own = Int(cluster & (blockEntries - 1))
      let first = width.firstUsed(block.words, 0..<Int(blockEntries))
      if let first {
        guard isOwn, first == own, width.count(block.words, own) == 1 else { continue }
        if width.firstUsed(block.words, own + 1..<Int(blockEntries)) != nil { continue }
      }
      setTableEntry(index, 0)
      dropBlock(index)
      // A block that counted itself goes together with its count.
      if !isOwn { clusters.append(cluster) }
    }
    return clusters
  }
}
