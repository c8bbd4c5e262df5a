import Btrfs
import Bytes

/// What goes into a dump, in the order in which it stands there.
package struct DumpPlan: Sendable {
  /// What the bytes of an item are.
  package enum Kind: UInt8, Sendable {
    case superblock
    case treeBlocks
    /// Raw bytes, without checksum.
    case data
  }

  /// An item of the dump: neighbours of one kind are one.
  package struct Item: Sendable, Equatable {
    /// Logical address of its first byte; the superblock's place on its device for the superblock.
    package let address: UInt64
    /// Size in bytes before compression.
    package let length: UInt32
    package let kind: Kind
    /// Number of tree blocks that were added before.
    fileprivate let firstBlock: UInt32
  }

  /// A run of items that one worker handles, or a part of an item that is too long for that.
  package struct Batch: Sendable, Equatable {
    /// Places among the items.
    package let items: Range<Int>
    /// Bytes of the only item that come before; 0 for a run of whole items.
    package let skipped: Int
    /// Number of bytes.
    package let length: Int
  }

  /// Neighbours are merged up to this many bytes. Version 1 allows more; smaller items bound a reader's memory.
  package static let itemLimit: UInt64 = 256 << 10
  /// The longest extent of data that the format of the file system has, in bytes.
  package static let dataLimit: UInt64 = 128 << 20

  /// The transactions that wrote the tree blocks, in the order in which these were added; 0 where that is not known.
  private var generations: [UInt64] = []
  /// The items; the superblock is the first.
  package private(set) var items: [Item] = []
  /// Bytes of all items, before any are compressed.
  var byteCount: UInt64 { items.reduce(0) { $0 + UInt64($1.length) } }
  private var pending: (start: UInt64, size: UInt64, kind: Kind, firstBlock: Int)?
  private let splitsData: Bool

  /// A plan that holds nothing yet.
  ///
  /// - Parameter splitsData: whether a longer run of data becomes several items: always where items are compressed,
  ///   since a stream is made in one go; uncompressed, version 0 has one item.
  package init(splitsData: Bool) { self.splitsData = splitsData }

  /// Adds a run of bytes, or one tree block: it is merged with the one before where they touch (btrfs-image §10.3).
  ///
  /// - Parameter generation: the transaction that wrote a tree block, where it is known: of several copies the one that
  ///   has it is taken.
  package mutating func add(_ address: UInt64, _ length: UInt64, _ kind: Kind, generation: UInt64? = nil) {
    var (address, length) = (address, length)
    if kind == .data && splitsData {
      while length > DumpPlan.itemLimit {
        append(address, DumpPlan.itemLimit, kind)
        address += DumpPlan.itemLimit
        length -= DumpPlan.itemLimit
      }
    }
    if length > 0 { append(address, length, kind) }
    if kind == .treeBlocks { generations.append(generation ?? 0) }
  }

  private mutating func append(_ address: UInt64, _ length: UInt64, _ kind: Kind) {
    if let last = pending, last.kind == kind, last.size + length <= DumpPlan.itemLimit,
      last.start + last.size == address
    {
      pending = (last.start, last.size + length, kind, last.firstBlock)
    } else {
      flush()
      pending = (address, length, kind, generations.count)
    }
  }

  /// Ends the last item. To be called when everything has been added.
  package mutating func flush() {
    if let pending {
      items.append(
        Item(
          address: pending.start, length: UInt32(clamping: pending.size), kind: pending.kind,
          firstBlock: UInt32(clamping: pending.firstBlock)))
    }
    pending = nil
  }

  /// The transaction that wrote a tree block of an item, the first of which is 0; nil where it is not known.
  package func generation(of item: Item, block: Int) -> UInt64? {
    let index = Int(item.firstBlock) + block
    return index < generations.count && generations[index] > 0 ? generations[index] : nil
  }

  /// Cuts the plan into batches of at most `limit` bytes (at least ``itemLimit``).
  package func batches(limit: Int) -> [Batch] {
    var batches: [Batch] = []
    var first = 0
    var length = 0
    func close(_ end: Int) {
      if first < end { batches.append(Batch(items: first..<end, skipped: 0, length: length)) }
      (first, length) = (end, 0)
    }
    for (index, item) in items.enumerated() {
      let size = Int(item.length)
      if length + size > limit { close(index) }
      if size > limit {
        for skipped in stride(from: 0, to: size, by: limit) {
          batches.append(
            Batch(items: index..<index + 1, skipped: skipped, length: min(limit, size - skipped)))
        }
        first = index + 1
      } else {
        length += size
      }
    }
    close(items.count)
    return batches
  }
}
