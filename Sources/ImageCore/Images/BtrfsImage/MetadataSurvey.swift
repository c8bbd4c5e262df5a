import Btrfs
import Bytes

/// Finds everything that belongs into a dump (btrfs-image §10.1, §11, §12).
package struct MetadataSurvey {
  /// How tree blocks are found.
  package enum Method: Sendable {
    /// The extent tree lists them; file contents too, if they are wanted.
    case extentTree(includesData: Bool)
    /// All trees are walked.
    case walk
  }

  private let volume: BtrfsVolume
  private let log: DumpLog
  private var plan: DumpPlan
  private var isRootTreeSound = true
  /// Whether something leads to an address where no block can be.
  private var hasBadPointer = false
  private var dataSize: UInt64 = 0
  private let dataLimit: UInt64

  /// The first address behind the superblock: the extent tree is searched from there.
  private static let firstAddress: UInt64 = 69632

  private init(_ volume: BtrfsVolume, _ plan: DumpPlan, _ log: DumpLog) {
    self.volume = volume
    self.plan = plan
    self.log = log
    // File contents lie on the devices once; a volume that names more bytes names some again and again.
    dataLimit = volume.devices.values.reduce(0) { $0.saturatingAdd($1.storage.length) }
  }

  /// What goes into a dump of `volume`.
  ///
  /// - Parameters:
  ///   - plan: an empty plan.
  ///   - log: takes what could not be read or makes no sense; the rest is found all the same.
  package static func plan(
    _ volume: BtrfsVolume, _ method: Method, into plan: DumpPlan, log: DumpLog
  ) -> DumpPlan {
    var survey = MetadataSurvey(volume, plan, log)
    survey.plan.add(BtrfsSuperblock.offsets[0], UInt64(BtrfsSuperblock.size), .superblock)
    if volume.isDamaged { log.markIncomplete() }
    let opened = survey.openTrees()
    let rootTree = survey.readRootTree(opened)
    var walk = TreeWalk(volume) { log.report($0) }
    switch method {
    case .walk:
      survey.walkTrees(&walk)
    case .extentTree(let includesData):
      survey.readExtentTree(rootTree.extentTree, includesData: includesData)
    }
    if let logTree = survey.logTree { survey.addLogTrees(logTree, &walk) }
    // The reference looks for the space cache last; walking, it has met the root tree's blocks before.
    for report in rootTree.reports {
      if case .walk = method, !report.repeatedLines.isEmpty { log.markReported(report.address) }
      log.report(report)
    }
    for extent in rootTree.cacheExtents { survey.addData(extent.lowerBound, extent.upperBound - extent.lowerBound) }
    survey.plan.flush()
    return survey.plan
  }

  // MARK: What is added

  /// A tree block, and the transaction that wrote it, where it is known.
  private struct FoundBlock {
    let address: UInt64
    var generation: UInt64?
  }

  private mutating func add(_ block: FoundBlock) { addTreeBlock(block.address, generation: block.generation) }

  private mutating func addTreeBlock(_ address: UInt64, generation: UInt64? = nil) {
    guard canHoldTreeBlock(address) else {
      var report = TreeBlockReport(address)
      let sectorSize = UInt64(volume.superblock.sectorSize)
      report.lines.append(
        address >= sectorSize && address % sectorSize == 0
          ? "Couldn't map the block \(address)"
          : "ERROR: tree block bytenr \(address) is not aligned to sectorsize \(sectorSize)")
      log.report(report)
      hasBadPointer = true
      return log.markIncomplete()
    }
    plan.add(address, UInt64(volume.nodeSize), .treeBlocks, generation: generation)
  }

  private func canHoldTreeBlock(_ address: UInt64) -> Bool {
    let (end, overflow) = address.addingReportingOverflow(UInt64(volume.nodeSize))
    return !overflow && address % UInt64(volume.superblock.sectorSize) == 0 && volume.isMapped(address..<end)
      && !(address..<end).contains(BtrfsSuperblock.offsets[0])
  }

  private mutating func addData(_ address: UInt64, _ length: UInt64) {
    if length == 0 { return }
    let (end, overflow) = address.addingReportingOverflow(length)
    guard !overflow, length <= DumpPlan.dataLimit, volume.isMapped(address..<end),
      !(address..<end).contains(BtrfsSuperblock.offsets[0])
    else { return log.damage("extent \(address) of \(length) bytes is left out: it does not exist") }
    dataSize = dataSize.saturatingAdd(length)
    guard dataSize <= dataLimit else {
      return log.damage("extent \(address) of \(length) bytes is left out: there are more than the devices hold")
    }
    plan.add(address, length, .data)
  }

  // MARK: Trees

  private var rootTree: TreeRoot {
    TreeRoot(address: volume.superblock.root, generation: volume.superblock.generation)
  }

  private var chunkTree: TreeRoot {
    TreeRoot(address: volume.superblock.chunkRoot, generation: volume.superblock.chunkRootGeneration)
  }

  /// The tree that leads to the log trees; nil where there is none.
  private var logTree: TreeRoot? {
    let superblock = volume.superblock
    if superblock.logRoot == 0 { return nil }
    return TreeRoot(address: superblock.logRoot, generation: superblock.generation &+ 1)
  }

  /// What the root tree says.
  private struct RootTree {
    /// Where the extent tree is.
    var extentTree: TreeRoot?
    /// The extents of the version 1 space cache in key order.
    var cacheExtents: [Range<UInt64>] = []
    /// What there is to say about its blocks.
    var reports: [TreeBlockReport] = []
  }

  /// Looks at the roots of the trees that the reference opens, in its order; returns those that the root tree leads to.
  private func openTrees() -> [UInt64: TreeRoot] {
    var search = OpeningSearch(volume, log)
    var roots: [UInt64: TreeRoot] = [:]
    for tree in openedTrees {
      if tree == ObjectID.fileSystemTree {
        if let logTree { checkRoot(logTree, of: ObjectID.treeLog) }
        if let blockGroups = roots[ObjectID.blockGroupTree] ?? roots[ObjectID.extentTree] {
          search.passBlockGroups(of: blockGroups)
        }
      }
      guard let root = search.root(of: tree, in: rootTree) else { continue }
      roots[tree] = root
      checkRoot(root, of: tree)
    }
    return roots
  }

  /// Reads the root tree.
  ///
  /// - Parameter opened: the trees whose roots have been looked at.
  private mutating func readRootTree(_ opened: [UInt64: TreeRoot]) -> RootTree {
    var found = RootTree()
    var roots: [UInt64: TreeRoot] = [:]
    var reports: [TreeBlockReport] = []
    var walk = TreeWalk(volume, generationReport: .always) { reports.append($0) }
    let nodeSize = volume.nodeSize
    try? walk.visit(
      rootTree, readsLeaves: true,
      leaf: { _, leaf, count in
        for index in 0..<count {
          let item = LeafItem(leaf, index)
          guard let range = item.range(nodeSize: nodeSize) else { continue }
          let data = leaf.slice(range)
          if item.key.type == .rootItem, roots[item.key.objectID] == nil {
            roots[item.key.objectID] = TreeRoot(rootItem: data)
          }
          if item.key.type == .extentData, let extent = MetadataSurvey.regularExtent(data) {
            found.cacheExtents.append(extent)
          }
        }
      })
    let missing = necessaryTrees.filter { roots[$0.tree] == nil }
    if walk.isIncomplete || walk.isDisorderly || !missing.isEmpty {
      log.markIncomplete()
      isRootTreeSound = false
    }
    // Of a root tree that is damaged enough has been said.
    if !walk.isIncomplete { for (_, name) in missing { log.note(.error("could not setup \(name) tree")) } }
    for tree in openedTrees where opened[tree] == nil {
      if let root = roots[tree] { checkRoot(root, of: tree) }
    }
    found.extentTree = opened[ObjectID.extentTree] ?? roots[ObjectID.extentTree]
    found.reports = reports
    return found
  }

  /// The trees whose roots a file system is opened with, in that order.
  private var openedTrees: [UInt64] {
    [ObjectID.extentTree, ObjectID.checksumTree, ObjectID.freeSpaceTree]
      + (hasFeature(MetadataSurvey.blockGroupTreeFeature) ? [ObjectID.blockGroupTree] : [])
      + [ObjectID.deviceTree, ObjectID.uuidTree, ObjectID.quotaTree, ObjectID.fileSystemTree]
  }

  private static let freeSpaceTreeFeature: UInt64 = 1 << 0
  private static let blockGroupTreeFeature: UInt64 = 1 << 3

  private func hasFeature(_ feature: UInt64) -> Bool {
    volume.superblock.readOnlyCompatibleFeatures & feature != 0
  }

  /// The trees that every file system with these features has.
  private var necessaryTrees: [(tree: UInt64, name: String)] {
    [
      (ObjectID.extentTree, "extent"), (ObjectID.deviceTree, "device"), (ObjectID.fileSystemTree, "fs"),
      (ObjectID.checksumTree, "csum"), (ObjectID.dataRelocationTree, "data relocation"),
    ] + (hasFeature(MetadataSurvey.freeSpaceTreeFeature) ? [(ObjectID.freeSpaceTree, "free space")] : [])
      + (hasFeature(MetadataSurvey.blockGroupTreeFeature) ? [(ObjectID.blockGroupTree, "block group")] : [])
  }

  /// Looks whether a tree begins where its root item says.
  private func checkRoot(_ root: TreeRoot, of tree: UInt64) {
    var buffer = Buffer(volume.nodeSize)
    var block = buffer.mutableBytes
    var report = TreeBlockReport(root.address)
    let state = volume.readTreeBlock(
      root.address, into: &block, TreeBlockExpectation(generation: root.generation, generationReport: .once),
      report: &report)
    log.report(report)
    let level = TreeBlockHeader(buffer.bytes).level
    guard state == .good || state == .malformed, let wanted = root.level, wanted != level else { return }
    log.note(.error("root [\(tree) 0] level \(level) does not match \(wanted)"))
    log.note(.line(""))
    log.markIncomplete()
  }

  /// The bytes of the device's address space that a file extent item names; nil for a hole, or if they are in the item.
  private static func regularExtent(_ item: RawSpan) -> Range<UInt64>? {
    guard item.byteCount >= 53, item[20] == 1 else { return nil }
    let address: UInt64 = item.littleEndian(at: 21)
    let length: UInt64 = item.littleEndian(at: 29)
    return address == 0 || length == 0 ? nil : address..<address.saturatingAdd(length)
  }

  // MARK: By the extent tree

  private mutating func readExtentTree(_ root: TreeRoot?, includesData: Bool) {
    let log = log
    guard let root else {
      log.note(.error("extent root not found: -2"))
      return addEverything(known: [])
    }
    var found: [FoundBlock] = []
    var isSound = true
    var limit = MetadataSurvey.firstAddress
    var data: [Range<UInt64>] = []
    var last: ItemKey?
    let nodeSize = volume.nodeSize
    var walk = TreeWalk(volume, generationReport: .always) { log.report($0) }
    try? walk.visit(
      root, from: ItemKey(MetadataSurvey.firstAddress, .extentItem, 0), readsLeaves: true,
      leaf: { _, leaf, count in
        for index in 0..<count {
          let item = LeafItem(leaf, index)
          // A key that is too large would hide all extents behind it.
          if let last, last >= item.key { isSound = false }
          last = item.key
          if !ExtentItem.types.contains(item.key.type.rawValue) { isSound = false }
          guard item.key.type == .extentItem || item.key.type == .metadataItem else { continue }
          guard item.key.objectID >= limit else {
            // Extents do not overlap: the length of the one before is wrong.
            if limit > MetadataSurvey.firstAddress { isSound = false }
            continue
          }
          let length = item.key.type == .metadataItem ? UInt64(nodeSize) : item.key.offset
          guard length > 0 else {
            log.note(.error("extent length 0 at bytenr \(item.key.objectID) key type \(item.key.type.rawValue)"))
            isSound = false
            continue
          }
          guard let range = item.range(nodeSize: nodeSize), range.count >= ExtentItem.size else {
            log.note(.error("either extent tree is corrupted or deprecated extent ref format"))
            isSound = false
            continue
          }
          let flags: UInt64 = leaf.littleEndian(at: range.lowerBound + ExtentItem.flagsOffset)
          if flags & ExtentItem.treeBlock != 0 {
            guard length == UInt64(nodeSize) else {
              log.note(.error("extent length \(length) of the tree block \(item.key.objectID) is not \(nodeSize)"))
              isSound = false
              continue
            }
            found.append(
              FoundBlock(
                address: item.key.objectID,
                generation: leaf.littleEndian(at: range.lowerBound + ExtentItem.generationOffset)))
          } else if includesData, flags & ExtentItem.data != 0 {
            data.append(item.key.objectID..<item.key.objectID.saturatingAdd(length))
          }
          limit = item.key.objectID.saturatingAdd(length)
        }
      })
    if walk.isIncomplete || walk.isDisorderly || !isSound || found.isEmpty {
      addEverything(known: found)
    } else {
      addInOrder(found, data)
      data = []
    }
    for extent in data { addData(extent.lowerBound, extent.upperBound - extent.lowerBound) }
  }

  /// Adds blocks and file contents in the order of their addresses.
  private mutating func addInOrder(_ blocks: [FoundBlock], _ data: [Range<UInt64>]) {
    var next = 0
    for extent in data {
      while next < blocks.count, blocks[next].address < extent.lowerBound {
        add(blocks[next])
        next += 1
      }
      addData(extent.lowerBound, extent.upperBound - extent.lowerBound)
    }
    for block in blocks[next...] { add(block) }
  }

  /// Adds the blocks that are known, and those that all trees lead to: the extent tree alone does not tell them.
  private mutating func addEverything(known: [FoundBlock]) {
    log.damage("the extent tree is damaged, all trees are walked as with -w")
    var found = known
    var seen = AddressSet()
    for block in known { _ = seen.insert(block.address) }
    let log = log
    var walk = TreeWalk(volume) { log.report($0) }
    var leadsNowhere = false
    for root in [chunkTree, rootTree] {
      follow(root, &walk) { survey, address, generation in
        if !survey.canHoldTreeBlock(address) { leadsNowhere = true }
        if seen.insert(address) { found.append(FoundBlock(address: address, generation: generation)) }
      }
    }
    if walk.isIncomplete || leadsNowhere || !isRootTreeSound {
      scan { address in
        if seen.insert(address) { found.append(FoundBlock(address: address)) }
      }
    }
    for block in found.sorted(by: { $0.address < $1.address }) { add(block) }
  }

  /// Finds every tree block that is left, for trees that cannot be followed.
  private func scan(_ found: (UInt64) -> Void) {
    log.damage("trees cannot be followed to their ends, all metadata chunks are searched for blocks")
    volume.scanTreeBlocks(in: [.metadata, .system]) { address, _ in found(address) }
  }

  // MARK: By walking

  private mutating func walkTrees(_ walk: inout TreeWalk) {
    var seen = AddressSet()
    for root in [chunkTree, rootTree] {
      follow(root, &walk) { survey, address, generation in
        _ = seen.insert(address)
        survey.addTreeBlock(address, generation: generation)
      }
    }
    guard walk.isIncomplete || hasBadPointer || !isRootTreeSound else { return }
    var found: [UInt64] = []
    scan { address in
      if seen.insert(address) { found.append(address) }
    }
    for address in found.sorted() { addTreeBlock(address) }
  }

  /// Adds the log trees, which the extent tree knows nothing of; where they cannot be followed, what can be found of them.
  private mutating func addLogTrees(_ root: TreeRoot, _ walk: inout TreeWalk) {
    let isAllFound = walk.isIncomplete
    var seen = AddressSet()
    var count = 0
    follow(root, &walk) { survey, address, generation in
      _ = seen.insert(address)
      count += 1
      survey.addTreeBlock(address, generation: generation)
    }
    // Trees that could not be followed before have made us look at all blocks already.
    // The tree of the log trees leads to one at least.
    guard walk.isIncomplete || count < 2, !isAllFound else { return }
    log.damage("the log tree cannot be followed to its end, all metadata chunks are searched for its blocks")
    var found: [UInt64] = []
    let generation = volume.superblock.generation
    volume.scanTreeBlocks(in: [.metadata, .system]) { address, block in
      let header = TreeBlockHeader(block)
      if header.owner == ObjectID.treeLog, header.generation > generation, seen.insert(address) {
        found.append(address)
      }
    }
    for address in found.sorted() { addTreeBlock(address) }
  }

  /// Walks a tree, and those that its root items lead to.
  private mutating func follow(
    _ root: TreeRoot, _ walk: inout TreeWalk, _ add: (inout MetadataSurvey, UInt64, UInt64?) -> Void
  ) {
    var survey = self
    let nodeSize = volume.nodeSize
    try? walk.visit(
      root, readsLeaves: true, met: { address, generation in add(&survey, address, generation) },
      leaf: { (walk, leaf, count) throws(ImageError) in
        for index in 0..<count {
          let item = LeafItem(leaf, index)
          guard item.key.type == .rootItem, let range = item.range(nodeSize: nodeSize) else {
            // The tree of the log trees holds nothing else.
            if TreeBlockHeader(leaf).owner == ObjectID.treeLog { walk.markIncomplete() }
            continue
          }
          guard let root = TreeRoot(rootItem: leaf.slice(range)) else {
            walk.markIncomplete()
            continue
          }
          try walk.visit(
            TreeRoot(address: root.address, generation: root.generation), readsLeaves: false, reportsRoot: false,
            met: { address, generation in add(&survey, address, generation) })
        }
      })
    if walk.isIncomplete { log.markIncomplete() }
    self = survey
  }
}

/// What an item of the extent tree begins with (btrfs-image §6).
private enum ExtentItem {
  /// What the extent tree holds: extents, references to them, block groups.
  static let types: Set<UInt8> = [168, 169, 172, 176, 178, 180, 182, 184, 192]
  /// References, generation, flags: 8 bytes each.
  static let size = 24
  static let generationOffset = 8
  static let flagsOffset = 16
  static let data: UInt64 = 1
  static let treeBlock: UInt64 = 2
}
