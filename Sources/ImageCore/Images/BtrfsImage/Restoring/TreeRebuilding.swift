import Btrfs
import Bytes

/// A tree whose items change, in the blocks that it has: as many leaves and nodes as before, at the same addresses, so
/// that the extent tree stays right (btrfs-image §14.6).
package struct TreeRebuilding {
  package typealias Item = (key: ItemKey, data: [UInt8])

  /// The tree's items in order.
  package private(set) var items: [Item] = []

  private let nodeSize: Int
  private let algorithm: ChecksumAlgorithm
  /// In order of their keys.
  private var leaves: [(address: UInt64, bytes: [UInt8])] = []
  /// From the leaves upwards.
  private var nodes: [(address: UInt64, bytes: [UInt8])] = []
  /// Blocks of no more than so many bytes are held in memory: the chunk tree of a petabyte.
  private static let limit = 16 << 20

  /// Reads a tree.
  ///
  /// - Throws: that a block is damaged, or the tree too large.
  package init(
    _ source: TreeSource, _ superblock: BtrfsSuperblock, root: UInt64, level: UInt8
  ) throws(ImageError) {
    nodeSize = Int(superblock.nodeSize)
    algorithm = try superblock.checksumAlgorithm()
    // Levels fall from block to block, and no block is visited twice: this ends.
    var pending = [(root, level)]
    var visited: Set<UInt64> = []
    while let (address, level) = pending.popLast() {
      guard visited.insert(address).inserted, visited.count * nodeSize <= TreeRebuilding.limit else {
        throw ImageError("tree at \(root) is too large or leads to itself", errno: 5)
      }
      let bytes = try source.block(at: address, level: level)
      let header = TreeBlockHeader(bytes.rawBytes)
      guard !header.isLeaf else {
        for index in 0..<header.itemCount {
          let item = LeafItem(bytes.rawBytes, index)
          guard let range = item.range(nodeSize: nodeSize) else { continue }
          items.append((item.key, bytes.rawBytes.array(range)))
        }
        leaves.append((address, bytes))
        continue
      }
      nodes.append((address, bytes))
      for index in (0..<header.itemCount).reversed() {
        pending.append((KeyPointer(bytes.rawBytes, index).address, level - 1))
      }
    }
    nodes.sort { $0.bytes[100] < $1.bytes[100] }
  }

  /// The number of the chunk tree, as every block has it.
  package var chunkTreeID: UUID128? { leaves.first.map { TreeBlockHeader($0.bytes.rawBytes).chunkTreeID } }

  /// The tree's blocks with other items in them.
  ///
  /// - Parameter items: in order of their keys.
  /// - Throws: that they do not fit, or that there are fewer items than leaves.
  package func blocks(with items: [Item]) throws(ImageError) -> [(address: UInt64, bytes: [UInt8])] {
    guard items.count >= leaves.count else { throw ImageError("too few items for the blocks of a tree", errno: 5) }
    let total = items.reduce(0) { $0 + LeafItem.headerSize + $1.data.count }
    var blocks: [(address: UInt64, bytes: [UInt8])] = []
    var firstKeys: [UInt64: ItemKey] = [:]
    var next = 0
    var stored = 0
    for (number, leaf) in leaves.enumerated() {
      let start = next
      let after = leaves.count - number - 1
      let share = (total * (number + 1) + leaves.count - 1) / leaves.count
      // Each leaf gets its share, at least one item, and leaves one for each that follows.
      while next < items.count - after, next == start || after == 0 || stored < share {
        stored += LeafItem.headerSize + items[next].data.count
        next += 1
      }
      let bytes = try self.leaf(leaf.bytes, items[start..<next])
      if start < next { firstKeys[leaf.address] = items[start].key }
      blocks.append((leaf.address, bytes))
    }
    for node in nodes {
      var buffer = Buffer(nodeSize)
      var bytes = buffer.mutableBytes
      bytes.copy(node.bytes.rawBytes, at: 0)
      for index in 0..<TreeBlockHeader(node.bytes.rawBytes).itemCount {
        let child = KeyPointer(node.bytes.rawBytes, index)
        let key = firstKeys[child.address] ?? child.key
        key.store(in: &bytes, at: TreeBlockHeader.size + index * KeyPointer.size)
        if index == 0 { firstKeys[node.address] = key }
      }
      algorithm.store(in: &bytes)
      blocks.append((node.address, buffer.bytes.array(0..<nodeSize)))
    }
    return blocks
  }

  /// A leaf with other items.
  private func leaf(_ old: [UInt8], _ items: ArraySlice<Item>) throws(ImageError) -> [UInt8] {
    let size = items.reduce(TreeBlockHeader.size) { $0 + LeafItem.headerSize + $1.data.count }
    guard size <= nodeSize else { throw ImageError("too many items for the blocks of a tree", errno: 5) }
    var buffer = Buffer(nodeSize)
    var bytes = buffer.mutableBytes
    bytes.copy(old.rawBytes.slice(0..<TreeBlockHeader.size), at: 0)
    bytes.storeLittleEndian(UInt32(items.count), at: TreeBlockHeader.countOffset)
    var end = nodeSize
    for (index, item) in items.enumerated() {
      end -= item.data.count
      let position = TreeBlockHeader.size + index * LeafItem.headerSize
      item.key.store(in: &bytes, at: position)
      bytes.storeLittleEndian(UInt32(end - TreeBlockHeader.size), at: position + 17)
      bytes.storeLittleEndian(UInt32(item.data.count), at: position + 21)
      bytes.copy(item.data.rawBytes, at: end)
    }
    algorithm.store(in: &bytes)
    return buffer.bytes.array(0..<nodeSize)
  }
}

extension ChunkPlan {
  /// The blocks of the chunk tree and of the device tree of a squeezed file system (btrfs-image §14.6).
  ///
  /// - Parameters:
  ///   - source: reads blocks as they are in the dump.
  ///   - superblock: as it is in the dump.
  package func rebuiltBlocks(
    _ source: TreeSource, _ superblock: BtrfsSuperblock
  ) throws(ImageError) -> [(address: UInt64, bytes: [UInt8])] {
    let chunkTree = try TreeRebuilding(source, superblock, root: superblock.chunkRoot, level: superblock.chunkRootLevel)
    let device = device(superblock.device)
    var hasDevice = false
    var items: [TreeRebuilding.Item] = []
    for item in chunkTree.items {
      switch item.key.type {
      case .deviceItem:
        guard item.key.offset == device.id else { continue }
        hasDevice = true
        items.append((item.key, encoded(device)))
      case .chunkItem:
        guard let chunk = chunks.chunk(containing: item.key.offset), chunk.logical == item.key.offset else { continue }
        items.append((item.key, encoded(chunk.item)))
      default: items.append(item)
      }
    }
    guard hasDevice else { throw ImageError("failed to find devid \(device.id)", errno: 2) }
    var blocks = try chunkTree.blocks(with: items)

    let root = try source.root(of: ObjectID.deviceTree, superblock)
    let deviceTree = try TreeRebuilding(source, superblock, root: root.address, level: root.level)
    guard let treeID = deviceTree.chunkTreeID else { throw ImageError("the device tree is empty", errno: 5) }
    // A replacement that was under way has lost its devices, and nothing could be mounted that waits for them.
    items = deviceTree.items.filter { $0.key.type != .deviceExtent && $0.key.type != .deviceReplacement }
    items += chunks.chunks.map { chunk in
      let key = ItemKey(device.id, .deviceExtent, chunk.item.stripes[0].offset)
      return (key, deviceExtent(chunk, treeID))
    }
    items.sort { $0.key < $1.key }
    blocks += try deviceTree.blocks(with: items)
    return blocks
  }

  private func encoded(_ device: DeviceItem) -> [UInt8] {
    var buffer = Buffer(DeviceItem.size)
    var bytes = buffer.mutableBytes
    device.store(in: &bytes, at: 0)
    return buffer.bytes.array(0..<DeviceItem.size)
  }

  private func encoded(_ item: ChunkItem) -> [UInt8] {
    var buffer = Buffer(item.size)
    var bytes = buffer.mutableBytes
    item.store(in: &bytes, at: 0)
    return buffer.bytes.array(0..<item.size)
  }

  /// What the device tree has for a chunk: 48 bytes.
  private func deviceExtent(_ chunk: Chunk, _ treeID: UUID128) -> [UInt8] {
    var buffer = Buffer(48)
    var bytes = buffer.mutableBytes
    bytes.storeLittleEndian(ObjectID.chunkTree, at: 0)
    bytes.storeLittleEndian(ObjectID.firstChunk, at: 8)
    bytes.storeLittleEndian(chunk.logical, at: 16)
    bytes.storeLittleEndian(chunk.item.length, at: 24)
    treeID.store(in: &bytes, at: 32)
    return buffer.bytes.array(0..<48)
  }
}
