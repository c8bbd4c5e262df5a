import Bytes

/// What is met on a walk through an inode's block map, in the order of the map (ext4-e2image §3.2).
enum BlockMapItem {
  /// A block that holds a part of the map itself, or the Hurd's translator.
  case index(UInt64)
  /// A run of blocks that hold contents: the first, and how many. Not checked; may reach beyond the largest number.
  case data(UInt64, UInt64)
}

/// Walks block maps. One for a whole scan: it knows how many blocks of maps there can be.
final class BlockMapWalker {
  private let volume: ExtVolume
  /// Blocks of maps that may still be read: there are no more than blocks in the device, and a map whose parts lead to
  /// each other over and over is not followed for ever.
  private var budget: UInt64
  /// Deeper trees than the format allows need not be followed (the kernel's limit).
  private static let depthLimit = 5

  init(_ volume: ExtVolume) {
    self.volume = volume
    let length = volume.storage.length
    // A hole has no map; a device does not say what it has.
    let allocated = volume.storage.allocatedSize.flatMap { $0 > 0 ? min($0, length) : nil } ?? length
    budget = 2 * (allocated / UInt64(volume.superblock.blockSize)) + 1024
  }

  /// Whether the map (60 bytes) of an inode names blocks that hold parts of it, or is damaged.
  static func hasIndexBlocks(_ inode: ExtInode, _ map: RawSpan) -> Bool {
    guard inode.hasExtents else { return !map.isZero(48..<60) }
    guard let header = NodeHeader(map) else { return !map.isZero }
    return header.depth > 0
  }

  /// Tells `visit` what the map (60 bytes) of an inode holds. A damaged part is passed over.
  ///
  /// - Returns: what is wrong with the first such part.
  func walk(_ inode: ExtInode, _ map: RawSpan, _ visit: (BlockMapItem) -> Void) -> ImageError? {
    if inode.translatorBlock != 0 { visit(.index(inode.translatorBlock)) }
    return inode.hasExtents ? walkExtents(map, visit) : walkIndirect(map, visit)
  }

  private func read(_ block: UInt64, otherwise error: ImageError) throws(ImageError) -> [UInt8] {
    guard budget > 0 else { throw error }
    budget -= 1
    return try volume.readBlock(block)
  }

  // MARK: Extents

  /// The header of a node: entries in use, and the depth of the tree below.
  private struct NodeHeader {
    let entryCount: Int
    let depth: Int
    static let size = 12

    /// Nil when it cannot be one.
    init?(_ bytes: RawSpan) {
      let capacity = (bytes.byteCount - NodeHeader.size) / 12
      let most = Int(bytes.littleEndian(at: 4, as: UInt16.self))
      entryCount = Int(bytes.littleEndian(at: 2, as: UInt16.self))
      depth = Int(bytes.littleEndian(at: 6, as: UInt16.self))
      guard bytes.littleEndian(at: 0, as: UInt16.self) == 0xF30A, entryCount <= most, most <= capacity,
        most >= capacity - 2
      else { return nil }
    }
  }

  private func walkExtents(_ map: RawSpan, _ visit: (BlockMapItem) -> Void) -> ImageError? {
    if map.isZero { return nil }
    guard let header = NodeHeader(map) else { return ExtError.corruptExtentHeader }
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
      let start = NodeHeader.size + entry * 12
      if level == 0 {
        visitExtent(node, at: start, visit)
        continue
      }
      let child =
        UInt64(node.littleEndian(at: start + 4, as: UInt32.self))
        | UInt64(node.littleEndian(at: start + 8, as: UInt16.self)) << 32
      visit(.index(child))
      do throws(ImageError) {
        if tree.path.contains(child) { throw ExtError.extentCycle }
        if tree.path.count == BlockMapWalker.depthLimit { throw ExtError.corruptExtentHeader }
        let bytes = try read(child, otherwise: ExtError.extentCycle)
        guard let header = NodeHeader(bytes.rawBytes) else { throw ExtError.corruptExtentHeader }
        if header.entryCount == 0 { throw ExtError.emptyExtentNode }
        tree.path.append(child)
        walkNode(bytes.rawBytes, header.entryCount, level: level - 1, &tree, visit)
        tree.path.removeLast()
      } catch {
        if tree.damage == nil { tree.damage = error }
      }
    }
  }

  /// Visits what a leaf's entry names, whatever others say about the same part of the file.
  private func visitExtent(_ node: RawSpan, at start: Int, _ visit: (BlockMapItem) -> Void) {
    let length = UInt64(node.littleEndian(at: start + 4, as: UInt16.self))
    let physical =
      UInt64(node.littleEndian(at: start + 8, as: UInt32.self))
      | UInt64(node.littleEndian(at: start + 6, as: UInt16.self)) << 32
    // Unwritten extents are treated as data: their length has 2^15 added.
    visit(.data(physical, length > 32768 ? length - 32768 : length))
  }

  // MARK: Indirect blocks

  private func walkIndirect(_ map: RawSpan, _ visit: (BlockMapItem) -> Void) -> ImageError? {
    var run = DataRun()
    var damage: ImageError?
    for index in 0..<12 { run.add(UInt64(map.littleEndian(at: index * 4, as: UInt32.self)), visit) }
    run.flush(visit)
    for level in 1...3 {
      walkIndirect(UInt64(map.littleEndian(at: 44 + level * 4, as: UInt32.self)), level: level, &damage, visit)
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
    var run = DataRun()
    for offset in stride(from: 0, to: span.byteCount, by: 4) {
      let child = UInt64(span.littleEndian(at: offset, as: UInt32.self))
      if level > 1 {
        walkIndirect(child, level: level - 1, &damage, visit)
      } else {
        run.add(child, visit)
      }
    }
    run.flush(visit)
  }

  /// Blocks that follow each other, put together.
  private struct DataRun {
    private var first: UInt64 = 0
    private var count: UInt64 = 0

    mutating func add(_ block: UInt64, _ visit: (BlockMapItem) -> Void) {
      if block == 0 { return }
      if block != first + count { flush(visit) }
      if count == 0 { first = block }
      count += 1
    }

    mutating func flush(_ visit: (BlockMapItem) -> Void) {
      if count > 0 { visit(.data(first, count)) }
      count = 0
    }
  }
}
