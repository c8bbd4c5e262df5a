import Bytes

/// Finds the blocks of a volume that hold metadata (ocfs2-o2image §12, §15).
///
/// What is damaged is reported and passed over: everything that can be reached is found. Memory is one bit for each
/// block of the neighbourhoods that hold metadata, and some bytes for each allocation group.
package final class MetadataScan {
  /// Something that the user should know.
  package enum Finding: Sendable {
    /// A part of the metadata cannot be found.
    case damage(ImageError)
    /// Something is wrong that does not keep the metadata from being found.
    case warning(ImageError)
  }

  private let volume: OCFS2Volume
  private let report: (Finding) -> Void
  private var blocks: BlockSet
  /// Group descriptors and extent blocks that have been followed: none is followed twice.
  private var visited: Set<UInt64> = []
  /// Allocators whose groups have been walked.
  private var visitedAllocators: Set<UInt64> = []
  /// Allocators of inodes that are still to be walked.
  private var pending: [UInt64] = []
  /// The allocators by their names: inodes live in those of the slots and in the global one.
  private var inodeAllocators: Set<UInt64> = []
  private var globalBitmap: UInt64 = 0
  /// Its clusters cannot be read, that is what they are registered for.
  private var badBlocks: UInt64?
  /// Bits of groups, and blocks of runs, that may still be looked at: a volume whose parts overlap each other over and
  /// over is not followed for ever.
  private var groupBudget: UInt64
  private var runBudget: UInt64

  /// A scan of `volume` that tells `report` what it meets.
  package init(_ volume: OCFS2Volume, report: @escaping (Finding) -> Void) {
    self.volume = volume
    self.report = report
    let count = volume.superblock.blockCount
    blocks = BlockSet(limit: count)
    groupBudget = count * 4
    runBudget = count * 64
  }

  /// Finds the metadata.
  ///
  /// - Throws: when the scan cannot begin; the message has a line for what failed and one for the whole.
  package func run() throws(ImageError) -> BlockSet {
    do throws(ImageError) {
      try begin()
    } catch {
      let reason = error.errno == ImageError.noMemory.errno ? ImageError.noMemory : error
      let cause = reason.message.split(separator: " while ", maxSplits: 1).first.map(String.init) ?? reason.message
      throw ImageError("\(error.message)\n\(cause) during o2image initialize", errno: error.errno)
    }
    while let inode = pending.popLast() { walkInodeAllocator(inode) }
    if !visitedAllocators.contains(globalBitmap) { visit(globalBitmap) }
    return blocks
  }

  private var superblock: Superblock { volume.superblock }

  // MARK: Beginning

  private static let globalBitmapName = Array("global_bitmap".utf8)
  private static let globalInodesName = Array("global_inode_alloc".utf8)
  private static let badBlocksName = Array("bad_blocks".utf8)

  private static func slotInodesName(_ slot: Int) -> [UInt8] {
    let digits = String(slot)
    return Array("inode_alloc:".utf8) + Array(repeating: UInt8(ascii: "0"), count: 4 - digits.utf8.count)
      + Array(digits.utf8)
  }

  private func begin() throws(ImageError) {
    guard superblock.clusterCount > 0 else { throw .noMemory.suffixed("while allocating bitmap") }
    if superblock.features.hasBackupSuperblocks {
      for block in superblock.backupBlocks { blocks.insert(block) }
    }
    blocks.insert(0..<superblock.firstClusterGroup + 1)

    let slots = (0..<superblock.slotCount).map(MetadataScan.slotInodesName)
    let wanted = Set(
      slots + [
        MetadataScan.globalBitmapName, MetadataScan.globalInodesName, MetadataScan.badBlocksName,
      ])
    let directory: SystemDirectory
    do throws(ImageError) {
      directory = try SystemDirectory(volume, wanted: wanted)
      globalBitmap = try directory.inode(MetadataScan.globalBitmapName)
    } catch {
      throw error.suffixed("while looking for bitmap inode")
    }
    let globalInodes: UInt64
    do throws(ImageError) {
      globalInodes = try directory.inode(MetadataScan.globalInodesName)
    } catch {
      throw error.suffixed("while looking for global inode")
    }
    badBlocks = directory.inodeIfPresent(MetadataScan.badBlocksName)
    var allocators = [globalInodes]
    for (slot, name) in slots.enumerated() {
      do throws(ImageError) {
        allocators.append(try directory.inode(name))
      } catch {
        throw error.suffixed("while reading inode for slot \(slot)")
      }
    }
    inodeAllocators = Set(allocators)
    // The slots' allocators are themselves in the global one; should that be damaged, they are known by their names.
    pending = allocators.reversed()
  }

  // MARK: Inodes

  /// Reads an inode by itself, and takes what belongs to it.
  private func visit(_ inode: UInt64) {
    var buffer = Buffer(superblock.blockSize)
    do throws(ImageError) {
      try volume.read(inode, into: &buffer)
    } catch {
      return damaged(error.suffixed("while reading global bitmap inode \(inode)"))
    }
    visit(inode, buffer.bytes)
  }

  /// Takes what belongs to the inode in `bytes` (§15.2): all of it, where the reference follows either the attributes or
  /// the contents, and never the text of a symbolic link or the contents of a file.
  private func visit(_ inode: UInt64, _ bytes: RawSpan) {
    blocks.insert(inode)
    // An allocator is met in the global one and by its name: once is enough. Those of inodes wait for their turn.
    if inodeAllocators.contains(inode) { return }
    if inode == globalBitmap, !visitedAllocators.insert(inode).inserted { return }
    let dinode: Dinode
    do throws(ImageError) {
      dinode = try Dinode(bytes)
    } catch {
      return damaged(error.suffixed("while reading global bitmap inode \(inode)"))
    }
    check(bytes, at: 0x80, inode)
    let isSystem = dinode.flags.contains(.system)
    guard dinode.isDirectory || isSystem || dinode.dynamicFeatures.contains(.hasXattr) else { return }
    var inodeReport = InodeReport(inode: inode)
    if dinode.dynamicFeatures.contains(.hasXattr), dinode.xattrBlock != 0 {
      walkAttributes(dinode.xattrBlock, &inodeReport)
    }
    if isSystem && !dinode.isDirectory {
      if dinode.flags.contains(.chain) {
        guard inode == globalBitmap || visitedAllocators.insert(inode).inserted else { return }
        let contents: GroupContents = inode == globalBitmap ? .clusters : .blocks
        return walkChains(ChainList(dinode: bytes), contents, &inodeReport)
      }
      // Neither a window of the cluster bitmap nor a list of clusters to be freed has extents.
      if !dinode.flags.isDisjoint(with: [.superblock, .localAllocation, .deallocation]) || inode == badBlocks {
        return
      }
    } else if !dinode.isDirectory {
      return
    }
    if dinode.dynamicFeatures.contains(.indexedDirectory) { walkIndex(dinode.indexRoot, &inodeReport) }
    if dinode.dynamicFeatures.contains(.inlineData) { return }
    let end = dinode.unionEnd(blockSize: superblock.blockSize)
    walkExtents(ExtentList(bytes, at: Dinode.unionOffset, end: end), &inodeReport)
  }

  /// Takes the buckets of an inode's attributes (§10); values outside are user data.
  private func walkAttributes(_ block: UInt64, _ inodeReport: inout InodeReport) {
    do throws(ImageError) {
      var buffer = Buffer(superblock.blockSize)
      try volume.read(block, into: &buffer)
      blocks.insert(block)
      guard buffer.bytes.hasSignature("XATTR01") else { throw .badXattrMagic }
      check(buffer.bytes, at: 0x18, block)
      guard buffer.bytes.littleEndian(at: 0x20, as: UInt16.self) & 1 != 0 else { return }
      walkExtents(ExtentList(buffer.bytes, at: 0x40, end: superblock.blockSize), &inodeReport)
    } catch {
      damaged(error, &inodeReport)
    }
  }

  /// Takes the leaves of a directory's index (§8.3).
  private func walkIndex(_ block: UInt64, _ inodeReport: inout InodeReport) {
    blocks.insert(block)
    do throws(ImageError) {
      var buffer = Buffer(superblock.blockSize)
      try volume.read(block, into: &buffer)
      guard buffer.bytes.hasSignature("DXDIR01") else { throw .corruptDirectory }
      check(buffer.bytes, at: 0x08, block)
      guard buffer.bytes[0x2C] & 1 == 0 else { return }
      walkExtents(ExtentList(buffer.bytes, at: Dinode.unionOffset, end: superblock.blockSize), &inodeReport)
    } catch {
      // Without the feature the root is a remainder that nobody reads.
      if superblock.features.has(.indexedDirectories) { damaged(error, &inodeReport) }
    }
  }

  private func walkExtents(_ list: ExtentList, _ inodeReport: inout InodeReport) {
    volume.walk(
      list, visited: &visited, check: { (bytes, block) in check(bytes, at: 0x08, block) },
      { item in
        switch item {
        case .block(let block):
          blocks.insert(block)
        case .run(let run):
          guard spend(UInt64(run.count), &runBudget) else { return damaged(.corruptExtentBlock, &inodeReport) }
          blocks.insert(run)
        case .damage(let error):
          damaged(error, &inodeReport)
        }
      })
  }

  // MARK: Allocators

  /// What the bits of a group stand for.
  private enum GroupContents {
    /// Clusters: only the descriptors are metadata.
    case clusters
    /// Blocks of metadata, used or not.
    case blocks
    /// Inodes, to be visited where they are in use.
    case inodes
  }

  private func walkInodeAllocator(_ inode: UInt64) {
    guard visitedAllocators.insert(inode).inserted else { return }
    blocks.insert(inode)
    var buffer = Buffer(superblock.blockSize)
    do throws(ImageError) {
      try volume.read(inode, into: &buffer)
      let dinode = try Dinode(buffer.bytes)
      check(buffer.bytes, at: 0x80, inode)
      guard dinode.flags.contains(.chain) else { throw .corruptChainList }
    } catch {
      return damaged(error.suffixed("while reading global bitmap inode \(inode)"))
    }
    var inodeReport = InodeReport(inode: inode)
    walkChains(ChainList(dinode: buffer.bytes), .inodes, &inodeReport)
  }

  /// Takes the groups of an allocator (§15.3); a damaged chain does not keep the others from being walked.
  private func walkChains(_ chains: ChainList, _ contents: GroupContents, _ inodeReport: inout InodeReport) {
    // One bit a block, or one bit a cluster: there are no other allocators.
    let bits = contents == .clusters ? 1 : superblock.blocksPerCluster
    if !chains.isSound || chains.bitsPerCluster != bits { damaged(.corruptChainList, &inodeReport) }
    var descriptor = Buffer(superblock.blockSize)
    var window = BlockWindow(volume, size: contents == .inodes ? BlockWindow.usualSize : superblock.blockSize)
    for first in chains.firstGroups {
      var block = first
      while block != 0 {
        do throws(ImageError) {
          try volume.read(block, into: &descriptor)
          guard visited.insert(block).inserted else { throw .repeatedGroup }
          blocks.insert(block)
          let group = try GroupDescriptor(descriptor.bytes, at: block, usualBits: chains.bitsPerGroup)
          check(descriptor.bytes, at: 0x30, block)
          if contents != .clusters { try walkGroup(group, contents, &window, &inodeReport) }
          block = group.next
        } catch {
          damaged(error, &inodeReport)
          block = 0
        }
      }
    }
  }

  private func walkGroup(
    _ group: GroupDescriptor, _ contents: GroupContents, _ window: inout BlockWindow,
    _ inodeReport: inout InodeReport
  ) throws(ImageError) {
    // A descriptor that thinks it is elsewhere still describes the blocks behind it.
    if !group.isSound || group.recordedBlock != group.block { damaged(.corruptGroup, &inodeReport) }
    guard spend(UInt64(group.bitCount), &groupBudget) else { throw .corruptGroup }
    var described = 0
    for (firstBit, whole) in group.pieces(blocksPerCluster: superblock.blocksPerCluster) {
      described += whole.count
      // What lies beyond the volume's end is not there.
      let run = whole.clamped(to: 0..<superblock.blockCount)
      if run.count < whole.count { damaged(.corruptGroup, &inodeReport) }
      blocks.insert(run)
      guard contents == .inodes else { continue }
      for (index, block) in run.enumerated() where firstBit + index > 0 && group.isUsed(firstBit + index) {
        do throws(ImageError) {
          try window.withBlock(block, end: run.upperBound) { (bytes) throws(ImageError) in visit(block, bytes) }
        } catch {
          damaged(error.suffixed("while reading global bitmap inode \(block)"))
        }
      }
    }
    if described < group.bitCount { damaged(.corruptGroup, &inodeReport) }
  }

  // MARK: Reporting

  /// One line for an inode says enough: what is damaged twice is looked at anyway.
  private struct InodeReport {
    let inode: UInt64
    var isDone = false
  }

  private func damaged(_ error: ImageError, _ inodeReport: inout InodeReport) {
    if inodeReport.isDone { return }
    inodeReport.isDone = true
    damaged(error.suffixed("while scanning inode \(inodeReport.inode)"))
  }

  private func damaged(_ error: ImageError) { report(.damage(error)) }

  private func check(_ bytes: RawSpan, at offset: Int, _ block: UInt64) {
    guard superblock.features.has(.metadataECC) else { return }
    switch BlockCheck.verify(bytes, checkAt: offset) {
    case .good: break
    case .correctable(let bit):
      report(.warning(.badChecksum.suffixed("in block \(block): bit \(bit) is wrong")))
    case .bad: report(.warning(.badChecksum.suffixed("in block \(block)")))
    }
  }

  private func spend(_ amount: UInt64, _ budget: inout UInt64) -> Bool {
    guard amount <= budget else { return false }
    budget -= amount
    return true
  }
}
