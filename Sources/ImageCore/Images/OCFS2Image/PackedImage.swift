import Bytes
import Images
import OCFS2
import Storage

/// A packed image of a volume's metadata as a disk: what the image does not hold reads as zeros (ocfs2-o2image §16, §17).
public final class PackedImage: DiskImage {
  public let format = OCFS2ImageFormat.name
  public let filename: String
  public let storage: any Storage

  /// The header.
  package let header: PackedHeader
  /// The volume's superblock.
  package let superblock: Superblock
  /// The blocks that the image holds.
  package let blocks: BlockSet
  private let places: BlockPlaces

  /// Opens an image: reads the bitmap, and the superblock through it.
  ///
  /// - Throws: what §17.1 has for it; a bitmap that does not fit the header is an I/O error, as for one that is cut off.
  package init(_ storage: any Storage, filename: String) throws(ImageError) {
    self.storage = storage
    self.filename = filename
    let length = storage.length
    guard length >= UInt64(PackedHeader.size) else { throw .channelError }
    let head = try PackedImage.read(storage, at: 0, count: PackedHeader.size)
    header = try PackedHeader(head.rawBytes, length: length)
    let blockSize = Int(header.blockSize)

    var blocks = BlockSet(limit: header.blockCount)
    var piece = Buffer(BlockSet.pieceSize)
    for index in 0..<blocks.pieceCount {
      let offset = header.bitmapOffset + index * UInt64(BlockSet.pieceSize)
      let extent = try storage.extent(at: offset, limit: UInt64(BlockSet.pieceSize))
      if !extent.isData && extent.length == UInt64(BlockSet.pieceSize) { continue }
      var bytes = piece.mutableBytes
      do throws(ImageError) {
        try storage.read(into: &bytes, at: offset)
      } catch {
        throw .channelError
      }
      blocks.load(piece: index, from: piece.bytes)
    }
    guard blocks.count == header.imageBlockCount, (0...Superblock.block).allSatisfy({ blocks.contains($0) }) else {
      throw .channelError
    }
    let block = try PackedImage.read(
      storage, at: (Superblock.block + 1) * header.blockSize, count: blockSize)
    superblock = try Superblock(block.rawBytes, at: Superblock.block)
    guard superblock.blockCount == header.blockCount else { throw .corruptSuperblock }
    places = BlockPlaces(blocks)
    self.blocks = blocks
  }

  private static func read(_ storage: any Storage, at offset: UInt64, count: Int) throws(ImageError) -> [UInt8] {
    do throws(ImageError) {
      return try storage.readArray(at: offset, count: count)
    } catch {
      throw .channelError
    }
  }

  /// Size of the volume in bytes.
  public var virtualSize: UInt64 { superblock.byteCount }
  public var clusterSize: UInt64? { header.blockSize }

  public func layerExtent(at offset: UInt64, limit: UInt64) throws(ImageError) -> Extent {
    let end = min(virtualSize, offset.saturatingAdd(limit))
    let size = header.blockSize
    let first = offset / size
    let next = blocks.nextRun(from: first, longest: end.dividedUp(by: size) - first)
    guard let run = next, run.lowerBound == first else {
      let dataStart = next.map { $0.lowerBound * size } ?? end
      return Extent(length: min(end, dataStart) - offset, flags: .zero)
    }
    return Extent(
      length: min(end, run.upperBound * size) - offset, flags: [.data, .recurse],
      hostOffset: (places.rank(of: first, in: blocks) + 1) * size + offset % size, host: storage)
  }

  public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    try readExtents(into: &buffer, at: offset)
  }

  public func information() -> ImageInformation {
    var information = ImageInformation()
    information.formatSpecificType = format
    information.formatSpecific = .object([
      ("timestamp", .number(header.timestamp)),
      ("label", .string(String(rawBytes: superblock.label))),
      ("uuid", .string(superblock.uuid.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined())),
      ("block-size", .number(header.blockSize)),
      ("cluster-size", .number(superblock.clusterSize)),
      ("slots", .number(superblock.slotCount)),
      ("volume-blocks", .number(header.blockCount)),
      ("image-blocks", .number(header.imageBlockCount)),
    ])
    return information
  }
}

/// Where the blocks of a set lie among each other: sums over whole pieces.
struct BlockPlaces: Sendable {
  private let before: [UInt64]

  init(_ blocks: BlockSet) {
    var before: [UInt64] = []
    before.reserveCapacity(Int(blocks.pieceCount))
    var sum: UInt64 = 0
    for piece in 0..<blocks.pieceCount {
      before.append(sum)
      sum += UInt64(blocks.count(inPiece: piece))
    }
    self.before = before
  }

  /// Number of blocks of the set below `block` (below the set's limit).
  func rank(of block: UInt64, in blocks: BlockSet) -> UInt64 {
    before[Int(block / BlockSet.pieceBits)] + UInt64(blocks.rankInPiece(of: block))
  }
}
