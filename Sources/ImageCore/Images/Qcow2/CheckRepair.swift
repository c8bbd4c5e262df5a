import Bytes
import Images
import Storage

// Setting reference counts right (qcow2-qcow-qed §16.3). Whatever happens on the way, the image is at no time worse than
// before: new structures go where nothing lies, and the header is changed last.

extension Qcow2Check {
  /// Repairs what the comparison has found.
  ///
  /// - Parameter counted: the result before the comparison.
  func repairCounts(_ counted: CheckResult) throws(ImageError) {
    let isClean =
      result.corruptions == counted.corruptions && result.leaks == counted.leaks
      && result.checkErrors == counted.checkErrors
    if isClean && !needsRebuild { return }
    if needsRebuild && repair == .all { return try rebuildAndCompare() }
    tellKeptLeaks()
    let isBroken = needsRebuild
    let fixes = CountFixes(leaks: !hidesReferences, errors: repair == .all)
    if fixes.errors || (fixes.leaks && (result.leaks > 0 || !isBroken)) {
      result = counted
      try compare(fix: fixes)
    }
    if isBroken { message("ERROR need to rebuild refcount structures: -r all does that") }
  }

  private func tellKeptLeaks() {
    if hidesReferences && result.leaks > 0 {
      message("Leaked clusters are kept: a table that cannot be read may refer to them")
    }
  }

  private func rebuildAndCompare() throws(ImageError) {
    message("Rebuilding refcount structure")
    try rebuild()
    let before = result
    result.corruptions = 0
    result.leaks = 0
    result.checkErrors = 0
    try count()
    let fixed = (result.corruptionsFixed, result.leaksFixed)
    try compare(fix: CountFixes(leaks: !hidesReferences, errors: true))
    tellKeptLeaks()
    if needsRebuild {
      message("ERROR rebuilt refcount structure is still broken")
      result.checkErrors += 1
    }
    // What the rebuilding left over from the old structures is nothing that was wrong.
    (result.corruptionsFixed, result.leaksFixed) = fixed
    result.corruptionsFixed += max(0, before.corruptions - result.corruptions)
    result.leaksFixed += max(0, before.leaks - result.leaks)
  }

  /// Writes all counts anew into clusters that nothing uses, and then makes the header point to them.
  private func rebuild() throws(ImageError) {
    guard let writable else { return }
    try protectOldStructures()
    var layout = RefcountLayout(references, perBlock: header.refcountBlockEntries, clusterSize: clusterSize)
    try layout.place()
    references = layout.references
    let width = RefcountWidth(order: header.refcountOrder)
    for (index, cluster) in layout.blocks.sorted(by: { $0.key < $1.key }) {
      var words = [UInt64](repeating: 0, count: Int(clusterSize / 8))
      let start = index * header.refcountBlockEntries
      for place in 0..<Int(header.refcountBlockEntries) {
        let count = references[start + UInt64(place)]
        if count != 0 { width.setCount(&words, place, count) }
      }
      try writable.writeLittleEndianWords(words, at: cluster * clusterSize)
    }
    try writable.flush()
    var table = [UInt64](repeating: 0, count: Int(layout.tableClusters * clusterSize / 8))
    for (index, cluster) in layout.blocks { table[Int(index)] = cluster * clusterSize }
    try writable.writeBigEndianWords(table[...], at: layout.tableStart * clusterSize)
    try writable.flush()
    header.refcountTableOffset = layout.tableStart * clusterSize
    header.refcountTableClusters = UInt32(layout.tableClusters)
    var fields = Buffer(12)
    var bytes = fields.mutableBytes
    bytes.storeBigEndian(header.refcountTableOffset, at: 0)
    bytes.storeBigEndian(header.refcountTableClusters, at: 8)
    try writable.write(fields.bytes, at: 48)
    try writable.flush()
  }

  /// Keeps new structures away from what the old table points to, however wrongly, and, if a table could not be read,
  /// from everything that has a count. The comparison afterwards gives back what nothing refers to.
  private func protectOldStructures() throws(ImageError) {
    var index = try refcountTable.firstNonZero(0, below: refcountTable.count)
    while index < refcountTable.count {
      let offset = try refcountTable.word(index) & ~EntryBits.reservedRefcountTable
      if offset < fileLength {
        for cluster in offset / clusterSize...(offset + clusterSize - 1) / clusterSize
        where cluster < clusters && references[cluster] == 0 {
          references[cluster] = 1
        }
      }
      index = try refcountTable.firstNonZero(index + 1, below: refcountTable.count)
    }
    guard hidesReferences else { return }
    for group in stored.groups(of: 256) {
      for cluster in group * 256..<group * 256 + 256 where references[cluster] == 0 && stored[cluster] != 0 {
        references[cluster] = stored[cluster]
      }
    }
  }
}

/// Finds places for refcount blocks and table among clusters without references.
private struct RefcountLayout {
  var references: ReferenceCounts
  let perBlock: UInt64
  let clusterSize: UInt64
  /// Cluster of each block, by its index in the table.
  var blocks: [UInt64: UInt64] = [:]
  var tableStart: UInt64 = 0
  var tableClusters: UInt64 = 0

  init(_ references: ReferenceCounts, perBlock: UInt64, clusterSize: UInt64) {
    self.references = references
    self.perBlock = perBlock
    self.clusterSize = clusterSize
  }

  mutating func place() throws(ImageError) {
    placeBlocks(references.groups(of: perBlock))
    while true {
      let needed = try clustersOfTable()
      if needed == tableClusters { return }
      for cluster in tableStart..<tableStart + tableClusters { references[cluster] = 0 }
      tableClusters = needed
      tableStart = references.firstZeros(needed, from: 0)
      for cluster in tableStart..<tableStart + needed { references[cluster] = 1 }
      // The table may lie where there is no block yet, and such a block may make the table longer.
      placeBlocks((tableStart / perBlock...(tableStart + needed - 1) / perBlock).filter { blocks[$0] == nil })
    }
  }

  private func clustersOfTable() throws(ImageError) -> UInt64 {
    let entries = (blocks.keys.max() ?? 0) + 1
    guard entries <= Qcow2Header.refcountTableLimit / 8 else { throw .system(27 /* EFBIG */) }
    return (entries * 8).dividedUp(by: clusterSize)
  }

  /// Gives each of the ranges (ascending) a block: the first free cluster from the range's start on.
  private mutating func placeBlocks(_ ranges: [UInt64]) {
    var pending = ranges
    var index = 0
    while index < pending.count {
      let range = pending[index]
      let cluster = references.firstZero(from: range * perBlock)
      references[cluster] = 1
      blocks[range] = cluster
      let own = cluster / perBlock
      // A full range has its block in a later one, which then needs a block, too.
      if blocks[own] == nil, !pending[index...].contains(own) {
        let place = pending[index...].firstIndex { $0 > own } ?? pending.count
        pending.insert(own, at: place)
      }
      index += 1
    }
  }
}

extension WritableStorage {
  /// Stores words in little-endian order at `offset` (bytes).
  func writeLittleEndianWords(_ words: [UInt64], at offset: UInt64) throws(ImageError) {
    var buffer = Buffer(words.count * 8)
    var bytes = buffer.mutableBytes
    for (index, word) in words.enumerated() { bytes.storeLittleEndian(word, at: index * 8) }
    try write(buffer.bytes, at: offset)
  }
}
