import Btrfs
import Bytes

/// The searches that the reference makes when it opens a file system. What they find is known otherwise: they are made
/// for the order of the lines about blocks of other generations, which are said anew whenever a search passes the block.
struct OpeningSearch {
  private let volume: BtrfsVolume
  private let log: DumpLog
  /// How many more blocks are read: trees that lead in circles would be searched forever.
  private var budget: Int

  init(_ volume: BtrfsVolume, _ log: DumpLog) {
    self.volume = volume
    self.log = log
    budget = 64 * (volume.chunks.chunks.count + 64)
  }

  /// What the root tree says of a tree; nil where nothing is found in the leaf that it belongs in.
  mutating func root(of tree: UInt64, in rootTree: TreeRoot) -> TreeRoot? {
    var found: TreeRoot?
    let nodeSize = volume.nodeSize
    _ = search(rootTree, from: ItemKey(tree, .rootItem, .max)) { leaf, count in
      for index in 0..<count {
        let item = LeafItem(leaf, index)
        guard item.key.objectID == tree, item.key.type == .rootItem, let range = item.range(nodeSize: nodeSize)
        else { continue }
        found = TreeRoot(rootItem: leaf.slice(range))
      }
      return true
    }
    return found
  }

  /// Searches for one block group after the other.
  mutating func passBlockGroups(of tree: TreeRoot) {
    var start: UInt64 = 0
    while true {
      var next: UInt64?
      let key = ItemKey(start, .blockGroupItem, 0)
      _ = search(tree, from: key) { leaf, count in
        for index in 0..<count {
          let item = LeafItem(leaf, index).key
          guard item >= key, item.type == .blockGroupItem else { continue }
          next = item.objectID.saturatingAdd(item.offset)
          return true
        }
        return false
      }
      guard let next, next > start else { return }
      start = next
    }
  }

  /// Goes through the leaves of a tree, from the one that `key` belongs in to the one in which `leaf` finds something.
  private mutating func search(_ root: TreeRoot, from key: ItemKey, leaf: (RawSpan, Int) -> Bool) -> Bool {
    let expectation = TreeBlockExpectation(
      generation: root.generation, level: root.level, generationReport: .once)
    return search(root.address, expectation, from: key, leaf: leaf)
  }

  /// - Returns: whether the search is over.
  private mutating func search(
    _ address: UInt64, _ expectation: TreeBlockExpectation, from key: ItemKey, leaf: (RawSpan, Int) -> Bool
  ) -> Bool {
    guard budget > 0 else { return true }
    budget -= 1
    var buffer = Buffer(volume.nodeSize)
    var block = buffer.mutableBytes
    var report = TreeBlockReport(address)
    let state = volume.readTreeBlock(address, into: &block, expectation, report: &report)
    log.report(report)
    let header = TreeBlockHeader(buffer.bytes)
    guard state == .good || state == .malformed, (expectation.level ?? header.level) == header.level else {
      return true
    }
    if header.isLeaf { return leaf(buffer.bytes, header.itemCount) }
    let pointers = (0..<header.itemCount).map { KeyPointer(buffer.bytes, $0) }
    let first = (pointers.firstIndex { $0.key > key } ?? pointers.count) - 1
    for pointer in pointers[max(first, 0)...] {
      let expectation = TreeBlockExpectation(
        generation: pointer.generation, level: header.level - 1, generationReport: .always)
      if search(pointer.address, expectation, from: key, leaf: leaf) { return true }
    }
    return false
  }
}
