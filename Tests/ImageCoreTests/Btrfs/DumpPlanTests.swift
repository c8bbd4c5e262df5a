import Btrfs
import Bytes
import Testing

@testable import BtrfsImage

@Suite struct DumpPlans {
  private func plan(splitsData: Bool = false, _ extents: [(UInt64, UInt64, DumpPlan.Kind)]) -> DumpPlan {
    var plan = DumpPlan(splitsData: splitsData)
    for (address, length, kind) in extents { plan.add(address, length, kind) }
    plan.flush()
    return plan
  }

  @Test func neighboursAreMerged() {
    let found = plan([
      (65536, 4096, .superblock), (69632, 16384, .treeBlocks), (86016, 16384, .treeBlocks), (200_000, 4096, .data),
      (204_096, 4096, .data), (208_192, 16384, .treeBlocks), (0, 0, .data),
    ]).items
    // The superblock is an item of its own, though a block follows it.
    #expect(found.map(\.address) == [65536, 69632, 200_000, 208_192])
    #expect(found.map(\.length) == [4096, 32768, 8192, 16384])
  }

  @Test func itemsAreLimited() {
    let blocks = (0..<40).map { (UInt64($0) * 16384 + (1 << 20), UInt64(16384), DumpPlan.Kind.treeBlocks) }
    #expect(plan(blocks).items.map(\.length) == [262_144, 262_144, 131_072])
    #expect(plan([(0, 1 << 20, .data)]).items.map(\.length) == [1 << 20])
    #expect(
      plan(splitsData: true, [(0, (1 << 20) + 4096, .data)]).items.map(\.length) == [
        262_144, 262_144, 262_144, 262_144, 4096,
      ])
  }

  @Test func batchesHoldEverything() {
    let found = plan([
      (65536, 4096, .superblock), (1 << 20, 262_144, .treeBlocks), (1 << 24, 3_000_000, .data),
      (1 << 28, 16384, .treeBlocks),
    ])
    let batches = found.batches(limit: 1 << 20)
    #expect(batches.map(\.length) == [266_240, 1 << 20, 1 << 20, 3_000_000 - (2 << 20), 16384])
    #expect(batches.map(\.skipped) == [0, 0, 1 << 20, 2 << 20, 0])
    #expect(batches.map(\.items) == [0..<2, 2..<3, 2..<3, 2..<3, 3..<4])
  }

  /// Where the clusters of items of these sizes lie, compressed.
  @Test func clustersAreLaidOut() throws {
    var layout = ClusterLayout(version: .metadata, isCompressed: true, gathers: false)
    var writes: [ClusterWrite] = []
    for number in 0..<100 {
      layout.begin(MetadumpItem(address: UInt64(number), storedSize: 10), following: { [] }, &writes)
      layout.add(number * 10..<number * 10 + 10, nil, &writes)
      layout.endItem(&writes)
    }
    layout.close(&writes)
    var headers: [(UInt64, [UInt8])] = []
    var stored = 0
    for write in writes {
      switch write {
      case .stored(let range, _): stored += range.count
      case .bytes(let bytes, let offset): if bytes.count == ClusterHeader.size { headers.append((offset, bytes)) }
      }
    }
    #expect(stored == 1000)
    #expect(headers.map(\.0) == [0, 2048])
    let lastHeader = headers[1].1
    let second = try ClusterHeader(lastHeader.rawBytes, version: .metadata, at: 2048)
    #expect(second.items.map(\.address) == (83..<100).map(UInt64.init) && second.end == 4096)
    // Unused slots hold the entries of the cluster before.
    let leftOver: UInt64 = lastHeader.rawBytes.littleEndian(at: 21 + 82 * 12)
    #expect(leftOver == 82)
  }

  @Test func headersAreChecked() throws {
    let header = ClusterHeader(
      version: .data, offset: 4096, isCompressed: false, items: [MetadumpItem(address: 1, storedSize: 2)])
    var buffer = Buffer(ClusterHeader.size)
    var bytes = buffer.mutableBytes
    header.store(in: &bytes)
    let stored = buffer.bytes.array(0..<ClusterHeader.size)
    #expect(try ClusterHeader(stored.rawBytes, version: .data, at: 4096) == header)
    #expect(throws: ImageError.self) { try ClusterHeader(stored.rawBytes, version: .data, at: 0) }
    #expect(throws: ImageError.self) { try ClusterHeader(stored.rawBytes, version: .metadata, at: 4096) }
    for count in [0, 84, 255] as [UInt8] {
      var damaged = stored
      damaged[16] = count
      #expect(throws: ImageError.self) { try ClusterHeader(damaged.rawBytes, version: .data, at: 4096) }
    }
  }
}
