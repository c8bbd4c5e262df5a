import Bytes

/// What is met on a walk through an inode's block map, in the order of the map (ext4-e2image §3.2).
enum BlockMapItem {
  /// A block that holds a part of the map itself, or the Hurd's translator.
  case index(UInt64)
  /// A run of blocks that hold contents: the first, and how many. Not checked; may reach beyond the largest number.
  case data(UInt64, UInt64)
}

/// How the parts of block maps are laid out (ext4-e2image §3.2).
enum BlockMap {
  /// Deeper trees than the format allows need not be followed (the kernel's limit).
  static let depthLimit = 5

  /// The header of a node of a tree of extents: entries in use, and the depth of the tree below.
  struct NodeHeader {
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

  /// Whether the map (60 bytes) of an inode names blocks that hold parts of it, or is damaged.
  static func hasIndexBlocks(_ inode: ExtInode, _ map: RawSpan) -> Bool {
    guard inode.hasExtents else { return !map.isZero(48..<60) }
    guard let header = NodeHeader(map) else { return !map.isZero }
    return header.depth > 0
  }

  /// What an entry of a leaf names, whatever others say about the same part of the file.
  static func extent(_ node: RawSpan, _ entry: Int) -> BlockMapItem {
    let start = NodeHeader.size + entry * 12
    let length = UInt64(node.littleEndian(at: start + 4, as: UInt16.self))
    let physical =
      UInt64(node.littleEndian(at: start + 8, as: UInt32.self))
      | UInt64(node.littleEndian(at: start + 6, as: UInt16.self)) << 32
    // Unwritten extents are treated as data: their length has 2^15 added.
    return .data(physical, length > 32768 ? length - 32768 : length)
  }

  /// The node below that an entry names.
  static func child(_ node: RawSpan, _ entry: Int) -> UInt64 {
    let start = NodeHeader.size + entry * 12
    return UInt64(node.littleEndian(at: start + 4, as: UInt32.self))
      | UInt64(node.littleEndian(at: start + 8, as: UInt16.self)) << 32
  }

  /// The blocks that numbers of 32 bits name, those that follow each other put together; 0 is a hole.
  static func forEachRun(of numbers: RawSpan, _ visit: (BlockMapItem) -> Void) {
    var first: UInt64 = 0
    var count: UInt64 = 0
    for offset in stride(from: 0, to: numbers.byteCount, by: 4) {
      let block = UInt64(numbers.littleEndian(at: offset, as: UInt32.self))
      if block == 0 { continue }
      if block != first + count || count == 0 {
        if count > 0 { visit(.data(first, count)) }
        first = block
        count = 0
      }
      count += 1
    }
    if count > 0 { visit(.data(first, count)) }
  }
}

/// How many blocks of maps may still be read: a map has no more than the device, and one whose parts lead to each other over
/// and over is not followed for ever. Each inode has its own, so that a damaged one takes nothing from the others; what all
/// of them have together is still bounded.
final class BlockMapBudget {
  private let share: UInt64
  /// What is left of all.
  private var left: UInt64
  /// What inodes that are being walked have spent.
  private var spent: [UInt32: UInt64] = [:]

  init(_ volume: ExtVolume) {
    let length = volume.storage.length
    // A hole has no map; a device does not say what it has.
    let allocated = volume.storage.allocatedSize.flatMap { $0 > 0 ? min($0, length) : nil } ?? length
    share = 2 * (allocated / UInt64(volume.superblock.blockSize)) + 1024
    left = share.saturatingMultiply(by: 16)
  }

  /// Takes one block off.
  ///
  /// - Throws: `error` when nothing is left.
  func spend(of inode: UInt32, otherwise error: ImageError) throws(ImageError) {
    guard left > 0, spent[inode, default: 0] < share else { throw error }
    left -= 1
    spent[inode, default: 0] += 1
  }

  /// Forgets who has spent what: other inodes come.
  func renew() { spent.removeAll(keepingCapacity: true) }
}
