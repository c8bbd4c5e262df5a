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
  /// The numbers of the file systems that are seeds of this one.
  private let seeds: Set<UUID128>

  /// - Parameter chunks: the chunks of the restored file system, where their types are others than in the dump.
  package init(_ scan: MetadumpScan, chunks: ChunkMap?) throws(ImageError) {
    nodeSize = Int(scan.superblock.nodeSize)
    fsid = scan.superblock.metadataUUID
    algorithm = try scan.superblock.checksumAlgorithm()
    self.chunks = chunks
    seeds = scan.seeds
  }

  /// Whether there is nothing to do for any block.
  package var isIdle: Bool { algorithm == .crc32c && chunks == nil && seeds.isEmpty }

  /// Changes the tree blocks in a piece of an item; other contents are left alone, and blocks that are damaged too.
  ///
  /// - Parameter address: logical address of the piece's first byte.
  @_lifetime(piece: copy piece)
  package func apply(to piece: inout MutableRawSpan, at address: UInt64) {
    if isIdle { return }
    var position = 0
    while position + nodeSize <= piece.byteCount {
      var block = piece.slice(position..<position + nodeSize)
      applyToBlock(&block, at: address.saturatingAdd(UInt64(position)))
      position += nodeSize
    }
  }

  @_lifetime(block: copy block)
  private func applyToBlock(_ block: inout MutableRawSpan, at address: UInt64) {
    let header = TreeBlockHeader(block.bytes)
    let isOfSeed = seeds.contains(header.fsid)
    guard header.address == address, header.fsid == fsid || isOfSeed else { return }
    var isChanged = false
    if !algorithm.verifies(block.bytes) {
      guard algorithm != .crc32c, ChecksumAlgorithm.crc32c.verifies(block.bytes) else { return }
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
