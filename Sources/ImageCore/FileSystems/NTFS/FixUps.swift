import Bytes

/// Multi-sector protection of records (spec §2): the last word of each 512 bytes is replaced by a sequence number, so that
/// a record of which only a part was written is noticed.
package enum FixUps {
  /// The stride, also on volumes with larger sectors.
  private static let stride = 512

  /// Position of the sequence number, when the header is acceptable for a record of this size.
  private static func arrayOffset(_ record: RawSpan) -> Int? {
    let size = record.byteCount
    guard size >= stride, size % stride == 0 else { return nil }
    let offset = Int(record.littleEndian(at: 4, as: UInt16.self))
    let count = Int(record.littleEndian(at: 6, as: UInt16.self))
    guard offset % 2 == 0, count == 1 + size / stride, offset + 2 * count <= stride - 2 else { return nil }
    return offset
  }

  /// What is wrong with a protected record.
  package struct Damage: Equatable, Sendable {
    /// `EIO` for a torn record, `EINVAL` for a header that makes no sense.
    package var errno: Int32
    /// What the library says about it.
    package var line: String
  }

  /// What came of taking off the protection.
  package enum Outcome: Equatable {
    case done
    /// The header makes no sense; nothing was changed (``complaint(_:)`` is the library's line).
    case unacceptable
    /// Torn; nothing was changed. The line is the library's.
    case torn(String)
  }

  /// Puts the saved words back in place.
  package static func remove(_ record: inout MutableRawSpan) -> Outcome {
    guard let offset = arrayOffset(record.bytes) else { return .unacceptable }
    if let line = tear(record.bytes, offset) { return .torn(line) }
    for block in 0..<record.byteCount / stride {
      let saved = record.bytes.littleEndian(at: offset + 2 + 2 * block, as: UInt16.self)
      record.storeLittleEndian(saved, at: (block + 1) * stride - 2)
    }
    return .done
  }

  private static func magic(_ bytes: RawSpan) -> String {
    let digits = String(bytes.littleEndian(at: 0, as: UInt32.self), radix: 16)
    return "0x" + String(repeating: "0", count: max(0, 8 - digits.utf8.count)) + digits
  }

  /// The library's line about a header that makes no sense.
  static func complaint(_ bytes: RawSpan) -> String {
    guard bytes.byteCount >= 8 else { return "ntfs_mst_post_read_fixup_warn: \(errorText(22))" }
    let offset = bytes.littleEndian(at: 4, as: UInt16.self)
    let count = bytes.littleEndian(at: 6, as: UInt16.self)
    return "ntfs_mst_post_read_fixup_warn: magic: \(magic(bytes))  size: \(bytes.byteCount)   usa_ofs: \(offset)"
      + "  usa_count: \(count): \(errorText(22))"
  }

  /// The library's line about the first block that was not written with the others.
  private static func tear(_ bytes: RawSpan, _ offset: Int) -> String? {
    let blocks = bytes.byteCount / stride
    let number = bytes.littleEndian(at: offset, as: UInt16.self)
    for block in 0..<blocks {
      let found = bytes.littleEndian(at: (block + 1) * stride - 2, as: UInt16.self)
      guard found != number else { continue }
      return "Incomplete multi-sector transfer: magic: \(magic(bytes))  size: \(bytes.byteCount)  usa_ofs: \(offset)"
        + "  usa_count: \(blocks - block)  data: \(found)  usn: \(number): \(errorText(5))"
    }
    return nil
  }

  /// Protects the record again under the number that it had, which is what decrementing and incrementing comes to: 0 and
  /// 1 both come back as 1, as does 0xFFFF.
  ///
  /// - Returns: whether the header was acceptable; otherwise nothing was changed.
  package static func restore(_ record: inout MutableRawSpan) -> Bool {
    guard let offset = arrayOffset(record.bytes) else { return false }
    var number = record.bytes.littleEndian(at: offset, as: UInt16.self)
    if number == 0 || number == 0xFFFF { number = 1 }
    record.storeLittleEndian(number, at: offset)
    for block in 0..<record.byteCount / stride {
      let end = (block + 1) * stride - 2
      let last = record.bytes.littleEndian(at: end, as: UInt16.self)
      record.storeLittleEndian(last, at: offset + 2 + 2 * block)
      record.storeLittleEndian(number, at: end)
    }
    return true
  }
}
