import Bytes

/// A run of clusters of a file, or a pointer to a block with further runs (ocfs2-o2image §5.1).
package struct ExtentRecord: Sendable, Equatable {
  /// First cluster of the file that it stands for.
  package var cluster: UInt32
  /// Number of clusters, in a leaf.
  package var clusters: UInt16
  /// First block of the run, or block of the list below.
  package var block: UInt64
}

/// The extent list of a dinode, an extent block, an index root, an xattr tree or a group descriptor.
package struct ExtentList: Sendable, Equatable {
  /// Levels of lists below this one; 0 for a leaf.
  package var depth: Int
  /// The used records, in order, as far as they fit the place.
  package var records: [ExtentRecord]
  /// Whether the counts fit each other and the place.
  package var isSound: Bool

  /// The deepest tree that is followed: more than any volume can have.
  static let maximumDepth = 8
  private static let headerSize = 16
  private static let recordSize = 16

  /// The list that begins at byte `offset` of a block and whose place ends at `end`.
  package init(_ bytes: RawSpan, at offset: Int, end: Int) {
    let capacity = max(0, (min(end, bytes.byteCount) - offset - ExtentList.headerSize) / ExtentList.recordSize)
    guard offset + ExtentList.headerSize <= bytes.byteCount else {
      (depth, records, isSound) = (0, [], false)
      return
    }
    depth = Int(bytes.littleEndian(at: offset, as: UInt16.self))
    let count = Int(bytes.littleEndian(at: offset + 2, as: UInt16.self))
    let used = Int(bytes.littleEndian(at: offset + 4, as: UInt16.self))
    isSound = used <= count && count <= capacity && depth <= ExtentList.maximumDepth
    records = []
    records.reserveCapacity(min(used, capacity))
    for index in 0..<min(used, capacity) {
      let start = offset + ExtentList.headerSize + index * ExtentList.recordSize
      records.append(
        ExtentRecord(
          cluster: bytes.littleEndian(at: start), clusters: bytes.littleEndian(at: start + 4),
          block: bytes.littleEndian(at: start + 8)))
    }
  }
}

/// An extent block (§6).
enum ExtentBlock {
  static let signature = "EXBLK01"
  static let listOffset = 0x30

  /// The list in an extent block.
  ///
  /// - Throws: a bad signature, or counts that do not fit.
  static func list(_ bytes: RawSpan) throws(ImageError) -> ExtentList {
    guard bytes.hasSignature(signature) else { throw .badExtentBlockMagic }
    let list = ExtentList(bytes, at: listOffset, end: bytes.byteCount)
    guard list.isSound else { throw .corruptExtentBlock }
    return list
  }
}
