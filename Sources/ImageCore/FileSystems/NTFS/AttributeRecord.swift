import Bytes

/// Types of attributes that are looked at (spec §4).
package enum AttributeType {
  package static let standardInformation: UInt32 = 0x10
  package static let attributeList: UInt32 = 0x20
  package static let fileName: UInt32 = 0x30
  package static let objectID: UInt32 = 0x40
  package static let volumeName: UInt32 = 0x60
  package static let volumeInformation: UInt32 = 0x70
  package static let data: UInt32 = 0x80
  package static let indexRoot: UInt32 = 0x90
  package static let indexAllocation: UInt32 = 0xA0
  package static let bitmap: UInt32 = 0xB0
  package static let extendedAttributeInformation: UInt32 = 0xD0
  package static let end: UInt32 = 0xFFFF_FFFF
}

/// An attribute as a record of $MFT holds it; every range lies within the record.
package struct AttributeRecord: Sendable {
  package let type: UInt32
  /// Position in the record and length there, in bytes.
  package let offset: Int
  package let length: Int
  package let isNonResident: Bool
  /// UTF-16 units.
  package let name: [UInt16]
  package let flags: UInt16
  package let instance: UInt16
  /// Resident: the value's place in the record.
  package let value: Range<Int>
  /// Non-resident: the part of the run list that this record holds.
  package let lowestVCN: Int64
  package let highestVCN: Int64
  /// Position of the mapping pairs in the record.
  package let mappingPairs: Int
  /// Valid where ``lowestVCN`` is 0.
  package let allocatedSize: Int64
  package let dataSize: Int64
  package let initializedSize: Int64

  /// Whether name and value, or mapping pairs, lie within the attribute; what does not is cut off.
  package let isSound: Bool

  package var end: Int { offset + length }
  package var isCompressed: Bool { flags & 0x00FF != 0 }
  package var isEncrypted: Bool { flags & 0x4000 != 0 }

  /// The attribute at `offset` of a record; nil when it does not lie within `limit` bytes or contradicts itself.
  package init?(_ record: RawSpan, at offset: Int, limit: Int) {
    guard offset >= 0, offset + 24 <= limit, limit <= record.byteCount else { return nil }
    let length = Int(record.littleEndian(at: offset + 4, as: UInt32.self))
    guard length >= 24, length % 8 == 0, length <= limit - offset else { return nil }
    self.offset = offset
    self.length = length
    type = record.littleEndian(at: offset, as: UInt32.self)
    isNonResident = record[offset + 8] != 0
    let nameLength = Int(record[offset + 9])
    let nameOffset = Int(record.littleEndian(at: offset + 10, as: UInt16.self))
    flags = record.littleEndian(at: offset + 12, as: UInt16.self)
    instance = record.littleEndian(at: offset + 14, as: UInt16.self)
    var isSound = nameLength == 0 || nameOffset + 2 * nameLength <= length
    // What is cut off of a name cannot be told from another name.
    name = (0..<nameLength).map { unit in
      let place = offset + nameOffset + 2 * unit
      return place + 2 <= limit ? record.littleEndian(at: place, as: UInt16.self) : 0
    }
    if isNonResident {
      guard length >= 64 else { return nil }
      lowestVCN = record.littleEndian(at: offset + 16, as: Int64.self)
      highestVCN = record.littleEndian(at: offset + 24, as: Int64.self)
      mappingPairs = offset + Int(record.littleEndian(at: offset + 32, as: UInt16.self))
      allocatedSize = record.littleEndian(at: offset + 40, as: Int64.self)
      dataSize = record.littleEndian(at: offset + 48, as: Int64.self)
      initializedSize = record.littleEndian(at: offset + 56, as: Int64.self)
      value = offset..<offset
    } else {
      let valueLength = Int(record.littleEndian(at: offset + 16, as: UInt32.self))
      let valueOffset = Int(record.littleEndian(at: offset + 20, as: UInt16.self))
      if valueLength > 0, valueOffset + valueLength > length { isSound = false }
      let start = min(valueOffset, length)
      value = offset + start..<offset + min(length, valueOffset + valueLength)
      (lowestVCN, highestVCN, mappingPairs, allocatedSize) = (0, 0, 0, 0)
      (dataSize, initializedSize) = (Int64(valueLength), Int64(valueLength))
    }
    self.isSound = isSound
  }

  package func isNamed(_ name: String) -> Bool { self.name.elementsEqual(name.utf16) }
}
