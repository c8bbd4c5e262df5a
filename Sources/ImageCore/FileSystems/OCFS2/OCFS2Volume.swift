import Bytes
import Storage

/// An OCFS2 volume on a device or in a file, opened for reading. Safe to read from many threads.
package final class OCFS2Volume: Sendable {
  /// What holds the volume.
  package let storage: any Storage
  /// The superblock at block 2.
  package let superblock: Superblock

  /// Finds the block size and reads the superblock (ocfs2-o2image §1.1 to §1.3).
  ///
  /// - Throws: the first failing check of §1.3, without the file's name.
  package init(_ storage: any Storage) throws(ImageError) {
    self.storage = storage
    var first = Buffer(512)
    try OCFS2Volume.read(storage, &first, at: 0)
    try OCFS2Volume.checkForOlderVolume(first.bytes)
    var found: Superblock?
    var last = ImageError.badSuperblockMagic
    for size in Superblock.blockSizes {
      var block = Buffer(size)
      do throws(ImageError) {
        try OCFS2Volume.read(storage, &block, at: Superblock.block * UInt64(size))
      } catch {
        last = error
        continue
      }
      guard block.bytes.hasSignature(Superblock.signature) else {
        last = .badSuperblockMagic
        continue
      }
      found = try Superblock(block.bytes, at: Superblock.block)
      break
    }
    guard let found else { throw last }
    // The metadata alone needs a descriptor every few thousand clusters: a volume that claims to be very much larger
    // than what holds it is damaged, and must not decide how much is worked through or written.
    guard found.byteCount / OCFS2Volume.sizeLimitFactor <= storage.length else { throw .corruptSuperblock }
    superblock = found
  }

  /// How many times larger than its device a volume may claim to be (images of broken devices are often cut short).
  private static let sizeLimitFactor: UInt64 = 64

  /// An OCFS (version 1) volume begins in another way (§1.2).
  package static func checkForOlderVolume(_ first: RawSpan) throws(ImageError) {
    if first.littleEndian(at: 4, as: UInt32.self) == 2 || first.hasText("OracleCFS", at: 8) { throw .olderVolume }
  }

  /// Reads a buffer full of bytes, all of which must exist.
  private static func read(_ storage: any Storage, _ buffer: inout Buffer, at offset: UInt64) throws(ImageError) {
    var bytes = buffer.mutableBytes
    try read(storage, into: &bytes, at: offset)
  }

  private static func read(
    _ storage: any Storage, into bytes: inout MutableRawSpan, at offset: UInt64
  ) throws(ImageError) {
    guard offset.saturatingAdd(UInt64(bytes.byteCount)) <= storage.length else { throw .channelError }
    do throws(ImageError) {
      try storage.read(into: &bytes, at: offset)
    } catch {
      throw .channelError
    }
  }

  /// Fills `bytes` with the volume's contents from `block` on.
  ///
  /// - Throws: `I/O error on channel` where the device ends or cannot be read.
  package func read(into bytes: inout MutableRawSpan, at block: UInt64) throws(ImageError) {
    let (offset, overflow) = block.multipliedReportingOverflow(by: UInt64(superblock.blockSize))
    guard !overflow else { throw .badBlockNumber }
    try OCFS2Volume.read(storage, into: &bytes, at: offset)
  }

  /// Reads one block.
  ///
  /// - Throws: `Invalid block number` for one that cannot hold metadata, or an I/O error.
  package func read(_ block: UInt64, into buffer: inout Buffer) throws(ImageError) {
    guard block >= Superblock.block, block < superblock.blockCount else { throw .badBlockNumber }
    try read(block..<block + 1, into: &buffer)
  }

  /// Reads a run of blocks to the beginning of a buffer that has room for them.
  func read(_ blocks: Range<UInt64>, into buffer: inout Buffer) throws(ImageError) {
    var all = buffer.mutableBytes
    var bytes = all.slice(0..<blocks.count * superblock.blockSize)
    try read(into: &bytes, at: blocks.lowerBound)
  }
}
