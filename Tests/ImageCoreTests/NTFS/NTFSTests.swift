import Testing

@testable import ImageCore

@Suite struct FixUpTests {
  /// A record of 1 KiB with the array at 0x30.
  private func record(number: UInt16) -> [UInt8] {
    var bytes = (0..<1024).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    func store(_ value: UInt16, _ offset: Int) {
      bytes[offset] = UInt8(truncatingIfNeeded: value)
      bytes[offset + 1] = UInt8(value >> 8)
    }
    store(0x30, 4)
    store(3, 6)
    store(number, 0x30)
    store(0xAAAA, 0x32)
    store(0xBBBB, 0x34)
    store(number, 510)
    store(number, 1022)
    return bytes
  }

  @Test(arguments: [2, 0x1234, 0xFFFE] as [UInt16]) func comeBackUnderTheSameNumber(number: UInt16) {
    let stored = record(number: number)
    var buffer = Buffer(1024)
    var bytes = buffer.mutableBytes
    bytes.copy(stored.rawBytes, at: 0)
    let outcome = FixUps.remove(&bytes)
    #expect(outcome == .done)
    let first = bytes.bytes.littleEndian(at: 510, as: UInt16.self)
    let second = bytes.bytes.littleEndian(at: 1022, as: UInt16.self)
    let words = [first, second]
    #expect(words == [0xAAAA, 0xBBBB])
    let isRestored = FixUps.restore(&bytes)
    #expect(isRestored)
    #expect(buffer.bytes.array(0..<1024) == stored)
  }

  @Test func tornRecordStaysAsItIs() {
    var stored = record(number: 7)
    stored[1022] ^= 1
    var buffer = Buffer(1024)
    var bytes = buffer.mutableBytes
    bytes.copy(stored.rawBytes, at: 0)
    guard case .torn = FixUps.remove(&bytes) else {
      Issue.record("not noticed")
      return
    }
    #expect(buffer.bytes.array(0..<1024) == stored)
  }
}

@Suite struct ClusterBitmapTests {
  @Test func runsAndConflicts() throws {
    var bitmap = ClusterBitmap(count: 1000)
    try bitmap.set(3..<200) { _ in Issue.record("set already") }
    try bitmap.set(300..<301) { _ in Issue.record("set already") }
    var twice: [UInt64] = []
    try bitmap.set(198..<203) { twice.append($0) }
    #expect(twice == [198, 199])
    #expect(bitmap.nextRun(from: 0) == 3..<203)
    #expect(bitmap.nextRun(from: 100) == 100..<203)
    #expect(bitmap.nextRun(from: 203) == 300..<301)
    #expect(bitmap.nextRun(from: 301) == nil)
  }
}

@Suite struct SpecialImageTests {
  private let header = NtfscloneHeader(clusterSize: 512, deviceSize: 5 * 512 + 100, clusterCount: 5, clustersInUse: 3)

  /// Clusters 0, 3, 4 and the short one behind the volume.
  private var body: [UInt8] {
    func cluster(_ value: UInt8, _ count: Int = 512) -> [UInt8] { [1] + [UInt8](repeating: value, count: count) }
    return cluster(1) + [0, 2, 0, 0, 0, 0, 0, 0, 0] + cluster(2) + cluster(3) + cluster(4, 100)
  }

  @Test(arguments: [1, 7, 512, 513, 4096]) func piecesOfAnySize(size: Int) throws {
    var parser = BodyParser(header, isSeekable: true, isStrictlyAscending: true)
    var volume = [UInt8](repeating: 0, count: 5 * 512 + 100)
    var clusters: UInt64 = 0
    var position = 0
    while position < body.count {
      let piece = Array(body[position..<min(body.count, position + size)])
      let contents = try parser.parse(piece.rawBytes)
      for payload in contents.payloads {
        let start = Int(payload.offset)
        volume.replaceSubrange(start..<start + payload.bytes.count, with: piece[payload.bytes])
      }
      clusters += contents.clusters
      position += piece.count
    }
    #expect(parser.isAtEnd)
    #expect(clusters == 4)
    let expected = ([1, 0, 0, 2, 3] as [UInt8]).flatMap { [UInt8](repeating: $0, count: 512) }
    #expect(volume == expected + [UInt8](repeating: 4, count: 100))
  }

  @Test func readAsADisk() throws {
    let context = OpenContext(
      filename: "image", use: .read, openDependent: { (_) throws(ImageError) in throw ImageError("none") },
      notify: { _ in })
    let image = try NtfscloneFormat.open(MemoryStorage(header.encoded + body), context)
    #expect(image.virtualSize == 3072)
    let gap = try image.layerExtent(at: 512, limit: 3072)
    #expect(gap.length == 1024 && gap.flags == .zero)
    var buffer = Buffer(1024)
    var bytes = buffer.mutableBytes
    try image.read(into: &bytes, at: 1024)
    #expect(buffer.bytes.array(0..<1024) == [UInt8](repeating: 0, count: 512) + [UInt8](repeating: 2, count: 512))
  }
}
