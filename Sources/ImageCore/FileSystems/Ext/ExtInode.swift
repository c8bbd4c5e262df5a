import Bytes

/// The fields of an inode that decide what an image needs of it (ext4-e2image §3.1).
struct ExtInode {
  /// Bytes of an inode that are looked at.
  static let usedSize = 128
  /// Where the block map is: 60 bytes.
  static let map = 0x28..<0x64

  let flags: UInt32
  /// The block of extended attributes; 0 stands for none.
  let attributeBlock: UInt64
  /// The Hurd's translator block; 0 on other systems.
  let translatorBlock: UInt64
  let isDirectory: Bool
  let isSymbolicLink: Bool
  /// Whether the map names blocks (§3.3).
  let hasBlocks: Bool
  /// Whether the map is a tree of extents.
  var hasExtents: Bool { flags & 0x80000 != 0 }

  /// Whether the inode in `bytes` is linked from anywhere: others are left out of images (§4.2).
  @inline(__always)
  static func isLinked(_ bytes: RawSpan, at offset: Int) -> Bool {
    bytes.littleEndian(at: offset + 0x1A, as: UInt16.self) != 0
  }

  /// What the superblock says about the fields of inodes.
  struct Rules {
    /// Block numbers have high halves.
    let isWide: Bool
    /// Inodes can name a translator.
    let isHurd: Bool

    init(_ superblock: ExtSuperblock) {
      isWide = superblock.features.has(.wide)
      isHurd = superblock.isHurd
    }
  }

  /// The inode in `bytes`.
  init(_ bytes: RawSpan, _ rules: Rules) {
    let mode = bytes.littleEndian(at: 0, as: UInt16.self) >> 12
    flags = bytes.littleEndian(at: 0x20)
    let high: UInt16 = rules.isWide ? bytes.littleEndian(at: 0x76) : 0
    attributeBlock = UInt64(bytes.littleEndian(at: 0x68, as: UInt32.self)) | UInt64(high) << 32
    translatorBlock = rules.isHurd ? UInt64(bytes.littleEndian(at: 0x24, as: UInt32.self)) : 0
    isDirectory = mode == 0x4
    isSymbolicLink = mode == 0xA
    let isInline = flags & 0x1000_0000 != 0
    guard isDirectory || isSymbolicLink || mode == 0x8, !isInline else {
      hasBlocks = false
      return
    }
    guard isSymbolicLink else {
      hasBlocks = true
      return
    }
    if attributeBlock == 0 {
      hasBlocks = bytes.littleEndian(at: 0x1C, as: UInt32.self) != 0
    } else {
      let size: UInt32 = bytes.littleEndian(at: 0x04)
      let isLong = bytes.littleEndian(at: 0x6C, as: UInt32.self) != 0
      hasBlocks = size >= 60 || ((size > 4 || isLong) && bytes.littleEndian(at: 0x2C, as: UInt32.self) == 0)
    }
  }
}
