/// How often each cluster of a file is referred to, as a check counts it: 16 bits a cluster, with room for larger counts.
///
/// Files of ordinary size have one flat array. For larger ones, which are mostly holes or were made to exhaust memory,
/// counts lie in pages that exist only where something was counted.
struct ReferenceCounts {
  /// Clusters of a file up to which the counts are a flat array (64 MiB).
  private static let flatLimit: UInt64 = 1 << 25
  /// Clusters of a page.
  private static let pageSize: UInt64 = 256

  private var flat: [UInt16] = []
  private var pages: [UInt64: [UInt16]] = [:]
  /// Counts from 65535 on.
  private var large: [UInt64: UInt64] = [:]

  /// Counts for a file of `clusters` clusters; clusters behind can be counted, too.
  init(clusters: UInt64) {
    if clusters <= ReferenceCounts.flatLimit { flat = Array(repeating: 0, count: Int(clusters) + 2) }
  }

  /// The count of a cluster.
  subscript(cluster: UInt64) -> UInt64 {
    get {
      let short: UInt16
      if cluster < UInt64(flat.count) {
        short = flat[Int(cluster)]
      } else if let page = pages[cluster / ReferenceCounts.pageSize] {
        short = page[Int(cluster % ReferenceCounts.pageSize)]
      } else {
        return 0
      }
      return short == .max ? large[cluster] ?? UInt64(UInt16.max) : UInt64(short)
    }
    set {
      let short = UInt16(clamping: newValue)
      if short == .max { large[cluster] = newValue }
      if cluster < UInt64(flat.count) {
        flat[Int(cluster)] = short
      } else if short != 0 || pages[cluster / ReferenceCounts.pageSize] != nil {
        pages[
          cluster / ReferenceCounts.pageSize,
          default: Array(repeating: 0, count: Int(ReferenceCounts.pageSize))][
            Int(cluster % ReferenceCounts.pageSize)] = short
      }
    }
  }

  /// Adds 1 to a small count in the flat array, which is nearly always possible; false when it is not.
  mutating func incrementQuickly(_ cluster: UInt64, limit: UInt64) -> Bool {
    guard cluster < UInt64(flat.count) else { return false }
    let count = flat[Int(cluster)]
    guard count < .max - 1, UInt64(count) < limit else { return false }
    flat[Int(cluster)] = count + 1
    return true
  }

  /// Whether a refcount block with counts of 16 bits (loaded little-endian) says the same about the `count` clusters from
  /// `start` on: nearly always so, and compared without a look at single clusters then.
  ///
  /// - Returns: nil if it does not, or if that cannot be said quickly; else the last cluster in use, `start` if there is
  ///   none.
  func lastUsed(ifEqualTo words: [UInt64], from start: UInt64, count: Int) -> UInt64? {
    guard count > 0, words.count >= (count + 3) / 4, start + UInt64(count) <= UInt64(flat.count) else { return nil }
    let base = Int(start)
    var last = 0
    for index in 0..<count {
      let stored = UInt16(truncatingIfNeeded: words[index >> 2] >> UInt64((index & 3) << 4)).byteSwapped
      if stored != flat[base + index] || stored == .max { return nil }
      if stored != 0 { last = index }
    }
    return start + UInt64(last)
  }

  /// The groups of `size` clusters with a count other than 0, as their indices, ascending; `size` is a power of two.
  func groups(of size: UInt64) -> [UInt64] {
    var groups: Set<UInt64> = []
    var last: UInt64?
    for (cluster, count) in flat.enumerated() where count != 0 {
      let group = UInt64(cluster) / size
      if group != last { groups.insert(group) }
      last = group
    }
    for (page, counts) in pages {
      if size >= ReferenceCounts.pageSize {
        if counts.contains(where: { $0 != 0 }) { groups.insert(page / (size / ReferenceCounts.pageSize)) }
      } else {
        for (index, count) in counts.enumerated() where count != 0 {
          groups.insert((page * ReferenceCounts.pageSize + UInt64(index)) / size)
        }
      }
    }
    return groups.sorted()
  }

  /// The lowest cluster from `start` on whose count is 0.
  func firstZero(from start: UInt64) -> UInt64 {
    var cluster = start
    while self[cluster] != 0 { cluster += 1 }
    return cluster
  }

  /// The lowest cluster from `start` on at which `count` clusters in a row have the count 0.
  func firstZeros(_ count: UInt64, from start: UInt64) -> UInt64 {
    var first = firstZero(from: start)
    var length: UInt64 = 1
    while length < count {
      if self[first + length] == 0 {
        length += 1
      } else {
        first = firstZero(from: first + length + 1)
        length = 1
      }
    }
    return first
  }
}

/// A set of clusters, made for long runs of neighbours.
struct ClusterSet {
  private var words: [UInt64: UInt64] = [:]

  /// Adds a cluster; whether it was not there before.
  mutating func insert(_ cluster: UInt64) -> Bool {
    let bit = UInt64(1) << (cluster % 64)
    let old = words[cluster / 64] ?? 0
    words[cluster / 64] = old | bit
    return old & bit == 0
  }
}
