import Bytes
import Copying
import NtfscloneImage
import Storage
import Synchronization

/// Where a clone goes.
package enum CloneTarget: Sendable {
  /// A regular file or a block device.
  case file(FileStorage)
  /// Standard output, a pipe, a character device.
  case stream(OutputStream)

  /// Writes bytes to their place.
  package func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
    do throws(ImageError) {
      switch self {
      case .file(let file): try file.write(bytes, at: offset)
      case .stream(let stream): try stream.write(bytes, at: offset)
      }
    } catch {
      throw CloneFailure.writing(error)
    }
  }

  /// Writes bytes to their place, as far as a device has room. Room for the volume and its backup boot sector has been
  /// checked; what follows in the last cluster may stay away.
  func writeFitting(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
    guard case .file(let file) = self, file.isDevice, offset + UInt64(bytes.byteCount) > file.length else {
      return try write(bytes, at: offset)
    }
    guard offset < file.length else { return }
    try write(bytes.slice(0..<Int(file.length - offset)), at: offset)
  }

  func writeZeros(_ range: Range<UInt64>) throws(ImageError) {
    do throws(ImageError) {
      switch self {
      case .file(let file): try file.zero(range, mayUnmap: false)
      case .stream(let stream): try stream.writeZeros(range.upperBound - range.lowerBound, at: range.lowerBound)
      }
    } catch {
      throw CloneFailure.writing(error)
    }
  }

  /// Makes everything durable.
  package func synchronize() throws(ImageError) {
    do throws(ImageError) {
      switch self {
      case .file(let file): try file.synchronize()
      case .stream(let stream): try stream.flush()
      }
    } catch {
      throw ImageError("fsync: \(errorText(error.errno))", errno: error.errno)
    }
  }
}

/// Puts clusters at their places; a stream gets zeros for what lies between.
final class RawCloneSink: CopySink {
  private let target: CloneTarget
  private let work: CloneWork
  private let report: CloneReport
  private var isStream: Bool { if case .stream = target { true } else { false } }

  init(_ target: CloneTarget, _ work: CloneWork, _ report: CloneReport) {
    self.target = target
    self.work = work
    self.report = report
  }

  func makeScratch() -> Void {}

  func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Void) -> CloneItem? { work.item(segment) }

  func place(_ segment: Segment, _ item: CloneItem?, waitForPuts: () throws(ImageError) -> Void) -> CloneItem? {
    guard let item else { return nil }
    var skipped: UInt64 = 0
    if isStream {
      // Clusters in between are written, hence counted.
      var next = item.previous
      for run in item.runs {
        skipped += run.lowerBound - next
        next = run.upperBound
      }
    }
    report.announce(item, work.notes(segment), skipped: skipped)
    return item
  }

  func put(_ segment: Segment, _ bytes: RawSpan, _ item: CloneItem?, _ scratch: inout Void) throws(ImageError) {
    guard let item else { return }
    defer { work.remove(segment) }
    let geometry = work.geometry
    var done = 0
    var end = geometry.offset(of: item.previous)
    for run in item.runs {
      let start = geometry.offset(of: run.lowerBound)
      if isStream { try target.writeZeros(end..<start) }
      let length = Int(geometry.length(of: run))
      try target.writeFitting(bytes.slice(done..<done + length), at: start)
      done += length
      end = start + UInt64(length)
    }
  }

  func finish() {}
}

/// Writes the special image: each cluster behind a command byte, gaps as commands (spec §14.2).
final class ImageCloneSink: CopySink {
  /// A worker's buffer for bytes and commands.
  struct Scratch: ~Copyable {
    var output: Buffer
    var count = 0
    init(_ size: Int) { output = Buffer(size) }
  }

  private let target: CloneTarget
  private let header: NtfscloneHeader
  private let work: CloneWork
  private let report: CloneReport
  private let position = Atomic<UInt64>(UInt64(NtfscloneHeader.writtenSize))

  init(_ target: CloneTarget, _ header: NtfscloneHeader, _ work: CloneWork, _ report: CloneReport) {
    self.target = target
    self.header = header
    self.work = work
    self.report = report
  }

  /// A stream begins with the header; a file gets it at the end, so that nothing unfinished looks like an image.
  func begin() throws(ImageError) {
    if case .stream = target { try target.write(header.encoded.rawBytes, at: 0) }
  }

  func finish() throws(ImageError) {
    if case .file = target { try target.write(header.encoded.rawBytes, at: 0) }
  }

  func makeScratch() -> Scratch {
    let geometry = work.geometry
    return Scratch(geometry.bufferSize + Int(geometry.clustersPerItem) + 9 * (CloneGeometry.runsPerItem + 1))
  }

  /// Stores a gap command at `offset`, unless there is no gap, and returns the offset behind it.
  private static func skip(_ gap: Int64, _ output: inout MutableRawSpan, _ offset: Int) -> Int {
    if gap == 0 { return offset }
    output.storeBytes(of: 0, toByteOffset: offset, as: UInt8.self)
    output.storeLittleEndian(gap, at: offset + 1)
    return offset + 9
  }

  func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Scratch) -> (item: CloneItem, count: Int)? {
    guard let item = work.item(segment) else { return nil }
    let geometry = work.geometry
    var output = scratch.output.mutableBytes
    var source = 0
    var count = 0
    var next = item.previous
    if item.returnsToStart {
      count = ImageCloneSink.skip(-Int64(next), &output, count)
      next = 0
    }
    for run in item.runs {
      count = ImageCloneSink.skip(Int64(run.lowerBound) - Int64(next), &output, count)
      for cluster in run {
        let length = Int(geometry.length(of: cluster..<cluster + 1))
        output.storeBytes(of: 1, toByteOffset: count, as: UInt8.self)
        output.copy(bytes.slice(source..<source + length), at: count + 1)
        count += 1 + length
        source += length
      }
      next = run.upperBound
    }
    scratch.count = count
    return (item, count)
  }

  func place(
    _ segment: Segment, _ prepared: (item: CloneItem, count: Int)?, waitForPuts: () throws(ImageError) -> Void
  ) -> UInt64 {
    guard let prepared else { return 0 }
    report.announce(prepared.item, work.notes(segment))
    return position.add(UInt64(prepared.count), ordering: .relaxed).oldValue
  }

  func put(_ segment: Segment, _ bytes: RawSpan, _ position: UInt64, _ scratch: inout Scratch) throws(ImageError) {
    defer { work.remove(segment) }
    try target.write(scratch.output.bytes.slice(0..<scratch.count), at: position)
  }
}
