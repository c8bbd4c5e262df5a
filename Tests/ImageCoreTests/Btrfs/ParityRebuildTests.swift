import Bytes
import Testing

@testable import Btrfs

@Suite struct ParityRebuilds {
  @Test func field() {
    #expect(GaloisField.power(8) == 0x1D)
    #expect(GaloisField.product(2, 0x80) == 0x1D)
    #expect(GaloisField.product(0, 7) == 0)
    for value in 1...255 { #expect(GaloisField.product(UInt8(value), GaloisField.inverse(UInt8(value))) == 1) }
  }

  /// A row of four data elements; stripe 4 holds P and 5 Q.
  private static let data: [[UInt8]] = (0..<4).map { element in
    (0..<64).map { UInt8(truncatingIfNeeded: $0 * 31 + element * 77 + 5) }
  }
  private static let row = ParityRow(data: [0, 1, 2, 3], p: 4, q: 5, offset: 0, logical: 0)
  private static let stripes: [[UInt8]] = {
    var p = [UInt8](repeating: 0, count: 64)
    var q = p
    for (element, bytes) in data.enumerated() {
      for index in 0..<64 {
        p[index] ^= bytes[index]
        q[index] ^= GaloisField.product(bytes[index], GaloisField.power(element))
      }
    }
    return data + [p, q]
  }()

  @Test(arguments: 0..<4) func everyWay(_ index: Int) throws {
    let ways = RebuildWay.ways(Self.row, index: index)
    #expect(ways.count == 5)
    for way in ways {
      // What the way does without cannot be read.
      var missing: Set<Int> = [index]
      switch way {
      case .p: missing.insert(5)
      case .q: missing.insert(4)
      case .both(let other): missing.insert(other)
      }
      var target = Buffer(64)
      var bytes = target.mutableBytes
      try rebuild(index, of: Self.row, by: way, into: &bytes) { (stripe, part) throws(ImageError) in
        if missing.contains(stripe) { throw .system(5) }
        let contents = Self.stripes[stripe]
        part.copy(contents.rawBytes, at: 0)
      }
      let found = target.bytes.array(0..<64)
      #expect(found == Self.data[index])
    }
  }

  @Test func withoutSecondParity() {
    let row = ParityRow(data: [0, 1], p: 2, q: nil, offset: 0, logical: 0)
    #expect(RebuildWay.ways(row, index: 1) == [.p])
  }
}
