import Synchronization
import Testing

@testable import Ext
@testable import ImageCore
import TestSupport

/// The walk through many block maps at once.
@Suite struct BlockMapSweepTests {
  /// A storage that remembers where it was read.
  private final class Recording: Storage {
    private let inner: MemoryStorage
    private let log = Mutex<[UInt64]>([])
    let name = "recording"
    var length: UInt64 { inner.length }
    let requestAlignment = 1
    var allocatedSize: UInt64? { nil }
    let identity: FileIdentity? = nil
    var offsets: [UInt64] { log.withLock { $0 } }

    init(_ inner: MemoryStorage) { self.inner = inner }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
      log.withLock { $0.append(offset) }
      try inner.read(into: &buffer, at: offset)
    }

    func extent(at offset: UInt64, limit: UInt64) throws(ImageError) -> StorageExtent {
      try inner.extent(at: offset, limit: limit)
    }
  }

  /// A file system of 8192 blocks of 1 KiB with 1000 inodes, of which every block from 1024 on may be a part of a map:
  /// blocks of random numbers and nodes of extents.
  private func storage(seed: UInt64, damages: Bool) throws -> MemoryStorage {
    var random = SplitMix64(seed)
    let storage = MemoryStorage()
    try storage.resize(to: 8 << 20)
    var bytes = [UInt8](repeating: 0, count: 1024)
    func put(_ value: UInt32, at offset: Int, width: Int = 4) {
      for index in 0..<width { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index)) }
    }
    for (offset, value) in [(0x00, 2048), (0x04, 8192), (0x14, 1), (0x20, 8192), (0x24, 8192), (0x28, 2048), (0x4C, 1)]
    {
      put(UInt32(value), at: offset)
    }
    put(0xEF53, at: 0x38, width: 2)
    put(128, at: 0x58, width: 2)
    try storage.write(bytes, at: 1024)
    bytes = [UInt8](repeating: 0, count: 1024)
    (bytes[0], bytes[4], bytes[8]) = (100, 101, 102)
    try storage.write(bytes, at: 2048)

    /// A block of the file system; now and then one outside of it.
    func block(_ range: Range<UInt32>) -> UInt32 {
      damages && random.next(upperBound: 40 as UInt32) == 0 ? 1 << 20 : UInt32.random(in: range, using: &random)
    }
    /// A node of a tree of extents, at `start` of `bytes`.
    func node(_ depth: UInt32, at start: Int, capacity: UInt32) {
      let isBroken = damages && random.next(upperBound: 30 as UInt32) == 0
      let count = depth == 0 ? 2 : 1 + random.next(upperBound: 3 as UInt32)
      put(isBroken ? 0xF30B : 0xF30A | count << 16, at: start)
      put(capacity | depth << 16, at: start + 4)
      for entry in 0..<Int(count) {
        let place = start + 12 + entry * 12
        put(UInt32(entry * 10), at: place)
        // Nodes of depth d are in the blocks from 1024 · (d + 1) on.
        let child = depth == 0 ? block(6000..<8000) : block(1024 * depth..<1024 * depth + 1000)
        put(depth == 0 ? 3 : child, at: place + 4)
        put(depth == 0 ? child : 0, at: place + 8)
      }
    }
    for number in 1024..<4096 as Range<UInt64> {
      bytes = [UInt8](repeating: 0, count: 1024)
      node(UInt32(number / 1024) - 1, at: 0, capacity: 84)
      try storage.write(bytes, at: number * 1024)
    }
    for number in 4096..<5096 as Range<UInt64> {
      bytes = [UInt8](repeating: 0, count: 1024)
      for _ in 0..<3 { put(block(6000..<8000), at: 4 * Int.random(in: 0..<256, using: &random)) }
      try storage.write(bytes, at: number * 1024)
    }
    for number in 11..<1011 {
      bytes = [UInt8](repeating: 0, count: 128)
      put(0x81A4, at: 0, width: 2)
      put(1, at: 0x1A, width: 2)
      if random.next(upperBound: 2 as UInt32) == 0 {
        put(0x80000, at: 0x20)
        node(random.next(upperBound: 4 as UInt32), at: 0x28, capacity: 4)
      } else {
        put(block(6000..<8000), at: 0x28)
        put(block(4096..<5096), at: 0x28 + 48)
      }
      if random.next(upperBound: 10 as UInt32) == 0 { put(block(6000..<8000), at: 0x68) }
      try storage.write(bytes, at: UInt64(102 * 1024 + (number - 1) * 128))
    }
    return storage
  }

  private func scan(_ storage: any Storage, limit: Int) throws -> (found: ExtImageBlocks, findings: [String]) {
    var rule = ExtScan.Rule()
    rule.includesData = true
    var findings: [String] = []
    let found = ExtScan(try ExtVolume(storage), rule, sweepLimit: limit) { finding in
      switch finding {
      case .damage(let error): findings.append(error.message)
      case .outside(let line): findings.append(line)
      }
    }.run()
    return (found, findings)
  }

  private func members(_ set: BlockSet) -> [UInt64] { (0..<8192).filter { set.contains($0) } }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func nothingDependsOnHowMuchIsReadAtOnce(seed: UInt64) throws {
    let storage = try storage(seed: seed, damages: true)
    let whole = try scan(storage, limit: BlockMapSweep.defaultLimit)
    #expect(whole.findings.count > 100)
    for limit in [1, 7, 300] {
      let parts = try scan(storage, limit: limit)
      #expect(parts.found.markCount == whole.found.markCount)
      #expect(members(parts.found.clusters) == members(whole.found.clusters))
      #expect(parts.findings == whole.findings)
    }
  }

  @Test func partsAreReadInTheOrderOfTheDevice() throws {
    let storage = Recording(try storage(seed: 4, damages: false))
    let (_, findings) = try scan(storage, limit: BlockMapSweep.defaultLimit)
    #expect(findings == [])
    let offsets = storage.offsets
    // Superblock, descriptors and inodes are one pass; then one for each level of the deepest map.
    let passes = 1 + zip(offsets, offsets.dropFirst()).count { $0 > $1 }
    #expect(passes <= 4)
    // More than a thousand parts, which are neighbours.
    #expect(offsets.count < 200)
  }
}
