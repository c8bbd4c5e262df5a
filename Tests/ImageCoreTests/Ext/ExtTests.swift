import Testing

import E2imageImage
@testable import Ext
@testable import ImageCore

/// Parsers of ext file systems, by themselves.
@Suite struct ExtTests {
  /// A superblock of a file system of 8 MiB with blocks of 1 KiB, changed.
  private func superblock(_ change: (inout MutableRawSpan) -> Void = { _ in }) throws(ImageError) -> ExtSuperblock {
    var buffer = Buffer(1024)
    var bytes = buffer.mutableBytes
    bytes.storeLittleEndian(2048 as UInt32, at: 0x00)
    bytes.storeLittleEndian(8192 as UInt32, at: 0x04)
    bytes.storeLittleEndian(1 as UInt32, at: 0x14)
    bytes.storeLittleEndian(8192 as UInt32, at: 0x20)
    bytes.storeLittleEndian(8192 as UInt32, at: 0x24)
    bytes.storeLittleEndian(2048 as UInt32, at: 0x28)
    bytes.storeLittleEndian(0xEF53 as UInt16, at: 0x38)
    bytes.storeLittleEndian(1 as UInt32, at: 0x4C)
    bytes.storeLittleEndian(256 as UInt16, at: 0x58)
    change(&bytes)
    return try ExtSuperblock(buffer.bytes)
  }

  @Test func geometry() throws {
    let superblock = try superblock()
    #expect(superblock.blockSize == 1024)
    #expect(superblock.groupCount == 1)
    #expect(superblock.descriptorBlockCount == 1)
    #expect(superblock.inodeTableBlocks == 512)
    #expect(superblock.clusters == 1..<8192)
    #expect(superblock.descriptorBlock(0, base: 1) == 2)
  }

  @Test func copiesOfTheSuperblock() throws {
    let sparse = try superblock { $0.storeLittleEndian(1 as UInt32, at: 0x64) }
    #expect((0...81).filter { sparse.hasSuperblock(group: $0) } == [0, 1, 3, 5, 7, 9, 25, 27, 49, 81])
    let two = try superblock {
      $0.storeLittleEndian(0x200 as UInt32, at: 0x5C)
      $0.storeLittleEndian(4 as UInt32, at: 0x24C)
      $0.storeLittleEndian(6 as UInt32, at: 0x250)
    }
    #expect((0...9).filter { two.hasSuperblock(group: $0) } == [0, 4, 6])
    #expect(try superblock().hasSuperblock(group: 1000))
  }

  @Test func sizesBeyondAllBounds() {
    #expect(throws: ExtError.corruptSuperblock) {
      try superblock {
        $0.storeLittleEndian(0x80 as UInt32, at: 0x60)
        $0.storeLittleEndian(64 as UInt16, at: 0xFE)
        $0.storeLittleEndian(UInt32.max, at: 0x150)
      }
    }
    #expect(throws: ExtError.corruptSuperblock) { try superblock { $0.storeLittleEndian(0 as UInt32, at: 0x28) } }
    #expect(throws: ExtError.badDescriptorSize) {
      try superblock {
        $0.storeLittleEndian(0x80 as UInt32, at: 0x60)
        $0.storeLittleEndian(32 as UInt16, at: 0xFE)
      }
    }
  }

  /// A file system of 8 MiB whose inode 11 has this map (60 bytes) and these flags, with these blocks.
  private func volume(map: [UInt8], flags: UInt32, _ blocks: [UInt64: [UInt8]]) throws -> ExtVolume {
    let storage = MemoryStorage()
    try storage.resize(to: 8 << 20)
    try storage.write(superblock().bytes, at: 1024)
    var descriptor = [UInt8](repeating: 0, count: 32)
    (descriptor[0], descriptor[4], descriptor[8]) = (100, 101, 102)
    try storage.write(descriptor, at: 2048)
    var inode = Buffer(256)
    var bytes = inode.mutableBytes
    bytes.storeLittleEndian(0x81A4 as UInt16, at: 0)
    bytes.storeLittleEndian(1 as UInt16, at: 0x1A)
    bytes.storeLittleEndian(flags, at: 0x20)
    bytes.copy(map.rawBytes, at: 0x28)
    try storage.write(inode.bytes.array(0..<256), at: 102 * 1024 + 10 * 256)
    for (block, contents) in blocks { try storage.write(contents, at: block * 1024) }
    return try ExtVolume(storage)
  }

  private func words(_ values: [UInt32], count: Int) -> [UInt8] {
    var buffer = Buffer(count)
    var bytes = buffer.mutableBytes
    for (index, value) in values.enumerated() { bytes.storeLittleEndian(value, at: index * 4) }
    return buffer.bytes.array(0..<count)
  }

  private func scan(_ volume: ExtVolume, includesData: Bool = false) -> (found: ExtImageBlocks, findings: [String]) {
    var findings: [String] = []
    var rule = ExtScan.Rule()
    rule.includesData = includesData
    let found = ExtScan(volume, rule) { finding in
      switch finding {
      case .damage(let error): findings.append(error.message)
      case .outside(let line): findings.append(line)
      }
    }.run()
    return (found, findings)
  }

  @Test func indirectBlocks() throws {
    var map = [UInt32](repeating: 0, count: 15)
    map[12] = 2000
    map[13] = 2001
    let volume = try volume(
      map: words(map, count: 60), flags: 0, [2001: words([2002, 0, 2003], count: 1024)])
    let (found, findings) = scan(volume)
    #expect(findings == [])
    // Superblock and descriptors, bitmaps, 512 blocks of inodes, and the blocks of the map.
    #expect(found.markCount == 2 + 2 + 512 + 4)
    #expect((1999...2004).filter { found.clusters.contains($0) } == [2000, 2001, 2002, 2003])
  }

  @Test func indirectBlocksThatLeadToThemselves() throws {
    var map = [UInt32](repeating: 0, count: 15)
    map[14] = 2000
    let volume = try volume(
      map: words(map, count: 60), flags: 0, [2000: words([UInt32](repeating: 2000, count: 256), count: 1024)])
    let (found, findings) = scan(volume)
    #expect(findings == [])
    // Read once on each level, counted as often as it is named.
    #expect(found.markCount == 2 + 2 + 512 + 1 + 256 + 256 * 256)
  }

  @Test func extentsThatLeadToThemselves() throws {
    let node = words([0x0001_F30A, 0x0002_0054, 0, 0, 2000, 0], count: 1024)
    let root = words([0x0001_F30A, 0x0003_0004, 0, 0, 2000, 0], count: 60)
    let (found, findings) = scan(try volume(map: root, flags: 0x80000, [2000: node]))
    #expect(findings == ["Found cyclic loop in extent tree while iterating over inode 11"])
    #expect(found.clusters.contains(2000))
  }

  /// Blocks outside the file system are named one by one, but not for ever (ext4-e2image §11, 17).
  @Test func blocksOutside() throws {
    // Four extents of 32768 blocks each, from block 2^24 on.
    let extents = (0..<4).flatMap { [$0 * 32768, 0x8000, 0x100_0000 + $0 * 32768] as [UInt32] }
    let root = words([0x0004_F30A, 0x0000_0004, 0] + extents, count: 60)
    let (found, findings) = scan(try volume(map: root, flags: 0x80000, [:]), includesData: true)
    #expect(findings.count == ExtScan.lineLimit + 1)
    #expect(
      findings.first == "Illegal block number passed to ext2fs_mark_block_bitmap #16777216 for in-use block map")
    #expect(findings.last == "Further illegal block numbers are not listed")
    #expect(found.markCount == 2 + 2 + 512 + 4 * 32768)
  }

  @Test func namesAreNumberedByLength() {
    var buffer = Buffer(1024)
    var bytes = buffer.mutableBytes
    // Two names of one letter, and one of two that takes the rest.
    for (position, length, name) in [(0, 12, "x"), (12, 12, "y"), (24, 1000, "zz")] {
      bytes.storeLittleEndian(5 as UInt32, at: position)
      bytes.storeLittleEndian(UInt16(length), at: position + 4)
      bytes.storeLittleEndian(UInt8(name.utf8.count), at: position + 6)
      bytes.copy(Array(name.utf8).rawBytes, at: position + 8)
    }
    var scrambler = DirectoryScrambler()
    scrambler.scramble(&bytes) { _ in Issue.record("nothing is corrupt") }
    #expect(bytes.bytes.array(8..<10) == Array("A\0".utf8))
    #expect(bytes.bytes.array(20..<22) == Array("B\0".utf8))
    #expect(bytes.bytes.array(32..<35) == Array("AA\0".utf8))
  }

  @Test func imagesMadeAfter2106() throws {
    var header = E2imageHeader(try superblock())
    header.time = 0x1_2345_6789
    let bytes = header.bytes
    // The low word at its old place, the high one in what was reserved (ext4-e2image §11, 21).
    #expect(bytes.rawBytes.littleEndian(at: 248, as: UInt32.self) == 0x2345_6789)
    #expect(bytes.rawBytes.littleEndian(at: 252, as: UInt32.self) == 1)
    #expect(try E2imageHeader(bytes.rawBytes).time == 0x1_2345_6789)
  }

  @Test func descriptorChecksums() {
    // The check value of the CRC with this polynomial, all ones before.
    var sum = CRC16(.max)
    sum.update(Array("123456789".utf8).rawBytes)
    #expect(sum.value == 0x4B37)
  }
}
