import Bytes

/// New keys for items of a leaf, whose names have new hashes, and the order that they bring about.
///
/// The first key of a leaf stands in the block above, and the first one of the next leaf is not known here: an item that
/// would have to leave its leaf keeps its old key.
struct LeafOrder {
  private var changes: [(index: Int, key: ItemKey, isNear: Bool)] = []

  /// Asks for another key.
  ///
  /// - Parameter isNear: whether the key is so near to the old one that hardly any other lies between them.
  mutating func change(_ index: Int, to key: ItemKey, isNear: Bool) { changes.append((index, key, isNear)) }

  /// Stores the keys, and puts the items and their data in the order of all keys.
  ///
  /// - Parameter count: number of items, within the leaf's capacity.
  @_lifetime(block: copy block)
  func apply(to block: inout MutableRawSpan, count: Int) {
    if changes.isEmpty { return }
    let items = (0..<count).map { LeafItem(block.bytes, $0) }
    guard let first = items.first?.key, let last = items.last?.key else { return }
    var keys = items.map(\.key)
    var taken = Set(keys)
    for (index, key, isNear) in changes
    where index > 0 && key > first && (key < last || isNear) && taken.insert(key).inserted {
      taken.remove(keys[index])
      keys[index] = key
    }
    let order = keys.indices.sorted { keys[$0] < keys[$1] }
    guard order == Array(keys.indices) else { return reorder(&block, items, keys, order) }
    for index in keys.indices { keys[index].store(in: &block, at: TreeBlockHeader.size + index * LeafItem.headerSize) }
  }

  @_lifetime(block: copy block)
  private func reorder(_ block: inout MutableRawSpan, _ items: [LeafItem], _ keys: [ItemKey], _ order: [Int]) {
    let ranges = items.compactMap { $0.range(nodeSize: block.byteCount) }
    var end = block.byteCount
    let table = TreeBlockHeader.size + items.count * LeafItem.headerSize
    guard ranges.count == items.count, ranges.reduce(0, { $0 + $1.count }) <= end - table else { return }
    let old = block.bytes.array(0..<end)
    for (place, index) in order.enumerated() {
      end -= ranges[index].count
      block.copy(old.rawBytes.slice(ranges[index]), at: end)
      keys[index].store(in: &block, at: TreeBlockHeader.size + place * LeafItem.headerSize)
      var item = items[index]
      item.offset = end
      item.storePlace(in: &block, place)
    }
  }
}
