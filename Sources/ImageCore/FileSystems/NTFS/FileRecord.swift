import Bytes

/// A record of $MFT with its fix-ups taken off (spec §3).
package struct FileRecord: Sendable {
  /// Header size that the wiping rules use, for every version.
  package static let headerSize = 48

  package let number: UInt64
  package let contents: [UInt8]

  package var bytes: RawSpan {
    @_lifetime(borrow self) get { contents.rawBytes }
  }
  package var isFile: Bool { bytes.littleEndian(at: 0, as: UInt32.self) == 0x454C_4946 /* FILE */ }
  package var sequenceNumber: UInt16 { bytes.littleEndian(at: 16) }
  package var attributesOffset: Int { Int(bytes.littleEndian(at: 20, as: UInt16.self)) }
  package var isInUse: Bool { bytes.littleEndian(at: 22, as: UInt16.self) & 1 != 0 }
  package var bytesInUse: UInt32 { bytes.littleEndian(at: 24) }
  package var bytesAllocated: UInt32 { bytes.littleEndian(at: 28) }
  /// The number of the record that this one extends; nil for a base record.
  package var baseRecord: UInt64? {
    let reference = bytes.littleEndian(at: 32, as: UInt64.self)
    return reference == 0 ? nil : reference & 0xFFFF_FFFF_FFFF
  }

  /// The form of the check that the scan uses: magic, allocated size, alignment and range of the attributes.
  package func isPlausible(log: (String) -> Void) -> Bool {
    guard isFile else { return false }
    guard bytesAllocated == contents.count else {
      log("Record \(number) has corrupt allocation size (\(contents.count) <> \(bytesAllocated))")
      return false
    }
    guard attributesOffset % 8 == 0 else {
      log("Attributes badly aligned in record \(number)")
      return false
    }
    guard attributesOffset <= contents.count - 8 else {
      log("Record \(number) is corrupt")
      return false
    }
    return true
  }

  /// The attributes in physical order, up to the end mark or to the first that makes no sense.
  package var attributes: [AttributeRecord] { walk().attributes }

  /// How a walk over the attributes ended.
  package enum Ending: Sendable {
    /// At the end mark.
    case regular
    /// At something that is no attribute.
    case corrupt
  }

  package func walk() -> (attributes: [AttributeRecord], ending: Ending) {
    var result: [AttributeRecord] = []
    var offset = attributesOffset
    let bytes = self.bytes
    let limit = bytes.byteCount
    while offset + 8 <= limit {
      if bytes.littleEndian(at: offset, as: UInt32.self) == AttributeType.end { return (result, .regular) }
      guard let attribute = AttributeRecord(bytes, at: offset, limit: limit) else { return (result, .corrupt) }
      result.append(attribute)
      offset = attribute.end
    }
    return (result, .corrupt)
  }
}

/// Reads records by number, in large pieces, since neighbours are wanted next. For one thread.
package final class RecordReader {
  private struct Piece {
    var first: UInt64
    var buffer: [UInt8]
  }

  private let data: RunReader
  private let recordSize: Int
  /// Number of records that are read.
  package let count: UInt64
  private var scan = Piece(first: 0, buffer: [])
  /// Pieces around records that were wanted out of the scan's order: extension records.
  private var others: [Piece] = []
  private static let scanSize = 1 << 20
  private static let otherSize = 1 << 16
  private static let otherLimit = 32

  /// - Parameters:
  ///   - data: $MFT's contents.
  ///   - count: number of records.
  package init(_ data: RunReader, recordSize: Int, count: UInt64) {
    self.data = data
    self.recordSize = recordSize
    self.count = count
  }

  /// A record as it is stored, fix-ups on.
  ///
  /// - Parameter inOrder: whether the scan asks, which goes through all records.
  package func stored(_ number: UInt64, inOrder: Bool) throws(ImageError) -> [UInt8] {
    guard number < count else { throw .system(5) }
    if let found = slice(scan, number) { return found }
    if inOrder {
      scan = try read(number, RecordReader.scanSize)
      return slice(scan, number) ?? []
    }
    if let index = others.firstIndex(where: { slice($0, number) != nil }) {
      let piece = others.remove(at: index)
      others.append(piece)
      return slice(piece, number) ?? []
    }
    let perPiece = UInt64(max(1, RecordReader.otherSize / recordSize))
    let piece = try read(number / perPiece * perPiece, RecordReader.otherSize)
    if others.count >= RecordReader.otherLimit { others.removeFirst() }
    others.append(piece)
    return slice(piece, number) ?? []
  }

  private func slice(_ piece: Piece, _ number: UInt64) -> [UInt8]? {
    guard number >= piece.first, number - piece.first < UInt64(piece.buffer.count / recordSize) else { return nil }
    let start = Int(number - piece.first) * recordSize
    return Array(piece.buffer[start..<start + recordSize])
  }

  private func read(_ first: UInt64, _ size: Int) throws(ImageError) -> Piece {
    let records = min(UInt64(max(1, size / recordSize)), count - first)
    var buffer = Buffer(Int(records) * recordSize)
    var bytes = buffer.mutableBytes
    do throws(ImageError) {
      try data.read(into: &bytes, at: first * UInt64(recordSize))
    } catch {
      // An unreadable neighbour must not hide this record.
      guard records > 1 else { throw error }
      return try read(first, recordSize)
    }
    return Piece(first: first, buffer: buffer.bytes.array(0..<buffer.count))
  }

  /// A record without its fix-ups, if it passes the scan's check.
  ///
  /// - Parameter log: takes the library's line about what is wrong.
  /// - Throws: `EIO`.
  package func record(_ number: UInt64, inOrder: Bool = false, log: (String) -> Void) throws(ImageError) -> FileRecord {
    let record = try unchecked(number, inOrder: inOrder, log: log)
    guard record.isPlausible(log: log) else { throw .system(5) }
    return record
  }

  /// A record without its fix-ups, whatever is in it.
  package func unchecked(_ number: UInt64, inOrder: Bool = false, log: (String) -> Void) throws(ImageError)
    -> FileRecord
  {
    let stored = try stored(number, inOrder: inOrder)
    var buffer = Buffer(stored.count)
    var bytes = buffer.mutableBytes
    bytes.copy(stored.rawBytes, at: 0)
    if case .torn(let line) = FixUps.remove(&bytes) {
      log(line)
      // What the library leaves behind: a record that says of itself that it is bad.
      bytes.copy(Array("BAAD".utf8).rawBytes, at: 0)
    }
    return FileRecord(number: number, contents: buffer.bytes.array(0..<stored.count))
  }
}
