import Bytes
import Copying
import NTFS
import NtfscloneImage
import Storage
import Threads

/// The body of a special image as it streams in. What bytes are is known only in order; a file's are read in any order, so
/// that only their commands have to wait.
final class RestoreSource: CopySource {
  private struct State {
    var parser: BodyParser
    var next: UInt64 = 0
    var hasFailed = false
    /// What is wrong behind the bytes read last: they are restored first.
    var pending: ImageError?
    var hasEnded = false
    var lacksBackup = false
    var contents: [UInt64: BodyParser.Contents] = [:]
  }

  /// A piece as it was read.
  private struct Reading {
    /// Bytes read.
    var count = 0
    /// Positions in the image of the sectors that could not be read.
    var lost: [UInt64] = []
    /// Why there are no more.
    var failure: ImageError?
  }

  private let input: InputStream
  /// Where the body begins in a file; nil for what has to be read in order.
  private let start: UInt64?
  private let rescues: Bool
  private let warn: @Sendable (String) -> Void
  private let state: Monitor<State>
  /// The unit that is given up, whatever the disk's is.
  private static let sector: UInt64 = 512

  /// - Parameters:
  ///   - rescues: go on behind sectors of a file that cannot be read.
  ///   - warn: takes a line about each, in order.
  init(
    _ input: InputStream, bodyOffset: UInt64, _ parser: BodyParser, rescues: Bool,
    warn: @escaping @Sendable (String) -> Void
  ) {
    self.input = input
    start = input.isRandomAccess ? bodyOffset : nil
    self.rescues = rescues
    self.warn = warn
    state = Monitor(State(parser: parser))
  }

  /// Whether nothing is left to be read.
  var hasEnded: Bool { state.withLock { $0.hasEnded || $0.hasFailed } }
  /// Whether the image ended before the backup boot sector.
  var lacksBackup: Bool { state.withLock { $0.lacksBackup } }

  /// What the bytes of a segment are; asked once.
  func contents(_ segment: Segment) -> BodyParser.Contents {
    state.withLock { $0.contents.removeValue(forKey: segment.offset) ?? BodyParser.Contents() }
  }

  func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    let reading = start.map { readFile(into: &buffer, at: $0 + offset) }
    // Our turn; the parser is ours as long as `next` does not move.
    var parser = try state.wait(notify: true) { (state) throws(ImageError) -> BodyParser? in
      if state.hasFailed { throw .system(125) }
      guard state.next == offset else { return nil }
      if let error = state.pending {
        state.hasFailed = true
        throw error
      }
      return state.parser
    }
    var contents = BodyParser.Contents()
    var ended = parser.isAtEnd || state.withLock { $0.hasEnded }
    var lacksBackup = false
    var pending: ImageError?
    do throws(ImageError) {
      if let reading, !ended {
        for position in reading.lost { warn(LostSector.warning(position)) }
        try parser.parse(buffer.bytes.slice(0..<reading.count), into: &contents)
        ended = parser.isAtEnd
        if !ended, let failure = reading.failure { throw failure }
        if !ended, reading.count < buffer.byteCount { (ended, lacksBackup) = try end(parser) }
      } else if !ended {
        (ended, lacksBackup) = try readStream(into: &buffer, &parser, &contents)
      }
    } catch {
      pending = error
    }
    let length = UInt64(buffer.byteCount)
    state.withLock(notify: true) { state in
      state.parser = parser
      state.contents[offset] = contents
      state.pending = pending
      state.hasEnded = ended
      state.lacksBackup = state.lacksBackup || lacksBackup
      state.next = offset + length
    }
  }

  /// There is nothing behind the bytes read last: the backup boot sector may be missing, nothing else.
  private func end(_ parser: BodyParser) throws(ImageError) -> (Bool, Bool) {
    guard parser.lacksOnlyBackup else { throw NtfscloneHeader.short }
    return (true, true)
  }

  private static func failure(_ error: ImageError) -> ImageError {
    ImageError("read_all: \(errorText(error.errno))", errno: error.errno)
  }

  /// Fills the buffer from a stream, and follows the commands as they come.
  private func readStream(
    into buffer: inout MutableRawSpan, _ parser: inout BodyParser, _ contents: inout BodyParser.Contents
  ) throws(ImageError) -> (Bool, Bool) {
    var done = 0
    // Not a byte more is waited for than the body has: a pipe may stay open behind it.
    while done < buffer.byteCount, !parser.isAtEnd {
      var rest = buffer.slice(done..<buffer.byteCount)
      let count: Int
      do throws(ImageError) {
        count = try input.read(into: &rest)
      } catch {
        throw RestoreSource.failure(error)
      }
      if count == 0 { return try end(parser) }
      var part = BodyParser.Contents()
      let start = done
      defer { contents.append(part, at: start) }
      try parser.parse(buffer.bytes.slice(done..<done + count), into: &part)
      done += count
    }
    return (parser.isAtEnd, false)
  }

  /// Fills the buffer from a file, up to its end, or with `rescues` around what cannot be read.
  private func readFile(into buffer: inout MutableRawSpan, at offset: UInt64) -> Reading {
    var reading = Reading()
    while reading.count < buffer.byteCount {
      let position = offset + UInt64(reading.count)
      var rest = buffer.slice(reading.count..<buffer.byteCount)
      do throws(ImageError) {
        reading.count += try input.fill(&rest, at: position)
        return reading
      } catch {
        guard rescues, error.errno == 5 else {
          reading.count += Int((error.offset ?? position) - position)
          reading.failure = RestoreSource.failure(error)
          return reading
        }
        // The sector with the bad spot alone, then on.
        let spot = error.offset ?? position
        let sector = spot.roundedDown(to: RestoreSource.sector)
        let first = reading.count + Int(max(sector, position) - position)
        let next = min(buffer.byteCount, reading.count + Int(sector + RestoreSource.sector - position))
        var lost = buffer.slice(first..<next)
        do throws(ImageError) {
          let count = try input.fill(&lost, at: max(sector, position))
          if count < lost.byteCount {
            reading.count = first + count
            return reading
          }
        } catch {
          LostSector.fill(&lost)
          reading.lost.append(sector)
        }
        reading.count = next
      }
    }
    return reading
  }
}

extension BodyParser.Contents {
  /// Adds what lies `offset` bytes further on in the piece.
  fileprivate mutating func append(_ other: BodyParser.Contents, at offset: Int) {
    clusters += other.clusters
    skipped += other.skipped
    for payload in other.payloads {
      let bytes = payload.bytes.lowerBound + offset..<payload.bytes.upperBound + offset
      payloads.append(BodyParser.Payload(bytes: bytes, offset: payload.offset))
    }
  }
}

/// Pieces of the body until it ends.
private final class RestoreSelection: Selection {
  private let source: RestoreSource
  private let pieceSize: UInt64
  private var offset: UInt64 = 0

  init(_ source: RestoreSource, pieceSize: Int) {
    self.source = source
    self.pieceSize = UInt64(pieceSize)
  }

  func next() -> Segment? {
    if source.hasEnded { return nil }
    defer { offset += pieceSize }
    return Segment(offset: offset, length: pieceSize, kind: .data)
  }
}

/// Puts the body's clusters where they belong.
private final class RestoreSink: CopySink {
  /// Payloads one after the other, where they cannot go to the target from where they are.
  struct Scratch: ~Copyable {
    var output: Buffer
    init(_ size: Int) { output = Buffer(size) }
  }

  /// Bytes that belong together on the volume: their places in the piece, or in the scratch buffer.
  struct Piece {
    var places: [Range<Int>]
    var offset: UInt64
    /// Bytes altogether.
    var count: Int
  }

  private let restorer: VolumeRestorer
  private let source: RestoreSource
  private let report: CloneReport
  private let pieceSize: Int
  /// The stream's position, in the order of placing.
  private let streamEnd = Monitor<UInt64>(0)
  /// Where the backup boot sector is, once the boot sector has been seen.
  private let backup = Monitor<UInt64?>(nil)

  init(_ restorer: VolumeRestorer, _ source: RestoreSource, _ report: CloneReport, pieceSize: Int) {
    self.restorer = restorer
    self.source = source
    self.report = report
    self.pieceSize = pieceSize
  }

  /// Whether payloads are moved together: a stream takes them as one, a serial number changes them.
  private var gathers: Bool { restorer.serial != nil || restorer.isStream }

  func makeScratch() -> Scratch { Scratch(gathers ? pieceSize : 0) }

  func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Scratch)
    -> (pieces: [Piece], clusters: UInt64, skipped: UInt64)
  {
    let contents = source.contents(segment)
    var output = scratch.output.mutableBytes
    var pieces: [Piece] = []
    var end = 0
    for payload in contents.payloads {
      var place = payload.bytes
      if gathers {
        output.copy(bytes.slice(place), at: end)
        place = end..<end + place.count
        end = place.upperBound
      }
      if payload.offset == 0, payload.bytes.count >= BootSector.size {
        let boot = try? BootSector(bytes.slice(payload.bytes), log: { _ in })
        backup.withLock { $0 = boot.map { $0.sectorCount * UInt64($0.sectorSize) } }
      }
      guard let last = pieces.last, last.offset + UInt64(last.count) == payload.offset else {
        pieces.append(Piece(places: [place], offset: payload.offset, count: place.count))
        continue
      }
      pieces[pieces.count - 1].count += place.count
      if let before = last.places.last, before.upperBound == place.lowerBound {
        pieces[pieces.count - 1].places[last.places.count - 1] = before.lowerBound..<place.upperBound
      } else {
        pieces[pieces.count - 1].places.append(place)
      }
    }
    return (pieces, contents.clusters, contents.skipped)
  }

  func place(
    _ segment: Segment, _ prepared: (pieces: [Piece], clusters: UInt64, skipped: UInt64),
    waitForPuts: () throws(ImageError) -> Void
  ) -> (pieces: [Piece], start: UInt64) {
    let counted = prepared.clusters + (restorer.isStream ? prepared.skipped : 0)
    if counted > 0 { report.counted(counted) }
    let start = streamEnd.withLock { end in
      defer { if let last = prepared.pieces.last { end = last.offset + UInt64(last.count) } }
      return end
    }
    return (prepared.pieces, start)
  }

  func put(
    _ segment: Segment, _ bytes: RawSpan, _ placement: (pieces: [Piece], start: UInt64), _ scratch: inout Scratch
  ) throws(ImageError) {
    guard let target = restorer.target else { return }
    guard gathers else {
      for piece in placement.pieces { try target.write(bytes, places: piece.places, at: piece.offset) }
      return
    }
    var end = placement.start
    for piece in placement.pieces {
      guard let place = piece.places.first else { continue }
      if let serial = restorer.serial {
        var output = scratch.output.mutableBytes
        var part = output.slice(place)
        // Later pieces are put after the first one was prepared.
        let backup = backup.withLock { $0 } ?? restorer.header.clusterCount * UInt64(restorer.header.clusterSize)
        serial.apply(to: &part, at: piece.offset, backup: backup, note: report.line)
      }
      if restorer.isStream, piece.offset > end { try target.writeZeros(end..<piece.offset) }
      try target.writeFitting(scratch.output.bytes.slice(place), at: piece.offset)
      end = piece.offset + UInt64(piece.count)
    }
  }

  func finish() {}
}

/// Restores a volume from a special image (spec §14.5).
package struct VolumeRestorer: Sendable {
  package let header: NtfscloneHeader
  /// nil: everything is read and nothing written.
  package let target: CloneTarget?
  package var serial: NewSerial?
  /// Go on behind sectors of the image that cannot be read.
  package var rescues = false

  package init(_ header: NtfscloneHeader, to target: CloneTarget?) {
    self.header = header
    self.target = target
  }

  var isStream: Bool { if case .stream = target { true } else { false } }

  /// - Returns: whether the backup boot sector was there.
  /// - Throws: errors with `errno` 0 for what is wrong with the image.
  package func restore(_ input: InputStream, report: CloneReport) throws(ImageError) -> Bool {
    let pieceSize = 1 << 20
    let parser = BodyParser(header, isSeekable: input.isSeekable, isStrictlyAscending: isStream)
    let source = RestoreSource(
      input, bodyOffset: header.bodyOffset, parser, rescues: rescues, warn: report.line)
    let engine = CopyEngine(bufferSize: pieceSize)
    try engine.run(
      RestoreSelection(source, pieceSize: pieceSize), from: source,
      to: RestoreSink(self, source, report, pieceSize: pieceSize))
    return !source.lacksBackup
  }
}
