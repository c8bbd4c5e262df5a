import Bytes

/// Which clusters of the file hold metadata, so that no write of data or of other metadata ends up there
/// (qcow2-qcow-qed §15). A question costs the same whatever the image's size.
package struct MetadataMap {
  /// What a cluster holds, in the order in which an overlap is named.
  package enum Kind: Int, CaseIterable, Sendable {
    case header, activeL1, activeL2, refcountTable, refcountBlock, snapshotTable, inactiveL1, bitmapDirectory

    /// The name in messages.
    package var name: String {
      switch self {
      case .header: "qcow2_header"
      case .activeL1: "active L1 table"
      case .activeL2: "active L2 table"
      case .refcountTable: "refcount table"
      case .refcountBlock: "refcount block"
      case .snapshotTable: "snapshot table"
      case .inactiveL1: "inactive L1 table"
      case .bitmapDirectory: "bitmap directory"
      }
    }
  }

  /// A set of clusters, 64 to a word: tables of one cluster are many, and mostly follow one another at a fixed distance.
  private struct ClusterSet {
    var words: [UInt64: UInt64] = [:]

    mutating func insert(_ cluster: UInt64) { words[cluster >> 6, default: 0] |= 1 << (cluster & 63) }

    mutating func remove(_ cluster: UInt64) {
      guard let word = words[cluster >> 6] else { return }
      let rest = word & ~(1 << (cluster & 63))
      words[cluster >> 6] = rest == 0 ? nil : rest
    }

    func intersects(_ range: Range<UInt64>) -> Bool {
      // The last word is that of the range's last cluster.
      let first = range.lowerBound >> 6
      let last = (range.upperBound - 1) >> 6
      for index in first...last {
        guard var word = words[index] else { continue }
        if index == first { word &= ~0 << (range.lowerBound & 63) }
        if index == last && range.upperBound & 63 != 0 { word &= (1 << (range.upperBound & 63)) - 1 }
        if word != 0 { return true }
      }
      return false
    }
  }

  private var l2Tables = ClusterSet()
  private var refcountBlocks = ClusterSet()
  /// The tables that exist once, in clusters.
  private var single: [Kind: Range<UInt64>] = [.header: 0..<1]
  /// Snapshots' L1 tables: sorted, disjoint.
  private var inactive: [Range<UInt64>] = []
  /// No metadata from this cluster on: what is allocated at the end of the file is asked about for nothing.
  private var end: UInt64 = 1

  /// A map that knows the header only.
  package init() {}

  /// Adds an L2 table or a refcount block.
  package mutating func insert(_ kind: Kind, cluster: UInt64) {
    if kind == .activeL2 { l2Tables.insert(cluster) } else { refcountBlocks.insert(cluster) }
    end = max(end, cluster + 1)
  }

  /// Takes an L2 table or a refcount block out.
  package mutating func remove(_ kind: Kind, cluster: UInt64) {
    if kind == .activeL2 { l2Tables.remove(cluster) } else { refcountBlocks.remove(cluster) }
  }

  /// Sets where a table that exists once lies, in clusters; an empty range takes it out.
  package mutating func set(_ kind: Kind, _ range: Range<UInt64>) {
    single[kind] = range.isEmpty ? nil : range
    end = max(end, range.upperBound)
  }

  /// Sets where the snapshots' L1 tables lie, in clusters.
  package mutating func setInactiveL1(_ ranges: [Range<UInt64>]) {
    inactive = []
    for range in ranges.filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
      end = max(end, range.upperBound)
      if let last = inactive.last, last.upperBound >= range.lowerBound {
        inactive[inactive.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        inactive.append(range)
      }
    }
  }

  /// What a write to `clusters` (not empty) would destroy, other than what it means to write.
  package func overlap(_ clusters: Range<UInt64>, except kind: Kind? = nil) -> Kind? {
    if clusters.lowerBound >= end { return nil }
    for candidate in Kind.allCases where candidate != kind {
      let hit =
        switch candidate {
        case .activeL2: l2Tables.intersects(clusters)
        case .refcountBlock: refcountBlocks.intersects(clusters)
        case .inactiveL1: overlapsInactive(clusters)
        default: single[candidate]?.overlaps(clusters) ?? false
        }
      if hit { return candidate }
    }
    return nil
  }

  private func overlapsInactive(_ clusters: Range<UInt64>) -> Bool {
    // The first range that ends behind the start of the clusters.
    var low = 0
    var high = inactive.count
    while low < high {
      let middle = (low + high) / 2
      if inactive[middle].upperBound > clusters.lowerBound { high = middle } else { low = middle + 1 }
    }
    return low < inactive.count && inactive[low].lowerBound < clusters.upperBound
  }
}
