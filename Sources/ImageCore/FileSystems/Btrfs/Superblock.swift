import Bytes

/// A copy of the superblock: 4096 bytes, little-endian (btrfs-image §3).
///
/// The bytes are kept as they are, and fields are read and stored in place, so that what nobody asks for survives. The
/// checksum is recomputed by ``bytesWithChecksum()`` only.
package struct BtrfsSuperblock: Sendable, Equatable {
  /// Size in bytes.
  package static let size = 4096
  /// `_BHRfS_M`.
  package static let magic: UInt64 = 0x4D5F_5366_5248_425F
  /// The magic of a file system that is still being made.
  package static let temporaryMagic: UInt64 = 0x4D5F_5366_5248_4221
  /// Where the copies lie on each device in bytes. One exists only if it lies within the device.
  package static let offsets: [UInt64] = [1 << 16, 1 << 26, 1 << 38]
  /// Room for system chunks in bytes.
  package static let systemChunkCapacity = 2048

  private var contents: [UInt8]

  /// The superblock in `bytes`, 4096 of them. Nothing is checked: see ``validate()``.
  package init(_ bytes: RawSpan) { contents = bytes.array(0..<BtrfsSuperblock.size) }

  /// All 4096 bytes, as they are.
  package var bytes: [UInt8] { contents }

  /// All 4096 bytes, with the checksum of the file system's own algorithm.
  ///
  /// - Throws: that there is no such algorithm.
  package func bytesWithChecksum() throws(ImageError) -> [UInt8] {
    let algorithm = try checksumAlgorithm()
    var buffer = Buffer(BtrfsSuperblock.size)
    var bytes = buffer.mutableBytes
    bytes.copy(contents.rawBytes, at: 0)
    algorithm.store(in: &bytes)
    return buffer.bytes.array(0..<BtrfsSuperblock.size)
  }

  private func load<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int) -> T {
    contents.rawBytes.littleEndian(at: offset)
  }

  private mutating func store<T: FixedWidthInteger>(_ value: T, _ offset: Int) {
    for index in 0..<T.bitWidth / 8 { contents[offset + index] = UInt8(truncatingIfNeeded: value >> T(index * 8)) }
  }

  /// The file system's number.
  package var fsid: UUID128 { UUID128(contents.rawBytes, at: 32) }
  /// The copy's own place on its device in bytes.
  package var address: UInt64 {
    get { load(48) }
    set { store(newValue, 48) }
  }
  package var flags: UInt64 {
    get { load(56) }
    set { store(newValue, 56) }
  }
  package var magic: UInt64 { load(64) }
  package var generation: UInt64 {
    get { load(72) }
    set { store(newValue, 72) }
  }
  /// Logical address of the root tree.
  package var root: UInt64 {
    get { load(80) }
    set { store(newValue, 80) }
  }
  /// Logical address of the chunk tree.
  package var chunkRoot: UInt64 {
    get { load(88) }
    set { store(newValue, 88) }
  }
  /// Logical address of the log root tree; 0: none.
  package var logRoot: UInt64 {
    get { load(96) }
    set { store(newValue, 96) }
  }
  /// Sum of the devices' sizes in bytes.
  package var totalBytes: UInt64 {
    get { load(112) }
    set { store(newValue, 112) }
  }
  package var bytesUsed: UInt64 { load(120) }
  package var deviceCount: UInt64 {
    get { load(136) }
    set { store(newValue, 136) }
  }
  /// Size of a data block in bytes.
  package var sectorSize: UInt32 { load(144) }
  /// Size of a tree block in bytes.
  package var nodeSize: UInt32 { load(148) }
  package var stripeSize: UInt32 { load(156) }
  /// Bytes in use of the system chunk array.
  package var systemChunkSize: UInt32 {
    get { load(160) }
    set { store(newValue, 160) }
  }
  package var chunkRootGeneration: UInt64 {
    get { load(164) }
    set { store(newValue, 164) }
  }
  package var readOnlyCompatibleFeatures: UInt64 {
    get { load(180) }
    set { store(newValue, 180) }
  }
  package var incompatibleFeatures: IncompatibleFeatures {
    get { IncompatibleFeatures(rawValue: load(188)) }
    set { store(newValue.rawValue, 188) }
  }
  package var rawChecksumType: UInt16 { load(196) }
  package var rootLevel: UInt8 {
    get { contents[198] }
    set { contents[198] = newValue }
  }
  package var chunkRootLevel: UInt8 {
    get { contents[199] }
    set { contents[199] = newValue }
  }
  package var logRootLevel: UInt8 { contents[200] }
  /// The device that this copy is on.
  package var device: DeviceItem {
    get { DeviceItem(contents.rawBytes, at: 201) }
    set {
      var buffer = Buffer(DeviceItem.size)
      var bytes = buffer.mutableBytes
      newValue.store(in: &bytes, at: 0)
      contents.replaceSubrange(201..<201 + DeviceItem.size, with: buffer.bytes.array(0..<DeviceItem.size))
    }
  }
  /// The label without its padding.
  package var label: [UInt8] { Array(contents[299..<555].prefix { $0 != 0 }) }
  /// The version 1 space cache is valid when this is the generation.
  package var cacheGeneration: UInt64 {
    get { load(555) }
    set { store(newValue, 555) }
  }
  /// What tree blocks carry instead of ``fsid`` where the feature is on.
  package var storedMetadataUUID: UUID128 { UUID128(contents.rawBytes, at: 571) }
  /// What tree blocks carry.
  package var metadataUUID: UUID128 {
    incompatibleFeatures.contains(.metadataUUID) ? storedMetadataUUID : fsid
  }
  /// The system chunk array: its bytes in use. See ``systemChunks()``.
  package var systemChunkArray: [UInt8] {
    get { Array(contents[811..<811 + min(Int(systemChunkSize), BtrfsSuperblock.systemChunkCapacity)]) }
    set {
      let used = newValue.prefix(BtrfsSuperblock.systemChunkCapacity)
      let padding = [UInt8](repeating: 0, count: BtrfsSuperblock.systemChunkCapacity - used.count)
      contents.replaceSubrange(811..<811 + BtrfsSuperblock.systemChunkCapacity, with: used + padding)
      systemChunkSize = UInt32(used.count)
    }
  }

  /// Replaces a range of the 4096 bytes, for fields that have no name here (backup roots).
  package mutating func replace(_ range: Range<Int>, with bytes: [UInt8]) {
    precondition(bytes.count == range.count)
    contents.replaceSubrange(range, with: bytes)
  }

  /// The algorithm of all checksums of the file system.
  ///
  /// - Throws: `unsupported checksum algorithm N`.
  package func checksumAlgorithm() throws(ImageError) -> ChecksumAlgorithm {
    guard let algorithm = ChecksumAlgorithm(rawValue: rawChecksumType) else {
      throw ImageError("unsupported checksum algorithm \(rawChecksumType)")
    }
    return algorithm
  }
}

/// Bits of ``BtrfsSuperblock/flags``.
package enum SuperblockFlag {
  package static let seeding: UInt64 = 1 << 32
  /// A dump that was restored without its chunk tree.
  package static let metadump: UInt64 = 1 << 33
  /// A dump that was restored.
  package static let metadumpV2: UInt64 = 1 << 34
  /// The file system's number is being changed.
  package static let changingFSID: UInt64 = 1 << 35
}

/// Features that a reader must know.
package struct IncompatibleFeatures: OptionSet, Sendable {
  package let rawValue: UInt64

  package init(rawValue: UInt64) { self.rawValue = rawValue }

  package static let mixedGroups = IncompatibleFeatures(rawValue: 1 << 2)
  package static let raid56 = IncompatibleFeatures(rawValue: 1 << 7)
  package static let skinnyMetadata = IncompatibleFeatures(rawValue: 1 << 8)
  package static let metadataUUID = IncompatibleFeatures(rawValue: 1 << 10)
  package static let raid1c34 = IncompatibleFeatures(rawValue: 1 << 11)
  package static let zoned = IncompatibleFeatures(rawValue: 1 << 12)
  package static let extentTreeV2 = IncompatibleFeatures(rawValue: 1 << 13)
  package static let raidStripeTree = IncompatibleFeatures(rawValue: 1 << 14)
  package static let simpleQuota = IncompatibleFeatures(rawValue: 1 << 16)
}
