import Bytes
import Storage

// Clusters that become zeros or are given back (qcow2-qcow-qed §18).

extension Qcow2Tables {
  /// What happens to whole clusters.
  enum ZeroingMode: Sendable {
    /// They read as zeros; space is kept.
    case keepingSpace
    /// They read as zeros; space is given back.
    case unmapping
    /// They read as zeros, or, where `isFull`, as the layer below; space is given back and nothing is entered for clusters
    /// that read as zeros anyway.
    case discarding(isFull: Bool)
  }

  /// Changes the entries of the guest clusters from `first` on, as far as one piece of a table goes.
  ///
  /// - Parameter hasBacking: whether clusters that are not allocated may read as something else than zeros.
  /// - Returns: the number of clusters dealt with, at most `count` (> 0).
  func zeroClusters(_ first: UInt64, _ count: UInt64, _ mode: ZeroingMode, hasBacking: Bool) throws(ImageError)
    -> UInt64
  {
    let writing = try writer()
    let rules = EntryRules(header)
    let l1Index = first / header.l2Entries
    let index = first & (header.l2Entries - 1)
    let wanted = min(count, header.l2Entries - index)
    guard l1Index < UInt64(l1.count) else { throw .system(5 /* EIO */) }
    if case .discarding(let isFull) = mode, isFull || !hasBacking,
      L1Entry(rawValue: try l1.word(Int(l1Index))).offset == 0
    {
      // Nothing is there, and nothing has to be entered: many missing tables are one step. This entry itself may hold
      // reserved bits.
      let last = min(UInt64(l1.count) - 1, (first + count - 1) / header.l2Entries)
      let next = UInt64(try l1.firstNonZero(Int(l1Index) + 1, below: Int(last) + 1))
      return min(count, next * header.l2Entries - first)
    }
    let table = try writableTable(l1Index)
    let step = header.wordsPerL2Entry
    let perSlice = l2.sliceSize / header.l2EntrySize
    var position = index
    while position < index + wanted {
      let (slice, firstOfSlice) = try slice(of: table, position)
      let stop = min(index + wanted, firstOfSlice + perSlice)
      while position < stop {
        let place = Int(position - firstOfSlice)
        let target = try target(slice.words, place, table: table, index: position, rules)
        if let (entry, bitmap, drops) = replacement(target, mode, hasBacking: hasBacking) {
          try change(slice, writing)
          slice.words[place * step] = entry
          if step == 2 { slice.words[place * step + 1] = bitmap }
          if drops { try release(target.entry, writing, rules, givesBack: true) }
        }
        position += 1
      }
    }
    return wanted
  }

  /// What an entry is replaced by, and whether its clusters are released; nil if it stays.
  private func replacement(_ target: WriteTarget, _ mode: ZeroingMode, hasBacking: Bool) -> (
    entry: UInt64, bitmap: UInt64, drops: Bool
  )? {
    let isAllocated = target.kind == .normal || target.kind == .zeroAllocated || target.kind == .compressed
    switch mode {
    case .keepingSpace, .unmapping:
      var drops = target.kind == .compressed
      if case .unmapping = mode, isAllocated { drops = true }
      let kept = drops ? 0 : target.entry.rawValue
      if header.hasSubclusters {
        let zeros = SubclusterBitmap.allZero.rawValue
        if !drops && target.bitmap.rawValue == zeros { return nil }
        return (kept, zeros, drops)
      }
      if !drops && kept & EntryBits.zero != 0 { return nil }
      return (kept | EntryBits.zero, 0, drops)
    case .discarding(let isFull):
      if isFull {
        return target.entry.rawValue == 0 && target.bitmap.rawValue == 0 ? nil : (0, 0, isAllocated)
      }
      if !isAllocated && !hasBacking { return nil }
      if header.hasSubclusters {
        let zeros = SubclusterBitmap.allZero.rawValue
        return !isAllocated && target.bitmap.rawValue == zeros ? nil : (0, zeros, isAllocated)
      }
      if target.kind == .zeroPlain { return nil }
      return (header.version >= 3 ? EntryBits.zero : 0, 0, isAllocated)
    }
  }

  /// Sets subclusters `range` of one cluster to zeros (extended L2); false if the cluster is compressed, which has none.
  func zeroSubclusters(_ cluster: UInt64, _ range: Range<UInt64>) throws(ImageError) -> Bool {
    let writing = try writer()
    let rules = EntryRules(header)
    let index = cluster & (header.l2Entries - 1)
    let table = try writableTable(cluster / header.l2Entries)
    let (slice, first) = try slice(of: table, index)
    let place = Int(index - first)
    let target = try target(slice.words, place, table: table, index: index, rules)
    if target.kind == .compressed { return false }
    let mask = UInt32(truncatingIfNeeded: ((UInt64(1) << UInt64(range.count)) - 1) << range.lowerBound)
    var bitmap = target.bitmap
    bitmap.allocated &= ~mask
    bitmap.zero |= mask
    if bitmap != target.bitmap {
      try change(slice, writing)
      slice.words[2 * place + 1] = bitmap.rawValue
    }
    return true
  }
}
