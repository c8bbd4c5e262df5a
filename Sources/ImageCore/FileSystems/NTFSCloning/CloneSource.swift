import Bytes
import Copying
import NTFS
import Storage
import Synchronization

/// Reads the items of a clone: coalesced, with rescue of what is readable around bad sectors, wiped where they are
/// metadata that shall not keep contents and times.
package final class CloneSource: CopySource {
  /// What is done besides reading.
  package struct Rule: Sendable {
    /// Go on after unreadable sectors.
    package var rescues = false
    /// Wiping, for metadata clones.
    package var wiper: Wiper?
    /// A new serial number, and what it looks like in the message.
    package var serial: NewSerial?
    /// Tell about damaged records and index blocks as they are wiped; otherwise somebody else has.
    package var tellsDamage = false
    package init() {}
  }

  private let volume: Volume
  private let work: CloneWork
  private let rule: Rule
  private let total = Mutex(WipeStatistics())
  /// Records that are wiped once more for the mirror need not be counted.
  private var geometry: CloneGeometry { work.geometry }

  init(_ volume: Volume, _ work: CloneWork, _ rule: Rule) {
    self.volume = volume
    self.work = work
    self.rule = rule
  }

  /// What was wiped in everything read so far.
  package var statistics: WipeStatistics { total.withLock { $0 } }

  package func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    guard let item = work.item(at: offset) else { return }
    var done = 0
    var clusters: UInt64 = 0
    for run in item.runs {
      let length = Int(geometry.length(of: run))
      var part = buffer.slice(done..<done + length)
      try readRun(into: &part, run, noteBase: (offset, clusters))
      if let serial = rule.serial {
        try serial.apply(to: &part, at: geometry.offset(of: run.lowerBound), volume) { text in
          work.note(offset, CloneNote(after: clusters + 1, text: text))
        }
      }
      done += length
      clusters += UInt64(run.count)
    }
    if let wiper = rule.wiper { try wipe(&buffer, item, wiper, offset) }
  }

  // MARK: Reading around bad sectors

  private func readRun(
    into buffer: inout MutableRawSpan, _ run: Range<UInt64>, noteBase: (offset: UInt64, clusters: UInt64)
  ) throws(ImageError) {
    guard buffer.byteCount > 0 else { return }
    let start = geometry.offset(of: run.lowerBound)
    do throws(ImageError) {
      return try volume.storage.read(into: &buffer, at: start)
    } catch {
      guard rule.rescues, error.errno == 5 else { throw CloneFailure.reading(error) }
    }
    // Somewhere in here: cluster by cluster, and in the bad ones sector by sector.
    var done = 0
    for cluster in run {
      let length = Int(geometry.length(of: cluster..<cluster + 1))
      var part = buffer.slice(done..<done + length)
      do throws(ImageError) {
        try volume.storage.read(into: &part, at: geometry.offset(of: cluster))
      } catch {
        guard error.errno == 5 else { throw CloneFailure.reading(error) }
        let before = noteBase.clusters + (cluster - run.lowerBound)
        try rescue(into: &part, at: geometry.offset(of: cluster), CloneNote(after: before, text: ""), noteBase.offset)
      }
      done += length
    }
  }

  /// Reads what can be read; unreadable sectors become a pattern that says so.
  private func rescue(into buffer: inout MutableRawSpan, at start: UInt64, _ note: CloneNote, _ offset: UInt64)
    throws(ImageError)
  {
    let sector = volume.boot.sectorSize
    var done = 0
    while done < buffer.byteCount {
      let count = min(sector, buffer.byteCount - done)
      var part = buffer.slice(done..<done + count)
      do throws(ImageError) {
        try volume.storage.read(into: &part, at: start + UInt64(done))
      } catch {
        guard error.errno == 5 else { throw CloneFailure.reading(error) }
        part.fill(0..<count, with: UInt8(ascii: "?"))
        let marker = Array("BadSectoR\0".utf8)
        if count >= marker.count { part.copy(marker.rawBytes, at: 0) }
        var note = note
        note.text = "WARNING: Can't read sector at \(start + UInt64(done)), lost data."
        work.note(offset, note)
      }
      done += count
    }
  }

  // MARK: Wiping

  private func wipe(_ buffer: inout MutableRawSpan, _ item: CloneItem, _ wiper: Wiper, _ offset: UInt64)
    throws(ImageError)
  {
    var statistics = WipeStatistics()
    switch item.treatment {
    case .plain: return
    case .records(let first, let end):
      let size = volume.boot.recordSize
      for index in 0..<buffer.byteCount / size where first + UInt64(index) < end {
        var record = buffer.slice(index * size..<(index + 1) * size)
        if let line = wiper.wipeRecord(&record, number: first + UInt64(index), &statistics), rule.tellsDamage {
          work.note(offset, CloneNote(after: 0, text: line, isLibrary: true))
        }
      }
    case .mirror(let count):
      let size = volume.boot.recordSize
      for index in 0..<min(count, buffer.byteCount / size) {
        var record = buffer.slice(index * size..<(index + 1) * size)
        try volume.table.read(into: &record, at: UInt64(index * size))
        _ = wiper.wipeRecord(&record, number: UInt64(index), &statistics)
      }
    case .blocks(let size, let isUsed):
      for index in 0..<buffer.byteCount / size where isUsed.map({ index < $0.count && $0[index] }) ?? true {
        var block = buffer.slice(index * size..<(index + 1) * size)
        if wiper.wipeIndexBlock(&block, &statistics) == .torn, rule.tellsDamage {
          work.note(offset, CloneNote(after: 0, text: CloneFailure.damagedIndex))
        }
      }
    }
    total.withLock { $0 += statistics }
  }
}

/// Errors of a clone. `errno` 0 means that the message says everything.
package enum CloneFailure {
  static let damagedIndex = "ERROR(5): Damaged INDX record: \(errorText(5))"

  /// What a bad spot of the source disk comes to when nothing is to be rescued.
  package static let faultyDisk = ImageError("Disk is faulty, can't make full backup!", errno: 0)

  static func reading(_ error: ImageError) -> ImageError {
    error.errno == 5 ? faultyDisk : ImageError("read_all: \(errorText(error.errno))", errno: error.errno)
  }

  /// A write that failed; ECANCELED, which another worker reports, passes.
  package static func writing(_ error: ImageError) -> ImageError {
    error.errno == 125 ? error : ImageError("Write failed: \(errorText(error.errno))", errno: error.errno)
  }
}

/// A new serial number for the boot sector and its backup.
package struct NewSerial: Sendable {
  /// 64 random bits, of which the upper half is used alone when ``isHalf``.
  package let value: UInt64
  package let isHalf: Bool
  private static let fieldOffset = 0x48

  package init(value: UInt64, isHalf: Bool) {
    self.value = value
    self.isHalf = isHalf
  }

  /// The serial number that replaces `old`.
  package func replacement(for old: UInt64) -> UInt64 {
    isHalf ? value & ~0xFFFF_FFFF | old & 0xFFFF_FFFF : value
  }

  /// Changes the boot sector and its backup, where a run at byte `start` of the volume holds them.
  func apply(
    to bytes: inout MutableRawSpan, at start: UInt64, _ volume: Volume, note: (String) -> Void
  ) throws(ImageError) {
    apply(to: &bytes, at: start, backup: volume.boot.sectorCount * UInt64(volume.boot.sectorSize), note: note)
  }

  /// Changes the boot sector at 0 and its backup at byte `backup`, as far as the bytes at `start` hold them and they
  /// look like boot sectors.
  package func apply(to bytes: inout MutableRawSpan, at start: UInt64, backup: UInt64, note: (String) -> Void) {
    for position in [0, backup] where position >= start && position - start + 512 <= UInt64(bytes.byteCount) {
      let offset = Int(position - start)
      guard bytes.bytes.array(offset + 3..<offset + 11) == Array("NTFS    ".utf8) else { continue }
      let field = offset + NewSerial.fieldOffset
      let serial = replacement(for: bytes.bytes.littleEndian(at: field))
      bytes.storeLittleEndian(serial, at: field)
      if position == 0 { note("New serial number      : 0x\(String(serial, radix: 16))") }
    }
  }
}
