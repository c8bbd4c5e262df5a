import Btrfs
import Bytes

/// Reads blocks of trees where a restored file system will have them.
package struct TreeSource: Sendable {
  private let nodeSize: Int
  private let fsid: UUID128
  private let algorithm: ChecksumAlgorithm
  private let fetch: @Sendable (inout Buffer, UInt64) throws(ImageError) -> Void

  /// - Parameter fetch: fills a block with what is at a logical address.
  package init(
    _ superblock: BtrfsSuperblock, fetch: @escaping @Sendable (inout Buffer, UInt64) throws(ImageError) -> Void
  ) throws(ImageError) {
    nodeSize = Int(superblock.nodeSize)
    fsid = superblock.metadataUUID
    algorithm = try superblock.checksumAlgorithm()
    self.fetch = fetch
  }

  /// The block at a logical address, checked: checksum, address, file system, level, form.
  ///
  /// - Parameter level: what its level must be; nil: any.
  package func block(at address: UInt64, level: UInt8? = nil) throws(ImageError) -> [UInt8] {
    var buffer = Buffer(nodeSize)
    try fetch(&buffer, address)
    let block = buffer.bytes
    let header = TreeBlockHeader(block)
    let problem: String?
    if header.address != address {
      problem = "bytenr mismatch, want=\(address), have=\(header.address)"
    } else if header.fsid != fsid {
      problem = "fsid mismatch, want=\(fsid), have=\(header.fsid)"
    } else if header.level >= TreeBlockHeader.levelLimit || header.level != level ?? header.level {
      problem = "bad level, \(header.level) > \(TreeBlockHeader.levelLimit)"
    } else if header.itemCount > header.capacity(nodeSize: nodeSize) || (!header.isLeaf && header.itemCount == 0) {
      problem = "invalid nr_items: \(header.itemCount)"
    } else if !algorithm.verifies(block) {
      problem = "checksum verify failed"
    } else if header.isLeaf
      ? leafFault(block, count: header.itemCount) != nil
      : nodeFault(block, count: header.itemCount, sectorSize: 1) != nil
    {
      problem = "items out of order"
    } else {
      problem = nil
    }
    if let problem { throw ImageError("bad tree block \(address), \(problem)", errno: 5) }
    return block.array(0..<nodeSize)
  }

  /// The data of the item with the greatest key that is at most `key`, and that key; nil where there is none.
  package func item(atOrBefore key: ItemKey, in root: UInt64, level: UInt8) throws(ImageError) -> (ItemKey, [UInt8])? {
    var address = root
    var level = level
    while true {
      let block = try block(at: address, level: level)
      let bytes = block.rawBytes
      let header = TreeBlockHeader(bytes)
      if header.isLeaf {
        var found: LeafItem?
        for index in 0..<header.itemCount {
          let item = LeafItem(bytes, index)
          if item.key > key { break }
          found = item
        }
        guard let found, let range = found.range(nodeSize: nodeSize) else { return nil }
        return (found.key, bytes.array(range))
      }
      var child: UInt64?
      for index in 0..<header.itemCount {
        let pointer = KeyPointer(bytes, index)
        if pointer.key > key { break }
        child = pointer.address
      }
      guard let child else { return nil }
      address = child
      level -= 1
    }
  }

  /// Where the root of a tree is, and its level, by its item in the root tree.
  package func root(of tree: UInt64, _ superblock: BtrfsSuperblock) throws(ImageError) -> (
    address: UInt64, level: UInt8
  ) {
    let key = ItemKey(tree, .rootItem, .max)
    let found = try item(atOrBefore: key, in: superblock.root, level: superblock.rootLevel)
    // The oldest form ends behind the level.
    guard let (foundKey, data) = found, foundKey.objectID == tree, foundKey.type == .rootItem, data.count >= 239 else {
      throw ImageError("root of tree \(tree) not found", errno: 5)
    }
    let level = data[238]
    guard level < TreeBlockHeader.levelLimit else { throw ImageError("root of tree \(tree) is not valid", errno: 5) }
    return (data.rawBytes.littleEndian(at: 176), level)
  }
}
