import Bytes
import Images
import Qcow2
import Storage
import Synchronization
import TestSupport
import Testing

/// A storage that fails from one change on, as if the program had been killed there or the disk had died.
private final class FailingStorage: WritableStorage {
  let base: MemoryStorage
  private let left: Atomic<Int>
  let isPermanent: Bool

  /// The change number `limit` (from 0) fails, and if `isPermanent` all later ones.
  init(_ contents: [UInt8], failingAt limit: Int, isPermanent: Bool) {
    base = MemoryStorage(contents)
    left = Atomic(limit)
    self.isPermanent = isPermanent
  }

  /// Whether the failure has happened.
  var hasFailed: Bool { left.load(ordering: .relaxed) < 0 }

  private func count() throws(ImageError) {
    let now = left.wrappingSubtract(1, ordering: .relaxed).newValue
    if now == -1 || (now < -1 && isPermanent) { throw .system(5 /* EIO */) }
  }

  var name: String { base.name }
  var length: UInt64 { base.length }
  var requestAlignment: Int { 1 }
  var allocatedSize: UInt64? { nil }
  var identity: FileIdentity? { nil }
  var growsWithZeros: Bool { true }

  func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    try base.read(into: &buffer, at: offset)
  }

  func extent(at offset: UInt64, limit: UInt64) throws(ImageError) -> StorageExtent {
    try base.extent(at: offset, limit: limit)
  }

  func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
    try count()
    try base.write(bytes, at: offset)
  }

  func zero(_ range: Range<UInt64>, mayUnmap: Bool) throws(ImageError) {
    try count()
    try base.zero(range, mayUnmap: mayUnmap)
  }

  func discard(_ range: Range<UInt64>) throws(ImageError) {
    // What is given back too early must be noticed.
    try base.write([UInt8](repeating: 0xDD, count: Int(range.upperBound - range.lowerBound)), at: range.lowerBound)
  }

  func allocate(_ range: Range<UInt64>) throws(ImageError) {
    try count()
    try base.allocate(range)
  }

  func resize(to length: UInt64) throws(ImageError) {
    try count()
    try base.resize(to: length)
  }

  func flush() throws(ImageError) { try count() }
}

/// Every change of the file fails once: the error is reported, and what lies in the file is sound but for leaks; each
/// sector reads as before or as after.
@Suite struct Qcow2Faults {
  struct Scenario: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var clusterSize: UInt64 = 512
    var hasExtendedL2 = false
    /// Sectors may be zeros on the way.
    var hasZeros = false
    /// A file that cannot be cut is worth a warning only.
    var canWarn = false
    var run: @Sendable (Qcow2Image) throws -> Void
  }

  private static let size = 256 << 10

  private static func pattern(_ seed: UInt64, _ count: Int) -> [UInt8] {
    var generator = SplitMix64(seed)
    return generator.bytes(count)
  }

  static let scenarios = [
    Scenario(testDescription: "writes that allocate, then flush") { image in
      try image.write(pattern(1, 70000).rawBytes, at: 3000 / 512 * 512)
      try image.flush()
      try image.write(pattern(2, 5120).rawBytes, at: 200_000 / 512 * 512)
      try image.close()
    },
    Scenario(testDescription: "overwriting, zeros and discard, 4k", clusterSize: 4096, hasZeros: true) { image in
      try image.writeZeros(8192..<100_352, mayUnmap: true)
      try image.write(pattern(3, 20480).rawBytes, at: 51200)
      try image.discard(120_000..<200_000)
      try image.write(pattern(4, 30720).rawBytes, at: 102_400)
      try image.close()
    },
    Scenario(testDescription: "extended L2", clusterSize: 16384, hasExtendedL2: true, hasZeros: true) { image in
      try image.write(pattern(5, 3072).rawBytes, at: 1024)
      try image.writeZeros(40960..<90112, mayUnmap: true)
      try image.write(pattern(6, 40960).rawBytes, at: 49152)
      try image.close()
    },
    Scenario(testDescription: "growing") { image in
      try image.resize(to: 3 << 20, preallocation: .off)
      try image.write(pattern(7, 40960).rawBytes, at: 2 << 20)
      try image.close()
    },
    Scenario(testDescription: "growing with space", clusterSize: 4096) { image in
      try image.resize(to: 1 << 20, preallocation: .falloc)
      try image.close()
    },
    Scenario(testDescription: "shrinking", hasZeros: true, canWarn: true) { image in
      try image.resize(to: 64 << 10, preallocation: .off)
      try image.close()
    },
    Scenario(testDescription: "a bitmap", clusterSize: 4096) { image in
      let description = BitmapDescription(name: "b", granularity: 4096, isInconsistent: false, isEnabled: true)
      try image.addBitmap(description, bits: [0xFF, 0, 0, 1])
      try image.write(pattern(8, 4096).rawBytes, at: 8192)
      try image.close()
    },
    Scenario(testDescription: "snapshots made and deleted") { image in
      try image.createSnapshot("one", seconds: 1, nanoseconds: 0)
      try image.createSnapshot("two", seconds: 2, nanoseconds: 0)
      try image.deleteSnapshot(0)
      try image.close()
    },
    Scenario(testDescription: "a snapshot, a write, back again", clusterSize: 4096, hasZeros: true) { image in
      try image.createSnapshot("one", seconds: 1, nanoseconds: 0)
      try image.writeZeros(4096..<65536, mayUnmap: true)
      try image.flush()
      try image.applySnapshot("one")
      try image.close()
    },
    Scenario(testDescription: "counts of another width, and version 2") { image in
      var options = OptionValues(Qcow2Format.amendOptions)
      options.set("refcount_bits", number: 64)
      try image.amend(options) { _ in }
      options.set("refcount_bits", number: 16)
      options.set("compat", text: "0.10")
      try image.amend(options) { _ in }
      try image.close()
    },
    Scenario(testDescription: "bitmaps edited") { image in
      try image.editBitmap("b", .add(granularity: 512))
      try image.editBitmap("b", .merge(BitmapContents(granularity: 65536, diskSize: 256 << 10, bits: [5])))
      try image.close()
    },
  ]

  @Test(arguments: scenarios, [true, false])
  func everyChange(_ scenario: Scenario, isPermanent: Bool) throws {
    var creation = Qcow2Format.Creation(size: UInt64(Qcow2Faults.size))
    creation.clusterSize = scenario.clusterSize
    creation.hasExtendedL2 = scenario.hasExtendedL2
    let start = MemoryStorage()
    let prepared = try Qcow2TestImage(creation, on: start)
    let first = try prepared.open()
    try first.write(Qcow2Faults.pattern(9, 131072).rawBytes, at: 0)
    try first.close()
    let before = try prepared.open(.read).allBytes()

    // The number of changes, and what is there in the end.
    let whole = FailingStorage(start.bytes, failingAt: .max, isPermanent: false)
    try scenario.run(try Qcow2TestImage(existing: whole).open())
    let after = try Qcow2TestImage(existing: whole).open(.read).allBytes()

    for limit in 0..<2000 {
      let storage = FailingStorage(start.bytes, failingAt: limit, isPermanent: isPermanent)
      let test = Qcow2TestImage(existing: storage)
      do {
        try scenario.run(try test.open())
        #expect(!storage.hasFailed || scenario.canWarn, "failure \(limit) was not reported")
        if !storage.hasFailed { return }
      } catch {}
      let (result, messages) = try test.check()
      let isSound = result.corruptions == 0 && result.checkErrors == 0
      #expect(isSound, "failure \(limit): \(messages.prefix(3))")
      let now = try test.open(.read).allBytes()
      for sector in stride(from: 0, to: now.count, by: 512) {
        let range = sector..<min(sector + 512, now.count)
        let isOld = range.upperBound <= before.count ? now[range] == before[range] : now[range].allSatisfy { $0 == 0 }
        let isNew = range.upperBound <= after.count && now[range] == after[range]
        let isZero = scenario.hasZeros && now[range].allSatisfy { $0 == 0 }
        if !isOld && !isNew && !isZero {
          Issue.record("failure \(limit): sector at \(sector) is neither old nor new")
          return
        }
      }
    }
    Issue.record("the scenario has no end")
  }
}
