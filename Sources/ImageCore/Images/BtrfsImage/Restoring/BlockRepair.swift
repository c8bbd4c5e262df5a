import Btrfs
import Bytes

/// What has to be changed in tree blocks one by one while they are restored.
///
/// The reference's dumps have crc32c checksums whatever the file system's algorithm is; when several devices become one,
/// block groups have the profile of their chunks (btrfs-image §14.6, §20 D2); and what a seed holds becomes part of the
/// file system that grew from it, since the seed's own superblock is not in the dump.
package struct BlockRepair: Sendable {
  private let nodeSize: Int
  private let fsid: UUID128
  private let algorithm: ChecksumAlgorithm
  /// The chunks with their new types, if those changed.
  private let chunks: ChunkMap?
  /// The chunks of the dump: what kind of contents to expect where.
  private let contents: ChunkMap
  /// The numbers of the file systems that are seeds of this one.
  private let seeds: Set<UUID128>

  /// - Parameter chunks: the chunks of the restored file system, where their types are others than in the dump.
  package init(_ scan: MetadumpScan, chunks: ChunkMap?) throws(ImageError) {
    nodeSize = Int(scan.superblock.nodeSize)
    fsid = scan.superblock.metadataUUID
    algorithm = try scan.superblock.checksumAlgorithm()
    self.chunks = chunks
    contents = scan.chunks
    seeds = scan.seeds
  }

  /// Whether there is nothing to do for any block.
  package var isIdle: Bool { algorithm == .crc32c && chunks == nil && seeds.isEmpty }

  /// Changes the tree blocks in a piece of an item, and looks whether there is one wherever one has to be; other contents
  /// are left alone, and blocks that are damaged too.
  ///
  /// - Parameter address: logical address of the piece's first byte.
  /// - Returns: the addresses where it is damaged or missing.
  @discardableResult
  @_lifetime(piece: copy piece)
  package func apply(to piece: inout MutableRawSpan, at address: UInt64) -> [UInt64] {
    var damaged: [UInt64] = []
    var position = 0
    while position + nodeSize <= piece.byteCount {
      let place = address.saturatingAdd(UInt64(position))
      var block = piece.slice(position..<position + nodeSize)
      switch applyToBlock(&block, at: place) {
      case .sound: break
      case .damaged: damaged.append(place)
      case .other: if holdsTreeBlocksOnly(place) { damaged.append(place) }
      }
      position += nodeSize
    }
    // A block that is cut.
    let rest = address.saturatingAdd(UInt64(position))
    if position < piece.byteCount, holdsTreeBlocksOnly(rest) { damaged.append(rest) }
    return damaged
  }

  /// Whether an address lies in a chunk that has no file contents.
  private func holdsTreeBlocksOnly(_ address: UInt64) -> Bool {
    guard let type = contents.chunk(containing: address)?.item.type else { return false }
    return type.isDisjoint(with: .data) && !type.isDisjoint(with: [.metadata, .system])
  }

  private enum Finding {
    case sound
    /// A tree block with a wrong checksum.
    case damaged
    /// No tree block of this file system and this place.
    case other
  }

  @_lifetime(block: copy block)
  private func applyToBlock(_ block: inout MutableRawSpan, at address: UInt64) -> Finding {
    let header = TreeBlockHeader(block.bytes)
    let isOfSeed = seeds.contains(header.fsid)
    guard header.address == address, header.fsid == fsid || isOfSeed else { return .other }
    var isChanged = false
    if !algorithm.verifies(block.bytes) {
      guard algorithm != .crc32c, ChecksumAlgorithm.crc32c.verifies(block.bytes) else { return .damaged }
      isChanged = true
    }
    if isOfSeed {
      fsid.store(in: &block, at: TreeBlockHeader.fsidOffset)
      isChanged = true
    }
    if header.isLeaf, header.itemCount <= header.capacity(nodeSize: nodeSize) {
      if let chunks, [ObjectID.extentTree, ObjectID.blockGroupTree].contains(header.owner) {
        for index in 0..<header.itemCount where setBlockGroup(in: &block, index, chunks) { isChanged = true }
      }
      if !seeds.isEmpty, header.owner == ObjectID.chunkTree {
        for index in 0..<header.itemCount where takeDevice(in: &block, index) { isChanged = true }
      }
    }
    if isChanged { algorithm.store(in: &block) }
    return .sound
  }

  /// Gives a block group the type of its chunk; false where the item is none.
  @_lifetime(block: copy block)
  private func setBlockGroup(in block: inout MutableRawSpan, _ index: Int, _ chunks: ChunkMap) -> Bool {
    let item = LeafItem(block.bytes, index)
    guard item.key.type == .blockGroupItem, let range = item.range(nodeSize: nodeSize), range.count >= 24,
      let chunk = chunks.chunk(containing: item.key.objectID), chunk.logical == item.key.objectID
    else { return false }
    block.storeLittleEndian(chunk.item.type.rawValue, at: range.lowerBound + 16)
    return true
  }

  /// Makes a seed's device one of the file system's own; false where the item is none.
  @_lifetime(block: copy block)
  private func takeDevice(in block: inout MutableRawSpan, _ index: Int) -> Bool {
    let item = LeafItem(block.bytes, index)
    guard item.key.type == .deviceItem, let range = item.range(nodeSize: nodeSize), range.count == DeviceItem.size
    else { return false }
    var device = DeviceItem(block.bytes, at: range.lowerBound)
    guard seeds.contains(device.fsid) else { return false }
    device.fsid = fsid
    device.store(in: &block, at: range.lowerBound)
    return true
  }
}
