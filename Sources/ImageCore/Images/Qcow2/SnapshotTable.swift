import Bytes
import Images
import Storage

/// A record of the snapshot table (qcow2-qcow-qed §6), complete: what we do not know is kept.
package struct SnapshotRecord: Sendable, Equatable {
  /// Offset of the snapshot's L1 table in bytes.
  package var l1TableOffset: UInt64
  /// Entries of that table.
  package var l1Size: UInt32
  /// Time of creation: seconds since 1970, and nanoseconds.
  package var seconds: UInt32
  package var nanoseconds: UInt32
  /// Guest clock in nanoseconds.
  package var vmClock: UInt64
  /// Size of the saved machine state in bytes as the fixed part has it; 0 if it does not fit there.
  package var shortVMStateSize: UInt32
  /// The extra data: three 64-bit words, then what other programs may have put there.
  package var extraData: [UInt8]
  /// Identifier and name, without NUL.
  package var id: [UInt8]
  package var name: [UInt8]

  package init(
    l1TableOffset: UInt64, l1Size: UInt32, seconds: UInt32, nanoseconds: UInt32, vmClock: UInt64,
    shortVMStateSize: UInt32, extraData: [UInt8], id: [UInt8], name: [UInt8]
  ) {
    self.l1TableOffset = l1TableOffset
    self.l1Size = l1Size
    self.seconds = seconds
    self.nanoseconds = nanoseconds
    self.vmClock = vmClock
    self.shortVMStateSize = shortVMStateSize
    self.extraData = extraData
    self.id = id
    self.name = name
  }

  /// Length of a record's fixed part in bytes.
  package static let fixedLength = 40
  /// Longest extra data in bytes.
  package static let extraDataLimit = 1024
  /// Extra data that a version 3 image must have, in bytes: state size and disk size.
  package static let extraDataNeeded = 16

  /// Length of the record in bytes, padding not included.
  package var length: Int { SnapshotRecord.fixedLength + extraData.count + id.count + name.count }

  /// Size of the saved machine state in bytes.
  package var vmStateSize: UInt64 { extraWord(0) ?? UInt64(shortVMStateSize) }

  /// Size of the virtual disk in bytes, nil when it is not recorded.
  package var diskSize: UInt64? { extraWord(1) }

  /// Executed instructions, nil when not recorded.
  package var instructionCount: UInt64? { extraWord(2).flatMap { $0 == .max ? nil : $0 } }

  /// The record as it is written: with all known words of extra data, a short state size that agrees with them, and texts
  /// that end at a NUL.
  ///
  /// - Parameter diskSize: size in bytes of the disk, for a record that has none.
  package func completed(diskSize: UInt64) -> SnapshotRecord {
    var record = self
    record.id = Array(id.prefix { $0 != 0 })
    record.name = Array(name.prefix { $0 != 0 })
    record.shortVMStateSize = UInt32(exactly: vmStateSize) ?? 0
    let known = [vmStateSize, self.diskSize ?? diskSize, .max]
    if extraData.count < known.count * 8 {
      var extra = Buffer(known.count * 8)
      var bytes = extra.mutableBytes
      for (index, word) in known.enumerated() { bytes.storeBigEndian(word, at: index * 8) }
      record.extraData = extra.bytes.array(0..<extra.count)
    }
    return record
  }

  private func extraWord(_ index: Int) -> UInt64? {
    extraData.count >= index * 8 + 8 ? extraData.rawBytes.bigEndian(at: index * 8, as: UInt64.self) : nil
  }

  /// Identifier and name as the reference's buffers hold them: at most 127 and 255 bytes, up to the first NUL.
  package var shownID: String { SnapshotRecord.text(id, limit: 127) }
  package var shownName: String { SnapshotRecord.text(name, limit: 255) }

  private static func text(_ bytes: [UInt8], limit: Int) -> String {
    // A table may have 65536 records without texts.
    if bytes.isEmpty { return "" }
    let end = bytes.prefix(limit).firstIndex(of: 0) ?? min(bytes.count, limit)
    return String(rawBytes: bytes[..<end])
  }

  /// The record as `info` and `snapshot -l` show it. `currentSize`: size in bytes of a disk whose record has none.
  package func description(currentSize: UInt64) -> Snapshot {
    Snapshot(
      id: shownID, name: shownName, vmStateSize: vmStateSize, seconds: seconds, nanoseconds: nanoseconds,
      vmClock: vmClock, instructionCount: instructionCount, diskSize: diskSize ?? currentSize)
  }
}

extension [SnapshotRecord] {
  /// The records as they stand in the file.
  package var serialized: [UInt8] {
    var table: [UInt8] = []
    // One for all: there may be 65536 records.
    var fixed = Buffer(SnapshotRecord.fixedLength)
    for record in self {
      table += [UInt8](repeating: 0, count: (8 - table.count % 8) % 8)
      var bytes = fixed.mutableBytes
      bytes.storeBigEndian(record.l1TableOffset, at: 0)
      bytes.storeBigEndian(record.l1Size, at: 8)
      bytes.storeBigEndian(UInt16(truncatingIfNeeded: record.id.count), at: 12)
      bytes.storeBigEndian(UInt16(truncatingIfNeeded: record.name.count), at: 14)
      bytes.storeBigEndian(record.seconds, at: 16)
      bytes.storeBigEndian(record.nanoseconds, at: 20)
      bytes.storeBigEndian(record.vmClock, at: 24)
      bytes.storeBigEndian(record.shortVMStateSize, at: 32)
      bytes.storeBigEndian(UInt32(record.extraData.count), at: 36)
      table += fixed.bytes.array(0..<fixed.count) + record.extraData + record.id + record.name
    }
    return table
  }
}

/// Reads the snapshot table.
package struct SnapshotTableReader {
  /// Largest table in bytes.
  package static let sizeLimit: UInt64 = 64 << 20

  private let storage: any Storage
  private let start: UInt64
  /// Where the next record begins, in bytes from the table's start.
  private var position: UInt64 = 0
  private var window: [UInt8] = []
  private var windowStart: UInt64 = 0

  /// The table at `offset` (bytes).
  package init(_ storage: any Storage, at offset: UInt64) {
    self.storage = storage
    start = offset
  }

  /// Bytes of the table that were read so far, without padding after the last record.
  package private(set) var size: UInt64 = 0

  /// The next record. Its extra data is cut at ``SnapshotRecord/extraDataLimit``.
  ///
  /// - Returns: the record, and the length in bytes that its extra data has in the file.
  package mutating func next() throws(ImageError) -> (record: SnapshotRecord, extraLength: UInt32) {
    // Offsets end here in the reference's block layer.
    guard start <= UInt64(Int64.max) - (1 << 30) else { throw .system(5 /* EIO */) }
    var place = position.roundedUp(to: 8) ?? position
    let fixed = try bytes(at: place, count: SnapshotRecord.fixedLength)
    let view = fixed.rawBytes
    place += UInt64(fixed.count)
    let extraLength = view.bigEndian(at: 36, as: UInt32.self)
    let extra = try bytes(at: place, count: min(Int(extraLength), SnapshotRecord.extraDataLimit))
    place += UInt64(extraLength)
    let id = try bytes(at: place, count: Int(view.bigEndian(at: 12, as: UInt16.self)))
    place += UInt64(id.count)
    let name = try bytes(at: place, count: Int(view.bigEndian(at: 14, as: UInt16.self)))
    place += UInt64(name.count)
    position = place
    size = place
    let record = SnapshotRecord(
      l1TableOffset: view.bigEndian(at: 0), l1Size: view.bigEndian(at: 8), seconds: view.bigEndian(at: 16),
      nanoseconds: view.bigEndian(at: 20), vmClock: view.bigEndian(at: 24), shortVMStateSize: view.bigEndian(at: 32),
      extraData: extra, id: id, name: name)
    return (record, extraLength)
  }

  /// `count` bytes at `place` of the table, through a window of 64 KiB.
  private mutating func bytes(at place: UInt64, count: Int) throws(ImageError) -> [UInt8] {
    if place < windowStart || place + UInt64(count) > windowStart + UInt64(window.count) {
      // A record may have extra data of 4 GiB, but the sums stay far below 2^64: 65536 records.
      let (offset, overflow) = start.addingReportingOverflow(place)
      guard !overflow else { throw .system(27 /* EFBIG */) }
      window = try storage.readArray(at: offset, count: max(count, 64 << 10))
      windowStart = place
    }
    let first = Int(place - windowStart)
    return Array(window[first..<first + count])
  }
}

extension Qcow2Header {
  /// Reads the snapshot table that the header names, for any use but a check (§14, 29).
  package func readSnapshots(_ storage: any Storage) throws(ImageError) -> [SnapshotRecord] {
    var records: [SnapshotRecord] = []
    if snapshotCount == 0 { return records }
    var reader = SnapshotTableReader(storage, at: snapshotsOffset)
    for index in 0..<snapshotCount {
      let (record, extraLength): (SnapshotRecord, UInt32)
      do throws(ImageError) {
        (record, extraLength) = try reader.next()
      } catch {
        throw error.prefixed("Failed to read snapshot table: ")
      }
      guard extraLength <= SnapshotRecord.extraDataLimit else {
        throw ImageError(
          "Too much extra metadata in snapshot table entry \(index)", errno: 27 /* EFBIG */,
          hint: "You can force-remove this extra metadata with qemu-img check -r all")
      }
      guard reader.size <= SnapshotTableReader.sizeLimit else {
        throw ImageError(
          "Snapshot table is too big", errno: 27,
          hint: "You can force-remove all \(snapshotCount - index) overhanging snapshots with qemu-img check -r all")
      }
      records.append(record)
    }
    return records
  }
}

extension Qcow2Image: SnapshotImage {
  public var snapshots: [Snapshot] {
    tables.withLock { tables in
      let size = tables.header.virtualSize
      return tables.snapshots.map { $0.description(currentSize: size) }
    }
  }

  /// The snapshot at its recorded size, over the same layer below.
  ///
  /// - Throws: `Snapshot L1 table too large`, `Snapshot L1 table offset invalid`.
  public func openSnapshot(_ index: Int) throws(ImageError) -> any DiskImage {
    let (header, record) = tables.withLock { tables in
      (tables.header, index < tables.snapshots.count ? tables.snapshots[index] : nil)
    }
    guard let record else { throw ImageError("Can't find snapshot", errno: 2 /* ENOENT */) }
    try header.checkTable(
      "Snapshot L1 table", offset: record.l1TableOffset, entries: UInt64(record.l1Size), entrySize: 8,
      limit: Qcow2Header.l1TableLimit)
    var view = header
    view.l1TableOffset = record.l1TableOffset
    view.l1Size = record.l1Size
    if let size = record.diskSize {
      // A size without an entry for every cluster: what the table lacks is not allocated.
      guard size <= UInt64(Int64.max) else { throw ImageError("Snapshot disk size is too large", errno: 27) }
      view.size = size
    }
    let image = Qcow2Image(
      storage, dataStorage: dataStorage, header: view, snapshots: [], bitmaps: [], filename: filename, use: .read,
      notify: notify)
    if let backing { image.attachBacking(backing) }
    return image
  }
}
