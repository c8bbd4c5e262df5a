import Bytes

/// The form of the record check that is used while a volume is opened: the whole record must make sense (spec §11).
enum StrictCheck {
  /// - Parameter log: takes the library's line about what is wrong.
  /// - Throws: `EIO`.
  static func check(_ record: FileRecord, log: (String) -> Void) throws(ImageError) {
    func reject(_ line: String) -> ImageError {
      log(line)
      return .system(5)
    }
    let number = record.number
    let size = record.contents.count
    guard record.isFile else {
      let magic = String(record.bytes.littleEndian(at: 0, as: UInt32.self), radix: 16)
      throw reject("Record \(number) has no FILE magic (0x\(magic))")
    }
    guard record.bytesAllocated == size else {
      throw reject("Record \(number) has corrupt allocation size (\(size) <> \(record.bytesAllocated))")
    }
    guard record.bytesInUse <= record.bytesAllocated else {
      throw reject("Record \(number) has corrupt in-use size (\(record.bytesInUse) > \(record.bytesAllocated))")
    }
    guard record.attributesOffset % 8 == 0 else { throw reject("Attributes badly aligned in record \(number)") }
    guard record.attributesOffset <= size - 8 else { throw reject("Record \(number) is corrupt") }
    var offset = record.attributesOffset
    let limit = Int(record.bytesInUse)
    var previous: UInt32 = 0
    while true {
      guard offset + 8 <= limit else { throw reject("Bad end of MFT record \(number)") }
      let type = record.bytes.littleEndian(at: offset, as: UInt32.self)
      if type == AttributeType.end { return }
      let length = Int(record.bytes.littleEndian(at: offset + 4, as: UInt32.self))
      // Types ascend: another one is taken for the end.
      guard type >= previous, type >= AttributeType.standardInformation else {
        throw reject("Bad end of MFT record \(number)")
      }
      guard offset + 24 <= limit, length % 8 == 0, length <= limit - offset else {
        throw reject("Corrupted MFT record \(number)")
      }
      let isNonResident = record.bytes[offset + 8] != 0
      guard let attribute = AttributeRecord(record.bytes, at: offset, limit: limit), attribute.isSound else {
        let kind = isNonResident ? "non resident" : "resident"
        throw reject("Corrupt \(kind) attribute 0x\(String(type, radix: 16)) in MFT record \(number)")
      }
      guard record.bytes[offset + 8] <= 1 else {
        throw reject("Corrupt non resident attribute 0x\(String(type, radix: 16)) in MFT record \(number)")
      }
      try check(attribute, record.bytes, of: number, reject)
      previous = type
      offset = attribute.end
    }
  }

  /// What each type may be.
  private static func check(
    _ attribute: AttributeRecord, _ bytes: RawSpan, of number: UInt64, _ reject: (String) -> ImageError
  ) throws(ImageError) {
    let type = String(attribute.type, radix: 16)
    if attribute.isNonResident,
      attribute.lowestVCN < 0 || attribute.mappingPairs >= attribute.end
        || attribute.lowestVCN > max(0, attribute.highestVCN)
    {
      throw reject("Corrupt non resident attribute 0x\(type) in MFT record \(number)")
    }
    // The value of a non-resident attribute counts as empty here: what must be resident is too short then.
    let value = attribute.value
    switch attribute.type {
    case AttributeType.standardInformation where value.count < 48:
      throw reject("Corrupt standard information in MFT record \(number)")
    case AttributeType.fileName
    where value.count < 66 || bytes[value.lowerBound + 64] == 0
      || value.count < 66 + 2 * Int(bytes[value.lowerBound + 64]):
      throw reject("Corrupt file name attribute in MFT record \(number).")
    case AttributeType.objectID where attribute.isNonResident:
      throw reject("Corrupt object id in MFT record \(number)")
    case AttributeType.volumeName where attribute.isNonResident,
      AttributeType.extendedAttributeInformation where attribute.isNonResident:
      throw reject("Attribute 0x\(type) in MFT record \(number) should be resident.")
    case AttributeType.volumeInformation where value.count < 12:
      throw reject("Corrupt volume information in MFT record \(number)")
    case AttributeType.indexRoot where value.count < 32:
      throw reject("Corrupt index root in MFT record \(number).")
    case AttributeType.indexAllocation where !attribute.isNonResident:
      throw reject("Corrupt index allocation in MFT record \(number)")
    default: break
    }
  }
}
