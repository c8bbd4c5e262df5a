import Bytes
import Images
import Storage

// What the image has stored about its clusters, beside what was counted (qcow2-qcow-qed §16.1, 3).

/// Which differences are set right.
struct CountFixes {
  /// Counts that are too high: clusters are given back.
  var leaks: Bool
  /// Counts that are too low.
  var errors: Bool
}

extension Qcow2Check {
  /// Compares all clusters, in ascending order.
  ///
  /// - Parameter fix: what to set right; nil to only tell.
  func compare(fix: CountFixes?) throws(ImageError) {
    let perBlock = header.refcountBlockEntries
    stored = ReferenceCounts(clusters: clusters)
    var freed: [Range<UInt64>] = []
    var highest: UInt64 = 0
    unreadableBlocks.removeAll()
    equalBlocks.removeAll()
    lastEqualBlock = .max
    for index in try blocksToCompare(perBlock) {
      try compareBlock(index, perBlock, fix, &freed, &highest)
    }
    result.imageEndOffset = (highest + 1) * clusterSize
    guard fix != nil, let writable else { return }
    // Given back to the file system only when no count in the file says otherwise.
    try writable.flush()
    for range in freed { try writable.discard(range) }
  }

  /// The indices of blocks that have stored counts or references, ascending.
  private func blocksToCompare(_ perBlock: UInt64) throws(ImageError) -> [UInt64] {
    let end = clusters.dividedUp(by: perBlock)
    var indices = references.groups(of: perBlock).filter { $0 < end }
    let inTable = Int(min(UInt64(refcountTable.count), end))
    var found: [UInt64] = []
    var index = try refcountTable.firstNonZero(0, below: inTable)
    while index < inTable {
      found.append(UInt64(index))
      index = try refcountTable.firstNonZero(index + 1, below: inTable)
    }
    if !found.isEmpty { indices = Set(indices).union(found).sorted() }
    return indices
  }

  private func compareBlock(
    _ index: UInt64, _ perBlock: UInt64, _ fix: CountFixes?, _ freed: inout [Range<UInt64>], _ highest: inout UInt64
  ) throws(ImageError) {
    let width = RefcountWidth(order: header.refcountOrder)
    let start = index * perBlock
    let end = min(clusters, start + perBlock)
    let offset: UInt64
    var words: [UInt64]
    do throws(ImageError) {
      offset = try blockOffset(index)
      words = offset == 0 ? [] : try storage.readLittleEndianWords(at: offset, count: Int(clusterSize / 8))
    } catch {
      unreadableBlocks.insert(index)
      for cluster in start..<end {
        message("Can't get refcount for cluster \(cluster): \(errorText(error.errno))")
        result.checkErrors += 1
      }
      return
    }
    if header.refcountOrder == 4,
      let last = references.lastUsed(ifEqualTo: words, from: start, count: Int(end - start))
    {
      highest = max(highest, last)
      equalBlocks.insert(index)
      return
    }
    // A block that is also something else, guest data perhaps, is not written to: it has to be rebuilt elsewhere.
    let isOnlyBlock = !words.isEmpty && references[offset / clusterSize] == 1
    var changed = false
    for cluster in start..<end {
      let place = Int(cluster - start)
      let count = words.isEmpty ? 0 : width.count(words, place)
      let expected = references[cluster]
      if count | expected == 0 { continue }
      highest = cluster
      stored[cluster] = count
      if count == expected { continue }
      let isLeak = count > expected
      if !isLeak && count == 0 { needsRebuild = true }
      if let fix, isLeak ? fix.leaks : fix.errors, isOnlyBlock {
        message("Repairing cluster \(cluster) refcount=\(count) reference=\(expected)")
        width.setCount(&words, place, expected)
        stored[cluster] = expected
        changed = true
        if isLeak { result.leaksFixed += 1 } else { result.corruptionsFixed += 1 }
        if expected == 0 { freed.append(cluster, clusterSize) }
      } else {
        message("\(isLeak ? "Leaked" : "ERROR") cluster \(cluster) refcount=\(count) reference=\(expected)")
        if isLeak { result.leaks += 1 } else { result.corruptions += 1 }
      }
    }
    if changed, let writable { try writable.writeLittleEndianWords(words, at: offset) }
  }

  /// Offset of a refcount block, 0 where there is none.
  private func blockOffset(_ index: UInt64) throws(ImageError) -> UInt64 {
    guard index < UInt64(refcountTable.count) else { return 0 }
    let offset = try refcountTable.word(Int(index)) & ~EntryBits.reservedRefcountTable
    guard offset % clusterSize == 0 else {
      if !toldOfBadBlock {
        toldOfBadBlock = true
        message(
          "qcow2: Image is corrupt: Refblock offset \(alternateHex(offset)) unaligned (reftable index: "
            + "\(alternateHex(index))); further non-fatal corruption events will be suppressed")
      }
      throw .system(5 /* EIO */)
    }
    return offset
  }

  /// The stored count of a cluster, wherever it lies.
  func storedCount(_ cluster: UInt64) throws(ImageError) -> UInt64 {
    let perBlock = header.refcountBlockEntries
    if cluster < clusters {
      let block = cluster / perBlock
      if block == lastEqualBlock { return references[cluster] }
      if equalBlocks.contains(block) {
        lastEqualBlock = block
        return references[cluster]
      }
      if !unreadableBlocks.isEmpty && unreadableBlocks.contains(cluster / perBlock) { throw .system(5 /* EIO */) }
      return stored[cluster]
    }
    let offset = try blockOffset(cluster / perBlock)
    if offset == 0 { return 0 }
    let place = Int(cluster % perBlock)
    // The eight bytes with the entry are enough.
    let word = place << Int(header.refcountOrder) / 64
    let words = try storage.readLittleEndianWords(at: offset + UInt64(word * 8), count: 1)
    return RefcountWidth(order: header.refcountOrder).count(words, place - word * 64 >> Int(header.refcountOrder))
  }
}

extension [Range<UInt64>] {
  /// Adds a cluster as a range of bytes, to the last range if it follows.
  fileprivate mutating func append(_ cluster: UInt64, _ clusterSize: UInt64) {
    let start = cluster * clusterSize
    if let last, last.upperBound == start {
      self[count - 1] = last.lowerBound..<start + clusterSize
    } else {
      append(start..<start + clusterSize)
    }
  }
}
