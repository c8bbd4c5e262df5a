import Bytes

/// An entry of an attribute list (spec §4.2): where an attribute, or a part of its run list, is.
package struct AttributeListEntry: Sendable {
  package let type: UInt32
  package let lowestVCN: Int64
  package let record: UInt64
  package let sequenceNumber: UInt16
  package let instance: UInt16
  package let name: [UInt16]

  /// No list may be larger, in bytes.
  package static let sizeLimit: Int64 = 0x40000
  private static let headerSize = 26

  /// The entries, in order, up to the first that does not lie within the list.
  ///
  /// - Returns: the entries, and whether they are all that the list has.
  package static func parse(_ list: RawSpan) -> (entries: [AttributeListEntry], isWhole: Bool) {
    var entries: [AttributeListEntry] = []
    var offset = 0
    while offset + headerSize <= list.byteCount {
      let length = Int(list.littleEndian(at: offset + 4, as: UInt16.self))
      let nameLength = Int(list[offset + 6])
      let nameOffset = Int(list[offset + 7])
      guard length >= headerSize, length % 8 == 0, length <= list.byteCount - offset,
        nameLength == 0 || nameOffset + 2 * nameLength <= list.byteCount - offset
      else { return (entries, false) }
      let reference = list.littleEndian(at: offset + 16, as: UInt64.self)
      entries.append(
        AttributeListEntry(
          type: list.littleEndian(at: offset), lowestVCN: list.littleEndian(at: offset + 8),
          record: reference & 0xFFFF_FFFF_FFFF,
          sequenceNumber: UInt16(reference >> 48), instance: list.littleEndian(at: offset + 24),
          name: (0..<nameLength).map { list.littleEndian(at: offset + nameOffset + 2 * $0) }))
      offset += length
    }
    return (entries, true)
  }
}
