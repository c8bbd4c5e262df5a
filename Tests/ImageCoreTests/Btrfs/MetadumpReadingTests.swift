import Testing

@testable import BtrfsImage
@testable import ImageCore

@Suite struct MetadumpReadingTests {
  /// A dump of items; the first one is not looked at.
  private func dump(_ items: [(address: UInt64, payload: [UInt8])], isCompressed: Bool) -> [UInt8] {
    let header = ClusterHeader(
      version: .metadata, offset: 0, isCompressed: isCompressed,
      items: items.map { MetadumpItem(address: $0.address, storedSize: UInt32($0.payload.count)) })
    var buffer = Buffer(ClusterHeader.size)
    var bytes = buffer.mutableBytes
    header.store(in: &bytes)
    var result = buffer.bytes.array(0..<ClusterHeader.size)
    for item in items { result += item.payload }
    return result + [UInt8](repeating: 0, count: (1024 - result.count % 1024) % 1024)
  }

  private func zlib(_ bytes: [UInt8]) throws -> [UInt8] {
    let deflater = try Deflater(level: 6)
    var buffer = Buffer(bytes.count + 4096)
    var output = buffer.mutableBytes
    let count = try #require(deflater.zlib(bytes.rawBytes, into: &output))
    return buffer.bytes.array(0..<count)
  }

  /// All bytes of the items with their addresses, and what was wrong.
  private func read(_ input: any MetadumpInput) throws -> (contents: [UInt64: [UInt8]], problems: [String]) {
    var reader = ClusterReader(input)
    let payloads = PayloadReader(input)
    var contents: [UInt64: [UInt8]] = [:]
    var problems: [String] = []
    while let place = try reader.next() {
      let problem = try payloads.read(place) { (buffer, count, address) in
        #expect(address == place.address + UInt64(contents[place.address]?.count ?? 0))
        contents[place.address, default: []] += buffer.bytes.array(0..<count)
      }
      if let problem { problems.append(problem.message) }
    }
    return (contents, problems)
  }

  private let long = (0..<1_503_232).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 7) }

  @Test func itemsLongerThanABuffer() throws {
    for isCompressed in [false, true] {
      let short: [UInt8] = Array(repeating: 9, count: 8192)
      let payloads = try [long, short].map { isCompressed ? try zlib($0) : $0 }
      let bytes = dump([(1000, payloads[0]), (9_000_000, payloads[1])], isCompressed: isCompressed)
      let result = try read(StorageInput(MemoryStorage(bytes)))
      #expect(result.contents[1000] == long)
      #expect(result.contents[9_000_000] == short)
      #expect(result.problems.isEmpty)
    }
  }

  /// A stream that ends too early, one that goes on behind its end, and one that is damaged: the next item is read.
  @Test func damagedStreams() throws {
    let next = [UInt8](repeating: 3, count: 4096)
    for size in [8192, 1_503_232] {
      let good = try zlib(Array(long[0..<size]))
      let cut = Array(good.dropLast(10))
      let continued = good + [1, 2, 3]
      var changed = good
      changed[good.count / 2] ^= 0x55
      for payload in [cut, continued, changed] {
        let bytes = dump([(0, payload), (1 << 40, try zlib(next))], isCompressed: true)
        let result = try read(StorageInput(MemoryStorage(bytes)))
        #expect(result.problems.count == 1)
        #expect(result.contents[1 << 40] == next)
      }
    }
  }

  /// What is no whole number of sectors is said, and what is more than whole sectors is left out.
  @Test func partsOfSectors() throws {
    for isCompressed in [false, true] {
      for (size, whole) in [(1, 0), (4095, 0), (4097, 4096), (1_503_233, 1_503_232)] {
        let contents = [UInt8](repeating: 7, count: size)
        let bytes = dump([(0, isCompressed ? try zlib(contents) : contents)], isCompressed: isCompressed)
        let result = try read(StorageInput(MemoryStorage(bytes)))
        #expect(
          result.problems == ["item at 0, offset 1024 of the dump: holds \(size) bytes, which are no whole sectors"])
        #expect(result.contents[0]?.count ?? 0 == whole)
      }
    }
  }

  @Test func cutDumps() {
    let bytes = dump([(0, Array(repeating: 1, count: 3000))], isCompressed: false)
    for count in [0, 1, 1023, 1024, 3000, bytes.count - 1] {
      #expect(throws: ImageError.self) { _ = try read(StorageInput(MemoryStorage(Array(bytes[..<count])))) }
    }
  }
}
