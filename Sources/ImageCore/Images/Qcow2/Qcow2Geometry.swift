import Bytes

// What follows from the header's fields (qcow2-qcow-qed §4, §5, §13).

extension Qcow2Header {
  /// Largest active or snapshot L1 table in bytes.
  package static let l1TableLimit: UInt64 = 32 << 20
  /// Largest refcount table in bytes.
  package static let refcountTableLimit: UInt64 = 8 << 20
  /// Most snapshots.
  package static let snapshotLimit: UInt32 = 65536
  /// Host offsets end here: 2^56.
  package static let hostOffsetLimit: UInt64 = 1 << 56

  /// Size of a cluster in bytes.
  @inlinable package var clusterSize: UInt64 { 1 << UInt64(clusterBits) }

  /// Size of the virtual disk in bytes: a multiple of 512.
  @inlinable package var virtualSize: UInt64 { size & ~511 }

  /// Number of guest clusters, the last one perhaps incomplete.
  @inlinable package var guestClusters: UInt64 { virtualSize.dividedUp(by: clusterSize) }

  /// Whether L2 entries describe subclusters (extended L2).
  @inlinable package var hasSubclusters: Bool { incompatibleFeatures.contains(.extendedL2) }

  /// Whether guest data lives in another file.
  @inlinable package var hasDataFile: Bool { incompatibleFeatures.contains(.externalDataFile) }

  /// Whether the data file is a raw image by itself.
  @inlinable package var hasRawDataFile: Bool { autoclearFeatures.contains(.rawExternalData) }

  /// Number of subclusters of a cluster: 1 or 32.
  @inlinable package var subclustersPerCluster: UInt64 { hasSubclusters ? 32 : 1 }

  /// Size of a subcluster in bytes; the cluster size without extended L2.
  @inlinable package var subclusterSize: UInt64 { clusterSize / subclustersPerCluster }

  /// 64-bit words that an L2 entry has: 1 or 2.
  @inlinable package var wordsPerL2Entry: Int { hasSubclusters ? 2 : 1 }

  /// Size of an L2 entry in bytes: 8 or 16.
  @inlinable package var l2EntrySize: UInt64 { hasSubclusters ? 16 : 8 }

  /// Entries of an L2 table.
  @inlinable package var l2Entries: UInt64 { clusterSize / l2EntrySize }

  /// Guest bytes that an L1 entry stands for; at most 2^39.
  @inlinable package var bytesPerL1Entry: UInt64 { clusterSize * l2Entries }

  /// Number of L1 entries that a disk of `size` bytes needs.
  @inlinable package func l1EntriesNeeded(for size: UInt64) -> UInt64 { size.dividedUp(by: bytesPerL1Entry) }

  /// Width of a reference count in bits: 1, 2, … 64.
  @inlinable package var refcountBits: UInt32 { 1 << refcountOrder }

  /// The largest reference count.
  @inlinable package var refcountLimit: UInt64 { refcountOrder == 6 ? .max : (1 << UInt64(refcountBits)) - 1 }

  /// Entries of a refcount block.
  @inlinable package var refcountBlockEntries: UInt64 { (clusterSize * 8) >> UInt64(refcountOrder) }

  /// Entries of the refcount table.
  @inlinable package var refcountTableEntries: UInt64 { UInt64(refcountTableClusters) * clusterSize / 8 }

  /// Where the disk's guest space ends and saved machine states begin, in bytes (§6).
  package var vmStateOffset: UInt64 { l1EntriesNeeded(for: size) * bytesPerL1Entry }
}
