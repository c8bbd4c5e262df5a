import Bytes
import OCFS2

/// The header of a packed image: one block at the file's beginning, little-endian (ocfs2-o2image §16.1).
package struct PackedHeader: Sendable, Equatable {
  static let magic: UInt32 = 0x72A3_D45F
  static let description = "OCFS2 IMAGE"
  static let version: UInt64 = 1
  /// Bytes in use; the rest of the block is zeros.
  static let size = 0x78
  static let superblockLimit = 6
  /// 2^32 clusters of 1 MiB in blocks of 512 bytes.
  static let blockLimit: UInt64 = 1 << 43

  /// Creation time, the low 32 bits of seconds since 1970.
  package var timestamp: UInt32
  /// Number of blocks of the volume.
  package var blockCount: UInt64
  /// Size of a block in bytes.
  package var blockSize: UInt64
  /// Number of blocks in the image.
  package var imageBlockCount: UInt64
  /// Size of a piece of the bitmap in bytes.
  package var pieceSize = UInt64(BlockSet.pieceSize)
  /// For each backup superblock within the volume: its place in the image (1 is the first block), nil when it is not
  /// in the image.
  package var backups: [UInt64?]

  /// The header of an image with `blocks` of a volume.
  package init(_ superblock: Superblock, _ blocks: BlockSet, timestamp: UInt32) {
    self.timestamp = timestamp
    blockCount = superblock.blockCount
    blockSize = UInt64(superblock.blockSize)
    imageBlockCount = blocks.count
    backups = superblock.backupBlocks.map { blocks.contains($0) ? blocks.rank(of: $0) + 1 : nil }
  }

  /// Whether `head` (at least 20 bytes of the file) begins as a packed image does.
  static func isPresent(_ head: RawSpan) -> Bool {
    head.littleEndian(at: 0, as: UInt32.self) == magic && head.hasText(description, at: 8)
      && head[8 + description.utf8.count] == 0
  }

  /// The header in `bytes` (at least ``size``) of a file of `length` bytes; what does not fit the file or itself is
  /// refused (§17.1, §19). Padding, and the four bytes behind the description, may hold anything: the reference leaves
  /// stale memory there.
  package init(_ bytes: RawSpan, length: UInt64) throws(ImageError) {
    guard PackedHeader.isPresent(bytes) else { throw .badSuperblockMagic }
    guard bytes.littleEndian(at: 0x18, as: UInt64.self) <= PackedHeader.version else { throw .olderVolume }
    timestamp = bytes.littleEndian(at: 0x04)
    blockCount = bytes.littleEndian(at: 0x20)
    blockSize = bytes.littleEndian(at: 0x28)
    imageBlockCount = bytes.littleEndian(at: 0x30)
    pieceSize = bytes.littleEndian(at: 0x38)
    let backupCount: UInt64 = bytes.littleEndian(at: 0x40)
    guard pieceSize == UInt64(BlockSet.pieceSize), backupCount <= UInt64(PackedHeader.superblockLimit) else {
      throw .corruptSuperblock
    }
    backups = []
    for index in 0..<Int(backupCount) {
      let place: UInt64 = bytes.littleEndian(at: 0x48 + index * 8)
      backups.append(place == .max ? nil : place)
    }
    guard Superblock.blockSizes.map(UInt64.init).contains(blockSize) else { throw .channelError }
    guard (1...PackedHeader.blockLimit).contains(blockCount) else { throw .noMemory }
    let (blocksEnd, overflow) = imageBlockCount.saturatingAdd(1).multipliedReportingOverflow(by: blockSize)
    guard !overflow, blocksEnd.saturatingAdd(bitmapSize) <= length else { throw .channelError }
  }

  /// Size of the bitmap in bytes. Cannot overflow: it is an eighth of the number of blocks.
  package var bitmapSize: UInt64 { blockCount.dividedUp(by: BlockSet.pieceBits) * UInt64(BlockSet.pieceSize) }
  /// Where the bitmap begins in bytes.
  package var bitmapOffset: UInt64 { (imageBlockCount + 1) * blockSize }
  /// Size of the whole image in bytes.
  package var imageSize: UInt64 { bitmapOffset + bitmapSize }

  /// The header as it is stored: a block.
  package var bytes: [UInt8] {
    var buffer = Buffer(Int(blockSize))
    var bytes = buffer.mutableBytes
    bytes.storeLittleEndian(PackedHeader.magic, at: 0)
    bytes.storeLittleEndian(timestamp, at: 0x04)
    bytes.copy(Array(PackedHeader.description.utf8).rawBytes, at: 0x08)
    bytes.storeLittleEndian(PackedHeader.version, at: 0x18)
    bytes.storeLittleEndian(blockCount, at: 0x20)
    bytes.storeLittleEndian(blockSize, at: 0x28)
    bytes.storeLittleEndian(imageBlockCount, at: 0x30)
    bytes.storeLittleEndian(pieceSize, at: 0x38)
    bytes.storeLittleEndian(UInt64(backups.count), at: 0x40)
    for (index, place) in backups.enumerated() { bytes.storeLittleEndian(place ?? .max, at: 0x48 + index * 8) }
    return buffer.bytes.array(0..<Int(blockSize))
  }
}
