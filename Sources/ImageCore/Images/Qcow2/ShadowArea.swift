import Bytes
import Storage

/// New versions of metadata that will stand in the places of the old ones, kept at the end of the file meanwhile.
///
/// Flags of L2 entries and reference counts must agree at every moment, and they lie in many clusters: changed in their
/// places, a program that is killed would leave an image whose flags are wrong. So the new versions are written behind
/// everything else first, with an L1 table and a refcount table that lead to them; one write of the header makes them
/// valid; then they are written to their places, and a second write of the header leads there (shadow paging). At every
/// moment the image is what it was before or what it is afterwards, and at most there are clusters that nothing refers to.
final class ShadowArea {
  /// The first cluster of the area.
  let start: UInt64
  /// The first cluster behind the area.
  private(set) var end: UInt64
  /// Where new versions of L2 tables are: clusters by the clusters that the tables belong in.
  private(set) var tables: [UInt64: UInt64] = [:]
  /// Where refcount blocks with new versions belong: offsets in bytes by their index in the refcount table, 0 for blocks
  /// that only the area needs.
  private(set) var blocks: [Int: UInt64] = [:]

  /// An area that begins at the cluster `start`.
  init(at start: UInt64) {
    self.start = start
    end = start
  }

  /// Takes `count` clusters, and returns the first one's number.
  func take(_ count: UInt64 = 1) -> UInt64 {
    defer { end += count }
    return end
  }

  /// The cluster for the new version of the L2 table that belongs in the cluster `place`.
  func copy(ofTable place: UInt64) -> UInt64 {
    if let known = tables[place] { return known }
    let copy = take()
    tables[place] = copy
    return copy
  }

  /// Notes that refcount block number `index` belongs at `offset` (bytes), and returns the cluster for its new version; nil
  /// if it has one.
  func newCopy(ofBlock index: Int, at offset: UInt64) -> UInt64? {
    if blocks[index] != nil { return nil }
    blocks[index] = offset
    return take()
  }
}

extension Qcow2Tables {
  /// Carries out changes of reference counts, L1 table, L2 tables and header fields that take effect together, or not at
  /// all if something fails before.
  ///
  /// - Parameter body: changes the counts (``Refcounts/lower(_:)``, ``Refcounts/adjust(_:by:_:)``), stores changed L2
  ///   tables with ``TableShadow/store(_:at:)``, and changes ``l1`` and those fields of ``header`` that lie in bytes 24 to
  ///   71. It allocates nothing.
  /// - Parameter undo: called when nothing took effect, with the tables as they are in the file. Errors after the changes
  ///   took effect leave the image valid, with clusters that nothing refers to.
  func changeAtOnce(
    _ body: (inout TableShadow) throws(ImageError) -> Void, undo: () throws(ImageError) -> Void = {}
  ) throws(ImageError) {
    let writing = try writer()
    guard !writing.isUnfinished else { throw .system(95 /* ENOTSUP */) }
    try commit()
    try writing.barrier()
    l2.removeAll()
    let before = header
    let length = writing.storage.length
    let bits = UInt64(header.clusterBits)
    let inUse = try writing.refcounts.endOfUse()
    // The rest of a device is as good as the space behind a file.
    let start = writing.storage.growsWithZeros ? max(inUse, length.dividedUp(by: header.clusterSize)) : inUse
    let area = ShadowArea(at: start)
    let cursor = writing.refcounts.cursor
    writing.refcounts.shadow = area
    let shadowed: Qcow2Header
    do throws(ImageError) {
      var shadow = TableShadow(writing.storage, area, header)
      try body(&shadow)
      try shadow.finish()
      shadowed = try prepare(area, writing)
    } catch {
      // Nothing leads there yet.
      header = before
      try? reload(cursor: cursor)
      // The failure is reported; clusters that cannot even be freed are leaked.
      try? undo()
      // Neither the area stays nor what a damaged refcount table made of the counts.
      if writing.storage.growsWithZeros, writing.storage.length > length { try? writing.storage.resize(to: length) }
      throw error
    }
    try writeHeaderBytes(shadowed.tableFields, at: Qcow2Header.tableFieldsOffset)
    try writing.barrier()
    try leave(area, writing)
    try reload(cursor: writing.refcounts.cursor)
    if writing.storage.growsWithZeros, length < area.end << bits { try writing.storage.resize(to: length) }
  }

  /// Writes the tables that lead to the new versions, and returns the header that leads to these.
  private func prepare(_ area: ShadowArea, _ writing: Qcow2Writing) throws(ImageError) -> Qcow2Header {
    let refcounts = writing.refcounts
    let bits = UInt64(header.clusterBits)
    let l1Clusters = (UInt64(header.l1Size) * 8).dividedUp(by: header.clusterSize)
    let l1Start = area.take(l1Clusters)
    var copy = LazyTable(writing.storage, zerosAt: l1Start << bits, count: l1.count)
    var index = 0
    while true {
      index = try l1.firstNonZero(index, below: l1.count)
      if index == l1.count { break }
      var entry = L1Entry(rawValue: try l1.word(index))
      // A copy has this one reference.
      if let table = area.tables[entry.offset >> bits] { entry = L1Entry(offset: table << bits, isCopied: true) }
      try copy.set(index, to: entry.rawValue)
      index += 1
    }
    try write(copy, at: l1Start << bits, count: UInt64(l1.count), writing)

    let tableStart = area.end
    let tableClusters = try refcounts.countShadow(bits)
    try refcounts.writeBlocks()
    try writing.storage.writeBigEndianWords(refcounts.table[...], at: tableStart << bits)
    try writing.barrier()
    var shadowed = header
    shadowed.l1TableOffset = l1Clusters == 0 ? header.l1TableOffset : l1Start << bits
    shadowed.refcountTableOffset = tableStart << bits
    shadowed.refcountTableClusters = UInt32(tableClusters)
    return shadowed
  }

  /// Writes the new versions to their places, and leads there again.
  private func leave(_ area: ShadowArea, _ writing: Qcow2Writing) throws(ImageError) {
    let bits = UInt64(header.clusterBits)
    let size = header.clusterSize
    let order = area.tables.sorted { $0.value < $1.value }
    // Copies lie one behind the other, in pieces that fit the buffer.
    var buffer = Buffer(Int(max(size, 1 << 20)))
    let capacity = buffer.count >> Int(bits)
    var first = 0
    while first < order.count {
      var count = 1
      while count < capacity, first + count < order.count,
        order[first + count].value == order[first].value + UInt64(count)
      {
        count += 1
      }
      var bytes = buffer.mutableBytes
      var part = bytes.slice(0..<count << Int(bits))
      try writing.storage.read(into: &part, at: order[first].value << bits)
      var index = 0
      while index < count {
        var run = 1
        while index + run < count, order[first + index + run].key == order[first + index].key + UInt64(run) { run += 1 }
        try writing.storage.write(
          buffer.bytes.slice(index << Int(bits)..<(index + run) << Int(bits)), at: order[first + index].key << bits)
        index += run
      }
      first += count
    }
    try write(l1, at: header.l1TableOffset, count: UInt64(l1.count), writing)
    try writing.refcounts.settle(area)
    try writing.barrier()
    try writeHeaderBytes(header.tableFields, at: Qcow2Header.tableFieldsOffset)
    try writing.barrier()
  }

}

/// Takes the L2 tables that change, for ``Qcow2Tables/changeAtOnce(_:)``.
struct TableShadow: ~Copyable {
  private let storage: any WritableStorage
  private let area: ShadowArea
  private let clusterBits: UInt64
  private var writer: TableWriter

  fileprivate init(_ storage: any WritableStorage, _ area: ShadowArea, _ header: Qcow2Header) {
    self.storage = storage
    self.area = area
    clusterBits = UInt64(header.clusterBits)
    writer = TableWriter(storage, tableSize: max(Int(header.clusterSize), 1 << 20))
  }

  /// The words of the L2 table at `offset` (bytes), as they are by now.
  mutating func table(at offset: UInt64) throws(ImageError) -> [UInt64] {
    let count = (1 << Int(clusterBits)) / 8
    guard let copy = area.tables[offset >> clusterBits] else {
      return try storage.readBigEndianWords(at: offset, count: count)
    }
    try writer.finish()
    return try storage.readBigEndianWords(at: copy << clusterBits, count: count)
  }

  /// Stores the new words of the L2 table at `offset` (bytes).
  mutating func store(_ words: [UInt64], at offset: UInt64) throws(ImageError) {
    try writer.append(words, at: area.copy(ofTable: offset >> clusterBits) << clusterBits)
  }

  fileprivate mutating func finish() throws(ImageError) { try writer.finish() }
}

extension Qcow2Header {
  /// Where ``tableFields`` lie in the header.
  static let tableFieldsOffset: UInt64 = 24

  /// Bytes 24 to 71: size, and the places of L1 table, refcount table and snapshots. They lie in one sector, and change
  /// together.
  var tableFields: [UInt8] {
    size.bigEndianBytes + encryption.rawValue.bigEndianBytes + l1Size.bigEndianBytes + l1TableOffset.bigEndianBytes
      + refcountTableOffset.bigEndianBytes + refcountTableClusters.bigEndianBytes + snapshotCount.bigEndianBytes
      + snapshotsOffset.bigEndianBytes
  }
}

extension Refcounts {
  /// Raises or lowers (`delta` 1 or −1) the counts of `clusters`, or only looks at them (0).
  ///
  /// - Parameter body: called for each cluster in turn with its place in the range, and whether it has exactly one
  ///   reference now.
  /// - Throws: EINVAL for a count that would pass its limits; part of the counts may be changed then.
  @inline(__always)
  func adjust(_ clusters: Range<UInt64>, by delta: Int, _ body: (Int, Bool) -> Void) throws(ImageError) {
    var position = clusters.lowerBound
    while position < clusters.upperBound {
      let part = part(position..<clusters.upperBound)
      let done = Int(position - clusters.lowerBound)
      position = part.end
      guard let block = try block(part.index) else {
        if delta != 0 { throw ImageError.system(22 /* EINVAL */) }
        for index in 0..<part.range.count { body(done + index, false) }
        continue
      }
      if delta != 0 { try change(block) }
      // Given up, so that the change happens in place.
      var words = block.words
      block.words = []
      defer { block.words = words }
      for index in part.range {
        let count = width.count(words, index)
        switch delta {
        case 0:
          body(done + index - part.range.lowerBound, count == 1)
          continue
        case 1:
          guard count < width.limit else { throw ImageError.system(22) }
          width.setCount(&words, index, count + 1)
          body(done + index - part.range.lowerBound, count == 0)
        default:
          guard count > 0 else { throw ImageError.system(22) }
          width.setCount(&words, index, count - 1)
          if count == 1 { cursor = min(cursor, (UInt64(part.index) << blockShift) + UInt64(index)) }
          body(done + index - part.range.lowerBound, count == 2)
        }
      }
    }
    if isFull { try writeBlocks() }
  }

  /// Takes clusters for a refcount table into the shadow area, and counts the area itself.
  ///
  /// - Returns: the table's size in clusters; it is the first thing behind what was taken before.
  fileprivate func countShadow(_ bits: UInt64) throws(ImageError) -> UInt64 {
    guard let area = shadow else { return 0 }
    // The area grows by the table and by blocks, of which some hundred clusters each need one at most.
    let bound = area.end + ((UInt64(table.count) * 8) >> bits) + (area.end - area.start) / 64 + 64
    let entries =
      max(UInt64(table.count), (bound >> blockShift) + 2).dividedUp(by: tableEntriesPerCluster)
      * tableEntriesPerCluster
    guard entries <= Qcow2Header.refcountTableLimit / 8 else { throw .system(27 /* EFBIG */) }
    let tableClusters = (entries * 8) >> bits
    _ = area.take(tableClusters)
    table.append(contentsOf: repeatElement(0, count: Int(entries) - table.count))
    var position = area.start
    while position < area.end {
      let index = Int(position >> blockShift)
      guard index < table.count else { throw .system(27) }
      if try block(index) == nil, let place = area.newCopy(ofBlock: index, at: 0) {
        table[index] = place << clusterBits
        _ = insertBlock(index, offset: place << clusterBits)
      }
      guard let block = try block(index) else { throw .system(5 /* EIO */) }
      try change(block)
      // Changing the block may have made the area longer.
      let part = part(position..<area.end)
      for place in part.range { width.setCount(&block.words, place, 1) }
      position = part.end
      if isFull { try writeBlocks() }
    }
    return tableClusters
  }

  /// Writes the new versions of blocks to their places, without the counts of the area, and gives back the space of
  /// clusters whose counts have become 0.
  fileprivate func settle(_ area: ShadowArea) throws(ImageError) {
    var writer = TableWriter(storage, tableSize: Int(clusterSize))
    for (index, offset) in area.blocks.sorted(by: { $0.value < $1.value }) where offset != 0 {
      guard let block = try block(index) else { continue }
      var words = block.words
      let all = UInt64(index) << blockShift..<UInt64(index + 1) << blockShift
      for cluster in all.clamped(to: area.start..<area.end) {
        width.setCount(&words, Int(cluster & (blockEntries - 1)), 0)
      }
      let old = try storage.readLittleEndianWords(at: offset, count: words.count)
      try writer.append(words, at: offset, isBigEndian: false)
      try giveBackFreed(old, words, all.lowerBound)
    }
    try writer.finish()
  }

  /// Gives back the space of the clusters that are counted in `old` and not in `new`, blocks for the clusters from `base` on.
  private func giveBackFreed(_ old: [UInt64], _ new: [UInt64], _ base: UInt64) throws(ImageError) {
    var freed: Range<UInt64>?
    let perWord = 64 >> width.order
    for place in old.indices where old[place] != new[place] {
      for index in place * perWord..<(place + 1) * perWord
      where width.count(old, index) != 0 && width.count(new, index) == 0 {
        let cluster = base + UInt64(index)
        if let range = freed, range.upperBound == cluster {
          freed = range.lowerBound..<cluster + 1
          continue
        }
        if let range = freed { try storage.discard(range.lowerBound << clusterBits..<range.upperBound << clusterBits) }
        freed = cluster..<cluster + 1
      }
    }
    if let range = freed { try storage.discard(range.lowerBound << clusterBits..<range.upperBound << clusterBits) }
  }
}
