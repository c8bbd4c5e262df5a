import Btrfs
import Bytes

/// What has to be changed in tree blocks one by one while they are restored.
///
/// The reference's dumps have crc32c checksums whatever the file system's algorithm is; and when several devices become
/// one, block groups have the profile of their chunks (btrfs-image §14.6, §20 D2).
package struct BlockRepair: Sendable {
  private let nodeSize: Int
  private let fsid: UUID128
  private let algorithm: ChecksumAlgorithm
  /// The chunks with their new types, if those changed.
  private let chunks: ChunkMap?

  /// - Parameter chunks: the chunks of the restored file system, where their types are others than in the dump.
  package init(_ superblock: BtrfsSuperblock, chunks: ChunkMap?) throws(ImageError) {
    nodeSize = Int(superblock.nodeSize)
    fsid = superblock.metadataUUID
    algorithm = try superblock.checksumAlgorithm()
    self.chunks = chunks
  }

  /// Whether there is nothing to do for any block.
  package var isIdle: Bool { algorithm == .crc32c && chunks == nil }

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
    guard header.address == address, header.fsid == fsid else { return }
    var isChanged = false
    if !algorithm.verifies(block.bytes) {
      guard algorithm != .crc32c, ChecksumAlgorithm.crc32c.verifies(block.bytes) else { return }
      isChanged = true
    }
    if let chunks, header.isLeaf, [ObjectID.extentTree, ObjectID.blockGroupTree].contains(header.owner),
      header.itemCount <= header.capacity(nodeSize: nodeSize)
    {
      for index in 0..<header.itemCount {
        let item = LeafItem(block.bytes, index)
        guard item.key.type == .blockGroupItem, let range = item.range(nodeSize: nodeSize), range.count >= 24,
          let chunk = chunks.chunk(containing: item.key.objectID), chunk.logical == item.key.objectID
        else { continue }
        block.storeLittleEndian(chunk.item.type.rawValue, at: range.lowerBound + 16)
        isChanged = true
      }
    }
    if isChanged { algorithm.store(in: &block) }
  }
}
