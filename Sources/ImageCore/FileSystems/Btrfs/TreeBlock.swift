import Bytes

/// The header that every tree block begins with, little-endian (btrfs-image §5).
package struct TreeBlockHeader: Sendable, Equatable {
  /// Size in bytes: where items or key pointers begin.
  package static let size = 101
  /// Where the file system's number is.
  package static let fsidOffset = 32
  /// Where the number of items is, four bytes.
  package static let countOffset = 96
  /// Levels are below this.
  package static let levelLimit: UInt8 = 8

  /// The file system's number, 16 bytes: metadata_uuid where that feature is on.
  package var fsid: UUID128
  /// The block's own logical address.
  package var address: UInt64
  /// Flags, and the back reference revision in the top byte.
  package var flags: UInt64
  /// The chunk tree's number, 16 bytes.
  package var chunkTreeID: UUID128
  /// The transaction that wrote the block.
  package var generation: UInt64
  /// The tree it was made for.
  package var owner: UInt64
  /// Number of items (leaf) or key pointers (node).
  package var itemCount: Int
  /// 0 for a leaf.
  package var level: UInt8

  /// The header of `block` (at least ``size`` bytes). Nothing is checked.
  package init(_ block: RawSpan) {
    fsid = UUID128(block, at: TreeBlockHeader.fsidOffset)
    address = block.littleEndian(at: 48)
    flags = block.littleEndian(at: 56)
    chunkTreeID = UUID128(block, at: 64)
    generation = block.littleEndian(at: 80)
    owner = block.littleEndian(at: 88)
    itemCount = Int(block.littleEndian(at: TreeBlockHeader.countOffset, as: UInt32.self))
    level = block[100]
  }

  /// Whether the block is a leaf.
  @inlinable package var isLeaf: Bool { level == 0 }

  /// How many items or key pointers a block of `nodeSize` bytes and of this level has room for.
  package func capacity(nodeSize: Int) -> Int {
    (nodeSize - TreeBlockHeader.size) / (isLeaf ? LeafItem.headerSize : KeyPointer.size)
  }
}

/// An item of a leaf: its key, and where in the block its data lies.
package struct LeafItem: Sendable, Equatable {
  /// Size in bytes of what the leaf stores of it at its beginning.
  package static let headerSize = 25

  /// The key.
  package var key: ItemKey
  /// First byte of the data, counted from the block's beginning. Not checked: see ``range(in:)``.
  package var offset: Int
  /// Size of the data in bytes.
  package var size: Int

  /// Item `index` of `block`, within the leaf's capacity.
  @inlinable package init(_ block: RawSpan, _ index: Int) {
    let position = TreeBlockHeader.size + index * LeafItem.headerSize
    key = ItemKey(block, at: position)
    offset = TreeBlockHeader.size + Int(block.littleEndian(at: position + 17, as: UInt32.self))
    size = Int(block.littleEndian(at: position + 21, as: UInt32.self))
  }

  /// The bytes of a block of `nodeSize` bytes that the data takes; nil where it does not lie behind the header and
  /// within the block.
  @inlinable package func range(nodeSize: Int) -> Range<Int>? {
    offset >= TreeBlockHeader.size && offset <= nodeSize && size <= nodeSize - offset ? offset..<offset + size : nil
  }

  /// Stores position and size of the data for item `index`; the key is left alone.
  @_lifetime(block: copy block)
  package func storePlace(in block: inout MutableRawSpan, _ index: Int) {
    let position = TreeBlockHeader.size + index * LeafItem.headerSize
    block.storeLittleEndian(UInt32(truncatingIfNeeded: offset - TreeBlockHeader.size), at: position + 17)
    block.storeLittleEndian(UInt32(truncatingIfNeeded: size), at: position + 21)
  }
}

/// An entry of a node: the first key of a child, and where the child is.
package struct KeyPointer: Sendable, Equatable {
  /// Size in bytes.
  package static let size = 33

  /// The first key in the child.
  package var key: ItemKey
  /// The child's logical address.
  package var address: UInt64
  /// The transaction that wrote the child.
  package var generation: UInt64

  /// Pointer `index` of `block`, within the node's capacity.
  @inlinable package init(_ block: RawSpan, _ index: Int) {
    let position = TreeBlockHeader.size + index * KeyPointer.size
    key = ItemKey(block, at: position)
    address = block.littleEndian(at: position + 17)
    generation = block.littleEndian(at: position + 25)
  }
}
