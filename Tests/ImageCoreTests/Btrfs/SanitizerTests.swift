import Testing

@testable import Btrfs
@testable import ImageCore

/// Leaves of 4 KiB, made item by item from the end downwards (btrfs-image §5, §6).
@Suite struct SanitizerTests {
  private static let nodeSize = 4096

  private func leaf(_ items: [(ItemKey, [UInt8])], owner: UInt64 = 5) -> [UInt8] {
    var buffer = Buffer(Self.nodeSize)
    var bytes = buffer.mutableBytes
    bytes.storeLittleEndian(owner, at: 88)
    bytes.storeLittleEndian(UInt32(items.count), at: 96)
    var end = Self.nodeSize
    for (index, item) in items.enumerated() {
      end -= item.1.count
      let position = TreeBlockHeader.size + index * LeafItem.headerSize
      item.0.store(in: &bytes, at: position)
      bytes.storeLittleEndian(UInt32(end - TreeBlockHeader.size), at: position + 17)
      bytes.storeLittleEndian(UInt32(item.1.count), at: position + 21)
      bytes.copy(item.1.rawBytes, at: end)
    }
    return buffer.bytes.array(0..<Self.nodeSize)
  }

  private func sanitized(_ leaf: [UInt8], _ style: NameSanitizer.Style = .collisions) -> [UInt8] {
    var buffer = Buffer(leaf.count)
    var bytes = buffer.mutableBytes
    bytes.copy(leaf.rawBytes, at: 0)
    Sanitizer(style, secret: 7, warn: { _ in }).apply(to: &bytes)
    return buffer.bytes.array(0..<leaf.count)
  }

  private func contains(_ bytes: [UInt8], _ text: String) -> Bool {
    let wanted = Array(text.utf8)
    return bytes.indices.contains { bytes[$0...].starts(with: wanted) }
  }

  private func entry(_ name: String, _ value: String = "") -> [UInt8] {
    [UInt8](repeating: 0, count: 25) + [UInt8(value.utf8.count), 0, UInt8(name.utf8.count), 0, 1] + Array(name.utf8)
      + Array(value.utf8)
  }

  private func reference(_ name: String, head: Int) -> [UInt8] {
    [UInt8](repeating: 0, count: head - 2) + [UInt8(name.utf8.count), 0] + Array(name.utf8)
  }

  private func hash(_ name: String) -> UInt64 { UInt64(NameCollisions.hash(Array(name.utf8).rawBytes)) }

  private func item(_ leaf: [UInt8], _ index: Int) -> (key: ItemKey, data: [UInt8]) {
    let item = LeafItem(leaf.rawBytes, index)
    return (item.key, leaf.rawBytes.array(item.range(nodeSize: leaf.count) ?? 0..<0))
  }

  @Test func everyEntryOfEveryItem() {
    let names = ["first_name", "second_name", "third_name", "fourth_name", "fifth_name"]
    let leaf = leaf([
      (ItemKey(256, .inodeReference, 256), reference(names[0], head: 10) + reference(names[1], head: 10)),
      (ItemKey(256, .inodeExtendedReference, 9), reference(names[2], head: 18) + reference(names[3], head: 18)),
      (ItemKey(256, .extendedAttribute, 1), entry("user.attribute", "value_1") + entry("user.another_one", "value_2")),
      (ItemKey(257, .directoryItem, hash(names[4])), entry(names[4])),
      (ItemKey(257, .directoryIndex, 3), entry(names[4])),
      (ItemKey(300, .extentChecksum, 1), Array("checksums".utf8)),
      (ItemKey(301, .rootReference, 5), reference("subvolume", head: 18)),
    ])
    for style in [NameSanitizer.Style.collisions, .garbage] {
      let result = sanitized(leaf, style)
      for text in names + ["user.attribute", "user.another_one", "value_", "checksums", "subvolume"] {
        #expect(!contains(result, text), "\(text)")
      }
      let isWellFormed = isWellFormedLeaf(result.rawBytes, count: 7)
      #expect(isWellFormed)
      // The entry and its index have the same name, under the same hash.
      #expect(item(result, 3).data == item(result, 4).data)
      #expect(item(result, 3).key == item(leaf, 3).key)
      #expect(contains(result, "user."))
    }
  }

  /// Names of one hash, in one directory: they stay different in garbage, and their references agree with them.
  @Test func namesOfOneHash() {
    func entry(_ name: String, of inode: UInt64) -> [UInt8] {
      var entry = self.entry(name)
      entry[0] = UInt8(inode)
      return entry
    }
    let names = ["a_long_name_hello", "a_long_name_Aw9c7"]
    #expect(hash(names[0]) == hash(names[1]))
    let leaf = leaf([
      (ItemKey(60, .inodeReference, 257), reference(names[0], head: 10)),
      (ItemKey(61, .inodeReference, 257), reference(names[1], head: 10)),
      (ItemKey(61, .extendedAttribute, 1), self.entry("user.name_hello") + self.entry("user.name_Aw9c7")),
      (ItemKey(257, .directoryItem, hash(names[0])), entry(names[0], of: 60) + entry(names[1], of: 61)),
      (ItemKey(257, .directoryIndex, 2), entry(names[0], of: 60)),
      (ItemKey(257, .directoryIndex, 3), entry(names[1], of: 61)),
    ])
    let result = sanitized(leaf, .garbage)
    #expect(item(result, 3).data == item(result, 4).data + item(result, 5).data)
    let indexed = [4, 5].map { Array(item(result, $0).data[30...]) }
    #expect(indexed[0] != indexed[1])
    #expect(indexed == [0, 1].map { Array(item(result, $0).data[10...]) })
    #expect(indexed.map { UInt64(NameCollisions.hash($0.rawBytes)) } == names.map(hash))
    let attributes = item(result, 2).data
    #expect(attributes[30..<45] != attributes[75..<90])
  }

  /// What the kernel has left in the reserved part of an inode.
  @Test func reservedBytes() {
    let inode = (0..<160).map { UInt8($0) }
    let root = inode + [UInt8](repeating: 7, count: 279)
    let result = sanitized(
      leaf([(ItemKey(256, .inodeItem, 0), inode), (ItemKey(257, .rootItem, 0), root)]))
    let zeros = [UInt8](repeating: 0, count: 32)
    #expect(item(result, 0).data == inode[..<80] + zeros + inode[112...])
    #expect(item(result, 1).data == root[..<80] + zeros + root[112..<383] + [UInt8](repeating: 0, count: 56))
  }

  /// What other tools have left where an entry's transaction should be.
  @Test func transactions() {
    let left = entry("name_of_entry")
    let item = left[..<17] + Array("leftover".utf8) + left[25...]
    let result = sanitized(leaf([(ItemKey(257, .directoryIndex, 2), Array(item))]))
    #expect(!contains(result, "left"))
    #expect(self.item(result, 0).data[..<30] == left[..<30])
  }

  @Test func namesOfTheFormatStay() {
    let parent = leaf([(ItemKey(256, .inodeReference, 256), reference("..", head: 10))])
    #expect(sanitized(parent) == parent)
    let root = leaf([(ItemKey(6, .directoryItem, hash("default")), entry("default"))], owner: 1)
    #expect(sanitized(root) == root)
    #expect(sanitized(leaf([(ItemKey(6, .directoryItem, hash("default")), entry("default"))])) != root)
    let system = leaf([(ItemKey(256, .extendedAttribute, 1), entry("security.selinux", "label"))])
    #expect(contains(sanitized(system), "security.selinux"))
    #expect(!contains(sanitized(system), "label"))
  }

  /// The key follows the name, but not out of its place.
  @Test func shortNamesMoveTheirKeys() {
    func dirItem(_ name: String) -> (ItemKey, [UInt8]) { (ItemKey(256, .directoryItem, hash(name)), entry(name)) }
    let items = ["lib", "many", "etcs", "long_name"].map(dirItem).sorted { $0.0 < $1.0 }
    let first = (ItemKey(1, .inodeItem, 0), [UInt8](repeating: 0, count: 160))
    let result = sanitized(leaf([first] + items))
    let isWellFormed = isWellFormedLeaf(result.rawBytes, count: 5)
    #expect(isWellFormed)
    for index in 1...4 {
      let (key, data) = item(result, index)
      let wanted = UInt64(NameCollisions.hash(Array(data[30...]).rawBytes))
      #expect(key.offset == wanted)
    }
    // The first key of a leaf stands in its parent: it stays, with a name of that hash.
    let alone = sanitized(leaf([dirItem("many")]))
    #expect(item(alone, 0).key.offset == hash("many"))
    #expect(UInt64(NameCollisions.hash(Array(item(alone, 0).data[30...]).rawBytes)) == hash("many"))
    #expect(!contains(alone, "many"))
  }

  /// What does not fit its item becomes zeros.
  @Test func brokenEntries() {
    var broken = entry("name_that_is_cut")
    broken[27] = 200
    let leaf = leaf([
      (ItemKey(256, .inodeReference, 1), [0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF] + Array("cut_reference".utf8)),
      (ItemKey(256, .directoryItem, 1), broken),
      (ItemKey(256, .directoryIndex, 1), Array("too_short_for_an_entry".utf8)),
      // Of an entry whose type is damaged nobody knows what it is.
      (ItemKey(257, ItemType(rawValue: 0), 0), entry("name_without_type")),
      (ItemKey(257, ItemType(rawValue: 85), 0), entry("name_of_another_type")),
    ])
    let result = sanitized(leaf)
    for text in ["cut_reference", "name_that", "too_short", "name_without", "name_of"] {
      #expect(!contains(result, text))
    }
  }

  @Test func labelGoes() {
    var bytes = [UInt8](repeating: 1, count: BtrfsSuperblock.size)
    bytes.replaceSubrange(299..<304, with: Array("label".utf8))
    var superblock = BtrfsSuperblock(bytes.rawBytes)
    Sanitizer(.garbage, secret: 0, warn: { _ in }).apply(to: &superblock)
    #expect(superblock.label.isEmpty)
    #expect(superblock.bytes[298] == 1 && superblock.bytes[555] == 1)
  }
}
