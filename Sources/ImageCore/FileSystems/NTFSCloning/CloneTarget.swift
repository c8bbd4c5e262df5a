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

  /// Writes what lies in several places of the memory one behind the other.
  func write(_ bytes: RawSpan, places: [Range<Int>], at offset: UInt64) throws(ImageError) {
    guard case .file(let file) = self,
      !file.isDevice || offset + UInt64(places.reduce(0) { $0 + $1.count }) <= file.length
    else {
      var position = offset
      for place in places {
        try writeFitting(bytes.slice(place), at: position)
        position += UInt64(place.count)
      }
      return
    }
    do throws(ImageError) {
      try file.write(bytes, places: places, at: offset)
    } catch {
      throw CloneFailure.writing(error)
    }
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

  func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Void) -> CloneItem? { work.item(segment) }

  func place(_ segment: Segment, _ item: CloneItem?, waitForPuts: () throws(ImageError) -> Void) -> CloneItem? {
    guard let item else { return nil }
    var skipped: UInt64 = 0
    if isStream {
      // Clusters in between are written, hence counted.
      var next = item.previous
      for run in item.parts.lazy.flatMap(\.runs) {
        skipped += run.lowerBound - next
        next = run.upperBound
      }
    }
    work.announce(segment, item, report, skipped: skipped)
    return item
  }

  func put(_ segment: Segment, _ bytes: RawSpan, _ item: CloneItem?, _ scratch: inout Void) throws(ImageError) {
    guard let item else { return }
    defer { work.remove(segment) }
    if work.isStored(segment) { return }
    let geometry = work.geometry
    var done = 0
    var end = geometry.offset(of: item.previous)
    for run in item.parts.lazy.flatMap(\.runs) {
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

/// Writes the special image: its items one behind the other, as the source has put them together.
final class ImageCloneSink: CopySink {
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

  func place(_ segment: Segment, _ prepared: Void, waitForPuts: () throws(ImageError) -> Void) -> UInt64 {
    if let item = work.item(segment) { work.announce(segment, item, report) }
    return position.add(segment.length, ordering: .relaxed).oldValue
  }

  func put(_ segment: Segment, _ bytes: RawSpan, _ position: UInt64, _ scratch: inout Void) throws(ImageError) {
    defer { work.remove(segment) }
    try work.failing { () throws(ImageError) in try target.write(bytes, at: position) }
  }
}
