import Bytes
import Images
import Qcow2
import Raw
import Storage
import TestSupport
import Testing

/// Random writes, zeros, discards, compressed clusters and changes of size, beside a plain array of bytes.
@Suite struct Qcow2RandomWalk {
  struct Setup: Sendable, CustomTestStringConvertible {
    var name: String
    var clusterSize: UInt64 = 4096
    var version: UInt32 = 3
    var refcountBits: UInt64 = 16
    var hasExtendedL2 = false
    var hasBacking = false
    var preallocation = Preallocation.off
    var testDescription: String { name }
  }

  static let setups = [
    Setup(name: "512", clusterSize: 512),
    Setup(name: "512, 64-bit counts, layer below", clusterSize: 512, refcountBits: 64, hasBacking: true),
    Setup(name: "4k"),
    Setup(name: "4k, 1-bit counts", refcountBits: 1),
    Setup(name: "4k, layer below", hasBacking: true),
    Setup(name: "64k", clusterSize: 65536),
    Setup(name: "version 2", version: 2),
    Setup(name: "version 2, layer below", version: 2, hasBacking: true),
    Setup(name: "extended L2", clusterSize: 16384, hasExtendedL2: true),
    Setup(name: "extended L2, layer below", clusterSize: 16384, hasExtendedL2: true, hasBacking: true),
    Setup(name: "reserved", preallocation: .falloc),
  ]

  private static let maximum = 3 << 18

  @Test(arguments: setups)
  func walk(_ setup: Setup) throws {
    for seed in 0..<UInt64(2) {
      var walker = try Walker(setup, seed: seed, size: Qcow2RandomWalk.maximum * 2 / 3)
      for _ in 0..<120 { try walker.step(maximum: Qcow2RandomWalk.maximum) }
      try walker.finish()
    }
  }

  struct Walker {
    let setup: Setup
    let test: Qcow2TestImage
    var image: Qcow2Image
    var model: [UInt8]
    var generator: SplitMix64
    let backingSize: Int

    init(_ setup: Setup, seed: UInt64, size: Int) throws {
      self.setup = setup
      generator = SplitMix64(seed &* 77 &+ UInt64(setup.name.utf8.count))
      var creation = Qcow2Format.Creation(size: UInt64(size))
      creation.version = setup.version
      creation.clusterSize = setup.clusterSize
      creation.refcountBits = setup.refcountBits
      creation.hasExtendedL2 = setup.hasExtendedL2
      creation.preallocation = setup.preallocation
      var test = try Qcow2TestImage(creation)
      model = [UInt8](repeating: 0, count: size)
      var below = 0
      if setup.hasBacking {
        below = size / 2 + 1536
        let contents = generator.bytes(below)
        model.replaceSubrange(0..<below, with: contents)
        test.backing = RawImage(MemoryStorage(contents), filename: "below")
      }
      backingSize = below
      self.test = test
      image = try test.open()
    }

    /// Identifiers of the snapshots, and what the disk was then.
    private var snapshots: [(id: String, model: [UInt8])] = []

    private mutating func range(unit: Int = 512) -> Range<Int> {
      let units = model.count / unit
      let start = Int.random(in: 0..<units, using: &generator)
      let most = [1, 9, 100, 700].randomElement(using: &generator) ?? 1
      let end = min(units, start + Int.random(in: 1...most, using: &generator))
      return start * unit..<end * unit
    }

    mutating func step(maximum: Int) throws {
      switch Int.random(in: 0..<23, using: &generator) {
      case 0..<6:
        let range = range()
        let bytes = generator.bytes(range.count)
        try image.write(bytes.rawBytes, at: UInt64(range.lowerBound))
        model.replaceSubrange(range, with: bytes)
      case 6..<10:
        let range = range()
        let bytes = generator.bytes(range.count)
        for run in try image.place(UInt64(range.lowerBound)..<UInt64(range.upperBound), waitForStores: {}) {
          let start = Int(run.guestOffset) - range.lowerBound
          try run.store(bytes.rawBytes.slice(start..<start + run.length))
        }
        model.replaceSubrange(range, with: bytes)
      case 10..<13:
        let range = range()
        try image.writeZeros(
          UInt64(range.lowerBound)..<UInt64(range.upperBound), mayUnmap: Bool.random(using: &generator))
        model.replaceSubrange(range, with: repeatElement(0, count: range.count))
      case 13..<15:
        try discard(range())
      case 15:
        try compress()
      case 16:
        try resize(maximum: maximum)
      case 17:
        try image.flush()
        try verify(mayLeak: false)
      case 18:
        try image.close()
        try verify(mayLeak: false)
        image = try test.open()
      case 19..<22 where setup.refcountBits > 1:
        try changeSnapshots()
      default:
        try compare(image)
      }
    }

    private mutating func changeSnapshots() throws {
      let index = Int.random(in: 0..<5, using: &generator)
      if index >= snapshots.count {
        try image.createSnapshot("snapshot", seconds: 1, nanoseconds: 0)
        snapshots.append((image.snapshots.last?.id ?? "", model))
      } else if Bool.random(using: &generator) {
        try image.deleteSnapshot(index)
        snapshots.remove(at: index)
      } else {
        try image.applySnapshot(snapshots[index].id)
        model = snapshots[index].model
      }
      try image.flush()
      try verify(mayLeak: false)
    }

    private mutating func discard(_ range: Range<Int>) throws {
      try image.discard(UInt64(range.lowerBound)..<UInt64(range.upperBound))
      if setup.version == 2 && setup.hasBacking { return }
      let size = Int(setup.clusterSize)
      let start = (range.lowerBound + size - 1) / size * size
      let end = range.upperBound == model.count ? model.count : range.upperBound / size * size
      if start < end { model.replaceSubrange(start..<end, with: repeatElement(0, count: end - start)) }
    }

    private mutating func compress() throws {
      let size = Int(setup.clusterSize)
      let cluster = Int.random(in: 0..<(model.count + size - 1) / size, using: &generator)
      let range = cluster * size..<min((cluster + 1) * size, model.count)
      try discard(range)
      guard setup.version == 3 || !setup.hasBacking, let compression = image.compression else { return }
      let compressor = try compression.makeCompressor()
      let bytes = generator.bytes(range.count)
      var output = Buffer(size - 1)
      var target = output.mutableBytes
      let whole = bytes + Array(repeating: 0, count: size - bytes.count)
      if let count = try compressor.compress(whole.rawBytes, into: &target),
        let run = try image.placeCompressed(length: count, at: UInt64(range.lowerBound), waitForStores: {})
      {
        try run.store(output.bytes.slice(0..<count))
      } else {
        try image.write(bytes.rawBytes, at: UInt64(range.lowerBound))
      }
      model.replaceSubrange(range, with: bytes)
    }

    private mutating func resize(maximum: Int) throws {
      if setup.version == 2 && !snapshots.isEmpty { return }
      let size = Int.random(in: 100...maximum / 512, using: &generator) * 512
      // A layer below that is larger than the disk was is covered with zeros, for which version 2 has no entries.
      if setup.version == 2 && setup.hasBacking && (size < backingSize || model.count < backingSize) { return }
      let isGrowing = size >= model.count
      let mode: Preallocation =
        isGrowing && !setup.hasBacking
        ? [.off, .metadata, .falloc].randomElement(using: &generator) ?? .off : .off
      // Bytes behind the end of an incomplete cluster stay as they are in the file, and show again.
      if !isGrowing {
        let end = min(
          model.count, (size + Int(setup.clusterSize) - 1) / Int(setup.clusterSize) * Int(setup.clusterSize))
        try image.writeZeros(UInt64(size)..<UInt64(end), mayUnmap: false)
      }
      try image.resize(to: UInt64(size), preallocation: mode)
      if isGrowing {
        model += Array(repeating: 0, count: size - model.count)
      } else {
        model.removeLast(model.count - size)
      }
    }

    private func compare(_ image: Qcow2Image) throws {
      let bytes = try image.allBytes()
      if bytes != model {
        let place = zip(bytes, model).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? -1
        Issue.record("differs at \(place) of \(model.count), read \(bytes.count)")
      }
    }

    /// What lies in the storage is sound, and reads as it should.
    private func verify(mayLeak: Bool) throws {
      let check = try test.check()
      #expect(check.messages == [])
      let written = try test.open(.read)
      try compare(written)
      for (index, snapshot) in snapshots.enumerated() {
        let bytes = try written.openSnapshot(index).allBytes()
        #expect(bytes == snapshot.model, "snapshot \(index)")
      }
    }

    mutating func finish() throws {
      try image.close()
      try verify(mayLeak: false)
    }
  }
}
