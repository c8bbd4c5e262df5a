import Bytes
import Codecs

/// How the metadata blocks of a file system are checksummed (btrfs-image §2.2).
///
/// The first 32 bytes of a block hold the checksum of the rest. What an algorithm leaves of the 32 bytes is not compared
/// and not written.
package enum ChecksumAlgorithm: UInt16, Sendable, CaseIterable {
  case crc32c = 0
  case xxhash64 = 1
  case sha256 = 2
  case blake2b = 3

  /// Bytes at a block's beginning that are not checksummed.
  package static let fieldSize = 32

  /// Bytes that a checksum takes, 4 to 32.
  package var size: Int {
    switch self {
    case .crc32c: 4
    case .xxhash64: 8
    case .sha256, .blake2b: 32
    }
  }

  /// The checksum of `block`, a whole block of more than 32 bytes.
  package func checksum(of block: RawSpan) -> BlockChecksum {
    let bytes = block.slice(ChecksumAlgorithm.fieldSize..<block.byteCount)
    let words: SIMD4<UInt64>
    switch self {
    case .crc32c: words = SIMD4(UInt64(CRC32C.checksum(bytes)), 0, 0, 0)
    case .xxhash64: words = SIMD4(XXHash64.hash(bytes), 0, 0, 0)
    case .sha256:
      let digest = SHA256.digest(bytes)
      words = SIMD4(
        (0..<4).map { UInt64(digest[2 * $0].byteSwapped) | UInt64(digest[2 * $0 + 1].byteSwapped) << 32 })
    case .blake2b: words = BLAKE2b256.digest(bytes)
    }
    return BlockChecksum(words: words, size: size)
  }

  /// The checksum that `block` carries.
  package func stored(in block: RawSpan) -> BlockChecksum {
    var words = SIMD4<UInt64>()
    switch size {
    case 4: words[0] = UInt64(block.littleEndian(at: 0, as: UInt32.self))
    case 8: words[0] = block.littleEndian(at: 0)
    default: for index in 0..<4 { words[index] = block.littleEndian(at: index * 8) }
    }
    return BlockChecksum(words: words, size: size)
  }

  /// Whether `block` carries the checksum of its contents.
  package func verifies(_ block: RawSpan) -> Bool { stored(in: block) == checksum(of: block) }

  /// Gives `block` the checksum of its contents.
  @_lifetime(block: copy block)
  package func store(in block: inout MutableRawSpan) {
    let checksum = checksum(of: block.bytes)
    switch size {
    case 4: block.storeLittleEndian(UInt32(truncatingIfNeeded: checksum.words[0]), at: 0)
    case 8: block.storeLittleEndian(checksum.words[0], at: 0)
    default: for index in 0..<4 { block.storeLittleEndian(checksum.words[index], at: index * 8) }
    }
  }
}

/// A checksum as it stands in a block.
package struct BlockChecksum: Sendable, Equatable {
  /// The bytes as little-endian words; zeros behind ``size``.
  package let words: SIMD4<UInt64>
  /// Bytes in use.
  package let size: Int

  /// The bytes in their order, as hexadecimal digits.
  package var hexadecimal: String {
    (0..<size).map { index in
      let byte = UInt8(truncatingIfNeeded: words[index / 8] >> UInt64(index % 8 * 8))
      return (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()
  }
}
