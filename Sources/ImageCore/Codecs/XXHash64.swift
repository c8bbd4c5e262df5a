import Bytes

/// The 64-bit xxHash with seed 0 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
package enum XXHash64 {
  private static let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
  private static let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
  private static let prime3: UInt64 = 0x1656_67B1_9E37_79F9
  private static let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
  private static let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

  /// The hash of all of `bytes`.
  package static func hash(_ bytes: RawSpan) -> UInt64 {
    let count = bytes.byteCount
    var position = 0
    var hash: UInt64
    if count >= 32 {
      var a = prime1 &+ prime2
      var b = prime2
      var c: UInt64 = 0
      var d = 0 &- prime1
      while position <= count - 32 {
        a = round(a, bytes.littleEndian(at: position))
        b = round(b, bytes.littleEndian(at: position + 8))
        c = round(c, bytes.littleEndian(at: position + 16))
        d = round(d, bytes.littleEndian(at: position + 24))
        position += 32
      }
      hash = rotated(a, 1) &+ rotated(b, 7) &+ rotated(c, 12) &+ rotated(d, 18)
      hash = merged(merged(merged(merged(hash, a), b), c), d)
    } else {
      hash = prime5
    }
    hash &+= UInt64(count)
    while position <= count - 8 {
      hash ^= round(0, bytes.littleEndian(at: position))
      hash = rotated(hash, 27) &* prime1 &+ prime4
      position += 8
    }
    if position <= count - 4 {
      hash ^= UInt64(bytes.littleEndian(at: position, as: UInt32.self)) &* prime1
      hash = rotated(hash, 23) &* prime2 &+ prime3
      position += 4
    }
    while position < count {
      hash ^= UInt64(bytes[position]) &* prime5
      hash = rotated(hash, 11) &* prime1
      position += 1
    }
    hash = (hash ^ (hash >> 33)) &* prime2
    hash = (hash ^ (hash >> 29)) &* prime3
    return hash ^ (hash >> 32)
  }

  private static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 {
    rotated(lane &+ word &* prime2, 31) &* prime1
  }

  private static func merged(_ hash: UInt64, _ lane: UInt64) -> UInt64 {
    (hash ^ round(0, lane)) &* prime1 &+ prime4
  }
}

/// The word rotated to the left by `bits` (1 to 63).
@inline(__always)
private func rotated(_ word: UInt64, _ bits: UInt64) -> UInt64 { word &<< bits | word &>> (64 &- bits) }
