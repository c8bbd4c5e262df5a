import Bytes

extension BtrfsVolume {
  /// Bytes that are looked at in one go; a multiple of every node size.
  private static let scanWindow = 1 << 20

  /// Looks through chunks for tree blocks without the help of any tree, for volumes whose trees cannot be followed. What
  /// was once a tree block and is not used any more is found as well.
  ///
  /// - Parameters:
  ///   - kinds: chunks that hold one of these are looked at.
  ///   - body: takes the address and contents of each good block, in ascending order within a chunk.
  package func scanTreeBlocks(in kinds: ChunkType, _ body: (UInt64, RawSpan) -> Void) {
    // The same bytes may be named by many chunks of a volume that means harm.
    var left = devices.values.reduce(UInt64(1)) { $0.saturatingAdd($1.storage.length) }
    var window = Buffer(BtrfsVolume.scanWindow)
    for chunk in chunks.chunks where !chunk.item.type.isDisjoint(with: kinds) {
      var start = chunk.logical
      while start < chunk.end, left > 0 {
        let count = Int(min(UInt64(window.count), chunk.end - start, left))
        scan(start, count, of: chunk, &window, &left, body)
        start += UInt64(count)
      }
    }
  }

  private func scan(
    _ start: UInt64, _ count: Int, of chunk: Chunk, _ window: inout Buffer, _ left: inout UInt64,
    _ body: (UInt64, RawSpan) -> Void
  ) {
    var found = AddressSet()
    for mirror in 1...max(1, mirrorCount(at: start)) where left > 0 {
      left -= min(left, UInt64(count))
      var all = window.mutableBytes
      var bytes = all.slice(0..<count)
      guard (try? read(into: &bytes, at: start, mirror: mirror)) != nil else { continue }
      let contents = bytes.bytes
      var offset = 0
      while offset + nodeSize <= count {
        let address = start + UInt64(offset)
        let isBlock =
          contents.littleEndian(at: offset + 48, as: UInt64.self) == address
          && isGood(contents.slice(offset..<offset + nodeSize), at: address)
        if isBlock, found.insert(address) { body(address, contents.slice(offset..<offset + nodeSize)) }
        offset += isBlock ? nodeSize : Int(superblock.sectorSize)
      }
    }
  }
}
