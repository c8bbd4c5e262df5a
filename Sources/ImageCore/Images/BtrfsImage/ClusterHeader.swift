import Bytes
import Btrfs

/// A version of the metadump format (btrfs-image §7).
package enum MetadumpVersion: UInt8, Sendable, CaseIterable {
  /// Metadata only.
  case metadata = 0
  /// File contents too.
  case data = 1

  /// What every cluster begins with, as a little-endian word.
  package var magic: UInt64 {
    switch self {
    case .metadata: 0xBD5C_25E2_7295_668B
    case .data: 0x3176_5F50_6D55_445F
    }
  }

  /// Up to how many bytes neighbours are merged into one item. A longer extent is still one item.
  package var itemLimit: UInt64 {
    switch self {
    case .metadata: 256 << 10
    case .data: 256 << 20
    }
  }

  /// The version whose magic `bytes` (at least 8) begin with; nil when they are no metadump.
  package init?(_ bytes: RawSpan) {
    let magic: UInt64 = bytes.littleEndian(at: 0)
    guard let version = MetadumpVersion.allCases.first(where: { $0.magic == magic }) else { return nil }
    self = version
  }
}

/// An entry of a cluster's table.
package struct MetadumpItem: Sendable, Equatable {
  /// Logical address of its first byte; the superblock's place on its device for the superblock.
  package var address: UInt64
  /// Bytes that it takes in the file: of a zlib stream where the cluster is compressed.
  package var storedSize: UInt32

  package init(address: UInt64, storedSize: UInt32) {
    self.address = address
    self.storedSize = storedSize
  }
}

/// The block that begins a cluster: 1024 bytes, little-endian, then the items' payloads back to back, then zeros up to a
/// multiple of 1024 (btrfs-image §7.1).
package struct ClusterHeader: Sendable, Equatable {
  /// Size in bytes of the header, and what clusters are padded to.
  package static let size = 1024
  /// Most items of a cluster.
  package static let capacity = (size - tableOffset) / entrySize

  private static let tableOffset = 21
  private static let entrySize = 12

  package var version: MetadumpVersion
  /// The header's own place in the file in bytes.
  package var offset: UInt64
  /// Whether every payload is a zlib stream.
  package var isCompressed: Bool
  /// 1 to ``capacity`` items.
  package var items: [MetadumpItem]

  package init(version: MetadumpVersion, offset: UInt64, isCompressed: Bool, items: [MetadumpItem]) {
    self.version = version
    self.offset = offset
    self.isCompressed = isCompressed
    self.items = items
  }

  /// The header in `bytes`, 1024 of them, at `offset` of a file of this version. Sizes of items are not checked.
  ///
  /// - Throws: `bad header in metadump image`, also for a number of items or a compression that do not exist.
  package init(_ bytes: RawSpan, version: MetadumpVersion, at offset: UInt64) throws(ImageError) {
    let count = Int(bytes.littleEndian(at: 16, as: UInt32.self))
    guard MetadumpVersion(bytes) == version, bytes.littleEndian(at: 8, as: UInt64.self) == offset,
      (1...ClusterHeader.capacity).contains(count), bytes[20] <= 1
    else { throw ImageError("bad header in metadump image", errno: 5) }
    self.version = version
    self.offset = offset
    isCompressed = bytes[20] == 1
    items = (0..<count).map { index in
      let position = ClusterHeader.tableOffset + index * ClusterHeader.entrySize
      return MetadumpItem(
        address: bytes.littleEndian(at: position), storedSize: bytes.littleEndian(at: position + 8))
    }
  }

  /// Bytes of the payloads without padding. Cannot overflow: it is a sum of few 32-bit sizes.
  package var payloadSize: UInt64 { items.reduce(0) { $0 + UInt64($1.storedSize) } }

  /// Where the next cluster begins, saturated.
  package var end: UInt64 {
    let size = UInt64(ClusterHeader.size)
    return (offset.saturatingAdd(size).saturatingAdd(payloadSize)).roundedUp(to: size) ?? .max
  }

  /// Stores the header in 1024 bytes. Slots behind the last item are left as they are: the reference leaves those of the
  /// cluster before, and our files are the same to the byte.
  @_lifetime(bytes: copy bytes)
  package func store(in bytes: inout MutableRawSpan) {
    bytes.storeLittleEndian(version.magic, at: 0)
    bytes.storeLittleEndian(offset, at: 8)
    bytes.storeLittleEndian(UInt32(items.count), at: 16)
    bytes.storeBytes(of: isCompressed ? 1 : 0, toByteOffset: 20, as: UInt8.self)
    for (index, item) in items.enumerated() {
      let position = ClusterHeader.tableOffset + index * ClusterHeader.entrySize
      bytes.storeLittleEndian(item.address, at: position)
      bytes.storeLittleEndian(item.storedSize, at: position + 8)
    }
  }
}
