import Bytes

/// BLAKE2b with a digest of 32 bytes and no key (RFC 7693).
package struct BLAKE2b256 {
  private typealias State = SIMD8<UInt64>
  private static let initial = State(
    0x6A09_E667_F3BC_C908, 0xBB67_AE85_84CA_A73B, 0x3C6E_F372_FE94_F82B, 0xA54F_F53A_5F1D_36F1,
    0x510E_527F_ADE6_82D1, 0x9B05_688C_2B3E_6C1F, 0x1F83_D9AB_FB41_BD6B, 0x5BE0_CD19_137E_2179)
  private static let blockSize = 128
  private var state: State

  private init() {
    state = BLAKE2b256.initial
    // Parameter block: digest of 32 bytes, no key, fan-out and depth 1.
    state[0] ^= 0x0101_0020
  }

  /// The digest of all of `bytes`: 32 bytes, as four little-endian words.
  package static func digest(_ bytes: RawSpan) -> SIMD4<UInt64> {
    var hash = BLAKE2b256()
    var position = 0
    // The last block, also a full one, is marked; of nothing it is a block of zeros.
    while bytes.byteCount - position > blockSize {
      hash.compress(bytes.slice(position..<position + blockSize), end: UInt64(position + blockSize), isLast: false)
      position += blockSize
    }
    var last = [UInt8](repeating: 0, count: blockSize)
    for index in position..<bytes.byteCount { last[index - position] = bytes[index] }
    hash.compress(last.rawBytes, end: UInt64(bytes.byteCount), isLast: true)
    return hash.state.lowHalf
  }

  /// Takes in a block; `end` bytes have been seen with it.
  private mutating func compress(_ block: RawSpan, end: UInt64, isLast: Bool) {
    var words = InlineArray<16, UInt64>(repeating: 0)
    for index in 0..<16 { words[index] = block.littleEndian(at: index * 8) }
    var a = state.lowHalf
    var b = state.highHalf
    var c = BLAKE2b256.initial.lowHalf
    var d = BLAKE2b256.initial.highHalf
    d[0] ^= end
    if isLast { d[2] = ~d[2] }
    for round in 0..<12 {
      let order = BLAKE2b256.orders[round % 10]
      func chosen(_ first: Int) -> SIMD4<UInt64> {
        SIMD4(
          words[Int(order[first])], words[Int(order[first + 2])], words[Int(order[first + 4])],
          words[Int(order[first + 6])])
      }
      mix(&a, &b, &c, &d, chosen(0), chosen(1))
      // The second half of a round works on the diagonals.
      b = SIMD4(b[1], b[2], b[3], b[0])
      c = SIMD4(c[2], c[3], c[0], c[1])
      d = SIMD4(d[3], d[0], d[1], d[2])
      mix(&a, &b, &c, &d, chosen(8), chosen(9))
      b = SIMD4(b[3], b[0], b[1], b[2])
      c = SIMD4(c[2], c[3], c[0], c[1])
      d = SIMD4(d[1], d[2], d[3], d[0])
    }
    state ^= State(lowHalf: a ^ c, highHalf: b ^ d)
  }

  /// Four of the format's G functions at once.
  @inline(__always)
  private func mix(
    _ a: inout SIMD4<UInt64>, _ b: inout SIMD4<UInt64>, _ c: inout SIMD4<UInt64>, _ d: inout SIMD4<UInt64>,
    _ x: SIMD4<UInt64>, _ y: SIMD4<UInt64>
  ) {
    a = a &+ b &+ x
    d = rotated(d ^ a, 32)
    c = c &+ d
    b = rotated(b ^ c, 24)
    a = a &+ b &+ y
    d = rotated(d ^ a, 16)
    c = c &+ d
    b = rotated(b ^ c, 63)
  }

  /// In which order each round takes the block's words.
  private static let orders: InlineArray<10, SIMD16<UInt8>> = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
  ]
}

/// Each word rotated to the right by `bits` (1 to 63).
@inline(__always)
private func rotated(_ words: SIMD4<UInt64>, _ bits: UInt64) -> SIMD4<UInt64> {
  words &>> bits | words &<< (64 &- bits)
}
