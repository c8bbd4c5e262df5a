import Bytes
import Storage

// What an L1 table refers to: L2 tables, and through them the guest's clusters (qcow2-qcow-qed §4, §19.2).

extension Qcow2Tables {
  /// What is done with the table of an L1 entry.
  enum Treatment {
    /// Its counts and flags stay as they are.
    case skipped
    /// Its references count; its flags stay as they are.
    case counted
    /// Its references count, and its flags follow.
    case flagged
  }

  /// Raises or lowers (`delta` 1 or −1) the counts of everything that an L1 table refers to, or only looks at them (0), and
  /// brings the COPIED flags of its entries and of its L2 tables in line.
  ///
  /// - Parameter treatment: what is done with the table of an L1 entry, given by its index.
  func changeReferences(
    of table: inout LazyTable, by delta: Int, in shadow: inout TableShadow,
    treatment: (_ index: Int, _ entry: L1Entry) throws(ImageError) -> Treatment = { (_, _) in .flagged }
  ) throws(ImageError) {
    let refcounts = try writer().refcounts
    let bits = UInt64(header.clusterBits)
    var index = 0
    while true {
      index = try table.firstNonZero(index, below: table.count)
      if index == table.count { break }
      let entry = L1Entry(rawValue: try table.word(index))
      let treatment = entry.offset == 0 ? .skipped : try treatment(index, entry)
      if treatment != .skipped {
        guard entry.offset % header.clusterSize == 0 else {
          throw refcounts.corruption.fatal(
            "L2 table offset \(alternateHex(entry.offset)) unaligned (L1 index: \(alternateHex(UInt64(index))))")
        }
        let cluster = entry.offset >> bits
        // What is about to be freed needs no flags.
        let isKept = delta >= 0 ? true : try refcounts.count(cluster) > 1
        try changeReferences(ofTableAt: entry.offset, by: delta, flags: isKept && treatment == .flagged, in: &shadow)
        var isSingle = false
        try refcounts.adjust(cluster..<cluster + 1, by: delta) { (_, single) in isSingle = single }
        let new = entry.rawValue & ~EntryBits.copied | (isSingle ? EntryBits.copied : 0)
        if new != entry.rawValue { try table.set(index, to: new) }
      }
      index += 1
    }
  }

  /// The same for one L2 table; `flags`: they follow.
  private func changeReferences(
    ofTableAt offset: UInt64, by delta: Int, flags: Bool, in shadow: inout TableShadow
  ) throws(ImageError) {
    let refcounts = try writer().refcounts
    let rules = EntryRules(header)
    let bits = UInt64(header.clusterBits)
    let step = header.wordsPerL2Entry
    var words = try shadow.table(at: offset)
    var isChanged = false
    var position = 0
    while position < words.count {
      let raw = words[position]
      if raw & EntryBits.compressed != 0 {
        if delta != 0 {
          let data = L2Entry(rawValue: raw).compressedData(rules)
          let clusters = data.offset >> bits..<((data.offset + data.length - 1) >> bits) + 1
          try refcounts.adjust(clusters, by: delta) { (_, _) in }
        }
        position += step
        continue
      }
      let host = raw & EntryBits.offset
      if host == 0 {
        position += step
        continue
      }
      guard host & (header.clusterSize - 1) == 0 else {
        throw refcounts.corruption.fatal(
          "Cluster allocation offset \(alternateHex(host)) unaligned (L2 offset: \(alternateHex(offset)), L2 index: "
            + "\(alternateHex(UInt64(position / step))))")
      }
      // Neighbours in the file are counted together.
      var count = 1
      while position + count * step < words.count,
        words[position + count * step] & (EntryBits.offset | EntryBits.compressed)
          == host &+ UInt64(count) << bits
      {
        count += 1
      }
      let first = host >> bits
      try refcounts.adjust(first..<first + UInt64(count), by: delta) { (index, isSingle) in
        let place = position + index * step
        let new = words[place] & ~EntryBits.copied | (isSingle ? EntryBits.copied : 0)
        if new != words[place] {
          words[place] = new
          isChanged = true
        }
      }
      position += count * step
    }
    guard isChanged && flags else { return }
    if let kind = refcounts.metadata.overlap(offset >> bits..<(offset >> bits) + 1, except: .activeL2) {
      throw refcounts.overlap(kind)
    }
    try shadow.store(words, at: offset)
  }
}
