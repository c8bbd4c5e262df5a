import Bytes

/// New keys for the directory entries of a leaf, whose names have new hashes, and the order that they bring about.
///
/// The first key of a leaf stands in the block above, which may not follow, and the first one of the next leaf is not
/// known here: an entry that would have to leave its leaf cannot be found by its name any more. It is taken out, since the
/// kernel refuses a leaf with a single entry whose name has another hash than its key says, and with it every other name in
/// there.
struct LeafOrder {
  private struct Change {
    var index: Int
    /// Nil for an entry that no key fits.
    var key: ItemKey?
    /// Whether the key is so near to the old one that hardly any other lies between them.
    var isNear = false
  }

  private var changes: [Change] = []
  /// Whether the first item may have a key that is near to its own: the block above follows.
  private let movesFirst: Bool

  /// No changes yet.
  init(movesFirst: Bool) { self.movesFirst = movesFirst }

  /// Whether nothing has been asked for.
  var isEmpty: Bool { changes.isEmpty }

  /// Asks for another key.
  ///
  /// - Parameter isNear: whether the key is so near to the old one that hardly any other lies between them.
  mutating func change(_ index: Int, to key: ItemKey, isNear: Bool) {
    changes.append(Change(index: index, key: key, isNear: isNear))
  }

  /// Says that there is no key for an entry.
  mutating func lose(_ index: Int) { changes.append(Change(index: index)) }

  /// Stores the keys, and puts the items and their data in the order of all keys.
  ///
  /// - Parameters:
  ///   - count: number of items, within the leaf's capacity.
  ///   - first: what takes the place of the first item, of which this is the key and the data, when it would have to go:
  ///     its key has to stay.
  @_lifetime(block: copy block)
  func apply(to block: inout MutableRawSpan, count: Int, first: (ItemKey, RawSpan) -> [UInt8]) {
    let items = (0..<count).map { LeafItem(block.bytes, $0) }
    let ranges = items.compactMap { $0.range(nodeSize: block.byteCount) }
    guard ranges.count == count, let lowest = items.first?.key, let highest = items.last?.key else { return }
    var keys = items.map(\.key)
    let (moved, lost) = place(&keys, lowest, highest)
    var contents: [Int: [UInt8]] = [:]
    if lost.contains(0) { contents[0] = first(lowest, block.bytes.slice(ranges[0])) }
    let order = keys.indices.filter { $0 == 0 || !lost.contains($0) }.sorted { keys[$0] < keys[$1] }
    let size = order.reduce(0) { $0 + (contents[$1]?.count ?? ranges[$1].count) }
    let table = TreeBlockHeader.size + order.count * LeafItem.headerSize
    // A leaf that is full to the last byte has no room for what takes the first item's place.
    guard size <= block.byteCount - table else { return }
    if lost.isEmpty, order == Array(keys.indices) {
      for index in moved { keys[index].store(in: &block, at: TreeBlockHeader.size + index * LeafItem.headerSize) }
      return
    }
    let old = block.bytes.array(0..<block.byteCount)
    var end = block.byteCount
    for (place, index) in order.enumerated() {
      let length = contents[index]?.count ?? ranges[index].count
      end -= length
      if let content = contents[index] {
        block.copy(content.rawBytes, at: end)
      } else {
        block.copy(old.rawBytes.slice(ranges[index]), at: end)
      }
      keys[index].store(in: &block, at: TreeBlockHeader.size + place * LeafItem.headerSize)
      var item = items[index]
      (item.offset, item.size) = (end, length)
      item.storePlace(in: &block, place)
    }
    block.storeLittleEndian(UInt32(order.count), at: TreeBlockHeader.countOffset)
    block.fill(table..<end)
  }

  /// Gives the items that have asked for one another key.
  ///
  /// - Returns: the items that got one, and those that cannot stay.
  private func place(_ keys: inout [ItemKey], _ lowest: ItemKey, _ highest: ItemKey) -> (moved: [Int], lost: Set<Int>) {
    let leaving = Set(changes.map(\.index))
    var taken = Set(keys.indices.filter { !leaving.contains($0) }.map { keys[$0] })
    var moved: [Int] = []
    var lost: Set<Int> = []
    for change in changes {
      if let key = change.key,
        change.index == 0 ? movesFirst && change.isNear : key > lowest && (key < highest || change.isNear),
        taken.insert(key).inserted
      {
        keys[change.index] = key
        moved.append(change.index)
      } else {
        lost.insert(change.index)
      }
    }
    return (moved, lost)
  }
}
