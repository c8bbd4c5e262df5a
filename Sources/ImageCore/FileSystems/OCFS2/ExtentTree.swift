import Bytes

/// What a walk over an extent tree meets.
enum ExtentTreeItem {
  /// A block of the tree itself, or the place of an empty record.
  case block(UInt64)
  /// A run of blocks with the file's contents, within the volume.
  case run(Range<UInt64>)
  /// Something that cannot be followed; the walk goes on behind it.
  case damage(ImageError)
}

extension OCFS2Volume {
  /// Walks over an extent tree in order (ocfs2-o2image §15.4), past everything that is damaged.
  ///
  /// - Parameters:
  ///   - list: the tree's root.
  ///   - visited: the extent blocks met so far: one that is met again is not followed, so that no walk is without end.
  ///   - check: looks at an extent block's bytes (its checksum).
  func walk(
    _ list: ExtentList, visited: inout Set<UInt64>, check: (RawSpan, UInt64) -> Void = { _, _ in },
    _ body: (ExtentTreeItem) -> Void
  ) {
    if !list.isSound { body(.damage(.corruptExtentBlock)) }
    guard list.depth <= ExtentList.maximumDepth else { return }
    for record in list.records {
      if list.depth == 0 {
        let count = UInt64(record.clusters) * superblock.blocksPerCluster
        let (end, overflow) = record.block.addingReportingOverflow(count)
        if count == 0 {
          body(.block(record.block))
        } else if overflow || end > superblock.blockCount {
          body(.damage(.badBlockNumber))
        } else {
          body(.run(record.block..<end))
        }
        continue
      }
      guard visited.insert(record.block).inserted else {
        body(.damage(.corruptExtentBlock))
        continue
      }
      do throws(ImageError) {
        var buffer = Buffer(superblock.blockSize)
        try read(record.block, into: &buffer)
        body(.block(record.block))
        check(buffer.bytes, record.block)
        let child = try ExtentBlock.list(buffer.bytes)
        guard child.depth == list.depth - 1 else { throw .corruptExtentBlock }
        walk(child, visited: &visited, check: check, body)
      } catch {
        body(.damage(error))
      }
    }
  }
}
