import Bytes
import Storage

/// The block and inode bitmaps of a file system as a normal image has them (ext4-e2image §9.2): group after group, with what
/// uninitialized groups stand for filled in.
package struct ExtBitmaps: Sendable {
  private let volume: ExtVolume
  private let checksums: ExtChecksums
  /// The clusters of the metadata of groups whose block bitmap was never written.
  private let metadata: BlockSet

  package init(_ volume: ExtVolume) {
    self.volume = volume
    checksums = ExtChecksums(volume.superblock)
    metadata = ExtBitmaps.metadataOfUninitializedGroups(volume.superblock, volume.groups)
  }

  private var superblock: ExtSuperblock { volume.superblock }

  /// The clusters that hold metadata of groups with the flag BLOCK_UNINIT: nothing else says that they are in use.
  package static func metadataOfUninitializedGroups(_ superblock: ExtSuperblock, _ groups: ExtGroups) -> BlockSet {
    let valid = superblock.clusters
    var set = BlockSet(limit: valid.upperBound)
    let bits = superblock.clusterBits
    func add(_ first: UInt64, _ count: UInt64) {
      let end = min(first.saturatingAdd(count), superblock.blockCount)
      guard count > 0, first < end, first >= superblock.firstDataBlock else { return }
      set.insert(first >> bits..<((end - 1) >> bits) + 1)
    }
    let perBlock = superblock.descriptorsPerBlock
    let hasMetaGroups = superblock.features.has(.metaGroups)
    for number in 0..<superblock.groupCount {
      let group = groups[number]
      guard group.blocksAreUninitialized else { continue }
      let first = superblock.firstBlock(ofGroup: number)
      let copy: UInt64 = superblock.hasSuperblock(group: number) ? 1 : 0
      // With blocks of 1 KiB and clusters, the first superblock is in block 1 and block 0 is not free either.
      add(first, copy)
      if number == 0, superblock.blockSize == 1024, bits > 0 { add(0, 2) }
      if hasMetaGroups, number / perBlock >= superblock.firstMetaGroup {
        let place = number % perBlock
        if place <= 1 || place == perBlock - 1 { add(first + copy, 1) }
      } else if copy == 1 {
        let count =
          hasMetaGroups
          ? superblock.firstMetaGroup : superblock.descriptorBlockCount + superblock.reservedDescriptorBlocks
        add(first + 1, count)
      }
      add(group.inodeTable, group.inodeTable == 0 ? 0 : superblock.inodeTableBlocks)
      add(group.blockBitmap, group.blockBitmap == 0 ? 0 : 1)
      add(group.inodeBitmap, group.inodeBitmap == 0 ? 0 : 1)
    }
    return set
  }

  /// Sets the bits of the metadata of uninitialized groups that lie in group `number`.
  package static func addMetadata(
    _ metadata: BlockSet, _ superblock: ExtSuperblock, group number: UInt64, to bitmap: inout MutableRawSpan
  ) {
    let first = superblock.clusters.lowerBound + number * superblock.clustersPerGroup
    let end = min(first + UInt64(bitmap.byteCount) * 8, superblock.clusters.upperBound)
    var next = first
    while next < end, let run = metadata.nextRun(from: next, longest: end - next), run.lowerBound < end {
      for cluster in run where cluster < end {
        let bit = Int(cluster - first)
        bitmap.storeLittleEndian(bitmap.bytes[bit / 8] | 1 << UInt8(bit % 8), at: bit / 8)
      }
      next = run.upperBound
    }
  }

  /// Whether the bitmaps fit their blocks, and can be put one behind the other.
  private func check() throws(ImageError) {
    guard superblock.hasWholeBitmaps else { throw ExtError.corruptSuperblock }
  }

  /// The block bitmap of a group: an eighth as many bytes as it has clusters.
  ///
  /// - Throws: `Can't read a block bitmap`, or when no bitmap can be that large.
  package func blockBitmap(ofGroup number: UInt64) throws(ImageError) -> [UInt8] {
    try check()
    let group = volume.groups[number]
    let count = Int(superblock.clustersPerGroup / 8)
    var buffer = Buffer(count)
    var bytes = buffer.mutableBytes
    try load(
      group.blockBitmap, isUnused: group.blocksAreUninitialized && isSound(number), into: &bytes,
      otherwise: ExtError.unreadableBlockBitmap)
    ExtBitmaps.addMetadata(metadata, superblock, group: number, to: &bytes)
    return buffer.bytes.array(0..<count)
  }

  /// The inode bitmap of a group: an eighth as many bytes as it has inodes.
  ///
  /// - Throws: `Can't read an inode bitmap`, or when no bitmap can be that large.
  package func inodeBitmap(ofGroup number: UInt64) throws(ImageError) -> [UInt8] {
    try check()
    let group = volume.groups[number]
    let count = Int(superblock.inodesPerGroup / 8)
    var buffer = Buffer(count)
    var bytes = buffer.mutableBytes
    try load(
      group.inodeBitmap, isUnused: group.inodesAreUninitialized && isSound(number), into: &bytes,
      otherwise: ExtError.unreadableInodeBitmap)
    return buffer.bytes.array(0..<count)
  }

  /// Whether the descriptor's flags are to be believed.
  private func isSound(_ number: UInt64) -> Bool {
    guard superblock.features.haveGroupChecksums else { return false }
    let start = Int(number) * superblock.descriptorSize
    let bytes = volume.groups.bytes
    return checksums.descriptorIsSound(
      bytes.rawBytes.slice(start..<start + superblock.descriptorSize), group: number)
  }

  private func load(
    _ block: UInt64, isUnused: Bool, into bytes: inout MutableRawSpan, otherwise failure: ImageError
  ) throws(ImageError) {
    if isUnused || block == 0 || block >= superblock.blockCount { return }
    let offset = block * UInt64(superblock.blockSize)
    guard volume.contains(offset..<offset + UInt64(superblock.blockSize)) else { throw failure }
    do throws(ImageError) {
      try volume.read(into: &bytes, at: offset)
    } catch {
      throw failure
    }
  }
}
