import Bytes

// The words of the mapping tables (qcow2-qcow-qed §4). All are in native byte order once a table has been loaded.

/// The flag and address bits that L1 and standard L2 entries share.
package enum EntryBits {
  /// The cluster's reference count is exactly 1: it may be written in place.
  package static let copied: UInt64 = 1 << 63
  /// The L2 entry is a compressed descriptor.
  package static let compressed: UInt64 = 1 << 62
  /// The cluster reads as zeros (not with extended L2).
  package static let zero: UInt64 = 1
  /// Host offset.
  package static let offset: UInt64 = 0x00FF_FFFF_FFFF_FE00
  /// Bits of an L1 entry that must be 0.
  package static let reservedL1: UInt64 = 0x7F00_0000_0000_01FF
  /// Bits of a standard L2 entry that must be 0.
  package static let reservedL2: UInt64 = 0x3F00_0000_0000_01FE
  /// Bits of a refcount table entry that must be 0.
  package static let reservedRefcountTable: UInt64 = 0x1FF
}

/// A word of an L1 table.
package struct L1Entry: Sendable, Hashable {
  /// As on disk, native byte order.
  package var rawValue: UInt64

  @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }

  /// An entry that points to the L2 table at `offset` (bytes).
  @inlinable package init(offset: UInt64, isCopied: Bool) { rawValue = offset | (isCopied ? EntryBits.copied : 0) }

  /// Offset of the L2 table in bytes; 0 when there is none.
  @inlinable package var offset: UInt64 { rawValue & EntryBits.offset }
  /// Whether the L2 table's reference count is exactly 1.
  @inlinable package var isCopied: Bool { rawValue & EntryBits.copied != 0 }
  /// Bits that should be 0.
  @inlinable package var reservedBits: UInt64 { rawValue & EntryBits.reservedL1 }
}

/// What an L2 entry says about its cluster.
package enum ClusterKind: Sendable, Hashable {
  /// Not in this image: the layer below, or zeros.
  case unallocated
  /// Reads as zeros, no host cluster. Not with extended L2.
  case zeroPlain
  /// Reads as zeros, but a host cluster is reserved. Not with extended L2.
  case zeroAllocated
  /// A host cluster; with extended L2 the bitmap decides for each subcluster.
  case normal
  /// Compressed data.
  case compressed
}

/// How the entries of an image are to be understood.
package struct EntryRules: Sendable, Hashable {
  /// 16-byte entries: bit 0 means nothing.
  @usableFromInline let hasSubclusters: Bool
  /// A COPIED entry with offset 0 is a cluster at offset 0 of the data file.
  @usableFromInline let hasDataFile: Bool
  /// Number of offset bits of a compressed descriptor: 62 − (cluster bits − 8).
  @usableFromInline let compressedOffsetBits: UInt64

  @inlinable package init(_ header: Qcow2Header) {
    hasSubclusters = header.hasSubclusters
    hasDataFile = header.hasDataFile
    compressedOffsetBits = 62 - (UInt64(header.clusterBits) - 8)
  }

  /// Host offsets of compressed data end before this one (bytes).
  package var compressedOffsetLimit: UInt64 { min(1 << compressedOffsetBits, Qcow2Header.hostOffsetLimit) }
}

/// The first (or only) word of an L2 entry.
package struct L2Entry: Sendable, Hashable {
  /// As on disk, native byte order.
  package var rawValue: UInt64

  @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }

  /// A cluster stored at `offset` (bytes) that nothing else refers to.
  @inlinable package init(offset: UInt64) { rawValue = offset | EntryBits.copied }

  /// `length` bytes of compressed data at `offset`. Both must fit the descriptor, see ``EntryRules``.
  @inlinable package init(compressedAt offset: UInt64, length: UInt64, _ rules: EntryRules) {
    let additional = (offset + length - 1) / 512 - offset / 512
    rawValue = EntryBits.compressed | additional << rules.compressedOffsetBits | offset
  }

  /// A version 3 cluster that reads as zeros.
  package static let zeroPlain = L2Entry(rawValue: EntryBits.zero)
  /// Nothing here.
  package static let unallocated = L2Entry(rawValue: 0)

  /// Host offset in bytes of a standard entry.
  @inlinable package var offset: UInt64 { rawValue & EntryBits.offset }
  /// Whether the cluster's reference count is exactly 1.
  @inlinable package var isCopied: Bool { rawValue & EntryBits.copied != 0 }
  /// Whether this is a compressed descriptor.
  @inlinable package var isCompressed: Bool { rawValue & EntryBits.compressed != 0 }
  /// Bits of a standard entry that should be 0.
  @inlinable package var reservedBits: UInt64 { rawValue & EntryBits.reservedL2 }

  /// What the entry says.
  @inlinable package func kind(_ rules: EntryRules) -> ClusterKind {
    if isCompressed { return .compressed }
    if rawValue & EntryBits.zero != 0 && !rules.hasSubclusters {
      return offset == 0 ? .zeroPlain : .zeroAllocated
    }
    if offset != 0 { return .normal }
    return rules.hasDataFile && isCopied ? .normal : .unallocated
  }

  /// Where a compressed descriptor's data lies.
  @inlinable package func compressedData(_ rules: EntryRules) -> CompressedData {
    let mask = (UInt64(1) << rules.compressedOffsetBits) - 1
    let offset = rawValue & mask
    let additional = (rawValue & ~(EntryBits.copied | EntryBits.compressed)) >> rules.compressedOffsetBits
    return CompressedData(offset: offset, length: (additional + 1) * 512 - offset % 512)
  }
}

/// A range of the file that holds a compressed cluster.
package struct CompressedData: Sendable, Hashable {
  /// Offset in bytes, of any alignment.
  package var offset: UInt64
  /// Number of bytes that may be read, up to the end of the last sector; at most two clusters.
  package var length: UInt64

  @inlinable package init(offset: UInt64, length: UInt64) {
    self.offset = offset
    self.length = length
  }
}

/// What a subcluster reads as.
package enum SubclusterKind: Sendable, Hashable {
  /// The layer below.
  case backing
  /// Zeros.
  case zero
  /// The host cluster's data.
  case data
}

/// The second word of an extended L2 entry: one bit "allocated" and one "reads as zeros" for each of 32 subclusters.
package struct SubclusterBitmap: Sendable, Hashable {
  /// As on disk, native byte order.
  package var rawValue: UInt64

  @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }

  @inlinable package init(allocated: UInt32, zero: UInt32) { rawValue = UInt64(zero) << 32 | UInt64(allocated) }

  /// All subclusters read as zeros.
  package static let allZero = SubclusterBitmap(allocated: 0, zero: .max)
  /// All subclusters are stored.
  package static let allAllocated = SubclusterBitmap(allocated: .max, zero: 0)

  /// Bit i: subcluster i is stored in the host cluster.
  @inlinable package var allocated: UInt32 {
    get { UInt32(truncatingIfNeeded: rawValue) }
    set { rawValue = rawValue & 0xFFFF_FFFF_0000_0000 | UInt64(newValue) }
  }

  /// Bit i: subcluster i reads as zeros.
  @inlinable package var zero: UInt32 {
    get { UInt32(truncatingIfNeeded: rawValue >> 32) }
    set { rawValue = rawValue & 0xFFFF_FFFF | UInt64(newValue) << 32 }
  }

  /// Whether the bitmap may stand beside a standard entry: no subcluster is both, none is stored without a cluster.
  @inlinable package func isValid(hasCluster: Bool) -> Bool {
    allocated & zero == 0 && (hasCluster || allocated == 0)
  }

  /// What subcluster `index` (0...31) of a valid bitmap reads as.
  @inlinable package subscript(_ index: Int) -> SubclusterKind {
    let bit = UInt32(1) << UInt32(index)
    return allocated & bit != 0 ? .data : zero & bit != 0 ? .zero : .backing
  }

  /// Number of subclusters from `index` on that are of the same kind as that one: 1...32 − index.
  @inlinable package func run(from index: Int) -> Int {
    let same: UInt32 =
      switch self[index] {
      case .data: allocated
      case .zero: zero & ~allocated
      case .backing: ~(allocated | zero)
      }
    return min(32 - index, (~(same >> UInt32(index))).trailingZeroBitCount)
  }
}
