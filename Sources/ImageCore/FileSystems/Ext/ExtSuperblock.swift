import Bytes

/// The superblock of an ext2, ext3 or ext4 file system and the geometry that follows from it (ext4-e2image §1).
///
/// All fields are little-endian; block numbers count from the beginning of the file system.
package struct ExtSuperblock: Sendable, Equatable {
  /// Size in bytes.
  package static let size = 1024
  /// Offset of the first copy in bytes, for every block size.
  package static let offset: UInt64 = 1024
  private static let magic: UInt16 = 0xEF53
  /// More blocks than extents can name.
  private static let blockLimit: UInt64 = 1 << 48

  /// The 1024 bytes as they were read.
  package let bytes: [UInt8]
  /// Number of inodes; inode numbers begin with 1.
  package let inodeCount: UInt32
  /// Number of blocks, at most 2^48; in bytes below 2^63.
  package let blockCount: UInt64
  /// The block that holds the superblock: 1 for blocks of 1 KiB without clusters, else 0.
  package let firstDataBlock: UInt64
  /// Size of a block in bytes: 1024 to 65536.
  package let blockSize: Int
  /// The base-two logarithm of the number of blocks in a cluster; 0 without bigalloc.
  package let clusterBits: UInt64
  /// Blocks, clusters and inodes of a group.
  package let blocksPerGroup: UInt64
  package let clustersPerGroup: UInt64
  package let inodesPerGroup: UInt64
  /// Size of an inode in bytes: a power of two from 128 to the block size.
  package let inodeSize: Int
  /// Size of a group descriptor in bytes: a power of two from 32 to 1024.
  package let descriptorSize: Int
  package let features: ExtFeatures
  /// Number of groups, at least 1, below 2^32.
  package let groupCount: UInt64
  /// Number of descriptor blocks (with meta_bg they do not lie together).
  package let descriptorBlockCount: UInt64
  /// The first descriptor block that lies in its own meta group.
  package let firstMetaGroup: UInt64

  /// The superblock in `bytes` (1024 of them).
  ///
  /// - Parameter expectedBlockSize: the block size that the user named, in bytes.
  /// - Throws: the first failing check of §1.4 from the magic number on, or of §12.
  package init(_ bytes: RawSpan, expectedBlockSize: UInt64? = nil) throws(ImageError) {
    func u16(_ offset: Int) -> UInt16 { bytes.littleEndian(at: offset) }
    func u32(_ offset: Int) -> UInt32 { bytes.littleEndian(at: offset) }
    guard u16(0x38) == ExtSuperblock.magic else { throw ExtError.badMagic }
    let revision = u32(0x4C)
    guard revision <= 1 else { throw ExtError.revisionTooHigh }
    features = ExtFeatures(compatible: u32(0x5C), incompatible: u32(0x60), readOnlyCompatible: u32(0x64))
    guard features.areSupported else { throw ExtError.unsupportedFeatures }
    let (logBlock, logCluster) = (u32(0x18), u32(0x1C))
    guard logBlock <= 6, logCluster <= 19, logBlock <= logCluster, bytes[0x174] <= 31,
      features.has(.bigalloc) || logBlock == logCluster
    else { throw ExtError.corruptSuperblock }
    blockSize = 1024 << Int(logBlock)
    clusterBits = UInt64(logCluster - logBlock)
    inodeSize = revision == 0 ? 128 : Int(u16(0x58))
    guard inodeSize >= 128, inodeSize <= blockSize, inodeSize.nonzeroBitCount == 1 else {
      throw ExtError.corruptSuperblock
    }
    descriptorSize = features.has(.wide) ? Int(u16(0xFE)) : 32
    guard !features.has(.wide) || ((64...1024).contains(descriptorSize) && descriptorSize.nonzeroBitCount == 1) else {
      throw ExtError.badDescriptorSize
    }
    blocksPerGroup = UInt64(u32(0x20))
    clustersPerGroup = UInt64(u32(0x24))
    guard blocksPerGroup == clustersPerGroup << clusterBits else { throw ExtError.corruptSuperblock }
    if let expectedBlockSize, expectedBlockSize != UInt64(blockSize) { throw ExtError.unexpectedBlockSize }
    inodesPerGroup = UInt64(u32(0x28))
    firstDataBlock = UInt64(u32(0x14))
    inodeCount = u32(0)
    blockCount = UInt64(u32(0x04)) | (features.has(.wide) ? UInt64(u32(0x150)) << 32 : 0)
    let inodesPerBlock = UInt64(blockSize / inodeSize)
    let tableBlocks = (inodesPerGroup * UInt64(inodeSize)).dividedUp(by: UInt64(blockSize))
    guard inodesPerGroup != 0, blocksPerGroup >= 8, blocksPerGroup <= 65528 << clusterBits,
      tableBlocks <= 65536 - inodesPerBlock, firstDataBlock < blockCount, blockCount <= ExtSuperblock.blockLimit,
      blockCount <= UInt64(Int64.max) / UInt64(blockSize)
    else { throw ExtError.corruptSuperblock }
    groupCount = (blockCount - firstDataBlock).dividedUp(by: blocksPerGroup)
    guard groupCount <= UInt64(UInt32.max), groupCount * inodesPerGroup == UInt64(inodeCount) else {
      throw ExtError.corruptSuperblock
    }
    descriptorBlockCount = groupCount.dividedUp(by: UInt64(blockSize / descriptorSize))
    firstMetaGroup = UInt64(u32(0x104))
    guard !features.has(.metaGroups) || firstMetaGroup <= descriptorBlockCount else {
      throw ExtError.corruptSuperblock
    }
    self.bytes = bytes.array(0..<ExtSuperblock.size)
  }

  private func u32(_ offset: Int) -> UInt32 { bytes.rawBytes.littleEndian(at: offset) }

  // MARK: Geometry (§1.3)

  /// Size of the file system in bytes, below 2^63.
  package var byteCount: UInt64 { blockCount * UInt64(blockSize) }
  /// Group descriptors in a block.
  package var descriptorsPerBlock: UInt64 { UInt64(blockSize / descriptorSize) }
  /// Inodes in a block.
  package var inodesPerBlock: UInt64 { UInt64(blockSize / inodeSize) }
  /// Blocks of a group's inode table.
  package var inodeTableBlocks: UInt64 {
    (inodesPerGroup * UInt64(inodeSize)).dividedUp(by: UInt64(blockSize))
  }
  /// Whether each group's bitmaps are whole bytes, and no more than a block.
  package var hasWholeBitmaps: Bool {
    [clustersPerGroup, inodesPerGroup].allSatisfy { $0 % 8 == 0 && $0 / 8 <= UInt64(blockSize) }
  }
  /// The valid positions of the block bitmaps: clusters, or blocks without bigalloc.
  package var clusters: Range<UInt64> { firstDataBlock >> clusterBits..<((blockCount - 1) >> clusterBits) + 1 }
  /// Size of a cluster in bytes, at most 2^29.
  package var clusterSize: UInt64 { UInt64(blockSize) << clusterBits }

  /// Whether the descriptors can be held in memory, and a file of `length` bytes can have them; asked before they are.
  ///
  /// - Throws: `Memory allocation failed` for more than any file system has, the text of a short read where they are not.
  package func checkDescriptors(in length: UInt64) throws(ImageError) {
    let size = descriptorBlockCount * UInt64(blockSize)
    if size > 1 << 36 { throw ExtError.noMemory }
    if size > length { throw ExtError.shortRead }
    // A quarter of a byte a block is more than groups of any size need; a hole costs nothing to those who make an image.
    if size > max(32 << 20, length / UInt64(blockSize) / 4) { throw ExtError.noMemory }
  }

  /// The first block of a group (within the file system).
  package func firstBlock(ofGroup group: UInt64) -> UInt64 { firstDataBlock + group * blocksPerGroup }

  /// Whether a group begins with a copy of the superblock (§2.3).
  package func hasSuperblock(group: UInt64) -> Bool {
    if group == 0 { return true }
    if features.has(.sparseSuper2) { return group == UInt64(u32(0x24C)) || group == UInt64(u32(0x250)) }
    if !features.has(.sparseSuper) || group == 1 { return true }
    return ([3, 5, 7] as [UInt64]).contains { base in
      var power = group
      while power % base == 0 { power /= base }
      return power == 1
    }
  }

  /// Where descriptor block `index` is, seen from the superblock copy at block `base` (§2.2). May lie outside the file
  /// system when `base` does.
  package func descriptorBlock(_ index: UInt64, base: UInt64) -> UInt64 {
    let shift: UInt64 = index == 0 && blockSize == 1024 && clusterBits > 0 ? 1 : 0
    guard features.has(.metaGroups), index >= firstMetaGroup else { return base.saturatingAdd(index + 1 + shift) }
    let group = index * descriptorsPerBlock
    var first = firstBlock(ofGroup: group)
    var copy: UInt64 = hasSuperblock(group: group) ? 1 : 0
    if base != firstDataBlock, first + copy + blocksPerGroup < blockCount {
      first += blocksPerGroup
      copy = hasSuperblock(group: group + 1) ? 1 : 0
    }
    return first + copy + shift
  }

  // MARK: Other fields

  /// The system that made it: 1 is the Hurd, whose inodes can name a translator's block.
  package var isHurd: Bool { u32(0x48) == 1 }
  /// Where the block of multiple mount protection is.
  package var mmpBlock: UInt64 { bytes.rawBytes.littleEndian(at: 0x168) }
  /// Blocks behind the descriptors that are kept for more of them.
  package var reservedDescriptorBlocks: UInt64 { UInt64(bytes.rawBytes.littleEndian(at: 0xCE, as: UInt16.self)) }
  /// The inodes whose contents are metadata (§4.2): journal, quotas, orphan file. 0 stands for none.
  package var metadataInodes: [UInt32] { [u32(0xE0), 3, 4, u32(0x26C), u32(0x280)] }
  /// The file system's identity, 16 bytes.
  package var uuid: [UInt8] { bytes.rawBytes.array(0x68..<0x78) }
  /// The label, without the padding.
  package var label: [UInt8] { Array(bytes.rawBytes.array(0x78..<0x88).prefix { $0 != 0 }) }
}

/// The feature words of a superblock (§1.2).
package struct ExtFeatures: Sendable, Equatable {
  /// Features that readers may ignore.
  package var compatible: UInt32
  /// Features that readers must know.
  package var incompatible: UInt32
  /// Features that writers must know.
  package var readOnlyCompatible: UInt32

  /// The three words.
  package init(compatible: UInt32, incompatible: UInt32, readOnlyCompatible: UInt32) {
    self.compatible = compatible
    self.incompatible = incompatible
    self.readOnlyCompatible = readOnlyCompatible
  }

  /// Features that matter here: the word (0 compatible, 1 incompatible, 2 read-only compatible) and the bit.
  package enum Feature: Sendable {
    case sparseSuper2, metaGroups, wide, mmp, sparseSuper, groupChecksums, bigalloc, metadataChecksums, checksumSeed
    case eaInode

    fileprivate var place: (word: Int, bit: UInt32) {
      switch self {
      case .sparseSuper2: (0, 0x200)
      case .metaGroups: (1, 0x10)
      case .wide: (1, 0x80)
      case .mmp: (1, 0x100)
      case .eaInode: (1, 0x400)
      case .checksumSeed: (1, 0x2000)
      case .sparseSuper: (2, 0x1)
      case .groupChecksums: (2, 0x10)
      case .bigalloc: (2, 0x200)
      case .metadataChecksums: (2, 0x400)
      }
    }
  }

  /// The incompatible features that can be read; a journal device (0x8) is not.
  private static let supported: UInt32 = 0x3E7D6

  /// Whether the file system can be read.
  package var areSupported: Bool { incompatible & ~ExtFeatures.supported == 0 }

  /// Whether the file system uses a feature.
  package func has(_ feature: Feature) -> Bool {
    let (word, bit) = feature.place
    let bits = word == 0 ? compatible : word == 1 ? incompatible : readOnlyCompatible
    return bits & bit != 0
  }

  /// Whether group descriptors have checksums: only then their UNINIT flags and unused counts are trusted (§1.2).
  package var haveGroupChecksums: Bool { has(.groupChecksums) || has(.metadataChecksums) }
}
