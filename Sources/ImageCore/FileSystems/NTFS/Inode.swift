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
      let (entries, isWhole) = AttributeListEntry.parse(contents.rawBytes)
      try inode.follow(entries, isWhole, list, reader, log: log)
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

  /// Finds what the entries of the attribute list name; the first that leads nowhere ends it, which ``complaint`` tells.
  /// An instance that its record does not have is passed over.
  ///
  /// - Parameter isWhole: whether nothing lies behind the last entry.
  /// - Throws: `EIO` when the library, which looks for the unnamed data at once, stumbles on the way there.
  private mutating func follow(
    _ entries: [AttributeListEntry], _ isWhole: Bool, _ list: AttributeRecord, _ reader: RecordReader,
    log: (String) -> Void
  ) throws(ImageError) {
    let unusable = "Corrupt attribute list entry in MFT record \(number)"
    var follower = ListFollower(records[0])
    var isDataFound = false
    for entry in entries.prefix(while: { $0.type <= AttributeType.data })
    where entry.type == AttributeType.data && entry.name.isEmpty && !isDataFound {
      switch follower.attribute(of: entry, reader, log: log) {
      case .found: isDataFound = true
      case .absent: continue
      case .corrupt(let lines):
        (lines + [unusable]).forEach(log)
        throw .system(5)
      }
    }
    if !isDataFound, !isWhole, entries.allSatisfy({ $0.type <= AttributeType.data }) {
      log(unusable)
      throw .system(5)
    }
    defer { records = follower.records }
    follower.restart()
    // The list itself comes between types below and above its own, where nothing is passed over.
    var isListDue = true
    for entry in entries {
      if isListDue, entry.type > AttributeType.attributeList {
        if items.allSatisfy({ $0.attribute.type < AttributeType.attributeList }) {
          items.append(Item(record: 0, attribute: list))
        }
        isListDue = false
      }
      switch follower.attribute(of: entry, reader, log: log) {
      case .found(let item): items.append(item)
      case .absent: if items.isEmpty { isListDue = false }
      case .corrupt(let lines):
        complaint = (lines + [unusable]).joined(separator: "\n")
        return
      }
    }
    if !isWhole { complaint = unusable }
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

/// Goes from an attribute list's entries to the records that they name.
private struct ListFollower {
  enum Outcome {
    case found(Inode.Item)
    /// The record has no attribute of this instance.
    case absent
    /// The entry leads nowhere: what the library says of it, if it says more than that.
    case corrupt([String])
  }

  /// The base record, and those that have been met.
  private(set) var records: [FileRecord]
  private var walks: [(attributes: [AttributeRecord], ending: FileRecord.Ending)]
  private var places: [UInt64: Int]
  /// Place of the record that the last entry led to.
  private var current = 0

  init(_ base: FileRecord) {
    records = [base]
    walks = [base.walk()]
    places = [base.number: 0]
  }

  /// Begins another search.
  mutating func restart() { current = 0 }

  mutating func attribute(of entry: AttributeListEntry, _ reader: RecordReader, log: (String) -> Void) -> Outcome {
    if let place = places[entry.record] {
      if records[place].sequenceNumber != entry.sequenceNumber {
        // Of a record that is known but not at hand it is only told, of the base record not even that.
        if place == current { return .corrupt(["Found stale mft reference in attribute list!"]) }
        if place > 0, entry.sequenceNumber != 0 {
          log("Found stale extent mft reference mft=\(entry.record): \(errorText(5))")
        }
      }
      current = place
    } else {
      var lines: [String] = []
      guard let record = try? reader.record(entry.record, log: { lines.append($0) }) else { return .corrupt(lines) }
      // Whether it knows that it belongs to this file is not asked: what it names twice is noticed.
      // Number 0 stands for any.
      guard entry.sequenceNumber == 0 || record.sequenceNumber == entry.sequenceNumber else {
        return .corrupt(["Record \(entry.record) has wrong SeqNo (\(entry.sequenceNumber) <> \(record.sequenceNumber))"]
        )
      }
      current = records.count
      places[entry.record] = current
      records.append(record)
      walks.append(record.walk())
    }
    let (attributes, ending) = walks[current]
    guard let attribute = attributes.first(where: { $0.instance == entry.instance }) else {
      return ending == .regular ? .absent : .corrupt([])
    }
    guard attribute.type == entry.type, attribute.name == entry.name else { return .corrupt([]) }
    return .found(Inode.Item(record: current, attribute: attribute))
  }
}

extension [AttributeRecord] {
  /// The first attribute of this type and name, nil for any. Types ascend: the search ends at a greater one.
  func lookUp(_ type: UInt32, _ name: [UInt16]?) -> AttributeRecord? {
    for index in indices where self[index].type >= type {
      if self[index].type > type { return nil }
      if name == nil || self[index].name == name { return self[index] }
    }
    return nil
  }
}
