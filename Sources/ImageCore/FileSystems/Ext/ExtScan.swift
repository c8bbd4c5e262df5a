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
  /// Called when the tables, of which there may be something to report, are done, and the inodes come.
  package var willScanInodes: () -> Void = {}
  private let sweep: BlockMapSweep
  /// Inodes of the present sweep of which something has to be told, and what, when a walk by itself finds nothing.
  private var troubled: [UInt32: ImageError?] = [:]
  private static let troubleLimit = 4096
  private let walker: BlockMapWalker
  private let inodeRules: ExtInode.Rules
  private let valid: Range<UInt64>
  private let clusterBits: UInt64
  private var found: ExtImageBlocks
  /// Lines about blocks outside that may still be told: a damaged table of 2^32 of them is not listed.
  private var linesLeft = ExtScan.lineLimit
  package static let lineLimit = 100_000
  /// Damage that may still be told: there may be 2^32 groups without a table.
  private var damageLeft = ExtScan.lineLimit
  /// How much of an inode table is read at once, in bytes.
  private static let windowSize = 1 << 20

  /// A scan of `volume` that tells `report` what it meets.
  package convenience init(_ volume: ExtVolume, _ rule: Rule, report: @escaping (Finding) -> Void) {
    self.init(volume, rule, sweepLimit: BlockMapSweep.defaultLimit, report: report)
  }

  /// - Parameter sweepLimit: how many blocks of maps are collected before they are read.
  init(_ volume: ExtVolume, _ rule: Rule, sweepLimit: Int, report: @escaping (Finding) -> Void) {
    self.volume = volume
    self.rule = rule
    self.report = report
    sweep = BlockMapSweep(volume, limit: sweepLimit)
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
    willScanInodes()
    scanInodes()
    return found
  }

  // MARK: Marking

  private enum Map: String {
    case inUse = "in-use block map"
    case scramble = "scramble block map"
  }

  /// Marks a run of blocks of the volume itself, and tells which of them are outside.
  private func mark(_ first: UInt64, _ count: UInt64) {
    if !markQuietly(first, count) { tellOutside(first, count, [.inUse]) }
  }

  /// Marks a run of blocks.
  ///
  /// - Parameter times: how often a map names them.
  /// - Returns: whether all of them are in the file system; the others are not marked, but counted.
  private func markQuietly(_ first: UInt64, _ count: UInt64, times: UInt64 = 1) -> Bool {
    found.markCount = found.markCount.saturatingAdd(count.saturatingMultiply(by: times))
    guard count > 0 else { return true }
    if let inside = inside(first, count) { found.clusters.insert(inside) }
    return isInside(first, count)
  }

  /// Whether all of `count` (> 0) blocks are in the file system.
  private func isInside(_ first: UInt64, _ count: UInt64) -> Bool {
    first >> clusterBits >= valid.lowerBound && first.saturatingAdd(count - 1) >> clusterBits < valid.upperBound
  }

  /// The clusters of `count` (> 0) blocks that are in the file system.
  private func inside(_ first: UInt64, _ count: UInt64) -> Range<UInt64>? {
    let start = max(first >> clusterBits, valid.lowerBound)
    // A run may reach the largest number there is.
    let end = min(first.saturatingAdd(count - 1) >> clusterBits, valid.upperBound - 1) + 1
    return start < end ? start..<end : nil
  }

  /// Names those of `count` blocks one by one, in order, that are not in the file system and belong in these maps.
  private func tellOutside(_ first: UInt64, _ count: UInt64, _ maps: [Map]) {
    guard count > 0, !isInside(first, count) else { return }
    let bits = clusterBits
    let last = first.saturatingAdd(count - 1)
    if first >> bits < valid.lowerBound { tellOutside(first...min(last, (valid.lowerBound << bits) - 1), maps) }
    if last >> bits >= valid.upperBound { tellOutside(max(first, valid.upperBound << bits)...last, maps) }
  }

  private func tellOutside(_ blocks: ClosedRange<UInt64>, _ maps: [Map]) {
    for block in blocks {
      for map in maps {
        guard linesLeft > 0 else { return }
        linesLeft -= 1
        report(
          .outside(
            "Illegal block number passed to ext2fs_mark_block_bitmap #\(block >> clusterBits) for \(map.rawValue)"))
        if linesLeft == 0 { report(.outside("Further illegal block numbers are not listed")) }
      }
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
    finishSweep()
  }

  /// Tells of damage to a table, behind everything that is to be told of the inodes before it.
  private func damaged(_ error: ImageError, _ text: String) {
    finishSweep()
    tell(error.suffixed(text))
  }

  private func tell(_ damage: ImageError) {
    guard damageLeft > 0 else { return }
    damageLeft -= 1
    report(.damage(damageLeft > 0 ? damage : ImageError("Further damage is not listed")))
  }

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

  /// What an image needs of an inode's block map (§4.2); nil for nothing.
  private func wanted(
    _ inode: ExtInode, _ map: RawSpan, _ number: UInt64, _ metadataInodes: [UInt32]
  ) -> BlockMapSweep.Owner? {
    guard inode.hasBlocks else { return nil }
    // There are no more inodes than 32 bits can number.
    let number = UInt32(truncatingIfNeeded: number)
    let takesData =
      inode.isDirectory || inode.isSymbolicLink || rule.includesData || metadataInodes.contains(number)
    // Most maps have no blocks of their own: without contents there is nothing to walk for.
    if !takesData, inode.translatorBlock == 0, !BlockMap.hasIndexBlocks(inode, map) { return nil }
    // The Hurd's translator is looked at with the map only.
    guard takesData || inode.hasExtents || !map.isZero(48..<60) else { return nil }
    return BlockMapSweep.Owner(
      inode: number, isDirectory: inode.isDirectory, takesData: takesData, hasExtents: inode.hasExtents)
  }

  /// Marks what belongs to an inode; the parts of its map are read later.
  private func visit(_ bytes: RawSpan, _ number: UInt64, _ metadataInodes: [UInt32]) {
    let inode = ExtInode(bytes, inodeRules)
    let map = bytes.slice(ExtInode.map)
    if inode.attributeBlock != 0, !markQuietly(inode.attributeBlock, 1) {
      trouble(UInt32(truncatingIfNeeded: number), nil)
    }
    guard let owner = wanted(inode, map, number, metadataInodes) else { return }
    sweep.begin(inode, map, owner) { take($0, of: owner) }
    if sweep.isFull || troubled.count >= ExtScan.troubleLimit { finishSweep() }
  }

  private func take(_ event: BlockMapSweep.Event, of owner: BlockMapSweep.Owner) {
    switch event {
    case .item(.index(let block), let times):
      if !markQuietly(block, 1, times: times) { trouble(owner.inode, nil) }
    case .item(.data(let first, let count), let times):
      guard owner.takesData, count > 0 else { return }
      if !markQuietly(first, count, times: times) { trouble(owner.inode, nil) }
      if owner.isDirectory, rule.findsDirectories, let inside = inside(first, count) {
        found.directories.insert(inside)
      }
    case .damage(let error): trouble(owner.inode, error)
    }
  }

  private func trouble(_ inode: UInt32, _ error: ImageError?) {
    if let known = troubled[inode], known != nil || error == nil { return }
    troubled[inode] = .some(error)
  }

  // MARK: What is told of inodes

  /// Reads what is left of the maps that were begun, and tells what there is to tell of them, in the inodes' order.
  private func finishSweep() {
    sweep.drain { owner, event in take(event, of: owner) }
    let inodes = troubled.sorted { $0.key < $1.key }
    troubled = [:]
    for (inode, error) in inodes { tell(of: inode, error) }
  }

  /// Walks through an inode's map again, by itself, and tells what is wrong in the order of the map.
  ///
  /// - Parameter found: what was wrong before; told if nothing else is.
  private func tell(of number: UInt32, _ found: ImageError?) {
    let index = UInt64(number) - 1
    let place =
      volume.offset(ofBlock: volume.groups[index / superblock.inodesPerGroup].inodeTable)
      + index % superblock.inodesPerGroup * UInt64(superblock.inodeSize)
    guard let array = try? ExtVolume.read(volume.storage, at: place, count: ExtInode.usedSize) else { return }
    let bytes = array.rawBytes
    let inode = ExtInode(bytes, inodeRules)
    let map = bytes.slice(ExtInode.map)
    if inode.attributeBlock != 0 { tellOutside(inode.attributeBlock, 1, [.inUse]) }
    guard let owner = wanted(inode, map, UInt64(number), superblock.metadataInodes) else { return }
    let damage = walker.walk(inode, map) { item in
      switch item {
      case .index(let block): tellOutside(block, 1, [.inUse])
      case .data(let first, let count):
        guard owner.takesData else { return }
        tellOutside(first, count, owner.isDirectory && rule.findsDirectories ? [.inUse, .scramble] : [.inUse])
      }
    }
    if let damage = damage ?? found { tell(damage.suffixed("while iterating over inode \(number)")) }
  }
}
