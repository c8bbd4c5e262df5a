import Bytes

/// The key of an item: trees are ordered by object, then type, then offset (btrfs-image §1).
package struct ItemKey: Sendable, Hashable, Comparable {
  /// Size in bytes where it is stored.
  package static let size = 17

  /// The object: an inode, a tree, a logical address, by type.
  package var objectID: UInt64
  /// What kind of item it is.
  package var type: ItemType
  /// What the type makes of it: a file offset, a hash, a parent, a length.
  package var offset: UInt64

  package init(_ objectID: UInt64, _ type: ItemType, _ offset: UInt64) {
    self.objectID = objectID
    self.type = type
    self.offset = offset
  }

  /// The key stored at byte `position` of `bytes`.
  @inlinable package init(_ bytes: RawSpan, at position: Int) {
    objectID = bytes.littleEndian(at: position)
    type = ItemType(rawValue: bytes[position + 8])
    offset = bytes.littleEndian(at: position + 9)
  }

  /// Stores the key at byte `position`.
  @_lifetime(bytes: copy bytes)
  package func store(in bytes: inout MutableRawSpan, at position: Int) {
    bytes.storeLittleEndian(objectID, at: position)
    bytes.storeLittleEndian(type.rawValue, at: position + 8)
    bytes.storeLittleEndian(offset, at: position + 9)
  }

  @inlinable package static func < (a: ItemKey, b: ItemKey) -> Bool {
    if a.objectID != b.objectID { return a.objectID < b.objectID }
    if a.type != b.type { return a.type < b.type }
    return a.offset < b.offset
  }
}

/// The kinds of items that matter here (btrfs-image §6).
package struct ItemType: RawRepresentable, Sendable, Hashable, Comparable {
  package let rawValue: UInt8

  @inlinable package init(rawValue: UInt8) { self.rawValue = rawValue }

  @inlinable package static func < (a: ItemType, b: ItemType) -> Bool { a.rawValue < b.rawValue }

  package static let inodeItem = ItemType(rawValue: 1)
  package static let inodeReference = ItemType(rawValue: 12)
  package static let inodeExtendedReference = ItemType(rawValue: 13)
  package static let extendedAttribute = ItemType(rawValue: 24)
  package static let directoryItem = ItemType(rawValue: 84)
  package static let directoryIndex = ItemType(rawValue: 96)
  package static let extentData = ItemType(rawValue: 108)
  /// Checksums of data in volumes of the format's first year.
  package static let legacyChecksum = ItemType(rawValue: 120)
  package static let extentChecksum = ItemType(rawValue: 128)
  package static let rootItem = ItemType(rawValue: 132)
  package static let rootBackReference = ItemType(rawValue: 144)
  package static let rootReference = ItemType(rawValue: 156)
  package static let extentItem = ItemType(rawValue: 168)
  package static let metadataItem = ItemType(rawValue: 169)
  package static let blockGroupItem = ItemType(rawValue: 192)
  package static let deviceExtent = ItemType(rawValue: 204)
  package static let deviceItem = ItemType(rawValue: 216)
  package static let chunkItem = ItemType(rawValue: 228)
  package static let deviceReplacement = ItemType(rawValue: 250)
}

/// Numbers of trees, and of objects in them (btrfs-image §6).
package enum ObjectID {
  package static let rootTree: UInt64 = 1
  package static let extentTree: UInt64 = 2
  package static let chunkTree: UInt64 = 3
  package static let deviceTree: UInt64 = 4
  package static let fileSystemTree: UInt64 = 5
  package static let checksumTree: UInt64 = 7
  package static let quotaTree: UInt64 = 8
  package static let uuidTree: UInt64 = 9
  package static let freeSpaceTree: UInt64 = 10
  package static let blockGroupTree: UInt64 = 11
  /// The object of all device items.
  package static let devices: UInt64 = 1
  /// The object of all chunk items.
  package static let firstChunk: UInt64 = 256
  /// −9: the tree that data is moved with.
  package static let dataRelocationTree = UInt64(bitPattern: -9)
  /// −6: the log trees.
  package static let treeLog = UInt64(bitPattern: -6)
}
