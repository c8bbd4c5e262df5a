import Bytes

/// The entries of a directory's block or inline area (ocfs2-o2image §8.1).
enum DirectoryBlock {
  private static let headerSize = 12

  /// Calls `body` with each entry in use. A block's trailer is an unused entry.
  ///
  /// - Throws: `OCFS2 directory corrupted` where the entries do not tile the bytes.
  static func forEachEntry(_ bytes: RawSpan, _ body: (_ name: [UInt8], _ inode: UInt64) -> Void) throws(ImageError) {
    var offset = 0
    while offset < bytes.byteCount {
      guard bytes.byteCount - offset >= headerSize else { throw .corruptDirectory }
      let inode: UInt64 = bytes.littleEndian(at: offset)
      let length = Int(bytes.littleEndian(at: offset + 8, as: UInt16.self))
      let nameLength = Int(bytes[offset + 10])
      guard length >= headerSize + nameLength, length % 4 == 0, length <= bytes.byteCount - offset else {
        throw .corruptDirectory
      }
      if inode != 0 { body(bytes.array(offset + headerSize..<offset + headerSize + nameLength), inode) }
      offset += length
    }
  }
}

/// The inodes that the system directory names (§4).
struct SystemDirectory {
  private var inodes: [[UInt8]: UInt64] = [:]
  /// The first thing that kept a part of the directory from being read.
  private var damage: ImageError?

  /// Reads the directory, and remembers the names of `wanted`.
  ///
  /// Every block is searched rather than the index: what the index has lost is found, and the names are few.
  ///
  /// - Throws: when the directory's inode cannot be used.
  init(_ volume: OCFS2Volume, wanted: Set<[UInt8]>) throws(ImageError) {
    let superblock = volume.superblock
    var buffer = Buffer(superblock.blockSize)
    try volume.read(superblock.systemDirectory, into: &buffer)
    let dinode = try Dinode(buffer.bytes)
    guard dinode.isDirectory else { throw .notADirectory }
    var found: [[UInt8]: UInt64] = [:]
    var damage: ImageError?
    /// Takes what a block tells; the first entry with a name counts.
    func take(_ bytes: RawSpan) {
      do throws(ImageError) {
        try DirectoryBlock.forEachEntry(bytes) { name, inode in
          if wanted.contains(name), found[name] == nil { found[name] = inode }
        }
      } catch {
        damage = damage ?? error
      }
    }
    let end = dinode.unionEnd(blockSize: superblock.blockSize)
    if dinode.dynamicFeatures.contains(.inlineData) {
      let start = Dinode.unionOffset + 8
      take(buffer.bytes.slice(start..<min(max(start, end), start + Int(min(dinode.size, 4096)))))
    } else {
      var block = Buffer(superblock.blockSize)
      var left = dinode.size.dividedUp(by: UInt64(superblock.blockSize))
      var visited: Set<UInt64> = []
      volume.walk(ExtentList(buffer.bytes, at: Dinode.unionOffset, end: end), visited: &visited) { item in
        switch item {
        case .block: break
        case .damage(let error): damage = damage ?? error
        case .run(let run):
          for number in run {
            // Behind the directory's end nothing is written.
            guard left > 0, found.count < wanted.count else { return }
            left -= 1
            do throws(ImageError) {
              try volume.read(number, into: &block)
              take(block.bytes)
            } catch {
              damage = damage ?? error
            }
          }
        }
      }
    }
    inodes = found
    self.damage = damage
  }

  /// The inode with a name.
  ///
  /// - Throws: what kept the directory from being read completely, or that there is no such name.
  func inode(_ name: [UInt8]) throws(ImageError) -> UInt64 {
    if let inode = inodes[name] { return inode }
    throw damage ?? .entryNotFound
  }

  /// The inode with a name, if it was found.
  func inodeIfPresent(_ name: [UInt8]) -> UInt64? { inodes[name] }
}
