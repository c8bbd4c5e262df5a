import Bytes
import Storage

/// The blocks that an image of a file system holds.
package struct ExtImageBlocks: Sendable {
  /// The clusters (blocks without bigalloc) that are imaged whole.
  package var clusters: BlockSet
  /// Those among them that hold directories whose names are to be scrambled.
  package var directories: BlockSet
  /// How often something was marked, repeated and impossible marks included (ext4-e2image §4, counter C).
  package var markCount: UInt64 = 0
}

/// Finds the blocks that an image of a file system needs (ext4-e2image §4).
///
/// What is damaged is reported and passed over. Memory is one bit for each block of the neighbourhoods that are imaged.
package final class ExtScan {
  /// What is wanted.
  package struct Rule: Sendable {
    /// The contents of files too.
    package var includesData = false
    /// The target keeps what is not written: inode tables are imaged to their ends.
    package var includesUnusedInodes = false
    /// The blocks of directories are wanted as a set of their own.
    package var findsDirectories = false

    package init() {}
  }

  /// Something that the user should know.
  package enum Finding: Sendable {
    /// A part of the metadata cannot be found.
    case damage(ImageError)
    /// A block outside the file system was named; the line is complete.
    case outside(String)
  }

  private let volume: ExtVolume
  private let rule: Rule
  private let report: (Finding) -> Void
  private let walker: BlockMapWalker
  private let inodeRules: ExtInode.Rules
  private let valid: Range<UInt64>
  private let clusterBits: UInt64
  private var found: ExtImageBlocks
  /// Lines about blocks outside that may still be told: a damaged table of 2^32 of them is not listed.
  private var linesLeft = ExtScan.lineLimit
  package static let lineLimit = 100_000
  /// How much of an inode table is read at once, in bytes.
  private static let windowSize = 1 << 20

  /// A scan of `volume` that tells `report` what it meets.
  package init(_ volume: ExtVolume, _ rule: Rule, report: @escaping (Finding) -> Void) {
    self.volume = volume
    self.rule = rule
    self.report = report
    walker = BlockMapWalker(volume)
    inodeRules = ExtInode.Rules(volume.superblock)
    valid = volume.superblock.clusters
    clusterBits = volume.superblock.clusterBits
    found = ExtImageBlocks(clusters: BlockSet(limit: valid.upperBound), directories: BlockSet(limit: valid.upperBound))
  }

  private var superblock: ExtSuperblock { volume.superblock }

  /// Finds the blocks.
  package func run() -> ExtImageBlocks {
    if let copy = volume.copyBlock, copy != 0 { markDescriptors(base: copy) }
    markDescriptors(base: superblock.firstDataBlock)
    if superblock.features.has(.mmp) { mark(superblock.mmpBlock, 1) }
    for group in 0..<superblock.groupCount { markTables(volume.groups[group]) }
    scanInodes()
    return found
  }

  // MARK: Marking

  private func mark(_ first: UInt64, _ count: UInt64) {
    found.markCount &+= count
    guard count > 0 else { return }
    if let inside = inside(first, count, of: "in-use block map") { found.clusters.insert(inside) }
  }

  private func markDirectory(_ first: UInt64, _ count: UInt64) {
    guard count > 0 else { return }
    if let inside = inside(first, count, of: "scramble block map") { found.directories.insert(inside) }
  }

  /// The clusters of `count` (> 0) blocks that are in the file system; the other blocks are named one by one, in order.
  private func inside(_ first: UInt64, _ count: UInt64, of map: String) -> Range<UInt64>? {
    let bits = clusterBits
    let last = first.saturatingAdd(count - 1)
    if first >> bits < valid.lowerBound { tellOutside(first...min(last, (valid.lowerBound << bits) - 1), map) }
    if last >> bits >= valid.upperBound { tellOutside(max(first, valid.upperBound << bits)...last, map) }
    let start = max(first >> bits, valid.lowerBound)
    // A run may reach the largest number there is.
    let end = min(last >> bits, valid.upperBound - 1) + 1
    return start < end ? start..<end : nil
  }

  private func tellOutside(_ blocks: ClosedRange<UInt64>, _ name: String) {
    for block in blocks {
      guard linesLeft > 0 else { return }
      linesLeft -= 1
      let position = block >> clusterBits
      report(
        .outside("Illegal block number passed to ext2fs_mark_block_bitmap #\(position) for \(name)"))
      if linesLeft == 0 { report(.outside("Further illegal block numbers are not listed")) }
    }
  }

  private func markDescriptors(base: UInt64) {
    mark(base, 1)
    for index in 0..<superblock.descriptorBlockCount { mark(superblock.descriptorBlock(index, base: base), 1) }
  }

  /// Marks a group's inode table and bitmaps (§4.1, 4).
  private func markTables(_ group: ExtGroup) {
    if rule.includesUnusedInodes || !group.inodesAreUninitialized, group.inodeTable != 0 {
      var count = superblock.inodeTableBlocks
      if !rule.includesUnusedInodes, superblock.features.haveGroupChecksums {
        // A count that is larger than the group says nothing but that it is damaged.
        let unused = min(UInt64(group.unusedInodes), superblock.inodesPerGroup) / superblock.inodesPerBlock
        count -= min(unused, count)
      }
      mark(group.inodeTable, count)
    }
    if !group.blocksAreUninitialized, group.blockBitmap != 0 { mark(group.blockBitmap, 1) }
    if !group.inodesAreUninitialized, group.inodeBitmap != 0 { mark(group.inodeBitmap, 1) }
  }

  // MARK: Inodes

  private func scanInodes() {
    let metadataInodes = superblock.metadataInodes
    var window = Buffer(ExtScan.windowSize)
    for number in 0..<superblock.groupCount {
      let group = volume.groups[number]
      if volume.groups.isTableOutside(group) {
        damaged(ExtError.tableOutside, number == 0 ? "while opening inode scan" : "while getting next inode")
        continue
      }
      let used = volume.groups.usedInodes(group)
      if used == 0 { continue }
      if group.inodeTable == 0 {
        damaged(ExtError.missingTable, "while getting next inode")
        continue
      }
      scanTable(group, number, used: used, metadataInodes, &window)
    }
  }

  private func damaged(_ error: ImageError, _ text: String) { report(.damage(error.suffixed(text))) }

  /// Looks at the first `used` inodes of a group.
  private func scanTable(
    _ group: ExtGroup, _ number: UInt64, used: UInt64, _ metadataInodes: [UInt32], _ window: inout Buffer
  ) {
    let size = UInt64(superblock.inodeSize)
    let start = volume.offset(ofBlock: group.inodeTable)
    let end = start + used * size
    var isReported = false
    var position = start
    while position < end {
      var count = min(end - position, UInt64(window.count))
      do throws(ImageError) {
        let extent = try volume.storage.extent(at: position, limit: count)
        // Unlinked inodes are passed over; so is a hole, up to the first inode that is not all in it.
        if !extent.isData, extent.length >= size, position + extent.length <= volume.storage.length {
          position += extent.length.roundedDown(to: size)
          continue
        }
        if position + count > volume.storage.length {
          let available = volume.storage.length > position ? volume.storage.length - position : 0
          count = available.roundedDown(to: UInt64(superblock.blockSize))
          if count == 0 { throw ExtError.unreadableInode }
        }
        var bytes = window.mutableBytes
        var part = bytes.slice(0..<Int(count))
        do throws(ImageError) {
          try volume.storage.read(into: &part, at: position)
        } catch {
          // Something among them cannot be read: this block alone, then.
          count = min(count, UInt64(superblock.blockSize))
          var block = bytes.slice(0..<Int(count))
          try volume.storage.read(into: &block, at: position)
        }
      } catch {
        if !isReported { damaged(ExtError.unreadableInode, "while getting next inode") }
        isReported = true
        if position + size > volume.storage.length { return }
        position += UInt64(superblock.blockSize)
        continue
      }
      let first = number * superblock.inodesPerGroup + (position - start) / size + 1
      scan(window.bytes.slice(0..<Int(count)), first: first, metadataInodes)
      position += count
    }
  }

  /// Looks at inodes that lie one behind the other.
  private func scan(_ bytes: RawSpan, first: UInt64, _ metadataInodes: [UInt32]) {
    let size = superblock.inodeSize
    var offset = 0
    var number = first
    while offset + size <= bytes.byteCount {
      if ExtInode.isLinked(bytes, at: offset) {
        visit(bytes.slice(offset..<offset + ExtInode.usedSize), number, metadataInodes)
      }
      offset += size
      number += 1
    }
  }

  /// Marks what belongs to an inode (§4.2).
  private func visit(_ bytes: RawSpan, _ number: UInt64, _ metadataInodes: [UInt32]) {
    let inode = ExtInode(bytes, inodeRules)
    if inode.attributeBlock != 0 { mark(inode.attributeBlock, 1) }
    guard inode.hasBlocks else { return }
    let isMetadata =
      inode.isDirectory || inode.isSymbolicLink
      || (number <= UInt64(UInt32.max) && metadataInodes.contains(UInt32(number)))
    let takesData = isMetadata || rule.includesData
    let map = bytes.slice(ExtInode.map)
    // Most maps have no blocks of their own: without contents there is nothing to walk for.
    if !takesData, inode.translatorBlock == 0, !BlockMapWalker.hasIndexBlocks(inode, map) { return }
    // The Hurd's translator is looked at with the map only.
    guard takesData || inode.hasExtents || !map.isZero(48..<60) else { return }
    let damage = walker.walk(inode, map) { item in
      switch item {
      case .index(let block): mark(block, 1)
      case .data(let first, let count):
        guard takesData else { return }
        mark(first, count)
        if inode.isDirectory, rule.findsDirectories { markDirectory(first, count) }
      }
    }
    if let damage { damaged(damage, "while iterating over inode \(number)") }
  }
}
