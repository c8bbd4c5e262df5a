import Btrfs
import Bytes

/// What must be known of a dump before anything can be put in its place: the superblock and the chunk tree
/// (btrfs-image §14.2).
///
/// Items are read from the beginning until the chunk tree is complete, which usually is after a few.
package struct MetadumpScan: Sendable {
  package let version: MetadumpVersion
  /// As it is in the dump; but of a device that the chunk tree knows, where it is that of one that was about to replace
  /// another.
  package private(set) var superblock: BtrfsSuperblock
  /// All chunks.
  package private(set) var chunks = ChunkMap()
  /// All devices that the chunk tree names, by number.
  package private(set) var devices: [DeviceItem] = []
  /// Whether all of the chunk tree is there.
  package private(set) var isComplete = false
  /// Logical addresses of the chunk tree's leaves, in order of their keys.
  package private(set) var chunkLeaves: [UInt64] = []

  /// The numbers of the file systems that are seeds of this one: parts of it still carry them.
  package var seeds: Set<UUID128> { Set(devices.map(\.fsid)).subtracting([superblock.metadataUUID]) }

  /// A block that carries another file system's number.
  private struct ForeignBlock {
    var fsid: UUID128
    /// What it is, if it makes sense.
    var block: Block?
    /// The item that it is in, and how much was read of that.
    var item: UInt64
    var size: Int
  }

  /// A block of the chunk tree.
  private enum Block {
    case leaf([Chunk], [DeviceItem])
    case node([UInt64])
  }

  /// The number of a device that is about to replace another one.
  private static let replacement: UInt64 = 0
  /// More blocks than this no chunk tree has: enough for exabytes.
  private static let blockLimit = 1 << 15

  /// Reads the beginning of a dump.
  ///
  /// - Parameter report: takes what is wrong with it although it can be used, and lines that go before the error.
  /// - Throws: the last line about what makes it unusable.
  package init(_ input: any MetadumpInput, report: (ImageError) -> Void) throws(ImageError) {
    var reader = ClusterReader(input)
    let payloads = PayloadReader(input)
    let first = try reader.next()
    guard let first, let version = reader.version else { throw ImageError("failed to read header", errno: 5) }
    guard first.address == BtrfsSuperblock.offsets[0] else {
      throw ImageError("did not find superblock at \(reader.lastAddress)", errno: 22)
    }
    self.version = version
    superblock = try MetadumpScan.superblock(first, payloads, report)

    let ranges: [Chunk]
    do throws(SystemChunkError) {
      ranges = try superblock.systemChunks()
    } catch {
      report(error.error(opening: false))
      throw ImageError("failed to read system chunk array", errno: 5)
    }
    guard !ranges.isEmpty else {
      report(ImageError("no system chunk found in super block"))
      throw ImageError("failed to read system chunk array", errno: 5)
    }

    var blocks: [UInt64: Block] = [:]
    var foreign: [UInt64: ForeignBlock] = [:]
    var leaves: [UInt64]?
    // Said only if something is missing for it: a restore meets these items again.
    var problems: [ImageError] = []
    while leaves == nil, let place = try reader.next() {
      // How long a compressed item is will be known when it has been read.
      let longest = place.isCompressed ? version.itemLimit : UInt64(place.storedSize)
      let end = place.address.saturatingAdd(longest)
      guard ranges.contains(where: { place.address < $0.end && $0.logical < end }) else { continue }
      let problem = try payloads.read(place) { (piece, count, address) throws(ImageError) in
        try scan(piece.bytes.slice(0..<count), at: address, ranges, &blocks, &foreign, report)
      }
      if let problem { problems.append(problem) }
      leaves = MetadumpScan.leaves(of: superblock.chunkRoot, blocks)
    }
    if leaves == nil, !foreign.isEmpty {
      MetadumpScan.adopt(foreign, into: &blocks, report)
      leaves = MetadumpScan.leaves(of: superblock.chunkRoot, blocks)
    }
    if leaves == nil {
      for problem in problems { report(problem) }
      report(ImageError("the chunk tree is not complete", errno: 5))
    }
    isComplete = leaves != nil
    chunkLeaves = leaves ?? blocks.keys.sorted()
    var found: [Chunk] = []
    for address in chunkLeaves {
      guard case .leaf(let chunks, let devices) = blocks[address] else { continue }
      self.devices += devices
      found += chunks
    }
    for chunk in found { insert(chunk, isInSystemArray: false, report) }
    // Without its tree a system chunk is still known.
    if leaves == nil {
      for chunk in ranges where chunks.chunk(containing: chunk.logical) == nil {
        insert(chunk, isInSystemArray: true, report)
      }
    }
    guard !chunks.chunks.isEmpty else { throw ImageError("no chunk found", errno: 5) }
    self.devices.sort { $0.id < $1.id }
    if isComplete {
      if superblock.device.id == MetadumpScan.replacement, let first = devices.first { superblock.device = first }
      compareSuperblock(report)
    }
  }

  /// Says where the superblock disagrees with the chunk tree: no kernel mounts that.
  private func compareSuperblock(_ report: (ImageError) -> Void) {
    let device = superblock.device
    if !devices.contains(where: { $0.id == device.id && $0.uuid == device.uuid }) {
      report(ImageError("the chunk tree does not know the device of the superblock", errno: 5))
    }
    if superblock.hasOtherSystemChunks(than: chunks) {
      report(ImageError("the superblock has other system chunks than the chunk tree", errno: 5))
    }
  }

  private mutating func insert(_ chunk: Chunk, isInSystemArray: Bool, _ report: (ImageError) -> Void) {
    do throws(ImageError) {
      try chunk.item.validate(
        logical: chunk.logical, sectorSize: superblock.sectorSize, isInSystemArray: isInSystemArray)
      try checkPlaces(of: chunk)
      try chunks.insert(chunk)
    } catch {
      report(error)
    }
  }

  /// What lies beyond the end of its device would make the target grow without end.
  private func checkPlaces(of chunk: Chunk) throws(ImageError) {
    for stripe in chunk.item.stripes {
      var sizes = devices.filter { $0.id == stripe.device }.map(\.totalBytes)
      if superblock.device.id == stripe.device { sizes.append(superblock.device.totalBytes) }
      let end = stripe.offset.saturatingAdd(chunk.item.bytesOnDevice)
      if let size = sizes.max(), end > size {
        throw ImageError("chunk \(chunk.logical) does not fit device \(stripe.device)", errno: 5)
      }
    }
  }

  private static func superblock(
    _ place: ItemPlace, _ payloads: PayloadReader, _ report: (ImageError) -> Void
  ) throws(ImageError) -> BtrfsSuperblock {
    var found: BtrfsSuperblock?
    let problem = try payloads.read(place) { (piece, count, address) throws(ImageError) in
      if address == place.address, count >= BtrfsSuperblock.size { found = BtrfsSuperblock(piece.bytes) }
    }
    if let problem { throw problem }
    guard let found else { throw PayloadReader.failure(place, "too short for a superblock") }
    do throws(ImageError) {
      try found.validate()
    } catch {
      report(error)
      throw ImageError("invalid superblock", errno: 5)
    }
    return found
  }

  /// Takes the blocks of the chunk tree out of a piece of an item.
  private func scan(
    _ piece: RawSpan, at address: UInt64, _ ranges: [Chunk], _ blocks: inout [UInt64: Block],
    _ foreign: inout [UInt64: ForeignBlock], _ report: (ImageError) -> Void
  ) throws(ImageError) {
    let nodeSize = Int(superblock.nodeSize)
    var position = 0
    while position + nodeSize <= piece.byteCount {
      let start = address.saturatingAdd(UInt64(position))
      let block = piece.slice(position..<position + nodeSize)
      position += nodeSize
      guard ranges.contains(where: { $0.logical <= start && start < $0.end }) else { continue }
      do throws(ImageError) {
        let header = TreeBlockHeader(block)
        if header.address == start, header.fsid != superblock.metadataUUID {
          foreign[start] = ForeignBlock(
            fsid: header.fsid, block: try? self.block(block, at: start, report), item: address, size: piece.byteCount)
        } else {
          blocks[start] = try self.block(block, at: start, report)
        }
      } catch {
        report(error)
        report(
          ImageError("failed to search tree blocks in item bytenr \(address) size \(piece.byteCount)", errno: 5))
      }
      guard blocks.count + foreign.count < MetadumpScan.blockLimit else {
        throw ImageError("the chunk tree is too large", errno: 5)
      }
    }
  }

  /// Adds the blocks that a seed has left, which the devices among the known ones tell.
  private static func adopt(
    _ foreign: [UInt64: ForeignBlock], into blocks: inout [UInt64: Block], _ report: (ImageError) -> Void
  ) {
    var known: Set<UUID128> = []
    for case .leaf(_, let devices) in blocks.values { known.formUnion(devices.map(\.fsid)) }
    for (address, found) in foreign.sorted(by: { $0.key < $1.key }) {
      if let block = found.block, known.contains(found.fsid) {
        blocks[address] = block
      } else {
        report(ImageError("filesystem metadata UUID of eb \(address) does not match", errno: 5))
        report(
          ImageError("failed to search tree blocks in item bytenr \(found.item) size \(found.size)", errno: 5))
      }
    }
  }

  private func block(_ block: RawSpan, at address: UInt64, _ report: (ImageError) -> Void) throws(ImageError) -> Block {
    let header = TreeBlockHeader(block)
    guard header.address == address else {
      throw ImageError("eb bytenr does not match found bytenr: \(header.address) != \(address)", errno: 5)
    }
    guard header.owner == ObjectID.chunkTree else {
      throw ImageError("wrong eb \(address) owner \(header.owner)", errno: 5)
    }
    guard header.level < TreeBlockHeader.levelLimit, header.itemCount <= header.capacity(nodeSize: block.byteCount)
    else {
      throw ImageError("bad tree block \(address), invalid nr_items: \(header.itemCount)", errno: 5)
    }
    guard header.isLeaf else {
      return .node((0..<header.itemCount).map { KeyPointer(block, $0).address })
    }
    var chunks: [Chunk] = []
    var devices: [DeviceItem] = []
    for index in 0..<header.itemCount {
      let item = LeafItem(block, index)
      guard let range = item.range(nodeSize: block.byteCount) else {
        throw ImageError("bad tree block \(address), item \(index) does not lie within it", errno: 5)
      }
      switch item.key.type {
      case .chunkItem:
        do throws(ImageError) {
          let chunk = try ChunkItem(block.slice(range), nodeSize: block.byteCount)
          chunks.append(Chunk(logical: item.key.offset, item: chunk))
        } catch {
          report(error)
        }
      case .deviceItem where range.count == DeviceItem.size: devices.append(DeviceItem(block, at: range.lowerBound))
      default: break
      }
    }
    return .leaf(chunks, devices)
  }

  /// The leaves below a block in order; nil as long as a block is missing.
  private static func leaves(of root: UInt64, _ blocks: [UInt64: Block]) -> [UInt64]? {
    var leaves: [UInt64] = []
    var visited: Set<UInt64> = []
    var pending = [root]
    while let address = pending.popLast() {
      guard visited.insert(address).inserted else { continue }
      switch blocks[address] {
      case .leaf: leaves.append(address)
      case .node(let children): pending += children.reversed()
      case nil: return nil
      }
    }
    return leaves
  }
}
