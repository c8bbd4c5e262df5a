import Bytes
import Images
import Qcow2
import Storage
import TestSupport
import Testing

@Suite struct Qcow2RefcountTests {
  /// Finding and setting counts of every width, beside the plain way.
  @Test(arguments: UInt32(0)...6)
  func widths(_ order: UInt32) {
    let width = RefcountWidth(order: order)
    var generator = SplitMix64(UInt64(order))
    let entries = 512 * 8 >> Int(order)
    for density in [0, 1, 3, 60] {
      var words = [UInt64](repeating: 0, count: 64)
      var plain = [UInt64](repeating: 0, count: entries)
      for index in 0..<entries where Int.random(in: 0..<64, using: &generator) < density {
        plain[index] = UInt64.random(in: 0...width.limit, using: &generator)
        width.setCount(&words, index, plain[index])
      }
      for index in 0..<entries { #expect(width.count(words, index) == plain[index]) }
      for _ in 0..<200 {
        let a = Int.random(in: 0...entries, using: &generator)
        let b = Int.random(in: 0...entries, using: &generator)
        let range = min(a, b)..<max(a, b)
        #expect(width.firstUsed(words, range) == range.first { plain[$0] != 0 })
        #expect(width.firstFree(words, range) == range.first { plain[$0] == 0 })
        if density == 0 {
          var ones = words
          width.setOnes(&ones, range)
          for index in 0..<entries { #expect(width.count(ones, index) == (range.contains(index) ? 1 : 0)) }
        }
      }
    }
  }

  /// Bits below a byte fill it from the low end, wider counts are big-endian (§5).
  @Test func encoding() {
    func firstWord(_ order: UInt32, _ index: Int, _ value: UInt64) -> UInt64 {
      var words: [UInt64] = [0]
      RefcountWidth(order: order).setCount(&words, index, value)
      return words[0].bigEndian
    }
    #expect(firstWord(0, 1, 1) == 0x0200_0000_0000_0000 >> 0)
    #expect(firstWord(1, 1, 3) == 0x0C00_0000_0000_0000)
    #expect(firstWord(2, 1, 0xA) == 0xA000_0000_0000_0000)
    #expect(firstWord(4, 0, 0x1234) == 0x1234_0000_0000_0000)
    #expect(firstWord(6, 0, 5) == 5)
  }

  /// Where blocks and table come to lie when 24 MiB are written with 512-byte clusters (§11.3, observed).
  @Test func growthWithSmallClusters() throws {
    var creation = Qcow2Format.Creation(size: 24 << 20)
    creation.clusterSize = 512
    let test = try Qcow2TestImage(creation)
    let image = try test.open()
    let data = [UInt8](repeating: 0x55, count: 2 << 20)
    for offset in stride(from: UInt64(0), to: 24 << 20, by: 2 << 20) { try image.write(data.rawBytes, at: offset) }
    try image.close()
    let header = image.header
    #expect(header.refcountTableOffset == 33025 * 512)
    #expect(header.refcountTableClusters == 4)
    let table = try test.storage.readBigEndianWords(at: header.refcountTableOffset, count: 256)
    #expect(table[0] == 2 * 512)
    #expect(table[64] == 16393 * 512)
    #expect(table[65] == 16640 * 512)
    #expect(table[129] == 33024 * 512)
    let check = try test.check()
    #expect(check.messages == [])
    #expect(try image.allBytes().allSatisfy { $0 == 0x55 })
  }

  /// The positions of an image that was preallocated (§10.1, observed).
  @Test func preallocation() throws {
    var creation = Qcow2Format.Creation(size: 20 << 20)
    creation.clusterSize = 4096
    creation.preallocation = .metadata
    var test = try Qcow2TestImage(creation)
    var table = try test.storage.readBigEndianWords(at: 4096, count: 4)
    let sequential: [UInt64] = [2, 2056, 4109, 0]
    #expect(table.map { $0 / 4096 } == sequential)

    creation.preallocation = .falloc
    test = try Qcow2TestImage(creation)
    let header = try test.open(.read).header
    #expect(header.refcountTableOffset == 6 * 4096)
    table = try test.storage.readBigEndianWords(at: 6 * 4096, count: 4)
    let reserved: [UInt64] = [2, 4, 5, 0]
    #expect(table.map { $0 / 4096 } == reserved)
    let l1 = try test.storage.readBigEndianWords(at: header.l1TableOffset, count: 10)
    let tables: [UInt64] = [1, 5127, 5128, 5129, 5130, 5131, 5132, 5133, 5134, 5135]
    #expect(l1.map { L1Entry(rawValue: $0).offset / 4096 } == tables)
    #expect(try test.check().messages == [])
  }

  /// Clusters that hold metadata are known whatever the reference counts say.
  @Test func metadataIsProtected() throws {
    var map = MetadataMap()
    map.set(.activeL1, 3..<4)
    map.setInactiveL1([90..<95, 93..<99, 20..<21])
    for cluster: UInt64 in [64, 127, 128, 1 << 40] { map.insert(.activeL2, cluster: cluster) }
    map.insert(.refcountBlock, cluster: 2)
    #expect(map.overlap(0..<1) == .header)
    #expect(map.overlap(1..<2) == nil)
    #expect(map.overlap(2..<4) == .activeL1)
    #expect(map.overlap(2..<4, except: .activeL1) == .refcountBlock)
    #expect(map.overlap(4..<64) == .inactiveL1)
    #expect(map.overlap(4..<20) == nil)
    #expect(map.overlap(21..<64) == nil)
    #expect(map.overlap(98..<99) == .inactiveL1)
    #expect(map.overlap(99..<127) == nil)
    #expect(map.overlap(126..<128) == .activeL2)
    #expect(map.overlap(129..<1000) == nil)
    #expect(map.overlap((1 << 40) - 5..<(1 << 40) + 5) == .activeL2)
    map.remove(.activeL2, cluster: 1 << 40)
    #expect(map.overlap((1 << 40) - 5..<(1 << 40) + 5) == nil)
  }
}
