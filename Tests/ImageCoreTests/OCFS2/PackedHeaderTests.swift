import Testing

@testable import ImageCore
@testable import OCFS2Image

/// A small packed image: 160 blocks of 512 bytes, of which 5 are stored (ocfs2-o2image §16.1).
@Suite struct PackedHeaderTests {
  /// The image; `change` may damage it.
  private func image(_ change: (inout [UInt8]) -> Void = { _ in }) throws -> PackedImage {
    var bytes = [UInt8](repeating: 0, count: 512 * 6 + 4096)
    func put(_ value: UInt64, _ width: Int, at offset: Int) {
      for index in 0..<width { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    }
    put(0x72A3_D45F, 4, at: 0)
    bytes.replaceSubrange(8..<19, with: Array("OCFS2 IMAGE".utf8))
    for (index, value) in [1, 160, 512, 5, 4096, 0].enumerated() { put(UInt64(value), 8, at: 0x18 + index * 8) }
    let superblock = 512 * 3
    bytes.replaceSubrange(superblock..<superblock + 6, with: Array("OCFSV2".utf8))
    put(20, 4, at: superblock + 0x14)
    put(2, 8, at: superblock + 0x50)
    put(5, 8, at: superblock + 0xE8)
    put(6, 8, at: superblock + 0xF0)
    put(9, 4, at: superblock + 0xF8)
    put(12, 4, at: superblock + 0xFC)
    put(1, 2, at: superblock + 0x100)
    for index in 0..<512 {
      bytes[512 * 4 + index] = 0x11
      bytes[512 * 5 + index] = 0x22
    }
    // Blocks 0 to 3 and 100.
    bytes[512 * 6] = 0x0F
    bytes[512 * 6 + 12] = 0x10
    change(&bytes)
    return try PackedImage(MemoryStorage(bytes), filename: "memory")
  }

  @Test func blocksAreFoundByTheirRank() throws {
    let image = try image()
    #expect(image.virtualSize == 160 * 512)
    var buffer = Buffer(1024)
    var bytes = buffer.mutableBytes
    try image.read(into: &bytes, at: 99 * 512 + 256)
    let contents = buffer.bytes.array(0..<1024)
    #expect(contents[..<256].allSatisfy { $0 == 0 })
    #expect(contents[256..<768].allSatisfy { $0 == 0x22 })
    #expect(contents[768...].allSatisfy { $0 == 0 })
    let extent = try image.layerExtent(at: 100 * 512, limit: 4096)
    #expect(extent.length == 512 && extent.hostOffset == 5 * 512)
    #expect(try image.layerExtent(at: 4 * 512, limit: 1 << 20).length == 96 * 512)
  }

  @Test func paddingAndStrayBitsAreTolerated() throws {
    let image = try image { bytes in
      for index in 0x78..<512 { bytes[index] = 0x5A }
      bytes[0x17] = 0xFF
      bytes[512 * 6 + 4095] = 0xFF
    }
    #expect(image.blocks.count == 5)
  }

  @Test(arguments: [0x00, 0x08, 0x19, 0x20, 0x28, 0x30, 0x38, 0x47, 3 * 512, 6 * 512, 6 * 512 + 12])
  func damageIsRefused(offset: Int) {
    #expect(throws: ImageError.self) { try image { $0[offset] ^= 0x0F } }
  }

  @Test(arguments: [0, 1, 119, 512, 3072, 512 * 6 + 4095]) func aShorterFileIsRefused(length: Int) {
    #expect(throws: ImageError.self) { try image { $0.removeSubrange(length...) } }
  }
}
