import Bytes
import Codecs

/// The checksums that group descriptors and bitmaps have (ext4-e2image §1.5).
package struct ExtChecksums: Sendable {
  private let superblock: ExtSuperblock
  private let seed: UInt32

  package init(_ superblock: ExtSuperblock) {
    self.superblock = superblock
    seed =
      superblock.features.has(.checksumSeed)
      ? superblock.bytes.rawBytes.littleEndian(at: 0x270) : CRC32C.update(.max, superblock.uuid.rawBytes)
  }

  /// Where a descriptor's own checksum is.
  private static let place = 0x1E

  /// The checksum of a group's descriptor, nil without the features.
  package func ofDescriptor(_ bytes: RawSpan, group: UInt64) -> UInt16? {
    let before = bytes.slice(0..<ExtChecksums.place)
    let after = bytes.slice(ExtChecksums.place + 2..<bytes.byteCount)
    let number = littleEndianBytes(UInt32(truncatingIfNeeded: group))
    if superblock.features.has(.metadataChecksums) {
      var sum = CRC32C.update(seed, number.rawBytes)
      for part in [before.array(0..<before.byteCount), [0, 0], after.array(0..<after.byteCount)] {
        sum = CRC32C.update(sum, part.rawBytes)
      }
      return UInt16(truncatingIfNeeded: sum)
    }
    guard superblock.features.has(.groupChecksums) else { return nil }
    var sum = CRC16(.max)
    sum.update(superblock.uuid.rawBytes)
    sum.update(number.rawBytes)
    sum.update(before)
    if bytes.byteCount > 32 { sum.update(after) }
    return sum.value
  }

  /// Whether a group's descriptor agrees with its checksum; true without the features.
  package func descriptorIsSound(_ bytes: RawSpan, group: UInt64) -> Bool {
    guard let sum = ofDescriptor(bytes, group: group) else { return true }
    return sum == bytes.littleEndian(at: ExtChecksums.place, as: UInt16.self)
  }

  /// Stores the checksums of a group's bitmaps, where given, and then that of the descriptor itself.
  package func store(
    blockBitmap: RawSpan?, inodeBitmap: RawSpan?, group: UInt64, in descriptor: inout MutableRawSpan
  ) {
    if superblock.features.has(.metadataChecksums) {
      if let blockBitmap { store(blockBitmap, low: 0x18, high: 0x38, in: &descriptor) }
      if let inodeBitmap { store(inodeBitmap, low: 0x1A, high: 0x3A, in: &descriptor) }
    }
    if let sum = ofDescriptor(descriptor.bytes, group: group) {
      descriptor.storeLittleEndian(sum, at: ExtChecksums.place)
    }
  }

  private func store(_ bitmap: RawSpan, low: Int, high: Int, in descriptor: inout MutableRawSpan) {
    let sum = CRC32C.update(seed, bitmap)
    descriptor.storeLittleEndian(UInt16(truncatingIfNeeded: sum), at: low)
    if descriptor.byteCount > high + 2 {
      descriptor.storeLittleEndian(UInt16(truncatingIfNeeded: sum >> 16), at: high)
    }
  }

  /// The checksum that a superblock with these 1024 bytes should have, nil without the feature.
  package func ofSuperblock(_ bytes: RawSpan) -> UInt32? {
    superblock.features.has(.metadataChecksums) ? CRC32C.update(.max, bytes.slice(0..<0x3FC)) : nil
  }
}

private func littleEndianBytes(_ value: UInt32) -> [UInt8] {
  (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32($0 * 8)) }
}

/// The CRC-16 of group descriptors (reflected polynomial 0xA001) as a register.
struct CRC16 {
  private(set) var value: UInt16

  init(_ value: UInt16) { self.value = value }

  mutating func update(_ bytes: RawSpan) {
    for index in 0..<bytes.byteCount {
      value ^= UInt16(bytes[index])
      for _ in 0..<8 { value = value & 1 == 0 ? value >> 1 : value >> 1 ^ 0xA001 }
    }
  }
}
