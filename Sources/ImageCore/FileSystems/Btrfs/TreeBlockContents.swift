import Bytes

/// What is wrong with the items of a leaf or the pointers of a node (btrfs-image §5, §16).
package enum TreeBlockContentsFault: Sendable, Equatable {
  /// An item's key is not above the one before it.
  case leafOrder(slot: Int, previous: ItemKey, key: ItemKey)
  /// An item's data does not end where that of the item before begins; both counted from the end of the header.
  case itemEnd(slot: Int, found: Int, expected: Int)
  /// An item's data begins before its header ends.
  case overlap(slot: Int, headerEnd: Int, start: Int)
  /// A node without pointers.
  case emptyNode
  case noPointer(slot: Int)
  case unalignedPointer(slot: Int, address: UInt64, alignment: Int)
  /// A pointer's key is not below the next one.
  case nodeOrder(slot: Int, key: ItemKey, next: ItemKey)

  /// The line about it in the reference's words.
  package func line(of header: TreeBlockHeader) -> String {
    func text(_ key: ItemKey) -> String { "(\(key.objectID) \(key.type.rawValue) \(key.offset))" }
    func line(_ slot: Int, _ text: String) -> String {
      "corrupt \(header.isLeaf ? "leaf" : "node"): root=\(Int64(bitPattern: header.owner)) block=\(header.address) "
        + "slot=\(slot), \(text)"
    }
    switch self {
    case .leafOrder(let slot, let previous, let key):
      return line(slot, "bad key order, prev \(text(previous)) current \(text(key))")
    case .itemEnd(let slot, let found, let expected):
      return line(slot, "unexpected item end, have \(found) expect \(expected)")
    case .overlap(let slot, let headerEnd, let start):
      return line(slot, "slot overlaps with its data, item end \(headerEnd) data start \(start)")
    case .emptyNode: return "bad tree block \(header.address), invalid nr_items: 0"
    case .noPointer(let slot): return line(slot, "invalid NULL node pointer")
    case .unalignedPointer(let slot, let address, let alignment):
      return line(slot, "unaligned pointer, have \(address) should be aligned to \(alignment)")
    case .nodeOrder(let slot, let key, let next):
      return line(slot, "bad key order, current \(text(key)) next \(text(next))")
    }
  }
}

/// The first fault of a leaf: its items have to be in order, and their data packed from the block's end downwards without
/// overlap.
///
/// - Parameters:
///   - block: the whole block.
///   - count: number of items, within the capacity.
package func leafFault(_ block: RawSpan, count: Int) -> TreeBlockContentsFault? {
  var end = block.byteCount
  var previous: ItemKey?
  for slot in 0..<count {
    let item = LeafItem(block, slot)
    if let previous, previous >= item.key { return .leafOrder(slot: slot, previous: previous, key: item.key) }
    guard let range = item.range(nodeSize: block.byteCount), range.upperBound == end else {
      return .itemEnd(
        slot: slot, found: item.offset - TreeBlockHeader.size + item.size, expected: end - TreeBlockHeader.size)
    }
    let headerEnd = TreeBlockHeader.size + (slot + 1) * LeafItem.headerSize
    if range.lowerBound < headerEnd {
      return .overlap(slot: slot, headerEnd: headerEnd, start: range.lowerBound)
    }
    previous = item.key
    end = range.lowerBound
  }
  let tableEnd = TreeBlockHeader.size + count * LeafItem.headerSize
  // The data of an item may reach into the headers of items behind it only if they are empty.
  return end < tableEnd ? .overlap(slot: count - 1, headerEnd: tableEnd, start: end) : nil
}

/// The first fault of a node: its keys have to be in order, and its children where blocks can be.
///
/// - Parameters:
///   - count: number of key pointers, within the capacity.
///   - sectorSize: what addresses are multiples of, in bytes.
package func nodeFault(_ block: RawSpan, count: Int, sectorSize: Int) -> TreeBlockContentsFault? {
  if count == 0 { return .emptyNode }
  for slot in 0..<count {
    let pointer = KeyPointer(block, slot)
    if pointer.address == 0 { return .noPointer(slot: slot) }
    if pointer.address % UInt64(max(1, sectorSize)) != 0 {
      return .unalignedPointer(slot: slot, address: pointer.address, alignment: sectorSize)
    }
    guard slot + 1 < count else { break }
    let next = KeyPointer(block, slot + 1).key
    if pointer.key >= next { return .nodeOrder(slot: slot, key: pointer.key, next: next) }
  }
  return nil
}

/// Whether a leaf has no ``leafFault(_:count:)``.
package func isWellFormedLeaf(_ block: RawSpan, count: Int) -> Bool { leafFault(block, count: count) == nil }
