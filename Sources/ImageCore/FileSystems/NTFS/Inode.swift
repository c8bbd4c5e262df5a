import Bytes

/// A file: its base record, and the records that extend it as far as they have been read.
package struct Inode {
  /// An attribute, or the part of one that a record holds.
  package struct Item {
    /// Place of the record in ``Inode/records``.
    package let record: Int
    package let attribute: AttributeRecord
  }

  package let number: UInt64
  /// The base record first, then the extensions in the order in which they were met.
  package private(set) var records: [FileRecord]
  /// The attributes in the order of the attribute list, or without one in physical order (spec §4.3).
  package private(set) var items: [Item] = []
  /// The library's line about what ended the walk over the attributes, told behind the last of them.
  package private(set) var complaint: String?

  private init(_ record: FileRecord) {
    number = record.number
    records = [record]
  }

  /// Opens the inode of a record that is in use.
  ///
  /// - Parameter log: takes the library's lines about what is wrong.
  /// - Throws: `ENOENT` or `EIO`; the scan goes on with the next record.
  package static func open(_ record: FileRecord, _ volume: Volume, _ reader: RecordReader, log: (String) -> Void)
    throws(ImageError) -> Inode
  {
    var inode = Inode(record)
    let (own, ending) = record.walk()
    func corrupt() -> String { "ntfs_attr_find: Corrupt inode (\(record.number)): \(errorText(5))" }
    guard let information = own.lookUp(AttributeType.standardInformation, []) else {
      // Found, and nothing behind it.
      let isFound = ending == .corrupt(AttributeType.standardInformation, hasLength: true)
      let isCorrupt =
        !own.contains { $0.type > AttributeType.standardInformation }
        && ending.concerns(AttributeType.standardInformation)
      if isCorrupt { log(corrupt()) }
      if record.baseRecord == nil, !isFound {
        log("No STANDARD_INFORMATION in base record \(record.number): \(errorText(isCorrupt ? 5 : 2))")
      }
      throw .system(isCorrupt ? 5 : 2)
    }
    // The length alone is looked at, where a resident attribute has it.
    guard record.bytes.littleEndian(at: information.offset + 16, as: UInt32.self) >= 48 else {
      log("Corrupt STANDARD_INFORMATION in base record \(record.number)")
      throw .system(5)
    }
    if let list = own.lookUp(AttributeType.attributeList, []) {
      let contents = try contents(of: list, in: record, volume, log: log)
      let entries: [AttributeListEntry]
      do throws(ImageError) {
        entries = try AttributeListEntry.parse(contents.rawBytes)
      } catch {
        log("Corrupt attribute list entry in MFT record \(record.number)")
        throw error
      }
      inode.resolve(entries, list, reader, log: log)
    } else {
      if ending.concerns(AttributeType.attributeList), !own.contains(where: { $0.type > AttributeType.attributeList }) {
        log(corrupt())
        throw .system(5)
      }
      inode.items = own.map { Item(record: 0, attribute: $0) }
      if ending != .regular { inode.complaint = corrupt() }
    }
    return inode
  }

  /// The value of an attribute list.
  package static func contents(
    of list: AttributeRecord, in record: FileRecord, _ volume: Volume, log: (String) -> Void
  ) throws(ImageError) -> [UInt8] {
    guard list.isNonResident else { return record.bytes.array(list.value) }
    guard (0...AttributeListEntry.sizeLimit).contains(list.dataSize) else {
      log("Too large attrlist attribute (\(list.dataSize)), inode \(record.number): \(errorText(5))")
      throw .system(5)
    }
    guard list.lowestVCN == 0 else {
      log("Error reading attribute value: \(errorText(22))")
      throw .system(22)
    }
    let runs = try RunList.decode(record.bytes, list, clusterSize: volume.boot.clusterSize, log: log)
    guard volume.holds(runs) else { throw .system(5) }
    var buffer = Buffer(Int(list.dataSize))
    var bytes = buffer.mutableBytes
    try RunReader(volume.storage, clusterSize: volume.boot.clusterSize, runs: runs).read(into: &bytes, at: 0)
    return buffer.bytes.array(0..<buffer.count)
  }

  /// Finds what the entries name; the first that cannot be found ends the list.
  private mutating func resolve(
    _ entries: [AttributeListEntry], _ list: AttributeRecord, _ reader: RecordReader, log: (String) -> Void
  ) {
    var isListDue = true
    var places: [UInt64: Int] = [number: 0]
    var attributes = [records[0].attributes]
    for entry in entries {
      if isListDue, entry.type > AttributeType.attributeList {
        items.append(Item(record: 0, attribute: list))
        isListDue = false
      }
      if entry.type == AttributeType.attributeList { continue }
      let place: Int
      if let known = places[entry.record] {
        guard records[known].sequenceNumber == entry.sequenceNumber else {
          log("Found stale mft reference in attribute list!")
          log("Corrupt attribute list entry in MFT record \(number)")
          return
        }
        place = known
      } else {
        guard let record = try? reader.record(entry.record, log: log) else {
          log("Corrupt attribute list entry in MFT record \(number)")
          return
        }
        // Whether it knows that it belongs to this file is not asked: what it names twice is noticed.
        guard record.sequenceNumber == entry.sequenceNumber else {
          log("Record \(entry.record) has wrong SeqNo (\(entry.sequenceNumber) <> \(record.sequenceNumber))")
          log("Corrupt attribute list entry in MFT record \(number)")
          return
        }
        place = records.count
        places[entry.record] = place
        records.append(record)
        attributes.append(record.attributes)
      }
      let named = attributes[place].filter { $0.type == entry.type && $0.name == entry.name }
      guard
        let attribute = named.first(where: { $0.instance == entry.instance })
          ?? named.first(where: { $0.lowestVCN == entry.lowestVCN && entry.type != AttributeType.fileName })
      else {
        log("Corrupt attribute list entry in MFT record \(number)")
        return
      }
      items.append(Item(record: place, attribute: attribute))
    }
  }

  /// The complete run list of an attribute, over all its extents, as far as they fit together.
  ///
  /// - Throws: `EIO` when an extent's mapping pairs are corrupt, or the extents have gaps.
  package func allRuns(_ type: UInt32, _ name: [UInt16], _ volume: Volume, log: (String) -> Void) throws(ImageError)
    -> [Run]
  {
    var runs: [Run] = []
    let extents = items.filter { $0.attribute.type == type && $0.attribute.name == name && $0.attribute.isNonResident }
    for item in extents.sorted(by: { $0.attribute.lowestVCN < $1.attribute.lowestVCN }) {
      let record = records[item.record]
      let part = try RunList.decode(record.bytes, item.attribute, clusterSize: volume.boot.clusterSize, log: log)
      guard item.attribute.lowestVCN == Int64(runs.last.map { $0.vcn + $0.count } ?? 0) else { throw .system(5) }
      runs += part
    }
    guard volume.holds(runs) else { throw .system(5) }
    return runs
  }

  /// The whole value of an attribute, resident or not; nil when there is none or it is larger than `limit` bytes.
  package func value(_ type: UInt32, _ name: [UInt16] = [], limit: Int64, _ volume: Volume, log: (String) -> Void)
    throws(ImageError) -> [UInt8]?
  {
    guard let item = items.first(where: { $0.attribute.type == type && $0.attribute.name == name }) else { return nil }
    let attribute = item.attribute
    guard attribute.dataSize >= 0, attribute.dataSize <= limit else { return nil }
    guard attribute.isNonResident else {
      let record = records[item.record]
      return record.bytes.array(attribute.value)
    }
    let runs = try allRuns(type, name, volume, log: log)
    var buffer = Buffer(Int(attribute.dataSize))
    var bytes = buffer.mutableBytes
    try RunReader(volume.storage, clusterSize: volume.boot.clusterSize, runs: runs).read(into: &bytes, at: 0)
    return buffer.bytes.array(0..<buffer.count)
  }
}

extension [AttributeRecord] {
  /// The first attribute of this type and name. Types ascend: the search ends at a greater one.
  fileprivate func lookUp(_ type: UInt32, _ name: [UInt16]) -> AttributeRecord? {
    for index in indices where self[index].type >= type {
      if self[index].type > type { return nil }
      if self[index].name == name { return self[index] }
    }
    return nil
  }
}
