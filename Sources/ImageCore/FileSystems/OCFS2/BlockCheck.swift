import Bytes
import Codecs

/// The checksum of a metadata block: a CRC-32 and a Hamming code that can put one bit right (ocfs2-o2image §13).
package enum BlockCheck {
  /// What a check found.
  package enum Outcome: Sendable, Equatable {
    /// The block is as it was written.
    case good
    /// Bit `bit` of the block (least significant first) is wrong, and the code says so.
    case correctable(bit: Int)
    /// More is wrong than the code can tell.
    case bad
  }

  /// The code position of data bit `bit`: numbers from 3 on without the powers of two.
  static func position(of bit: Int) -> Int {
    var position = bit + 1
    var power = 1
    var exponent = 0
    while power < position + 1 {
      position += 1
      exponent += 1
      power = 1 << exponent
    }
    return position
  }

  /// The checksum of `bytes` when the check's own 8 bytes at `offset` count as zeros: CRC-32 without the last inversion.
  static func checksum(of bytes: RawSpan, checkAt offset: Int) -> UInt32 {
    var crc = CRC32()
    crc.update(bytes.slice(0..<offset))
    crc.update([UInt8](repeating: 0, count: 8).rawBytes)
    crc.update(bytes.slice(offset + 8..<bytes.byteCount))
    return ~crc.value
  }

  /// The parity over the set bits of `bytes`, whose 8 bytes at `offset` count as zeros.
  static func parity(of bytes: RawSpan, checkAt offset: Int) -> UInt16 {
    var parity = 0
    for index in 0..<bytes.byteCount where !(offset..<offset + 8).contains(index) {
      var byte = bytes[index]
      while byte != 0 {
        parity ^= position(of: index * 8 + byte.trailingZeroBitCount)
        byte &= byte - 1
      }
    }
    return UInt16(truncatingIfNeeded: parity)
  }

  /// Checks a block that carries its check at byte `offset`.
  package static func verify(_ bytes: RawSpan, checkAt offset: Int) -> Outcome {
    let stored: UInt32 = bytes.littleEndian(at: offset)
    if checksum(of: bytes, checkAt: offset) == stored { return .good }
    let syndrome = Int(parity(of: bytes, checkAt: offset) ^ bytes.littleEndian(at: offset + 4, as: UInt16.self))
    // A power of two is a wrong parity bit: the data is not what it cannot explain.
    guard syndrome.nonzeroBitCount > 1 else { return .bad }
    for bit in 0..<bytes.byteCount * 8 where position(of: bit) == syndrome {
      var copy = bytes.array(0..<bytes.byteCount)
      copy[bit / 8] ^= 1 << UInt8(bit % 8)
      return checksum(of: copy.rawBytes, checkAt: offset) == stored ? .correctable(bit: bit) : .bad
    }
    return .bad
  }
}
