import Bytes

/// The superblock of an OCFS2 volume: geometry, features, and where the directories are (ocfs2-o2image §3).
///
/// All fields are little-endian; block numbers count from the start of the device.
package struct Superblock: Sendable, Equatable {
  /// The signature of the superblock's dinode.
  static let signature = "OCFSV2"
  /// The block that holds the superblock, for every block size.
  package static let block: UInt64 = 2
  /// The block sizes that a volume can have, in the order in which they are tried.
  package static let blockSizes = [512, 1024, 2048, 4096]

  /// Size of a block in bytes: 512, 1024, 2048 or 4096.
  package var blockSize: Int
  /// Size of a cluster in bytes: a power of two from 4096 to 1 MiB.
  package var clusterSize: Int
  /// Number of clusters of the volume.
  package var clusterCount: UInt32
  /// Generation that all metadata blocks of the volume repeat.
  package var generation: UInt32
  /// Feature words.
  package var features: Features
  /// Block of the system directory's dinode.
  package var systemDirectory: UInt64
  /// Block of the root directory's dinode.
  package var rootDirectory: UInt64
  /// Block of the first cluster group's descriptor.
  package var firstClusterGroup: UInt64
  /// Number of nodes that can mount the volume at once, 1 to 255.
  package var slotCount: Int
  /// The volume's label, without the padding.
  package var label: [UInt8]
  /// The volume's UUID, 16 bytes.
  package var uuid: [UInt8]

  /// Blocks in a cluster.
  package var blocksPerCluster: UInt64 { UInt64(clusterSize / blockSize) }
  /// Number of blocks of the volume; at most 2^43.
  package var blockCount: UInt64 { UInt64(clusterCount) * blocksPerCluster }
  /// Size of the volume in bytes.
  package var byteCount: UInt64 { blockCount * UInt64(blockSize) }

  /// The blocks that hold backup superblocks, whether or not the volume uses them (§1).
  package var backupBlocks: [UInt64] {
    (0..<6).map { ((1 << 30) << (2 * UInt64($0))) / UInt64(blockSize) }.prefix { $0 < blockCount }.map { $0 }
  }

  /// The superblock in `bytes` (a block), read from block `block`.
  ///
  /// - Throws: in this order, a bad signature, unsupported features, a damaged superblock, another block size (§1.3).
  package init(_ bytes: RawSpan, at block: UInt64) throws(ImageError) {
    guard bytes.hasSignature(Superblock.signature) else { throw .badSuperblockMagic }
    features = Features(
      compatible: bytes.littleEndian(at: 0xDC), incompatible: bytes.littleEndian(at: 0xE0),
      readOnlyCompatible: bytes.littleEndian(at: 0xE4))
    guard features.incompatible & ~Features.supportedIncompatible == 0, !features.has(.heartbeatDevice) else {
      throw .unsupportedFeatures
    }
    let blockBits: UInt32 = bytes.littleEndian(at: 0xF8)
    let clusterBits: UInt32 = bytes.littleEndian(at: 0xFC)
    let slots: UInt16 = bytes.littleEndian(at: 0x100)
    rootDirectory = bytes.littleEndian(at: 0xE8)
    systemDirectory = bytes.littleEndian(at: 0xF0)
    // No slot means no user directories: the reference accepts that and leaves them out.
    guard blockBits != 0, bytes.littleEndian(at: 0x50, as: UInt64.self) == block, (12...20).contains(clusterBits),
      rootDirectory != 0, systemDirectory != 0, (1...255).contains(slots)
    else { throw .corruptSuperblock }
    guard blockBits < 13, bytes.byteCount == 1 << blockBits else { throw .unexpectedBlockSize }
    blockSize = 1 << Int(blockBits)
    clusterSize = 1 << Int(clusterBits)
    slotCount = Int(slots)
    clusterCount = bytes.littleEndian(at: 0x14)
    generation = bytes.littleEndian(at: 0x60)
    firstClusterGroup = bytes.littleEndian(at: 0x108)
    label = Array(bytes.array(0x110..<0x150).prefix { $0 != 0 })
    uuid = bytes.array(0x150..<0x160)
    guard clusterCount == 0 || firstClusterGroup < blockCount else { throw .corruptSuperblock }
  }
}

/// The feature words of a superblock (§3.2).
package struct Features: Sendable, Equatable {
  /// Features that readers may ignore.
  package var compatible: UInt32
  /// Features that readers must know.
  package var incompatible: UInt32
  /// Features that writers must know.
  package var readOnlyCompatible: UInt32

  /// Incompatible features that matter here.
  package enum Incompatible: UInt32, Sendable {
    case heartbeatDevice = 0x2
    case indexedDirectories = 0x400
    case metadataECC = 0x800
  }

  /// All incompatible features of the format but bit 0.
  static let supportedIncompatible: UInt32 = 0xFFFE

  /// Whether the volume uses an incompatible feature.
  package func has(_ feature: Incompatible) -> Bool { incompatible & feature.rawValue != 0 }

  /// Whether backup superblocks are kept.
  package var hasBackupSuperblocks: Bool { compatible & 1 != 0 }
}
