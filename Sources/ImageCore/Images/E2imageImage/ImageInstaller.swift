import Bytes
import Copying
import Ext
import Storage

/// Writes what a normal image holds to where it came from (ext4-e2image §9.3): inode tables, bitmaps, descriptors, and the
/// superblock last, when everything else is durable.
package final class ImageInstaller {
  private let image: E2imageImage
  private let device: FileStorage
  private var written: UInt64 = 0

  package init(_ image: E2imageImage, _ device: FileStorage) {
    self.image = image
    self.device = device
  }

  private var superblock: ExtSuperblock { image.superblock }
  private var blockSize: UInt64 { UInt64(superblock.blockSize) }

  /// Checks that every group has a place for its inodes.
  package func check() throws(ImageError) {
    for number in 0..<superblock.groupCount {
      let group = image.groups[number]
      if group.inodeTable == 0 { throw ExtError.missingTable }
      if image.groups.isTableOutside(group) { throw ExtError.tableOutside }
    }
  }

  /// Writes everything; ``check()`` comes before.
  ///
  /// - Parameter time: what the superblock shall say about when it was written, in seconds since 1970.
  package func run(time: UInt64) throws(ImageError) {
    let tables = TableSink(image, device)
    try CopyEngine(bufferSize: ExtBlockSelection.pieceSize)
      .run(TableSelection(image), from: ImageBytes(image.storage), to: tables)
    written += superblock.groupCount * image.layout.tableSize
    let old = image.groups.bytes
    var descriptors = Buffer(old.count)
    var bytes = descriptors.mutableBytes
    bytes.copy(old.rawBytes, at: 0)
    try writeBitmaps(&bytes)
    let all = descriptors.bytes.array(0..<descriptors.count)
    for index in 0..<superblock.descriptorBlockCount {
      let start = Int(index * blockSize)
      let block = Array(all[start..<start + Int(blockSize)])
      for place in places(ofDescriptorBlock: index) { try write(block, at: place * blockSize) }
    }
    try device.synchronize()
    try writeSuperblock(time)
    try device.synchronize()
  }

  /// The block that holds a descriptor block, and with meta_bg the copies in its meta group.
  private func places(ofDescriptorBlock index: UInt64) -> [UInt64] {
    var places = [superblock.descriptorBlock(index, base: superblock.firstDataBlock)]
    guard superblock.features.has(.metaGroups), index >= superblock.firstMetaGroup else { return places }
    let first = index * superblock.descriptorsPerBlock
    for group in [first + 1, first + superblock.descriptorsPerBlock - 1] where group < superblock.groupCount {
      places.append(superblock.firstBlock(ofGroup: group) + (superblock.hasSuperblock(group: group) ? 1 : 0))
    }
    return places
  }

  private func write(_ bytes: [UInt8], at offset: UInt64) throws(ImageError) {
    try device.write(bytes, at: offset)
    written += UInt64(bytes.count)
  }

  /// Writes the bitmaps of the groups that have some, and enters their checksums in the descriptors.
  private func writeBitmaps(_ descriptors: inout MutableRawSpan) throws(ImageError) {
    let checksums = ExtChecksums(superblock)
    let trustsFlags = superblock.features.haveGroupChecksums
    for number in 0..<superblock.groupCount {
      let group = image.groups[number]
      var blocks: [UInt8] = []
      var inodes: [UInt8] = []
      // One that has no place in the file system is not written, but it counts.
      if !(trustsFlags && group.blocksAreUninitialized) {
        blocks = try image.blockBitmap(ofGroup: number)
        if group.blockBitmap != 0, group.blockBitmap < superblock.blockCount {
          try write(blocks, at: group.blockBitmap * blockSize)
        }
      }
      if !(trustsFlags && group.inodesAreUninitialized) {
        inodes = try image.inodeBitmap(ofGroup: number)
        if group.inodeBitmap != 0, group.inodeBitmap < superblock.blockCount {
          try write(inodes, at: group.inodeBitmap * blockSize)
        }
      }
      if blocks.isEmpty && inodes.isEmpty { continue }
      let start = Int(number) * superblock.descriptorSize
      var descriptor = descriptors.slice(start..<start + superblock.descriptorSize)
      let blockSums = Array(blocks.prefix(Int(superblock.clustersPerGroup / 8)))
      let inodeSums = Array(inodes.prefix(Int(superblock.inodesPerGroup / 8)))
      checksums.store(
        blockBitmap: blockSums.isEmpty ? nil : blockSums.rawBytes,
        inodeBitmap: inodeSums.isEmpty ? nil : inodeSums.rawBytes, group: number, in: &descriptor)
    }
  }

  private func writeSuperblock(_ time: UInt64) throws(ImageError) {
    var buffer = Buffer(ExtSuperblock.size)
    var bytes = buffer.mutableBytes
    let old = superblock.bytes
    bytes.copy(old.rawBytes, at: 0)
    bytes.storeLittleEndian(UInt32(truncatingIfNeeded: time), at: 0x30)
    bytes.storeLittleEndian(UInt8(truncatingIfNeeded: time >> 32), at: 0x274)
    bytes.storeLittleEndian(0 as UInt16, at: 0x5A)
    let kilobytes: UInt64 = bytes.bytes.littleEndian(at: 0x178)
    if kilobytes != 0 { bytes.storeLittleEndian(kilobytes &+ written / 1024, at: 0x178) }
    if let sum = ExtChecksums(superblock).ofSuperblock(bytes.bytes) { bytes.storeLittleEndian(sum, at: 0x3FC) }
    try device.write(buffer.bytes.array(0..<ExtSuperblock.size), at: ExtSuperblock.offset)
  }
}

/// The inode tables in the image file, group after group.
private final class TableSelection: Selection {
  private let image: E2imageImage
  private var position: UInt64

  init(_ image: E2imageImage) {
    self.image = image
    position = image.layout.inodeOffset
  }

  func next() throws(ImageError) -> Segment? {
    let layout = image.layout
    guard position < layout.blockMapOffset else { return nil }
    // A segment does not go over the end of a group: the next one lies elsewhere.
    let done = (position - layout.inodeOffset) % layout.tableSize
    var segment = Segment(
      offset: position, length: min(layout.tableSize - done, UInt64(ExtBlockSelection.pieceSize)), kind: .data)
    let extent = try image.storage.extent(at: position, limit: segment.length)
    if !extent.isData, extent.length == segment.length { segment.kind = .zero }
    position += segment.length
    return segment
  }
}

/// The image file's own bytes.
private final class ImageBytes: CopySource {
  private let storage: any Storage
  init(_ storage: any Storage) { self.storage = storage }
  func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    try storage.read(into: &buffer, at: offset)
  }
}

/// Writes inode tables to their groups' places.
private final class TableSink: CopySink {
  private let image: E2imageImage
  private let device: FileStorage

  init(_ image: E2imageImage, _ device: FileStorage) {
    self.image = image
    self.device = device
  }

  func makeScratch() {}
  func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Void) {}
  func place(_ segment: Segment, _ prepared: Void, waitForPuts: () throws(ImageError) -> Void) -> UInt64 {
    let layout = image.layout
    let (group, inside) = (segment.offset - layout.inodeOffset).quotientAndRemainder(dividingBy: layout.tableSize)
    return image.groups[group].inodeTable * UInt64(image.superblock.blockSize) + inside
  }
  func put(_ segment: Segment, _ bytes: RawSpan, _ place: UInt64, _ scratch: inout Void) throws(ImageError) {
    if segment.kind == .data {
      try device.write(bytes, at: place)
    } else {
      try device.zero(place..<place + segment.length, mayUnmap: false)
    }
  }
  func finish() {}
}
