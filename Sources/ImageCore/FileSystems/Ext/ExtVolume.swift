import Bytes
import Storage

/// An ext2, ext3 or ext4 file system on a device or in a file, opened for reading. Safe to read from many threads.
package final class ExtVolume: Sendable {
  /// What holds the file system.
  package let storage: any Storage
  /// Where it begins there, in bytes.
  package let start: UInt64
  /// The superblock: the first, or the copy that was asked for.
  package let superblock: ExtSuperblock
  /// The group descriptors.
  package let groups: ExtGroups
  /// The block of the copy that was asked for.
  package let copyBlock: UInt64?

  /// Opens a file system in the order of ext4-e2image §1.4.
  ///
  /// - Parameters:
  ///   - start: where it begins in `storage`, in bytes.
  ///   - copyBlock: the block of the superblock copy to use instead of the first one, in blocks of `blockSize`.
  ///   - blockSize: the size of a block in bytes, if known; needed for a copy.
  /// - Throws: the first failing check, without the file's name.
  package init(
    _ storage: any Storage, at start: UInt64 = 0, copyBlock: UInt64? = nil, blockSize: UInt64? = nil
  ) throws(ImageError) {
    self.storage = storage
    self.start = start
    self.copyBlock = copyBlock
    guard start <= UInt64(Int64.max) else { throw ExtError.invalidArgument }
    var offset = ExtSuperblock.offset
    if let copyBlock {
      guard let blockSize else { throw ExtError.invalidArgument }
      let (product, overflow) = copyBlock.multipliedReportingOverflow(by: blockSize)
      offset = overflow ? .max : product
    }
    let position = start.saturatingAdd(offset)
    // A place that no file has is refused by the kernel, not by the end of the file.
    guard position <= UInt64(Int64.max) - UInt64(ExtSuperblock.size) else { throw .system(22 /* EINVAL */) }
    let bytes = try ExtVolume.read(storage, at: position, count: ExtSuperblock.size)
    superblock = try ExtSuperblock(bytes.rawBytes, expectedBlockSize: blockSize)
    groups = ExtGroups(
      superblock, try ExtVolume.readDescriptors(storage, start, superblock, base: copyBlock),
      distrustsUnused: (copyBlock ?? 0) > 1)
  }

  /// Reads the descriptor blocks (§2.2).
  private static func readDescriptors(
    _ storage: any Storage, _ start: UInt64, _ superblock: ExtSuperblock, base: UInt64?
  ) throws(ImageError) -> [UInt8] {
    let size = UInt64(superblock.blockSize)
    let count = superblock.descriptorBlockCount
    let first = base ?? superblock.firstDataBlock
    try superblock.checkDescriptors(in: storage.length)
    let together = superblock.features.has(.metaGroups) ? min(superblock.firstMetaGroup, count) : count
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Int(count * size))
    func append(_ block: UInt64, _ blocks: UInt64) throws(ImageError) {
      let (offset, overflow) = block.multipliedReportingOverflow(by: size)
      guard !overflow else { throw ExtError.shortRead }
      bytes += try read(storage, at: start.saturatingAdd(offset), count: Int(blocks * size))
    }
    var block = first.saturatingAdd(first == 0 && size == 1024 ? 2 : 1)
    var done: UInt64 = 0
    while done < together {
      let part = min(together - done, (1 << 20) / size)
      try append(block, part)
      block = block.saturatingAdd(part)
      done += part
    }
    for index in done..<count { try append(superblock.descriptorBlock(index, base: first), 1) }
    return bytes
  }

  /// Reads bytes, all of which must exist.
  static func read(_ storage: any Storage, at offset: UInt64, count: Int) throws(ImageError) -> [UInt8] {
    guard offset.saturatingAdd(UInt64(count)) <= storage.length else { throw ExtError.shortRead }
    return try storage.readArray(at: offset, count: count)
  }

  // MARK: Blocks

  /// Where a block lies in ``storage``, in bytes.
  package func offset(ofBlock block: UInt64) -> UInt64 {
    let (offset, overflow) = block.multipliedReportingOverflow(by: UInt64(superblock.blockSize))
    return overflow ? .max : start.saturatingAdd(offset)
  }

  /// Reads one block.
  ///
  /// - Throws: the text of a short read where the storage ends before, or what the kernel says.
  package func readBlock(_ block: UInt64) throws(ImageError) -> [UInt8] {
    try ExtVolume.read(storage, at: offset(ofBlock: block), count: superblock.blockSize)
  }

  /// Fills `bytes` with the file system's contents from byte `offset` on; what the storage does not have is zeros.
  ///
  /// - Throws: what the kernel says.
  package func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    try storage.read(into: &bytes, at: start.saturatingAdd(offset))
  }

  /// Whether the storage has all bytes of a range of the file system.
  package func contains(_ range: Range<UInt64>) -> Bool { start.saturatingAdd(range.upperBound) <= storage.length }
}
