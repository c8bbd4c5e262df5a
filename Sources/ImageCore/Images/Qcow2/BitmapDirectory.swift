import Bytes
import Images
import Storage

/// An entry of the bitmap directory (qcow2-qcow-qed §7).
package struct BitmapRecord: Sendable, Equatable {
  /// Offset of the bitmap's table in bytes.
  package var tableOffset: UInt64
  /// Entries of the table.
  package var tableSize: UInt32
  /// Properties, see ``inUse`` and ``auto``.
  package var flags: UInt32
  /// What a bit stands for: 2^granularityBits bytes.
  package var granularityBits: UInt8
  /// Name, without NUL.
  package var name: [UInt8]

  package init(tableOffset: UInt64, tableSize: UInt32, flags: UInt32, granularityBits: UInt8, name: [UInt8]) {
    self.tableOffset = tableOffset
    self.tableSize = tableSize
    self.flags = flags
    self.granularityBits = granularityBits
    self.name = name
  }

  /// The bitmap was not saved: its contents are not to be trusted.
  package static let inUse: UInt32 = 1
  /// The bitmap records writes.
  package static let auto: UInt32 = 2
  /// The only type: tracks writes.
  package static let dirtyTracking: UInt8 = 1
  /// Length of an entry's fixed part in bytes.
  package static let fixedLength = 24
  /// Longest name in bytes.
  package static let nameLimit = 1023
  /// Largest number of bytes that the bits of a bitmap may take.
  package static let sizeLimit: UInt64 = 0x2000_0000
  /// Bits of a table entry that must be 0.
  package static let reservedTableBits: UInt64 = 0xFF00_0000_0000_01FE
  /// A table entry without cluster: all bits are set.
  package static let allOnes: UInt64 = 1

  /// The name as text, up to the first NUL.
  package var shownName: String { String(rawBytes: name.prefix { $0 != 0 }) }

  /// Whether the contents are not to be trusted.
  package var isInUse: Bool { flags & BitmapRecord.inUse != 0 }

  /// Length of the entry in bytes, padded to 8.
  package var length: Int { (BitmapRecord.fixedLength + name.count + 7) & ~7 }

  /// Whether the entry may stand in an image with this header; `type`: its type byte.
  func isValid(_ header: Qcow2Header, type: UInt8) -> Bool {
    guard tableOffset != 0, tableOffset % header.clusterSize == 0, tableOffset <= UInt64(Int64.max), tableSize > 0,
      UInt64(tableSize) <= BitmapRecord.sizeLimit / header.clusterSize,
      flags & ~(BitmapRecord.inUse | BitmapRecord.auto) == 0, type == BitmapRecord.dirtyTracking,
      (9...31).contains(granularityBits), name.count <= BitmapRecord.nameLimit
    else { return false }
    if isInUse { return true }
    // At most 2^29 bytes, 2^32 bits, of 2^31 bytes each: fits 64 bits.
    let covered = UInt64(tableSize) * header.clusterSize * 8
    return header.virtualSize.dividedUp(by: 1 << UInt64(granularityBits)) <= covered
  }

  /// The entry as `info` shows it.
  package var description: BitmapDescription {
    BitmapDescription(
      name: shownName, granularity: 1 << UInt64(granularityBits), isInconsistent: isInUse,
      isEnabled: flags & BitmapRecord.auto != 0)
  }
}

extension Qcow2Header {
  /// Reads the bitmap directory, and looks at the tables of the bitmaps that are to be trusted (§14, 30).
  package func readBitmaps(_ storage: any Storage) throws(ImageError) -> [BitmapRecord] {
    guard let directory = extensions.bitmaps else { return [] }
    let records = try readDirectory(directory, storage)
    // Tables that do not overlap cannot have more bytes than the file: what a hostile directory makes us read is bounded.
    var left = storage.length.saturatingAdd(clusterSize * 2)
    for record in records where !record.isInUse {
      var table = LazyTable(storage, offset: record.tableOffset, count: Int(record.tableSize))
      let inFile = min(storage.length - min(storage.length, record.tableOffset), UInt64(record.tableSize) * 8)
      guard inFile <= left else { throw ImageError("Broken bitmap directory") }
      left -= inFile
      do throws(ImageError) {
        let end = Int(inFile.dividedUp(by: 8))
        var index = try table.firstNonZero(0, below: end)
        while index < end {
          guard isValidBitmapTableEntry(try table.word(index)) else { throw .system(22 /* EINVAL */) }
          index = try table.firstNonZero(index + 1, below: end)
        }
      } catch {
        throw error.prefixed(
          "Could not read bitmap_table table from image for bitmap '\(record.shownName)': ")
      }
    }
    return records
  }

  /// Whether a word may stand in a bitmap's table.
  package func isValidBitmapTableEntry(_ word: UInt64) -> Bool {
    let offset = word & EntryBits.offset
    return word & BitmapRecord.reservedTableBits == 0 && offset % clusterSize == 0
      && (offset == 0 || word & BitmapRecord.allOnes == 0)
  }

  private func readDirectory(_ directory: HeaderExtensions.BitmapDirectoryPointer, _ storage: any Storage)
    throws(ImageError) -> [BitmapRecord]
  {
    let size = Int(directory.directorySize)
    guard size > 0 else { throw ImageError("Requested bitmap directory size is zero") }
    // Past the file's end there are zeros, of which the first entry is one too many.
    let inFile = storage.length - min(storage.length, directory.directoryOffset)
    let bytes: [UInt8]
    do throws(ImageError) {
      bytes = try storage.readArray(
        at: directory.directoryOffset, count: Int(min(UInt64(size), inFile + UInt64(BitmapRecord.fixedLength))))
    } catch {
      throw error.prefixed("Failed to read bitmap directory: ")
    }
    let view = bytes.rawBytes
    var records: [BitmapRecord] = []
    var position = 0
    while position < size {
      guard size - position >= BitmapRecord.fixedLength else { throw ImageError("Broken bitmap directory") }
      guard bytes.count - position >= BitmapRecord.fixedLength else {
        throw ImageError("Bitmap '' doesn't satisfy the constraints")
      }
      let nameLength = Int(view.bigEndian(at: position + 18, as: UInt16.self))
      let extraLength = Int(view.bigEndian(at: position + 20, as: UInt32.self))
      let length = (BitmapRecord.fixedLength + extraLength + nameLength + 7) & ~7
      guard length <= size - position else { throw ImageError("Broken bitmap directory") }
      guard records.count < Int(directory.count) else {
        throw ImageError("More bitmaps found than specified in header extension")
      }
      guard extraLength == 0 else { throw ImageError("Bitmap extra data is not supported") }
      let nameStart = position + BitmapRecord.fixedLength
      guard nameLength <= bytes.count - nameStart else { throw ImageError("Broken bitmap directory") }
      let record = BitmapRecord(
        tableOffset: view.bigEndian(at: position), tableSize: view.bigEndian(at: position + 8),
        flags: view.bigEndian(at: position + 12), granularityBits: view[position + 17],
        name: view.array(nameStart..<nameStart + nameLength))
      guard record.isValid(self, type: view[position + 16]) else {
        throw ImageError("Bitmap '\(record.shownName)' doesn't satisfy the constraints")
      }
      records.append(record)
      position += length
    }
    guard records.count == Int(directory.count) else {
      throw ImageError("Less bitmaps found than specified in header extension")
    }
    return records
  }
}

extension Qcow2Image: BitmapImage {
  public var supportsBitmaps: Bool { header.version >= 3 }

  public var bitmaps: [BitmapDescription] { tables.withLock { $0.bitmaps.map(\.description) } }

  public func readBitmap(_ index: Int) throws(ImageError) -> [UInt8] {
    let (header, record) = tables.withLock { tables in
      (tables.header, index < tables.bitmaps.count ? tables.bitmaps[index] : nil)
    }
    guard let record else { throw ImageError("Bitmap not found", errno: 2 /* ENOENT */) }
    let bits = header.virtualSize.dividedUp(by: 1 << UInt64(record.granularityBits))
    // Checked with the directory unless the bitmap is not to be trusted.
    guard bits.dividedUp(by: 8) <= UInt64(record.tableSize) * header.clusterSize else {
      throw ImageError("Bitmap '\(record.shownName)' doesn't satisfy the constraints")
    }
    var stream = [UInt8](repeating: 0, count: Int(bits.dividedUp(by: 8)))
    let step = Int(header.clusterSize)
    var table = LazyTable(storage, offset: record.tableOffset, count: Int(record.tableSize))
    let used = (stream.count + step - 1) / step
    var index = try table.firstNonZero(0, below: used)
    while index < used {
      let entry = try table.word(index)
      guard header.isValidBitmapTableEntry(entry) else { throw .system(22 /* EINVAL */) }
      let range = index * step..<min((index + 1) * step, stream.count)
      if entry == BitmapRecord.allOnes {
        for place in range { stream[place] = 0xFF }
      } else {
        let data = try storage.readArray(at: entry & EntryBits.offset, count: range.count)
        stream.replaceSubrange(range, with: data)
      }
      index = try table.firstNonZero(index + 1, below: used)
    }
    // What lies beyond the disk's end does not count.
    if bits % 8 != 0, let last = stream.indices.last { stream[last] &= UInt8((1 << (bits % 8)) - 1) }
    return stream
  }
}
