import Bytes

/// Where a tree begins.
package struct TreeRoot: Sendable, Equatable {
  /// Logical address of its root block.
  package var address: UInt64
  /// The root block's level, where it is known.
  package var level: UInt8?
  /// The transaction that wrote the root block, where it is known.
  package var generation: UInt64?

  package init(address: UInt64, level: UInt8? = nil, generation: UInt64? = nil) {
    self.address = address
    self.level = level
    self.generation = generation
  }

  /// What a root item says of its tree: nil where the item is too short (btrfs-image §6.2).
  package init?(rootItem: RawSpan) {
    guard rootItem.byteCount >= TreeRoot.rootItemSize else { return nil }
    address = rootItem.littleEndian(at: 176)
    level = rootItem[238]
    generation = rootItem.littleEndian(at: 160)
  }

  /// Size of the oldest form of a root item in bytes.
  private static let rootItemSize = 239
}

/// Goes through a tree, parents before children, children in the order of their keys.
///
/// A block that was met before is passed over, so that the work is bounded by the number of blocks whatever the pointers
/// say; levels go down by one, so that the depth is too. What cannot be read is reported, and its siblings follow.
package struct TreeWalk {
  /// How many bytes of children are asked for ahead.
  private static let prefetchSize = 4 << 20

  private let volume: BtrfsVolume
  /// The blocks met so far.
  private var visited = AddressSet()
  /// The block that is looked at, and those above it.
  private var path: [UInt64] = []
  /// Whether something could not be read, or leads nowhere.
  package private(set) var isIncomplete = false
  /// Whether keys or pointers of a block were not what they should be: something may have been passed over.
  package private(set) var isDisorderly = false
  private let report: (TreeBlockReport) -> Void
  private let generationReport: TreeBlockExpectation.GenerationReport

  /// - Parameters:
  ///   - generationReport: when other generations of blocks below the roots are worth a line.
  ///   - report: takes what there is to say about blocks, also of those that were read in the end.
  package init(
    _ volume: BtrfsVolume, generationReport: TreeBlockExpectation.GenerationReport = .never,
    report: @escaping (TreeBlockReport) -> Void
  ) {
    self.volume = volume
    self.generationReport = generationReport
    self.report = report
  }

  /// Visits the blocks of a tree.
  ///
  /// - Parameters:
  ///   - start: children whose keys all lie before it are passed over.
  ///   - readsLeaves: whether leaves are needed; else only their addresses are found, in the nodes above.
  ///   - reportsRoot: whether another generation of the root is worth a line.
  ///   - met: takes the address of each block before it is read, and the transaction that wrote it, where that is known.
  ///   - leaf: takes each leaf that could be read, with the number of its items, all of whose data lies within the block.
  package mutating func visit(
    _ root: TreeRoot, from start: ItemKey = ItemKey(0, ItemType(rawValue: 0), 0), readsLeaves: Bool,
    reportsRoot: Bool = true, met: (UInt64, UInt64?) throws(ImageError) -> Void = { _, _ in },
    leaf: (inout TreeWalk, RawSpan, Int) throws(ImageError) -> Void = { _, _, _ in }
  ) throws(ImageError) {
    // A tree may be visited from within another one.
    let outerPath = path
    path = []
    defer { path = outerPath }
    try descend(
      root.address,
      TreeBlockExpectation(
        generation: root.generation, level: root.level, generationReport: reportsRoot ? .once : .never), nil, start,
      readsLeaves: readsLeaves, met, leaf)
  }

  /// Tells that something that belongs to the tree was not found.
  package mutating func markIncomplete() { isIncomplete = true }

  private mutating func descend(
    _ address: UInt64, _ expectation: TreeBlockExpectation, _ firstKey: ItemKey?, _ start: ItemKey, readsLeaves: Bool,
    _ met: (UInt64, UInt64?) throws(ImageError) -> Void,
    _ leaf: (inout TreeWalk, RawSpan, Int) throws(ImageError) -> Void
  ) throws(ImageError) {
    guard visited.insert(address) else {
      // Trees share blocks, but none lies below itself.
      if path.contains(address) { isIncomplete = true }
      return
    }
    try met(address, expectation.generation)
    if expectation.level == 0 && !readsLeaves { return }
    path.append(address)
    defer { path.removeLast() }
    var buffer = Buffer(volume.nodeSize)
    var block = buffer.mutableBytes
    var found = TreeBlockReport(address)
    let state = volume.readTreeBlock(address, into: &block, expectation, report: &found)
    if !found.lines.isEmpty { report(found) }
    let header = TreeBlockHeader(buffer.bytes)
    guard state == .good || (state == .malformed && (expectation.level ?? header.level) == header.level) else {
      isIncomplete = true
      return
    }
    // The key that leads to a block is that of its first item.
    if let firstKey, header.itemCount > 0, firstKey != ItemKey(buffer.bytes, at: TreeBlockHeader.size) {
      isDisorderly = true
    }
    // Only a tree without items has an empty block.
    if header.itemCount == 0, path.count > 1 || !header.isLeaf { isIncomplete = true }
    if state == .malformed, volume.contentsFault(of: buffer.bytes, header) != nil { isDisorderly = true }
    if header.isLeaf {
      guard (0..<header.itemCount).allSatisfy({ LeafItem(buffer.bytes, $0).range(nodeSize: volume.nodeSize) != nil })
      else {
        isIncomplete = true
        return
      }
      try leaf(&self, buffer.bytes, header.itemCount)
      return
    }
    let pointers = (0..<header.itemCount).map { KeyPointer(buffer.bytes, $0) }
    let first = (pointers.firstIndex { $0.key > start } ?? pointers.count) - 1
    let wanted = pointers[max(first, 0)...]
    let level = header.level - 1
    let size = UInt64(volume.nodeSize)
    let window = TreeWalk.prefetchSize / volume.nodeSize
    for (index, pointer) in wanted.enumerated() {
      if index % window == 0, level > 0 || readsLeaves {
        volume.prefetch(wanted.dropFirst(index).prefix(window).map { $0.address..<$0.address.saturatingAdd(size) })
      }
      try descend(
        pointer.address,
        TreeBlockExpectation(generation: pointer.generation, level: level, generationReport: generationReport),
        pointer.key, start,
        readsLeaves: readsLeaves, met, leaf)
    }
  }
}
