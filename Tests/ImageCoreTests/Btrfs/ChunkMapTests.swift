import Btrfs
import Bytes
import Testing

@Suite struct ChunkMaps {
  private static let unit = ChunkItem.stripeLength

  /// A chunk at logical 1 MiB of 12 units on devices 1, 2, …, each from its own MiB on.
  private func chunk(_ type: UInt64, stripes: Int, subStripes: UInt16 = 1, units: UInt64 = 12) throws -> Chunk {
    var bytes = [UInt8](repeating: 0, count: ChunkItem.size(stripeCount: stripes))
    bytes[44] = UInt8(stripes)
    var item = try ChunkItem(bytes.rawBytes, nodeSize: 16384)
    item.type = ChunkType(rawValue: type | 4)
    item.length = units * Self.unit
    item.stripeLength = Self.unit
    item.sectorSize = 4096
    item.subStripes = subStripes
    for index in 0..<stripes {
      item.stripes[index].device = UInt64(index + 1)
      item.stripes[index].offset = UInt64(index + 1) << 20
    }
    return Chunk(logical: 1 << 20, item: item)
  }

  /// Device, and unit on the device, of each unit of the chunk.
  private func places(_ chunk: Chunk, mirror: Int = 1) -> [[UInt64]] {
    (0..<chunk.item.length / Self.unit).map { unit in
      let piece = chunk.piece(at: chunk.logical + unit * Self.unit + 5, mirror: mirror)
      return [piece.device, (piece.offset - 5 - piece.device << 20) / Self.unit]
    }
  }

  @Test func single() throws {
    #expect(try places(chunk(0, stripes: 1, units: 3)) == [[1, 0], [1, 1], [1, 2]])
    let piece = try chunk(0, stripes: 1).piece(at: (1 << 20) + 7, mirror: 1)
    #expect(piece.length == 12 * Self.unit - 7)
  }

  @Test func mirrors() throws {
    #expect(try places(chunk(1 << 4, stripes: 2, units: 2), mirror: 2) == [[2, 0], [2, 1]])
    #expect(try chunk(1 << 9, stripes: 3).item.mirrorCount == 3)
  }

  @Test func striped() throws {
    #expect(try places(chunk(1 << 3, stripes: 2, units: 4)) == [[1, 0], [2, 0], [1, 1], [2, 1]])
    #expect(try chunk(1 << 3, stripes: 2).piece(at: (1 << 20) + 7, mirror: 1).length == Self.unit - 7)
    #expect(
      try places(chunk(1 << 6, stripes: 4, subStripes: 2, units: 4), mirror: 2) == [[2, 0], [4, 0], [2, 1], [4, 1]])
  }

  @Test func parity() throws {
    let raid5 = try chunk(1 << 7, stripes: 3, units: 6)
    #expect(places(raid5) == [[1, 0], [2, 0], [2, 1], [3, 1], [3, 2], [1, 2]])
    let row = try #require(raid5.parityRow(at: raid5.logical + 3 * Self.unit))
    #expect(row.data == [1, 2] && row.p == 0 && row.q == nil && row.offset == Self.unit)
    let raid6 = try chunk(1 << 8, stripes: 4, units: 4)
    let last = try #require(raid6.parityRow(at: raid6.logical + 2 * Self.unit))
    #expect(last.data == [1, 2] && last.p == 3 && last.q == 0)
  }

  @Test func overlapIsRefused() throws {
    var map = ChunkMap()
    var chunk = try chunk(0, stripes: 1)
    try map.insert(chunk)
    try map.insert(chunk)
    chunk.logical += 4096
    #expect(throws: ImageError.self) { try map.insert(chunk) }
    #expect(map.chunk(containing: (1 << 20) - 1) == nil)
    #expect(map.chunk(containing: 1 << 20)?.logical == 1 << 20)
    #expect(map.chunk(endingAfter: 0)?.logical == 1 << 20)
    #expect(map.chunk(containing: map.chunks[0].end) == nil)
  }
}
