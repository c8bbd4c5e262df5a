import Bytes
import Ext

/// The header of a normal image: one block at the file's beginning, little-endian (ext4-e2image §9.1).
package struct E2imageHeader: Sendable, Equatable {
  static let magic: UInt32 = 0x7F2B_B710
  static let description = "Ext2 Image 1.0"
  /// Bytes in use; the rest of the block is zeros.
  package static let size = 332

  /// The host and the device that the image was made of, at most 64 bytes each.
  package var hostName: [UInt8] = []
  package var deviceName: [UInt8] = []
  /// The device's number, the low 32 bits; 0 for a file.
  package var device: UInt32 = 0
  /// The file system's identity, 16 bytes.
  package var uuid: [UInt8] = []
  /// Size of a block in bytes.
  package var blockSize: UInt32 = 0
  /// Device and inode of the image file, the low 32 bits.
  package var imageDevice: UInt32 = 0
  package var imageInode: UInt32 = 0
  /// When the image was made, in seconds since 1970.
  package var time: UInt64 = 0
  /// Where the parts are: the low 32 bits of offsets in bytes.
  package var superblockOffset: UInt32 = 0
  package var inodeOffset: UInt32 = 0
  package var inodeMapOffset: UInt32 = 0
  package var blockMapOffset: UInt32 = 0

  /// The header of an image of `superblock`'s file system.
  package init(_ superblock: ExtSuperblock) {
    let layout = E2imageLayout(superblock)
    uuid = superblock.uuid
    blockSize = UInt32(superblock.blockSize)
    superblockOffset = UInt32(truncatingIfNeeded: layout.superblockOffset)
    inodeOffset = UInt32(truncatingIfNeeded: layout.inodeOffset)
    blockMapOffset = UInt32(truncatingIfNeeded: layout.blockMapOffset)
    inodeMapOffset = UInt32(truncatingIfNeeded: layout.inodeMapOffset)
  }

  /// Whether `head` (at least 20 bytes of the file) begins as a normal image does.
  static func isPresent(_ head: RawSpan) -> Bool {
    head.littleEndian(at: 0, as: UInt32.self) == magic
      && head.slice(4..<4 + description.utf8.count).elementsEqual(Array(description.utf8).rawBytes)
  }

  /// The header in `bytes` (at least ``size``).
  ///
  /// - Throws: for another magic number.
  package init(_ bytes: RawSpan) throws(ImageError) {
    guard bytes.littleEndian(at: 0, as: UInt32.self) == E2imageHeader.magic else { throw ExtError.badImageMagic }
    // Neither name need end in a NUL.
    hostName = Array(bytes.array(20..<84).prefix { $0 != 0 })
    device = bytes.littleEndian(at: 120)
    deviceName = Array(bytes.array(124..<188).prefix { $0 != 0 })
    uuid = bytes.array(188..<204)
    blockSize = bytes.littleEndian(at: 204)
    imageDevice = bytes.littleEndian(at: 240)
    imageInode = bytes.littleEndian(at: 244)
    time =
      UInt64(bytes.littleEndian(at: 248, as: UInt32.self)) | UInt64(bytes.littleEndian(at: 252, as: UInt32.self)) << 32
    superblockOffset = bytes.littleEndian(at: 284)
    inodeOffset = bytes.littleEndian(at: 288)
    inodeMapOffset = bytes.littleEndian(at: 292)
    blockMapOffset = bytes.littleEndian(at: 296)
  }

  /// The header as it is stored: a block.
  package var bytes: [UInt8] {
    var buffer = Buffer(Int(blockSize))
    var bytes = buffer.mutableBytes
    bytes.storeLittleEndian(E2imageHeader.magic, at: 0)
    bytes.copy(Array(E2imageHeader.description.utf8).rawBytes, at: 4)
    bytes.copy(Array(hostName.prefix(64)).rawBytes, at: 20)
    bytes.storeLittleEndian(device, at: 120)
    bytes.copy(Array(deviceName.prefix(63)).rawBytes, at: 124)
    bytes.copy(uuid.rawBytes, at: 188)
    bytes.storeLittleEndian(blockSize, at: 204)
    bytes.storeLittleEndian(imageDevice, at: 240)
    bytes.storeLittleEndian(imageInode, at: 244)
    bytes.storeLittleEndian(time, at: 248)
    bytes.storeLittleEndian(superblockOffset, at: 284)
    bytes.storeLittleEndian(inodeOffset, at: 288)
    bytes.storeLittleEndian(inodeMapOffset, at: 292)
    bytes.storeLittleEndian(blockMapOffset, at: 296)
    return buffer.bytes.array(0..<Int(blockSize))
  }
}

/// Where the parts of a normal image are, in bytes (§9.2). The header has only the low halves of these numbers: images of
/// large file systems are read by what follows from the geometry.
package struct E2imageLayout: Sendable, Equatable {
  package let superblockOffset: UInt64
  package let descriptorOffset: UInt64
  package let inodeOffset: UInt64
  package let blockMapOffset: UInt64
  package let inodeMapOffset: UInt64
  /// Size of the whole image.
  package let end: UInt64
  /// Bytes of each group in the inode tables and in the bitmaps.
  package let tableSize: UInt64
  package let blockMapSize: UInt64
  package let inodeMapSize: UInt64

  /// The layout for a file system. Cannot overflow: tables and bitmaps lie within the file system's size.
  package init(_ superblock: ExtSuperblock) {
    let size = UInt64(superblock.blockSize)
    func padded(_ bytes: UInt64) -> UInt64 { bytes.dividedUp(by: size) * size }
    tableSize = superblock.inodeTableBlocks * size
    blockMapSize = superblock.clustersPerGroup / 8
    inodeMapSize = superblock.inodesPerGroup / 8
    superblockOffset = size
    descriptorOffset = 2 * size
    inodeOffset = (2 + superblock.descriptorBlockCount) * size
    blockMapOffset = inodeOffset + superblock.groupCount * tableSize
    inodeMapOffset = blockMapOffset + padded(superblock.groupCount * blockMapSize)
    end = inodeMapOffset + padded(superblock.groupCount * inodeMapSize)
  }
}
