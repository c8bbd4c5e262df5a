import Bytes
import Codecs

/// What a group descriptor says (ext4-e2image §2.1). Block numbers are not checked.
package struct ExtGroup: Sendable, Equatable {
  /// Where the group's block bitmap, inode bitmap and first block of inodes are; 0 stands for none.
  package var blockBitmap: UInt64
  package var inodeBitmap: UInt64
  package var inodeTable: UInt64
  /// Whether the inode table and bitmap, or the block bitmap, were never written.
  package var inodesAreUninitialized: Bool
  package var blocksAreUninitialized: Bool
  /// Inodes at the end of the group that were never used.
  package var unusedInodes: UInt32
}

/// The group descriptors of a file system, as they are on disk.
package struct ExtGroups: Sendable {
  private let superblock: ExtSuperblock
  /// The descriptor blocks one behind the other, wherever they lie.
  package let bytes: [UInt8]
  /// The superblock is a copy: what the descriptors say about unused parts may be stale (§2.2).
  private let distrustsUnused: Bool

  /// - Parameter bytes: all descriptor blocks.
  package init(_ superblock: ExtSuperblock, _ bytes: [UInt8], distrustsUnused: Bool) {
    self.superblock = superblock
    self.bytes = bytes
    self.distrustsUnused = distrustsUnused && superblock.features.haveGroupChecksums
  }

  /// The descriptor of a group (below the number of groups).
  package subscript(_ group: UInt64) -> ExtGroup {
    let start = Int(group) * superblock.descriptorSize
    let span = bytes.rawBytes
    let isWide = superblock.features.has(.wide)
    func block(_ low: Int, _ high: Int) -> UInt64 {
      let low = UInt64(span.littleEndian(at: start + low, as: UInt32.self))
      return isWide ? low | UInt64(span.littleEndian(at: start + high, as: UInt32.self)) << 32 : low
    }
    var flags: UInt16 = span.littleEndian(at: start + 0x12)
    var unused = UInt32(span.littleEndian(at: start + 0x1C, as: UInt16.self))
    if isWide { unused |= UInt32(span.littleEndian(at: start + 0x32, as: UInt16.self)) << 16 }
    if distrustsUnused {
      flags &= ~3
      unused = 0
    }
    return ExtGroup(
      blockBitmap: block(0x00, 0x20), inodeBitmap: block(0x04, 0x24), inodeTable: block(0x08, 0x28),
      inodesAreUninitialized: flags & 1 != 0, blocksAreUninitialized: flags & 2 != 0, unusedInodes: unused)
  }

  /// The inodes of a group that can be in use: all without checksums of descriptors (§4.2).
  package func usedInodes(_ group: ExtGroup) -> UInt64 {
    guard superblock.features.haveGroupChecksums else { return superblock.inodesPerGroup }
    if group.inodesAreUninitialized { return 0 }
    return superblock.inodesPerGroup - min(UInt64(group.unusedInodes), superblock.inodesPerGroup)
  }

  /// Whether a group's inode table lies outside the file system (§4.4); one at block 0 is missing instead.
  package func isTableOutside(_ group: ExtGroup) -> Bool {
    let table = group.inodeTable
    if table == 0 { return false }
    return table < superblock.firstDataBlock
      || table.saturatingAdd(superblock.inodeTableBlocks - 1) >= superblock.blockCount
  }
}
