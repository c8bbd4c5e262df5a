import Bytes

/// Something that is written to a metadump.
enum ClusterWrite {
  /// These bytes of the batch that is being placed, as they are stored.
  case stored(Range<Int>, at: UInt64)
  /// A header, padding, or a cluster.
  case bytes([UInt8], at: UInt64)
}

/// Lays out clusters one behind the other (btrfs-image §7). Items come in their order, in parts if they are long.
struct ClusterLayout: ~Copyable {
  private let version: MetadumpVersion
  private let isCompressed: Bool
  /// Whether a cluster's bytes are kept until its header is known: a stream takes its bytes in their order, and the sizes
  /// of compressed items are known late.
  private let gathers: Bool
  private var items: [MetadumpItem] = []
  /// Items of the cluster that have been begun.
  private var begun = 0
  /// Kept from cluster to cluster, with the entries of the one before in the slots that are not used.
  private var header = Buffer(ClusterHeader.size)
  private var start: UInt64 = 0
  private var end = UInt64(ClusterHeader.size)
  private var gathered: [UInt8] = []

  init(version: MetadumpVersion, isCompressed: Bool, gathers: Bool) {
    self.version = version
    self.isCompressed = isCompressed
    self.gathers = gathers
  }

  /// Whether the next item begins a cluster.
  private var isAtStart: Bool { begun == 0 }

  /// Places an item, or the first part of one.
  ///
  /// - Parameters:
  ///   - following: this item and those behind it, as far as they may be in the same cluster, with the sizes that they
  ///     will have in the file; asked for when items are not compressed.
  mutating func begin(
    _ item: MetadumpItem, following: () -> [MetadumpItem], _ writes: inout [ClusterWrite]
  ) {
    if isAtStart && !isCompressed {
      items = following()
      writes.append(.bytes(storedHeader(), at: start))
    } else if isCompressed {
      items.append(item)
    }
    begun += 1
  }

  /// Places the next bytes of an item.
  ///
  /// - Parameters:
  ///   - range: where they are among the batch's stored bytes.
  ///   - bytes: the bytes themselves, of a layout that gathers.
  mutating func add(_ range: Range<Int>, _ bytes: [UInt8]?, _ writes: inout [ClusterWrite]) {
    if gathers, let bytes {
      gathered += bytes[range]
    } else if case .stored(let last, let offset) = writes.last, last.upperBound == range.lowerBound,
      offset + UInt64(last.count) == end
    {
      writes[writes.count - 1] = .stored(last.lowerBound..<range.upperBound, at: offset)
    } else {
      writes.append(.stored(range, at: end))
    }
    end += UInt64(range.count)
  }

  /// Ends an item, and the cluster when it is full.
  mutating func endItem(_ writes: inout [ClusterWrite]) {
    if begun == ClusterHeader.capacity { close(&writes) }
  }

  /// Ends the cluster, if one was begun.
  mutating func close(_ writes: inout [ClusterWrite]) {
    if isAtStart { return }
    let unit = UInt64(ClusterHeader.size)
    let next = end.roundedUp(to: unit) ?? end
    let padding = [UInt8](repeating: 0, count: Int(next - end))
    if gathers {
      writes.append(.bytes(storedHeader() + gathered + padding, at: start))
      gathered.removeAll(keepingCapacity: true)
    } else {
      if isCompressed { writes.append(.bytes(storedHeader(), at: start)) }
      if !padding.isEmpty { writes.append(.bytes(padding, at: end)) }
    }
    items.removeAll(keepingCapacity: true)
    begun = 0
    start = next
    end = next + unit
  }

  private mutating func storedHeader() -> [UInt8] {
    let contents = ClusterHeader(version: version, offset: start, isCompressed: isCompressed, items: items)
    var bytes = header.mutableBytes
    contents.store(in: &bytes)
    return header.bytes.array(0..<ClusterHeader.size)
  }
}
