import Bytes

/// The chains of an allocator's dinode: the first group of each (ocfs2-o2image §5.1).
package struct ChainList: Sendable, Equatable {
  /// Block of the first group descriptor of each chain.
  package var firstGroups: [UInt64]
  /// Bits that stand for a cluster.
  package var bitsPerCluster: Int
  /// Bits of a whole group.
  package var bitsPerGroup: Int
  /// Whether the counts fit each other and the block.
  package var isSound: Bool

  private static let headerSize = 16
  private static let recordSize = 16

  /// The list of the dinode in `bytes`, a block.
  package init(dinode bytes: RawSpan) {
    let offset = Dinode.unionOffset
    let capacity = (bytes.byteCount - offset - ChainList.headerSize) / ChainList.recordSize
    bitsPerCluster = Int(bytes.littleEndian(at: offset + 2, as: UInt16.self))
    bitsPerGroup = Int(bytes.littleEndian(at: offset, as: UInt16.self)) * bitsPerCluster
    let count = Int(bytes.littleEndian(at: offset + 4, as: UInt16.self))
    let used = Int(bytes.littleEndian(at: offset + 6, as: UInt16.self))
    isSound = used <= count && count <= capacity
    firstGroups = (0..<min(used, capacity)).map { index in
      bytes.littleEndian(at: offset + ChainList.headerSize + index * ChainList.recordSize + 8)
    }
  }
}

/// An allocation group's descriptor: a bitmap of blocks or clusters (ocfs2-o2image §7).
package struct GroupDescriptor: Sendable, Equatable {
  static let signature = "GROUP01"
  static let bitmapOffset = 0x40
  static let listOffset = 0x140

  /// Block of the descriptor.
  package var block: UInt64
  /// Number of valid bits.
  package var bitCount: Int
  /// Next descriptor of the chain, 0 at its end.
  package var next: UInt64
  /// The block that it says it is.
  package var recordedBlock: UInt64
  /// The bitmap, ⌈bitCount / 8⌉ bytes; bit 0 is the descriptor itself, a set bit is in use.
  package var bitmap: [UInt8]
  /// The runs of a discontiguous group; nil for a group that lies in one piece.
  package var runs: ExtentList?
  /// Whether the counts fit each other and the block; otherwise the bits are those that the block can hold.
  package var isSound: Bool

  /// The descriptor in `bytes`, a block, read from block `block`.
  ///
  /// - Parameter usualBits: how many bits the allocator's groups have, should the descriptor's own number be impossible.
  /// - Throws: `Bad magic number in group descriptor`.
  package init(_ bytes: RawSpan, at block: UInt64, usualBits: Int) throws(ImageError) {
    guard bytes.hasSignature(GroupDescriptor.signature) else { throw .badGroupMagic }
    self.block = block
    let size = Int(bytes.littleEndian(at: 0x08, as: UInt16.self))
    let bits = Int(bytes.littleEndian(at: 0x0A, as: UInt16.self))
    next = bytes.littleEndian(at: 0x18)
    recordedBlock = bytes.littleEndian(at: 0x28)
    let capacity = bytes.byteCount - GroupDescriptor.bitmapOffset
    isSound = size <= capacity && bits <= size * 8
    if size == GroupDescriptor.listOffset - GroupDescriptor.bitmapOffset,
      bytes.littleEndian(at: GroupDescriptor.listOffset + 4, as: UInt16.self) != 0
    {
      let list = ExtentList(bytes, at: GroupDescriptor.listOffset, end: bytes.byteCount)
      runs = list
      if !list.isSound || list.depth != 0 { isSound = false }
    }
    bitCount = bits <= min(size, capacity) * 8 ? bits : min(usualBits, min(size, capacity) * 8)
    bitmap = bytes.array(GroupDescriptor.bitmapOffset..<GroupDescriptor.bitmapOffset + (bitCount + 7) / 8)
  }

  /// Whether bit `bit` (< bitCount) is set.
  package func isUsed(_ bit: Int) -> Bool { bitmap[bit / 8] >> UInt8(bit % 8) & 1 != 0 }

  /// The blocks that bits from 0 on stand for, when each bit is a block: runs of bits that lie in one piece, in the order
  /// of the bits. Bits beyond the runs of a discontiguous group have no block.
  package func pieces(blocksPerCluster: UInt64) -> [(firstBit: Int, blocks: Range<UInt64>)] {
    guard let runs else { return [(0, block..<block.saturatingAdd(UInt64(bitCount)))] }
    return runs.records.compactMap { record in
      let first = UInt64(record.cluster) * blocksPerCluster
      guard first < UInt64(bitCount) else { return nil }
      let count = min(UInt64(record.clusters) * blocksPerCluster, UInt64(bitCount) - first)
      let end = record.block.addingReportingOverflow(count)
      // A run that wraps around is no place: an empty one at the end of all numbers, refused by the bounds check.
      return (Int(first), end.overflow ? record.block..<UInt64.max : record.block..<end.partialValue)
    }
  }
}
