import Bytes

/// Walks block maps one by one, in the order in which their parts stand in them: what is wrong with one is told in that
/// order.
struct BlockMapWalker {
  private let volume: ExtVolume
  private let budget: BlockMapBudget

  /// One for a whole scan: it knows how many blocks of maps there can be.
  init(_ volume: ExtVolume) {
    self.volume = volume
    budget = BlockMapBudget(volume)
  }

  /// Tells `visit` what the map (60 bytes) of an inode holds. A damaged part is passed over.
  ///
  /// - Returns: what is wrong with the first such part; of several trees of indirect blocks, with the last.
  func walk(_ inode: ExtInode, _ map: RawSpan, _ visit: (BlockMapItem) -> Void) -> ImageError? {
    budget.renew()
    if inode.translatorBlock != 0 { visit(.index(inode.translatorBlock)) }
    return inode.hasExtents ? walkExtents(map, visit) : walkIndirect(map, visit)
  }

  private func read(_ block: UInt64, otherwise error: ImageError) throws(ImageError) -> [UInt8] {
    try budget.spend(of: 0, otherwise: error)
    return try volume.readBlock(block)
  }

  // MARK: Extents

  private func walkExtents(_ map: RawSpan, _ visit: (BlockMapItem) -> Void) -> ImageError? {
    if map.isZero { return nil }
    guard let header = BlockMap.NodeHeader(map) else { return ExtError.corruptExtentHeader }
    var tree = ExtentWalk(path: [], damage: nil)
    walkNode(map, header.entryCount, level: header.depth, &tree, visit)
    return tree.damage
  }

  private struct ExtentWalk {
    /// The nodes above, without the root.
    var path: [UInt64]
    var damage: ImageError?
  }

  /// - Parameter level: levels below this node, by the depth that the root names.
  private func walkNode(
    _ node: RawSpan, _ entryCount: Int, level: Int, _ tree: inout ExtentWalk, _ visit: (BlockMapItem) -> Void
  ) {
    for entry in 0..<entryCount {
      if level == 0 {
        visit(BlockMap.extent(node, entry))
        continue
      }
      let child = BlockMap.child(node, entry)
      visit(.index(child))
      do throws(ImageError) {
        if tree.path.contains(child) { throw ExtError.extentCycle }
        if tree.path.count == BlockMap.depthLimit { throw ExtError.corruptExtentHeader }
        let bytes = try read(child, otherwise: ExtError.extentCycle)
        guard let header = BlockMap.NodeHeader(bytes.rawBytes) else { throw ExtError.corruptExtentHeader }
        if header.entryCount == 0 { throw ExtError.emptyExtentNode }
        tree.path.append(child)
        walkNode(bytes.rawBytes, header.entryCount, level: level - 1, &tree, visit)
        tree.path.removeLast()
      } catch {
        if tree.damage == nil { tree.damage = error }
      }
    }
  }

  // MARK: Indirect blocks

  private func walkIndirect(_ map: RawSpan, _ visit: (BlockMapItem) -> Void) -> ImageError? {
    var damage: ImageError?
    BlockMap.forEachRun(of: map.slice(0..<48), visit)
    for level in 1...3 {
      var own: ImageError?
      walkIndirect(UInt64(map.littleEndian(at: 44 + level * 4, as: UInt32.self)), level: level, &own, visit)
      damage = own ?? damage
    }
    return damage
  }

  /// - Parameter level: 1 for a block that names contents, 2 and 3 for those above.
  private func walkIndirect(
    _ block: UInt64, level: Int, _ damage: inout ImageError?, _ visit: (BlockMapItem) -> Void
  ) {
    if block == 0 { return }
    visit(.index(block))
    let bytes: [UInt8]
    do throws(ImageError) {
      let error = [ExtError.badIndirect, ExtError.badDoubleIndirect, ExtError.badTripleIndirect][level - 1]
      guard (volume.superblock.firstDataBlock..<volume.superblock.blockCount).contains(block) else { throw error }
      bytes = try read(block, otherwise: error)
    } catch {
      if damage == nil { damage = error }
      return
    }
    let span = bytes.rawBytes
    if level == 1 { return BlockMap.forEachRun(of: span, visit) }
    for offset in stride(from: 0, to: span.byteCount, by: 4) {
      walkIndirect(UInt64(span.littleEndian(at: offset, as: UInt32.self)), level: level - 1, &damage, visit)
    }
  }
}
