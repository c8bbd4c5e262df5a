import Bytes

/// A record of $MFT with its fix-ups taken off (spec §3).
package struct FileRecord: Sendable {
  /// Header size that the wiping rules use, for every version.
  package static let headerSize = 48

  package let number: UInt64
  package let contents: [UInt8]

  /// A record of these bytes, fix-ups taken off: at least 512.
  package init(number: UInt64, contents: [UInt8]) {
    self.number = number
    self.contents = contents
  }

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
  package enum Ending: Sendable, Equatable {
    /// At the end mark.
    case regular
    /// At something that is no attribute: its type, and whether it has a length within the record.
    case corrupt(UInt32, hasLength: Bool)

    /// Whether somebody who looks for attributes of `type`, which ascend, notices it.
    func concerns(_ type: UInt32) -> Bool {
      switch self {
      case .regular: false
      case .corrupt(let found, let hasLength): found <= type || !hasLength
      }
    }
  }

  package func walk() -> (attributes: [AttributeRecord], ending: Ending) {
    var result: [AttributeRecord] = []
    result.reserveCapacity(6)
    var offset = attributesOffset
    let bytes = self.bytes
    let limit = min(bytes.byteCount, Int(bytesInUse))
    while offset + 8 <= limit {
      if bytes.littleEndian(at: offset, as: UInt32.self) == AttributeType.end { return (result, .regular) }
      guard let attribute = AttributeRecord(bytes, at: offset, limit: limit) else {
        let length = Int(bytes.littleEndian(at: offset + 4, as: UInt32.self))
        let hasLength = length != 0 && length <= bytes.byteCount - offset
        return (result, .corrupt(bytes.littleEndian(at: offset, as: UInt32.self), hasLength: hasLength))
      }
      result.append(attribute)
      offset = attribute.end
    }
    return (result, .corrupt(0, hasLength: false))
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
  /// Records that take the place of damaged ones, as they are stored.
  private let substitutes: [UInt64: [UInt8]]
  /// Where fix-ups are taken off.
  private var scratch: Buffer
  /// Number of records that are read.
  package let count: UInt64
  /// The piece that the scan has come to: its records, and memory that every piece uses in turn.
  private var scanned: Range<UInt64> = 0..<0
  private var scan = Buffer(0)
  /// Pieces around records that were wanted out of the scan's order: extension records.
  private var others: [Piece] = []
  private static let scanSize = 1 << 20
  private static let otherSize = 1 << 16
  private static let otherLimit = 32

  /// - Parameters:
  ///   - data: $MFT's contents.
  ///   - count: number of records.
  ///   - substitutes: copies of records that are damaged, as they are stored.
  package init(_ data: RunReader, recordSize: Int, count: UInt64, substitutes: [UInt64: [UInt8]] = [:]) {
    self.data = data
    self.substitutes = substitutes
    self.recordSize = recordSize
    self.count = count
    scratch = Buffer(recordSize)
  }

  /// Puts a record as it is stored, fix-ups on, into the scratch memory.
  ///
  /// - Parameter inOrder: whether the scan asks, which goes through all records.
  private func load(_ number: UInt64, inOrder: Bool) throws(ImageError) {
    guard number < count else { throw .system(29) }
    if !substitutes.isEmpty, let substitute = substitutes[number] {
      return scratch.replace(with: substitute.rawBytes)
    }
    if inOrder, !scanned.contains(number) { try readScanned(from: number) }
    if scanned.contains(number) {
      let start = Int(number - scanned.lowerBound) * recordSize
      return scratch.replace(with: scan, start..<start + recordSize)
    }
    if let index = others.firstIndex(where: { holds($0, number) }) {
      copy(others[index], number)
      others.append(others.remove(at: index))
      return
    }
    let perPiece = UInt64(max(1, RecordReader.otherSize / recordSize))
    var found = try? read(number / perPiece * perPiece, RecordReader.otherSize)
    // A damaged disk gave another record, or none.
    if found.map({ !holds($0, number) }) ?? true { found = try read(number, recordSize) }
    guard let piece = found else { throw .system(5) }
    if others.count >= RecordReader.otherLimit { others.removeFirst() }
    others.append(piece)
    copy(piece, number)
  }

  /// Reads the scan's next piece.
  private func readScanned(from first: UInt64) throws(ImageError) {
    let perPiece = UInt64(max(1, RecordReader.scanSize / recordSize))
    if scan.count == 0 { scan = Buffer(Int(min(perPiece, count)) * recordSize) }
    scanned = 0..<0
    var records = min(perPiece, count - first)
    var all = scan.mutableBytes
    while true {
      var bytes = all.slice(0..<Int(records) * recordSize)
      do throws(ImageError) {
        try data.read(into: &bytes, at: first * UInt64(recordSize))
        scanned = first..<first + records
        return
      } catch {
        // An unreadable neighbour must not hide this record.
        guard records > 1 else { throw error }
        records = 1
      }
    }
  }

  private func holds(_ piece: Piece, _ number: UInt64) -> Bool {
    number >= piece.first && number - piece.first < UInt64(piece.buffer.count / recordSize)
  }

  private func copy(_ piece: Piece, _ number: UInt64) {
    let start = Int(number - piece.first) * recordSize
    scratch.replace(with: piece.buffer.rawBytes.slice(start..<start + recordSize))
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
    let record = try read(number, inOrder: inOrder, isStrict: false, log: log)
    guard record.isPlausible(log: log) else { throw .system(5) }
    return record
  }

  /// A record without its fix-ups, whatever is in it.
  package func unchecked(_ number: UInt64, log: (String) -> Void) throws(ImageError) -> FileRecord {
    try read(number, inOrder: false, isStrict: true, log: log)
  }

  /// A record as it is stored.
  func stored(_ number: UInt64) throws(ImageError) -> [UInt8] {
    try load(number, inOrder: false)
    return scratch.contents()
  }

  private func read(_ number: UInt64, inOrder: Bool, isStrict: Bool, log: (String) -> Void) throws(ImageError)
    -> FileRecord
  {
    do throws(ImageError) {
      try load(number, inOrder: inOrder)
    } catch {
      if number < count {
        log("ntfs_attr_pread_i: ntfs_pread failed: \(errorText(error.errno))")
        log("Failed to read of MFT, mft=\(number) count=1 br=-1: \(errorText(error.errno))")
      } else {
        log("Trying to read non-allocated mft records (\(number + 1) > \(count)): \(errorText(error.errno))")
      }
      throw error
    }
    switch scratch.removeFixUps() {
    case .done: break
    case .unacceptable: if isStrict { log(FixUps.complaint(scratch.bytes)) }
    case .torn(let line):
      log(line)
      // What the library leaves behind: a record that says of itself that it is bad.
      scratch.replace(with: Array("BAAD".utf8).rawBytes)
    }
    return FileRecord(number: number, contents: scratch.contents())
  }
}

extension Buffer {
  /// Stores bytes at the beginning.
  package mutating func replace(with source: RawSpan) {
    var bytes = mutableBytes
    bytes.copy(source, at: 0)
  }

  /// Stores a part of another buffer at the beginning.
  fileprivate mutating func replace(with source: borrowing Buffer, _ range: Range<Int>) {
    var bytes = mutableBytes
    bytes.copy(source.bytes.slice(range), at: 0)
  }

  /// A copy of all bytes.
  fileprivate func contents() -> [UInt8] { bytes.array(0..<count) }

  fileprivate mutating func removeFixUps() -> FixUps.Outcome {
    var bytes = mutableBytes
    return FixUps.remove(&bytes)
  }
}
