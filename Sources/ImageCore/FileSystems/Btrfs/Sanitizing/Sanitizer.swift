import Bytes
import Synchronization

/// Takes names, attributes and checksums out of the leaves of a dump (btrfs-image §13, §20).
///
/// What remains is a file system that the kernel mounts: it refuses a leaf with an entry whose name does not have the
/// hash that its key says.
package final class Sanitizer: TreeBlockTransform {
  private let names: NameSanitizer
  /// Where nodes find what their children become.
  private let volume: BtrfsVolume?
  private let warn: @Sendable (String) -> Void
  /// Names that a warning has been given for, and their lengths; they are short.
  private let warned = Mutex<Set<ShortName>>([])
  /// So many different names are warned about.
  private static let warningLimit = 1 << 16

  /// A name of up to eight bytes: no longer one is without others of the same hash.
  private struct ShortName: Hashable {
    private var bytes: UInt64 = 0
    private var count: Int

    init?(_ name: RawSpan) {
      guard name.byteCount <= 8 else { return nil }
      count = name.byteCount
      for index in 0..<count { bytes |= UInt64(name[index]) << UInt64(8 * index) }
    }

    var text: String {
      String(rawBytes: (0..<count).map { UInt8(truncatingIfNeeded: bytes >> UInt64(8 * $0)) })
    }
  }

  /// - Parameters:
  ///   - style: what the new names look like.
  ///   - secret: what makes one run's garbage different from another's.
  ///   - volume: the file system, whose nodes follow their children where these get other first keys; nil: none gets one.
  ///   - warn: takes the warnings of `-ss`, a line each without prefix.
  package init(
    _ style: NameSanitizer.Style, secret: UInt64, volume: BtrfsVolume? = nil,
    warn: @escaping @Sendable (String) -> Void
  ) {
    names = NameSanitizer(style, secret: secret)
    self.volume = volume
    self.warn = warn
  }

  @_lifetime(block: copy block)
  package func apply(to block: inout MutableRawSpan) {
    let header = TreeBlockHeader(block.bytes)
    guard header.itemCount > 0, header.itemCount <= header.capacity(nodeSize: block.byteCount) else { return }
    guard header.isLeaf else { return followChildren(of: &block, header) }
    var order = LeafOrder(movesFirst: mayMove(LeafItem(block.bytes, 0).key))
    for index in 0..<header.itemCount {
      let item = LeafItem(block.bytes, index)
      guard let range = item.range(nodeSize: block.byteCount) else { continue }
      switch item.key.type {
      case .directoryItem, .directoryIndex, .extendedAttribute:
        let isAttribute = item.key.type == .extendedAttribute
        let keepsHashes = replaceEntries(
          in: &block, range, of: item.key.objectID, header, isAttribute: isAttribute)
        if item.key.type == .directoryItem, !keepsHashes { changeKey(of: item, index, range, block.bytes, &order) }
      case .inodeReference:
        replaceNames(in: &block, range, headSize: 10) { _ in
          DirectoryLink(directory: item.key.offset, target: item.key.objectID)
        }
      case .inodeExtendedReference:
        replaceNames(in: &block, range, headSize: 18) {
          DirectoryLink(directory: $0, target: item.key.objectID)
        }
      case .rootReference:
        replaceNames(in: &block, range, headSize: 18) { DirectoryLink(directory: $0, target: item.key.offset) }
      case .rootBackReference:
        replaceNames(in: &block, range, headSize: 18) { DirectoryLink(directory: $0, target: item.key.objectID) }
      case .inodeItem:
        clearReserved(in: &block, range)
      case .rootItem:
        clearReserved(in: &block, range)
        if range.count > rootItemSize { block.fill(range.lowerBound + rootItemSize..<range.upperBound) }
      case .extentChecksum, .legacyChecksum, .string, .verityTree:
        block.fill(range)
      case .verityDescriptor:
        // The first one holds nothing but the size of the second.
        if item.key.offset != 0 { block.fill(range) }
      default:
        // Of what is not known, a damaged type or a new one, nobody can say that it holds no names.
        if !item.key.type.holdsNoNames { block.fill(range) }
      }
    }
    if order.isEmpty { return }
    order.apply(to: &block, count: header.itemCount, first: standIn)
  }

  /// Zeros the reserved part of an inode, which may stand at the beginning of a root item: in log trees the kernel leaves
  /// there what the leaf has held before, names of files as well.
  @_lifetime(block: copy block)
  private func clearReserved(in block: inout MutableRawSpan, _ range: Range<Int>) {
    let reserved = (range.lowerBound + 80..<range.lowerBound + 112).clamped(to: range)
    if !reserved.isEmpty { block.fill(reserved) }
  }

  /// Whether a first key may become another one: decided by the key alone, which the block above has as well.
  private func mayMove(_ key: ItemKey) -> Bool {
    volume != nil && key.type == .directoryItem && key.offset <= UInt64(UInt32.max)
      && names.mayMove(UInt32(truncatingIfNeeded: key.offset))
  }

  /// Gives a node's pointers the first keys that its children get.
  @_lifetime(block: copy block)
  private func followChildren(of block: inout MutableRawSpan, _ header: TreeBlockHeader) {
    for index in 0..<header.itemCount {
      let pointer = KeyPointer(block.bytes, index)
      guard mayMove(pointer.key), let key = firstKey(under: pointer, level: header.level) else { continue }
      key.store(in: &block, at: TreeBlockHeader.size + index * KeyPointer.size)
    }
  }

  /// What the first key below a pointer of a node on this level becomes; nil where the blocks there are not what they
  /// should be.
  private func firstKey(under pointer: KeyPointer, level: UInt8) -> ItemKey? {
    guard let volume else { return nil }
    var pointer = pointer
    var buffer = Buffer(volume.nodeSize)
    for level in (0..<level).reversed() {
      var block = buffer.mutableBytes
      var report = TreeBlockReport(pointer.address)
      let expectation = TreeBlockExpectation(generation: pointer.generation, level: level)
      guard volume.readTreeBlock(pointer.address, into: &block, expectation, report: &report) == .good,
        case let header = TreeBlockHeader(block.bytes), header.level == level, header.itemCount > 0
      else { return nil }
      if header.isLeaf {
        guard LeafItem(block.bytes, 0).key == pointer.key else { return nil }
        _ = scrub(&block, transform: self)
        return LeafItem(block.bytes, 0).key
      }
      let first = KeyPointer(block.bytes, 0)
      guard first.key == pointer.key else { return nil }
      pointer = first
    }
    return nil
  }

  /// An entry for the key of one that has none any more: with a name of its hash, which nobody looks for.
  private func standIn(_ key: ItemKey, _ entry: RawSpan) -> [UInt8] {
    guard entry.byteCount >= DirectoryEntry.headSize,
      let name = names.name(ofHash: UInt32(truncatingIfNeeded: key.offset))
    else { return entry.array(0..<entry.byteCount) }
    var head = entry.array(0..<DirectoryEntry.headSize)
    // The lengths of its data, which it has not, and of its name.
    head.replaceSubrange(25..<29, with: [0, 0, UInt8(name.count), 0])
    return head + name
  }

  /// Takes the label out of a superblock.
  package func apply(to superblock: inout BtrfsSuperblock) {
    superblock.replace(299..<555, with: [UInt8](repeating: 0, count: 256))
  }

  /// Names with a head in front of each that ends in the name's length; what cannot be a name becomes zeros.
  ///
  /// - Parameter link: what leads where, when the head begins with this number.
  @_lifetime(block: copy block)
  private func replaceNames(
    in block: inout MutableRawSpan, _ range: Range<Int>, headSize: Int, link: (UInt64) -> DirectoryLink
  ) {
    var position = range.lowerBound
    while position < range.upperBound {
      let start = position + headSize
      guard start <= range.upperBound else { break }
      let length = Int(block.bytes.littleEndian(at: start - 2, as: UInt16.self))
      guard length > 0, length <= range.upperBound - start else { break }
      let link = link(block.bytes.littleEndian(at: position))
      _ = replaceName(in: &block, start..<start + length, of: link, isRootTree: false)
      position = start + length
    }
    block.fill(position..<range.upperBound)
  }

  /// Directory entries or attributes; what cannot be one becomes zeros.
  ///
  /// - Parameter owner: the directory's number, or that of the attributes' inode.
  /// - Returns: whether all names of directory entries have the hashes that they had.
  @_lifetime(block: copy block)
  private func replaceEntries(
    in block: inout MutableRawSpan, _ range: Range<Int>, of owner: UInt64, _ header: TreeBlockHeader,
    isAttribute: Bool
  ) -> Bool {
    var keepsHashes = true
    var position = range.lowerBound
    var count: UInt64 = 0
    while position < range.upperBound {
      let start = position + DirectoryEntry.headSize
      guard start <= range.upperBound else { break }
      let dataLength = Int(block.bytes.littleEndian(at: position + 25, as: UInt16.self))
      let nameLength = Int(block.bytes.littleEndian(at: position + 27, as: UInt16.self))
      guard nameLength > 0, nameLength + dataLength <= range.upperBound - start else { break }
      let name = start..<start + nameLength
      let value = name.upperBound..<name.upperBound + dataLength
      // What other tools have left where the transaction should be: parts of names, in converted file systems.
      let transaction: UInt64 = block.bytes.littleEndian(at: position + 17)
      if transaction > header.generation { block.storeLittleEndian(header.generation, at: position + 17) }
      if isAttribute {
        replaceAttribute(in: &block, name, value, of: DirectoryLink(directory: owner, target: count))
      } else {
        // The key of what the entry leads to stands first.
        let link = DirectoryLink(directory: owner, target: block.bytes.littleEndian(at: position))
        let isRootTree = header.owner == ObjectID.rootTree
        if !replaceName(in: &block, name, of: link, isRootTree: isRootTree) { keepsHashes = false }
        block.fill(value)
      }
      count += 1
      position = value.upperBound
    }
    block.fill(position..<range.upperBound)
    return keepsHashes
  }

  /// - Returns: whether the name's hash is the same as before.
  @_lifetime(block: copy block)
  private func replaceName(
    in block: inout MutableRawSpan, _ range: Range<Int>, of link: DirectoryLink, isRootTree: Bool
  ) -> Bool {
    // What every root directory calls its parent, and what the kernel looks for in the root tree, tell nothing.
    if range.count == DirectoryEntry.parent.count, block.bytes.array(range) == DirectoryEntry.parent { return true }
    if isRootTree, block.bytes.array(range) == DirectoryEntry.defaultSubvolume { return true }
    let original = names.style == .collisions ? ShortName(block.bytes.slice(range)) : nil
    var name = block.slice(range)
    let keepsHash = names.replace(&name, of: link.number)
    if !keepsHash, let original { warnOnce(original) }
    return keepsHash
  }

  /// Attributes of the system keep their names: the kernel would not know what they are.
  @_lifetime(block: copy block)
  private func replaceAttribute(
    in block: inout MutableRawSpan, _ range: Range<Int>, _ value: Range<Int>, of link: DirectoryLink
  ) {
    let original = block.bytes.array(range)
    if original.starts(with: Array("system.posix_acl_".utf8)) {
      clearAccessList(in: &block, value)
    } else {
      block.fill(value)
    }
    for namespace in ["user.", "trusted."] where original.starts(with: Array(namespace.utf8)) {
      var name = block.slice(range)
      _ = names.replace(&name, of: link.number, kept: min(namespace.utf8.count, range.count))
    }
  }

  /// An access control list keeps its version and the sort of its entries: without them the kernel refuses to look into
  /// a directory. Users, groups and permissions become zeros.
  @_lifetime(block: copy block)
  private func clearAccessList(in block: inout MutableRawSpan, _ value: Range<Int>) {
    var position = value.lowerBound + 4
    while position + 8 <= value.upperBound {
      // The tag, two bytes, stays; permissions and the number of a user or group follow.
      let tag = block.bytes.littleEndian(at: position, as: UInt16.self)
      block.fill(position + 2..<position + 8)
      // Entries without a number have all ones there.
      if ![2, 8].contains(tag) { block.fill(position + 4..<position + 8, with: 0xFF) }
      position += 8
    }
    block.fill(min(position, value.upperBound)..<value.upperBound)
  }

  /// Asks for the key that belongs to an entry whose name has a new hash.
  private func changeKey(
    of item: LeafItem, _ index: Int, _ range: Range<Int>, _ block: RawSpan, _ order: inout LeafOrder
  ) {
    guard range.count > DirectoryEntry.headSize else { return }
    let length = Int(block.littleEndian(at: range.lowerBound + 27, as: UInt16.self))
    // Entries that share a hash share the item, and would not share another.
    guard range.count == DirectoryEntry.headSize + length else { return order.lose(index) }
    let hash = NameCollisions.hash(block.slice(range.lowerBound + DirectoryEntry.headSize..<range.upperBound))
    // The hashes of names of one or two bytes are far apart.
    order.change(index, to: ItemKey(item.key.objectID, item.key.type, UInt64(hash)), isNear: length > 2)
  }

  private func warnOnce(_ name: ShortName) {
    let isNew = warned.withLock { $0.count < Sanitizer.warningLimit && $0.insert(name).inserted }
    guard isNew else { return }
    warn("cannot find a hash collision for '\(name.text)', generating garbage, it won't match indexes")
  }
}

/// Bytes of a root item that mean something: behind its times and the number of a global tree (btrfs-image §6.2).
private let rootItemSize = 383

/// What leads where: all that is said of an entry says this too. Of an attribute: its inode, and its place in the item.
private struct DirectoryLink {
  /// The directory's inode.
  var directory: UInt64
  /// An inode, or a subvolume.
  var target: UInt64

  /// Another one for each, as far as that can be.
  var number: UInt64 { directory &* 0x9E37_79B9_7F4A_7C15 ^ target &* 0xD6E8_FEB8_6659_FD93 }
}

/// The layout of directory entries and attributes (btrfs-image §6).
private enum DirectoryEntry {
  /// Bytes in front of the name.
  static let headSize = 30
  static let parent = Array("..".utf8)
  static let defaultSubvolume = Array("default".utf8)
}

extension ItemType {
  fileprivate static let verityDescriptor = ItemType(rawValue: 36)
  fileprivate static let verityTree = ItemType(rawValue: 37)
  fileprivate static let string = ItemType(rawValue: 253)

  /// Whether items of this type consist of numbers, as far as they have not been taken care of.
  fileprivate var holdsNoNames: Bool {
    switch rawValue {
    // Inodes and their orphans, the log's ranges, file extents, roots.
    case 1, 48, 60, 72, 108, 132: true
    // Extents, references to them, block groups, free space.
    case 168, 169, 172, 176, 178, 180, 182, 184, 192, 198...200: true
    // Devices, chunks, stripes, quota groups, balancing and statistics, replacement, subvolumes' numbers.
    case 204, 216, 228, 230, 240, 242, 244, 246, 248...252: true
    default: false
    }
  }
}
