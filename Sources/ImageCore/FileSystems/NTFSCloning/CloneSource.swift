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
    /// A file to which clusters that stay as they are may go without passing through memory.
    package var sharing: FileStorage?
    package init() {}
  }

  private let volume: Volume
  private let work: CloneWork
  private let rule: Rule
  private let total = Mutex(WipeStatistics())
  /// Whether the kernel may still be asked to copy by itself.
  private let canShare: Atomic<Bool>
  /// A part of the source that is known to have no holes, in bytes.
  private let solid = Mutex<Range<UInt64>>(0..<0)
  private var geometry: CloneGeometry { work.geometry }

  init(_ volume: Volume, _ work: CloneWork, _ rule: Rule) {
    self.volume = volume
    self.work = work
    self.rule = rule
    canShare = Atomic(rule.sharing != nil)
  }

  /// What was wiped in everything read so far.
  package var statistics: WipeStatistics { total.withLock { $0 } }

  package func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    guard let item = work.item(at: offset) else { return }
    try work.failing { () throws(ImageError) in
      if try share(item) {
        work.markStored(offset)
      } else if work.isImage {
        try encode(item, into: &buffer, offset)
      } else {
        try fill(&buffer, item, offset)
      }
    }
  }

  /// Fills the buffer with all clusters of an item.
  private func fill(_ buffer: inout MutableRawSpan, _ item: CloneItem, _ offset: UInt64) throws(ImageError) {
    var clusters: UInt64 = 0
    var done = 0
    for part in item.parts {
      let length = Int(geometry.length(of: [part]))
      var bytes = buffer.slice(done..<done + length)
      try fill(&bytes, part, Place(offset: offset, clusters: clusters))
      done += length
      clusters += part.clusters
    }
  }

  /// Where lines about clusters belong: the item, and the clusters in it that come before.
  private struct Place {
    var offset: UInt64
    var clusters: UInt64
  }

  /// Puts an item together as a special image has it.
  private func encode(_ item: CloneItem, into buffer: inout MutableRawSpan, _ offset: UInt64) throws(ImageError) {
    var place = Place(offset: offset, clusters: 0)
    // The part that does not go straight to its places, and how much of it is there by now.
    var gathered = Buffer(0)
    var gatheredPart = -1
    var taken = 0
    try ImageBody.write(item, geometry, into: &buffer) { (bytes, placed, places) throws(ImageError) in
      let part = item.parts[placed.part]
      defer { place.clusters += UInt64(placed.run.count) }
      if case .plain = part.treatment { return try readRun(into: &bytes, places, placed.run, place) }
      if gatheredPart != placed.part {
        gathered = Buffer(Int(geometry.length(of: [part])))
        gatheredPart = placed.part
        taken = 0
        var all = gathered.mutableBytes
        try fill(&all, part, place)
      }
      for cluster in places {
        bytes.copy(gathered.bytes.slice(taken..<taken + cluster.count), at: cluster.lowerBound)
        taken += cluster.count
      }
    }
  }

  /// Fills `bytes` with a part's clusters, one behind the other.
  private func fill(_ bytes: inout MutableRawSpan, _ part: ClonePart, _ place: Place) throws(ImageError) {
    if case .known(let contents) = part.treatment { return bytes.copy(contents.rawBytes, at: 0) }
    var place = place
    var done = 0
    for run in part.runs {
      let length = Int(geometry.length(of: run))
      var piece = bytes.slice(done..<done + length)
      try readRun(into: &piece, [0..<length], run, place)
      if let serial = rule.serial {
        serial.apply(to: &piece, at: geometry.offset(of: run.lowerBound), volume) { text in
          work.note(place.offset, CloneNote(after: place.clusters + 1, text: text))
        }
      }
      done += length
      place.clusters += UInt64(run.count)
    }
    if let wiper = rule.wiper { try wipe(&bytes, part.treatment, wiper, place.offset) }
  }

  // MARK: Copies within the kernel

  /// Whether the kernel lets clusters get to their places by sharing blocks. Where the files cannot, it would copy every
  /// byte with one processor; through memory two do it faster.
  func triesSharing() -> Bool {
    guard let target = rule.sharing, let source = volume.storage as? FileStorage else { return false }
    let isPossible = target.canShareBlocks(of: source)
    if !isPossible { canShare.store(false, ordering: .relaxed) }
    return isPossible
  }

  /// Lets the kernel copy an item's clusters to their places. Holes of the source stay holes of a file.
  ///
  /// - Returns: whether it did; otherwise, also where something cannot be read, they go through memory.
  private func share(_ item: CloneItem) throws(ImageError) -> Bool {
    guard canShare.load(ordering: .relaxed), let target = rule.sharing, let source = volume.storage as? FileStorage
    else { return false }
    for part in item.parts {
      guard case .plain = part.treatment else { return false }
      for run in part.runs {
        let bytes = geometry.offset(of: run.lowerBound)..<geometry.offset(of: run.lowerBound) + geometry.length(of: run)
        if let serial = rule.serial, serial.concerns(bytes, volume) { return false }
        if try !share(bytes, source, target) { return false }
      }
    }
    return true
  }

  private func share(_ bytes: Range<UInt64>, _ source: FileStorage, _ target: FileStorage) throws(ImageError) -> Bool {
    var position = bytes.lowerBound
    while position < bytes.upperBound {
      var isData = true
      var end = solid.withLock { $0.contains(position) ? min($0.upperBound, bytes.upperBound) : position }
      if end == position {
        // All of it: the kernel would look for its end again and again.
        let extent = try source.extent(at: position, limit: max(geometry.deviceSize, bytes.upperBound) - position)
        isData = extent.isData
        if isData { solid.withLock { $0 = position..<position + extent.length } }
        end = min(position + extent.length, bytes.upperBound)
      }
      if isData || !target.growsWithZeros {
        do throws(ImageError) {
          guard case .copied(let count) = try target.copy(from: source, position..<end, at: position),
            position + count == end
          else {
            canShare.store(false, ordering: .relaxed)
            return false
          }
        } catch {
          if error.errno == 5 { return false }
          throw CloneFailure.writing(error)
        }
      }
      position = end
    }
    return true
  }

  // MARK: Reading around bad sectors

  /// Reads a run into places of the buffer: one for each cluster, or one for all.
  private func readRun(
    into buffer: inout MutableRawSpan, _ places: [Range<Int>], _ run: Range<UInt64>, _ place: Place
  ) throws(ImageError) {
    let start = geometry.offset(of: run.lowerBound)
    let end = start + geometry.length(of: run)
    var position = start
    while position < end {
      let rest = places.dropping(Int(position - start))
      do throws(ImageError) {
        return try readAll(into: &buffer, rest, at: position)
      } catch {
        guard rule.rescues, error.errno == 5 else { throw CloneFailure.reading(error) }
        // What lies before the bad spot has been read; from its cluster on, that cluster alone, sector by sector.
        let spot = max(position, min(error.offset ?? position, end - 1))
        let cluster = spot / UInt64(geometry.clusterSize)
        var note = CloneNote(after: place.clusters + (cluster - run.lowerBound), text: "")
        let first = geometry.offset(of: cluster)
        let length = Int(geometry.length(of: cluster..<cluster + 1))
        for piece in places.dropping(Int(first - start)).keeping(length) {
          try rescue(into: &buffer, piece, at: &note, position: first, place.offset)
        }
        position = first + UInt64(length)
      }
    }
  }

  private func readAll(into buffer: inout MutableRawSpan, _ places: [Range<Int>], at offset: UInt64)
    throws(ImageError)
  {
    if places.count == 1 {
      var part = buffer.slice(places[0])
      return try volume.storage.read(into: &part, at: offset)
    }
    if let file = volume.storage as? FileStorage { return try file.read(into: &buffer, places: places, at: offset) }
    var position = offset
    for place in places {
      var part = buffer.slice(place)
      try volume.storage.read(into: &part, at: position)
      position += UInt64(place.count)
    }
  }

  /// Reads what can be read of a cluster; unreadable sectors become a pattern that says so.
  private func rescue(
    into buffer: inout MutableRawSpan, _ piece: Range<Int>, at note: inout CloneNote, position start: UInt64,
    _ offset: UInt64
  ) throws(ImageError) {
    var done = piece.lowerBound
    while done < piece.upperBound {
      let count = min(volume.boot.sectorSize, piece.upperBound - done)
      let position = start + UInt64(done - piece.lowerBound)
      var part = buffer.slice(done..<done + count)
      do throws(ImageError) {
        try volume.storage.read(into: &part, at: position)
      } catch {
        guard error.errno == 5 else { throw CloneFailure.reading(error) }
        LostSector.fill(&part)
        note.text = LostSector.warning(position)
        work.note(offset, note)
      }
      done += count
    }
  }

  // MARK: Wiping

  private func wipe(_ buffer: inout MutableRawSpan, _ treatment: Treatment, _ wiper: Wiper, _ offset: UInt64)
    throws(ImageError)
  {
    var statistics = WipeStatistics()
    switch treatment {
    case .plain, .known: return
    case .records(let first, let end):
      let size = volume.boot.recordSize
      for index in 0..<buffer.byteCount / size where first + UInt64(index) < end {
        var record = buffer.slice(index * size..<(index + 1) * size)
        let number = first + UInt64(index)
        let line = wiper.wipeRecord(&record, number: number, isWritten: number < volume.recordCount, &statistics)
        if let line, rule.tellsDamage {
          work.note(offset, CloneNote(after: 0, text: line, isLibrary: true))
        }
      }
    case .mirror(let count):
      let size = volume.boot.recordSize
      for index in 0..<min(count, buffer.byteCount / size) {
        var record = buffer.slice(index * size..<(index + 1) * size)
        try volume.table.read(into: &record, at: UInt64(index * size))
        _ = wiper.wipeRecord(&record, number: UInt64(index), isWritten: true, &statistics)
      }
    case .blocks(let size, let isUsed):
      for index in 0..<buffer.byteCount / size where isUsed.map({ index < $0.count && $0[index] }) ?? true {
        var block = buffer.slice(index * size..<(index + 1) * size)
        if case .torn(let damage) = wiper.wipeIndexBlock(&block, &statistics), rule.tellsDamage {
          work.note(offset, CloneNote(after: 0, text: damage.line, isLibrary: true))
          work.note(offset, CloneNote(after: 0, text: CloneFailure.damagedIndex(damage)))
        }
      }
    }
    total.withLock { $0 += statistics }
  }
}

/// What takes the place of a sector that cannot be read.
enum LostSector {
  private static let marker = Array("BadSectoR\0".utf8)

  static func fill(_ bytes: inout MutableRawSpan) {
    bytes.fill(0..<bytes.byteCount, with: UInt8(ascii: "?"))
    if bytes.byteCount >= marker.count { bytes.copy(marker.rawBytes, at: 0) }
  }

  static func warning(_ position: UInt64) -> String { "WARNING: Can't read sector at \(position), lost data." }
}

extension [Range<Int>] {
  /// The places behind the first `count` bytes.
  func dropping(_ count: Int) -> [Range<Int>] {
    if count == 0 { return self }
    var left = count
    var rest: [Range<Int>] = []
    for place in self {
      let dropped = Swift.min(left, place.count)
      left -= dropped
      if dropped < place.count { rest.append(place.lowerBound + dropped..<place.upperBound) }
    }
    return rest
  }

  /// The places of the first `count` bytes.
  func keeping(_ count: Int) -> [Range<Int>] {
    var left = count
    var kept: [Range<Int>] = []
    for place in self where left > 0 {
      let length = Swift.min(left, place.count)
      kept.append(place.lowerBound..<place.lowerBound + length)
      left -= length
    }
    return kept
  }
}

/// Errors of a clone. `errno` 0 means that the message says everything.
package enum CloneFailure {
  static func damagedIndex(_ damage: FixUps.Damage) -> String {
    "ERROR(\(damage.errno)): Damaged INDX record: \(errorText(damage.errno))"
  }

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

  /// Whether a run of the volume's bytes holds a part of the boot sector or of its backup.
  func concerns(_ bytes: Range<UInt64>, _ volume: Volume) -> Bool {
    let backup = volume.boot.sectorCount * UInt64(volume.boot.sectorSize)
    return bytes.overlaps(0..<512) || bytes.overlaps(backup..<backup + 512)
  }

  /// Changes the boot sector and its backup, where a run at byte `start` of the volume holds them.
  func apply(to bytes: inout MutableRawSpan, at start: UInt64, _ volume: Volume, note: (String) -> Void) {
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
