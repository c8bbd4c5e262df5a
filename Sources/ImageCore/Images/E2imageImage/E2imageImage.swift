import Bytes
import Ext
import Images
import Storage

/// The normal images of `e2image`: an ext2, ext3 or ext4 file system's inodes and bitmaps, for reading.
public enum E2imageFormat: ImageFormat {
  public static let name = "e2image"

  public static func probe(_ head: RawSpan, filename: String) -> Int {
    head.byteCount >= 20 && E2imageHeader.isPresent(head) ? 100 : 0
  }

  public static func open(_ storage: any Storage, _ context: OpenContext) throws(ImageError) -> any DiskImage {
    try context.refuseWriting(name)
    return try E2imageImage(storage, filename: context.filename)
  }
}

/// A normal image as a disk: what installing it would write, and zeros in between (ext4-e2image §9).
public final class E2imageImage: DiskImage {
  public let format = E2imageFormat.name
  public let filename: String
  public let storage: any Storage

  /// The header.
  package let header: E2imageHeader
  /// The superblock and the descriptors that the image holds.
  package let superblock: ExtSuperblock
  package let groups: ExtGroups
  /// Where the parts are in the file.
  package let layout: E2imageLayout
  private let metadata: BlockSet
  /// The parts of the disk that are not zeros, in ascending order, none over another.
  private let regions: [Region]

  /// A run of the disk.
  private struct Region {
    var range: Range<UInt64>
    var contents: Contents
  }

  private enum Contents {
    /// Bytes of the image from this offset on.
    case stored(UInt64)
    case blockBitmap(UInt64)
    case inodeBitmap(UInt64)
  }

  /// Opens an image.
  ///
  /// - Throws: what §9.3 has for it; an image whose header does not fit its superblock, or that is cut off, is refused.
  package init(_ storage: any Storage, filename: String) throws(ImageError) {
    self.storage = storage
    self.filename = filename
    guard storage.length >= UInt64(E2imageHeader.size) else { throw ExtError.shortRead }
    let head = try storage.readArray(at: 0, count: E2imageHeader.size)
    header = try E2imageHeader(head.rawBytes)
    let size = UInt64(header.blockSize)
    guard size != 0 else { throw ExtError.invalidArgument }
    guard storage.length >= size + UInt64(ExtSuperblock.size) else { throw ExtError.shortRead }
    let bytes = try storage.readArray(at: size, count: ExtSuperblock.size)
    superblock = try ExtSuperblock(bytes.rawBytes, expectedBlockSize: size)
    layout = E2imageLayout(superblock)
    // The header has the low halves of the offsets.
    let offsets = [
      (header.superblockOffset, layout.superblockOffset), (header.inodeOffset, layout.inodeOffset),
      (header.blockMapOffset, layout.blockMapOffset), (header.inodeMapOffset, layout.inodeMapOffset),
    ]
    guard offsets.allSatisfy({ $0.0 == UInt32(truncatingIfNeeded: $0.1) }) else { throw ExtError.corruptSuperblock }
    guard superblock.hasWholeBitmaps else { throw ExtError.corruptSuperblock }
    guard storage.length >= layout.end else { throw ExtError.shortRead }
    try superblock.checkDescriptors(in: storage.length)
    let descriptors = try storage.readArray(
      at: layout.descriptorOffset, count: Int(superblock.descriptorBlockCount * size))
    groups = ExtGroups(superblock, descriptors, distrustsUnused: false)
    metadata = ExtBitmaps.metadataOfUninitializedGroups(superblock, groups)
    regions = E2imageImage.findRegions(superblock, groups, layout)
  }

  /// The disk's parts in the order in which installing writes them; a later one wins where two claim the same bytes.
  private static func findRegions(_ superblock: ExtSuperblock, _ groups: ExtGroups, _ layout: E2imageLayout) -> [Region]
  {
    let size = UInt64(superblock.blockSize)
    var all: [Region] = []
    func add(_ block: UInt64, _ count: UInt64, _ contents: Contents) {
      guard block >= superblock.firstDataBlock, block < superblock.blockCount else { return }
      let end = min(block.saturatingAdd(count), superblock.blockCount)
      all.append(Region(range: block * size..<end * size, contents: contents))
    }
    let trustsFlags = superblock.features.haveGroupChecksums
    for number in 0..<superblock.groupCount {
      let group = groups[number]
      if group.inodeTable != 0 {
        add(group.inodeTable, superblock.inodeTableBlocks, .stored(layout.inodeOffset + number * layout.tableSize))
      }
      if group.blockBitmap != 0, !(trustsFlags && group.blocksAreUninitialized) {
        add(group.blockBitmap, 1, .blockBitmap(number))
      }
      if group.inodeBitmap != 0, !(trustsFlags && group.inodesAreUninitialized) {
        add(group.inodeBitmap, 1, .inodeBitmap(number))
      }
    }
    for index in 0..<superblock.descriptorBlockCount {
      add(
        superblock.descriptorBlock(index, base: superblock.firstDataBlock), 1,
        .stored(layout.descriptorOffset + index * size))
    }
    if superblock.byteCount >= ExtSuperblock.offset + UInt64(ExtSuperblock.size) {
      all.append(
        Region(
          range: ExtSuperblock.offset..<ExtSuperblock.offset + UInt64(ExtSuperblock.size),
          contents: .stored(layout.superblockOffset)))
    }
    // By their beginnings; of several that begin together the last one first. What begins before the end of another is
    // damage, and loses what is covered.
    let order = all.indices.sorted {
      (all[$0].range.lowerBound, all.count - $0) < (all[$1].range.lowerBound, all.count - $1)
    }
    var result: [Region] = []
    for index in order {
      var region = all[index]
      if let last = result.last, region.range.lowerBound < last.range.upperBound {
        let cut = last.range.upperBound
        guard region.range.upperBound > cut, case .stored(let offset) = region.contents else { continue }
        region.contents = .stored(offset + (cut - region.range.lowerBound))
        region.range = cut..<region.range.upperBound
      }
      result.append(region)
    }
    return result
  }

  /// Size of the file system in bytes.
  public var virtualSize: UInt64 { superblock.byteCount }
  public var clusterSize: UInt64? { UInt64(superblock.blockSize) }

  /// The first region that ends behind `offset`.
  private func region(at offset: UInt64) -> Region? {
    var (low, high) = (0, regions.count)
    while low < high {
      let middle = (low + high) / 2
      if regions[middle].range.upperBound <= offset { low = middle + 1 } else { high = middle }
    }
    return low < regions.count ? regions[low] : nil
  }

  public func layerExtent(at offset: UInt64, limit: UInt64) throws(ImageError) -> Extent {
    let end = min(virtualSize, offset.saturatingAdd(limit))
    guard let region = region(at: offset), region.range.lowerBound <= offset else {
      return Extent(length: min(end, region(at: offset)?.range.lowerBound ?? end) - offset, flags: .zero)
    }
    let length = min(end, region.range.upperBound) - offset
    guard case .stored(let place) = region.contents else { return Extent(length: length, flags: .data) }
    return Extent(
      length: length, flags: [.data, .recurse], hostOffset: place + (offset - region.range.lowerBound), host: storage)
  }

  public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    try readExtents(into: &buffer, at: offset) { (part, position) throws(ImageError) in
      guard let region = region(at: position) else { return part.fill(0..<part.byteCount) }
      let start = Int(position - region.range.lowerBound)
      let bitmap = try bitmap(region.contents)
      part.copy(bitmap.rawBytes.slice(start..<start + part.byteCount), at: 0)
    }
  }

  private func bitmap(_ contents: Contents) throws(ImageError) -> [UInt8] {
    switch contents {
    case .blockBitmap(let group): return try blockBitmap(ofGroup: group)
    case .inodeBitmap(let group): return try inodeBitmap(ofGroup: group)
    case .stored: return []
    }
  }

  /// The block bitmap of a group as a block on disk: what no cluster stands for is set (§9.3, 4).
  package func blockBitmap(ofGroup group: UInt64) throws(ImageError) -> [UInt8] {
    let valid = superblock.clusters
    let first = valid.lowerBound + group * superblock.clustersPerGroup
    let used = min(superblock.clustersPerGroup, valid.upperBound - min(first, valid.upperBound))
    var buffer = Buffer(superblock.blockSize)
    var bytes = buffer.mutableBytes
    var part = bytes.slice(0..<Int(layout.blockMapSize))
    try storage.read(into: &part, at: layout.blockMapOffset + group * layout.blockMapSize)
    ExtBitmaps.addMetadata(metadata, superblock, group: group, to: &part)
    E2imageImage.fillUnused(&bytes, from: Int(used))
    return buffer.bytes.array(0..<superblock.blockSize)
  }

  /// The inode bitmap of a group as a block on disk.
  package func inodeBitmap(ofGroup group: UInt64) throws(ImageError) -> [UInt8] {
    var buffer = Buffer(superblock.blockSize)
    var bytes = buffer.mutableBytes
    var part = bytes.slice(0..<Int(layout.inodeMapSize))
    try storage.read(into: &part, at: layout.inodeMapOffset + group * layout.inodeMapSize)
    E2imageImage.fillUnused(&bytes, from: Int(superblock.inodesPerGroup))
    return buffer.bytes.array(0..<superblock.blockSize)
  }

  /// Sets the bits from number `first` on, which stand for nothing.
  private static func fillUnused(_ bytes: inout MutableRawSpan, from first: Int) {
    let byte = first / 8
    if first % 8 != 0 { bytes.storeLittleEndian(bytes.bytes[byte] | UInt8.max << UInt8(first % 8), at: byte) }
    bytes.fill(byte + (first % 8 == 0 ? 0 : 1)..<bytes.byteCount, with: 0xFF)
  }

  public func information() -> ImageInformation {
    var information = ImageInformation()
    information.formatSpecificType = format
    information.formatSpecific = .object([
      ("timestamp", .number(header.time)),
      ("host", .string(String(rawBytes: header.hostName))),
      ("device", .string(String(rawBytes: header.deviceName))),
      ("label", .string(String(rawBytes: superblock.label))),
      (
        "uuid",
        .string(superblock.uuid.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
      ),
      ("block-size", .number(superblock.blockSize)),
      ("volume-blocks", .number(superblock.blockCount)),
      ("inodes", .number(superblock.inodeCount)),
    ])
    return information
  }
}
