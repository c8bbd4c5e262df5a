import Bytes
import Copying
import NTFS
import NtfscloneImage
import Storage
import Threads

/// The body of a special image as it streams in. Reading is in order; which bytes belong where is found out while the next
/// ones are read.
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

  private let input: InputStream
  private let state: Monitor<State>

  init(_ input: InputStream, _ parser: BodyParser) {
    self.input = input
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
    var done = 0
    var ended = parser.isAtEnd || state.withLock { $0.hasEnded }
    var lacksBackup = false
    var pending: ImageError?
    do throws(ImageError) {
      // Not a byte more is waited for than the body has: a pipe may stay open behind it.
      while done < buffer.byteCount && !ended {
        var rest = buffer.slice(done..<buffer.byteCount)
        let count: Int
        do throws(ImageError) {
          count = try input.read(into: &rest)
        } catch {
          throw ImageError("read_all: \(errorText(error.errno))", errno: error.errno)
        }
        if count == 0 {
          guard parser.lacksOnlyBackup else { throw NtfscloneHeader.short }
          lacksBackup = true
          ended = true
          break
        }
        var part = BodyParser.Contents()
        let start = done
        defer { contents.append(part, at: start) }
        try parser.parse(buffer.bytes.slice(done..<done + count), into: &part)
        done += count
        ended = parser.isAtEnd
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
  /// Payloads one after the other, as they go to the target.
  struct Scratch: ~Copyable {
    var output: Buffer
    init(_ size: Int) { output = Buffer(size) }
  }

  /// Bytes of the scratch buffer and where they go.
  struct Piece {
    var bytes: Range<Int>
    var offset: UInt64
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

  func makeScratch() -> Scratch { Scratch(pieceSize) }

  func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Scratch)
    -> (pieces: [Piece], clusters: UInt64, skipped: UInt64)
  {
    let contents = source.contents(segment)
    var output = scratch.output.mutableBytes
    var pieces: [Piece] = []
    var end = 0
    for payload in contents.payloads {
      output.copy(bytes.slice(payload.bytes), at: end)
      let next = end + payload.bytes.count
      if payload.offset == 0, payload.bytes.count >= BootSector.size {
        let boot = try? BootSector(bytes.slice(payload.bytes), log: { _ in })
        backup.withLock { $0 = boot.map { $0.sectorCount * UInt64($0.sectorSize) } }
      }
      if let last = pieces.last, last.offset + UInt64(last.bytes.count) == payload.offset {
        pieces[pieces.count - 1].bytes = last.bytes.lowerBound..<next
      } else {
        pieces.append(Piece(bytes: end..<next, offset: payload.offset))
      }
      end = next
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
      defer { if let last = prepared.pieces.last { end = last.offset + UInt64(last.bytes.count) } }
      return end
    }
    return (prepared.pieces, start)
  }

  func put(
    _ segment: Segment, _ bytes: RawSpan, _ placement: (pieces: [Piece], start: UInt64), _ scratch: inout Scratch
  ) throws(ImageError) {
    guard let target = restorer.target else { return }
    var end = placement.start
    for piece in placement.pieces {
      if let serial = restorer.serial {
        var output = scratch.output.mutableBytes
        var part = output.slice(piece.bytes)
        // Later pieces are put after the first one was prepared.
        let backup = backup.withLock { $0 } ?? restorer.header.clusterCount * UInt64(restorer.header.clusterSize)
        serial.apply(to: &part, at: piece.offset, backup: backup, note: report.line)
      }
      if restorer.isStream, piece.offset > end { try target.writeZeros(end..<piece.offset) }
      try target.writeFitting(scratch.output.bytes.slice(piece.bytes), at: piece.offset)
      end = piece.offset + UInt64(piece.bytes.count)
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
    let source = RestoreSource(input, parser)
    let engine = CopyEngine(workers: max(2, min(8, processorCount())), bufferSize: pieceSize)
    try engine.run(
      RestoreSelection(source, pieceSize: pieceSize), from: source,
      to: RestoreSink(self, source, report, pieceSize: pieceSize))
    return !source.lacksBackup
  }
}
