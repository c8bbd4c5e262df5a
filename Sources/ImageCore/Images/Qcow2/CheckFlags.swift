import Bytes
import Images
import Storage

// COPIED says that a count is exactly 1 (qcow2-qcow-qed §16.1, 5). Only the active tables keep that promise.

extension Qcow2Check {
  /// Compares the flags of the active tables with the stored counts.
  func checkFlags() throws(ImageError) {
    let isSound = result.corruptions == 0 && result.leaks == 0 && result.checkErrors == 0
    let fixes = repair == .all || (repair == .leaks && isSound)
    var table = LazyTable(storage, offset: header.l1TableOffset, count: Int(header.l1Size))
    var seen = ClusterSet()
    var index = try table.firstNonZero(0, below: table.count)
    while index < table.count {
      let entry = L1Entry(rawValue: try table.word(index))
      if entry.offset != 0 { try checkFlags(index, entry, fixes, &seen) }
      index = try table.firstNonZero(index + 1, below: table.count)
    }
    if fixes, let writable { try writable.flush() }
  }

  private func checkFlags(_ index: Int, _ entry: L1Entry, _ fixes: Bool, _ seen: inout ClusterSet) throws(ImageError) {
    if let count = try knownCount(entry.offset), (count == 1) != entry.isCopied {
      let text = "OFLAG_COPIED L2 cluster: l1_index=\(index) l1_entry=\(hex(entry.rawValue)) refcount=\(count)"
      // Only where nothing but the L1 table lies.
      if fixes, let writable, references[(header.l1TableOffset + UInt64(index * 8)) / clusterSize] == 1 {
        repaired("Repairing " + text)
        try writable.writeBigEndianWord(
          entry.rawValue ^ EntryBits.copied, at: header.l1TableOffset + UInt64(index * 8))
      } else {
        corruption("ERROR " + text)
      }
    }
    // A table that is met again says nothing new.
    guard entry.offset % clusterSize == 0, entry.offset < fileLength, seen.insert(entry.offset / clusterSize) else {
      return
    }
    // A cluster that is also guest data, or another structure, is not written to for the sake of a flag.
    try checkFlags(tableAt: entry.offset, fixes && isOnlyTable(entry.offset))
  }

  private func checkFlags(tableAt offset: UInt64, _ fixes: Bool) throws(ImageError) {
    let words = try readTable(offset)
    var changes: [(index: Int, word: UInt64)] = []
    let step = header.wordsPerL2Entry
    for index in stride(from: 0, to: words.count, by: step) {
      let entry = L2Entry(rawValue: words[index])
      if entry.rawValue <= EntryBits.zero { continue }
      let kind = entry.kind(rules)
      guard kind == .normal || kind == .zeroAllocated else { continue }
      // Clusters of a data file have no counts; they count as owned.
      let known = header.hasDataFile ? 1 : try knownCount(entry.offset)
      guard let count = known, (count == 1) != entry.isCopied else { continue }
      let text = "OFLAG_COPIED data cluster: l2_entry=\(hex(entry.rawValue)) refcount=\(count)"
      if fixes {
        repaired("Repairing " + text)
        changes.append((index, entry.rawValue ^ EntryBits.copied))
      } else {
        corruption("ERROR " + text)
      }
    }
    guard !changes.isEmpty, let writable else { return }
    recentTables[offset] = nil
    for change in changes { try writable.writeBigEndianWord(change.word, at: offset + UInt64(change.index * 8)) }
  }

  /// The stored count of the cluster at `offset`; nil if it cannot be found, which was told by the comparison.
  private func knownCount(_ offset: UInt64) throws(ImageError) -> UInt64? {
    do throws(ImageError) {
      return try storedCount(offset / clusterSize)
    } catch {
      return nil
    }
  }
}
