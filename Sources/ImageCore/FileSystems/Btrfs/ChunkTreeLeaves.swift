import Bytes

/// What leaves of the chunk tree say. Of an item that is found several times, the youngest is used.
struct ChunkTreeLeaves {
  let nodeSize: Int
  private(set) var chunks: [UInt64: (chunk: Chunk, generation: UInt64)] = [:]
  /// The numbers of the file systems whose devices there are: seeds have their own.
  private(set) var fileSystemIDs: Set<UUID128> = []
  /// What is wrong with items.
  private(set) var errors: [ImageError] = []

  init(nodeSize: Int) { self.nodeSize = nodeSize }

  mutating func add(_ leaf: RawSpan, _ count: Int) {
    let generation = TreeBlockHeader(leaf).generation
    for index in 0..<count {
      let item = LeafItem(leaf, index)
      guard let range = item.range(nodeSize: nodeSize) else { continue }
      if item.key.type == .deviceItem, range.count >= DeviceItem.size {
        fileSystemIDs.insert(DeviceItem(leaf, at: range.lowerBound).fsid)
      }
      guard item.key.type == .chunkItem else { continue }
      do throws(ImageError) {
        let chunk = Chunk(logical: item.key.offset, item: try ChunkItem(leaf.slice(range), nodeSize: nodeSize))
        if let known = chunks[chunk.logical], known.generation >= generation { continue }
        chunks[chunk.logical] = (chunk, generation)
      } catch {
        errors.append(error)
      }
    }
  }
}
