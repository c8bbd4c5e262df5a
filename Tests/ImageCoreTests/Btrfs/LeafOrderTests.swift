import Testing

@testable import Btrfs
@testable import ImageCore

/// Leaves of 4 KiB whose items get other keys.
@Suite struct LeafOrderTests {
  private static let nodeSize = 4096

  private func key(_ offset: UInt64) -> ItemKey { ItemKey(256, .directoryItem, offset) }

  /// A leaf with an item for each offset, whose data is `length` bytes of that number.
  private func leaf(_ offsets: [UInt64], length: Int = 10) -> Buffer {
    var buffer = Buffer(Self.nodeSize)
    var bytes = buffer.mutableBytes
    bytes.storeLittleEndian(UInt32(offsets.count), at: TreeBlockHeader.countOffset)
    var end = Self.nodeSize
    for (index, offset) in offsets.enumerated() {
      end -= length
      key(offset).store(in: &bytes, at: TreeBlockHeader.size + index * LeafItem.headerSize)
      var item = LeafItem(bytes.bytes, index)
      (item.offset, item.size) = (end, length)
      item.storePlace(in: &bytes, index)
      bytes.fill(end..<end + length, with: UInt8(offset))
    }
    return buffer
  }

  /// The items of the leaf with these offsets after `changes`: offset and first byte of each. The stand-in for the first
  /// has one byte more.
  private func changed(
    _ offsets: [UInt64], length: Int = 10, movesFirst: Bool = false, _ changes: (inout LeafOrder) -> Void
  ) -> [(offset: UInt64, content: UInt8)] {
    var order = LeafOrder(movesFirst: movesFirst)
    changes(&order)
    var buffer = leaf(offsets, length: length)
    var bytes = buffer.mutableBytes
    order.apply(to: &bytes, count: offsets.count) { _, data in [UInt8](repeating: 99, count: data.byteCount + 1) }
    let count = TreeBlockHeader(bytes.bytes).itemCount
    let isWellFormed = isWellFormedLeaf(bytes.bytes, count: count)
    #expect(isWellFormed)
    let lowest = (0..<count).map { LeafItem(bytes.bytes, $0).offset }.min() ?? Self.nodeSize
    let isGapClear = bytes.bytes.isZero(TreeBlockHeader.size + count * LeafItem.headerSize..<lowest)
    #expect(isGapClear)
    return (0..<count).map { index in
      let item = LeafItem(bytes.bytes, index)
      return (item.key.offset, bytes.bytes[item.offset])
    }
  }

  private func expect(_ found: [(offset: UInt64, content: UInt8)], _ wanted: [(UInt64, UInt8)]) {
    #expect(found.map(\.offset) == wanted.map(\.0))
    #expect(found.map(\.content) == wanted.map(\.1))
  }

  @Test func nothingAskedForChangesNothing() {
    expect(changed([1, 5, 9]) { _ in }, [(1, 1), (5, 5), (9, 9)])
  }

  @Test func aKeyChangesInItsPlace() {
    expect(changed([1, 5, 9]) { $0.change(1, to: key(6), isNear: true) }, [(1, 1), (6, 5), (9, 9)])
  }

  /// The first key, where the block above follows, to one nearby.
  @Test func theFirstKeyChanges() {
    expect(changed([2, 5], movesFirst: true) { $0.change(0, to: key(1), isNear: true) }, [(1, 2), (5, 5)])
    expect(changed([2, 5], movesFirst: true) { $0.change(0, to: key(7), isNear: true) }, [(5, 5), (7, 2)])
    expect(changed([2, 5], movesFirst: true) { $0.change(0, to: key(4), isNear: false) }, [(2, 99), (5, 5)])
    expect(changed([2, 5]) { $0.change(0, to: key(1), isNear: true) }, [(2, 99), (5, 5)])
  }

  @Test func anItemMovesWithItsKey() {
    expect(
      changed([1, 5, 9, 20, 30]) { $0.change(1, to: key(25), isNear: false) },
      [(1, 1), (9, 9), (20, 20), (25, 5), (30, 30)])
  }

  /// Names of one byte often change places with each other.
  @Test func twoKeysChangePlaces() {
    let swapped = changed([1, 5, 9, 30]) {
      $0.change(1, to: key(9), isNear: false)
      $0.change(2, to: key(5), isNear: false)
    }
    expect(swapped, [(1, 1), (5, 9), (9, 5), (30, 30)])
  }

  @Test func whatWouldLeaveTheLeafGoes() {
    expect(changed([3, 5, 9]) { $0.change(1, to: key(2), isNear: true) }, [(3, 3), (9, 9)])
    expect(changed([3, 5, 9]) { $0.change(1, to: key(40), isNear: false) }, [(3, 3), (9, 9)])
    // A near one is hardly behind the first item of the next leaf.
    expect(changed([3, 5, 9]) { $0.change(2, to: key(10), isNear: true) }, [(3, 3), (5, 5), (10, 9)])
  }

  @Test func whatHasNoKeyGoes() {
    expect(changed([3, 5, 9]) { $0.lose(2) }, [(3, 3), (5, 5)])
    // A key that another item has.
    expect(changed([3, 5, 9]) { $0.change(1, to: key(9), isNear: true) }, [(3, 3), (9, 9)])
  }

  @Test func theFirstKeyStays() {
    expect(changed([3, 5, 9]) { $0.change(0, to: key(4), isNear: true) }, [(3, 99), (5, 5), (9, 9)])
    expect(changed([3]) { $0.lose(0) }, [(3, 99)])
  }

  /// Not a byte is free, nor gets free: the leaf stays as it was.
  @Test func aFullLeafHasNoRoomForAStandIn() {
    let offsets: [UInt64] = [1, 2, 3, 4, 5]
    let length = (Self.nodeSize - TreeBlockHeader.size) / offsets.count - LeafItem.headerSize
    #expect((length + LeafItem.headerSize) * offsets.count == Self.nodeSize - TreeBlockHeader.size)
    expect(changed(offsets, length: length) { $0.lose(0) }, [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)])
    expect(
      changed(offsets, length: length) {
        $0.lose(0)
        $0.lose(3)
      }, [(1, 99), (2, 2), (3, 3), (5, 5)])
  }
}
