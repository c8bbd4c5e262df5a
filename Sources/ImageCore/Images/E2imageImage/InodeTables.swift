import Bytes
import Copying
import Ext
import Storage
import Synchronization

/// The inode tables of all groups, each whole, in the order of the groups: what a normal image holds (ext4-e2image §9.2).
package final class InodeTableSelection: Selection {
  private let volume: ExtVolume
  private var group: UInt64 = 0
  /// How much of the present group's table is done, in bytes.
  private var done: UInt64 = 0
  private var hole = HoleMap()

  /// - Throws: when a group has no table, or one outside the file system.
  package init(_ volume: ExtVolume) throws(ImageError) {
    self.volume = volume
    for number in 0..<volume.superblock.groupCount {
      let group = volume.groups[number]
      if group.inodeTable == 0 { throw ExtError.missingTable }
      if volume.groups.isTableOutside(group) { throw ExtError.tableOutside }
    }
  }

  package func next() throws(ImageError) -> Segment? {
    let size = UInt64(volume.superblock.blockSize)
    let length = volume.superblock.inodeTableBlocks * size
    if done == length {
      group += 1
      done = 0
    }
    guard group < volume.superblock.groupCount else { return nil }
    let segment = hole.segment(
      at: volume.groups[group].inodeTable * size + done,
      length: length - done, volume)
    done += segment.length
    return segment
  }
}

/// Reads a file system's bytes, all of which must exist.
package final class WholeVolumeSource: CopySource {
  private let volume: ExtVolume

  package init(_ volume: ExtVolume) { self.volume = volume }

  package func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    guard volume.contains(offset..<offset + UInt64(buffer.byteCount)) else { throw ExtError.shortRead }
    try volume.read(into: &buffer, at: offset)
  }
}

/// Writes what it is given one behind the other: to a file with holes where there are zeros, or to a stream.
package final class SequentialSink: CopySink {
  private let output: ExtImageOutput
  private let sparse: SparseRule
  private let end: Mutex<UInt64>

  /// - Parameters:
  ///   - start: where the first byte goes, in bytes.
  ///   - blockSize: the unit of holes, in bytes.
  package init(_ output: ExtImageOutput, at start: UInt64, blockSize: Int) {
    self.output = output
    sparse = SparseRule(bytes: UInt64(blockSize))
    end = Mutex(start)
  }

  package func makeScratch() {}
  package func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Void) -> [SparseRun] {
    guard segment.kind == .data, case .file(let file) = output, file.growsWithZeros else { return [] }
    return sparse.runs(bytes, at: 0)
  }

  package func place(
    _ segment: Segment, _ runs: [SparseRun], waitForPuts: () throws(ImageError) -> Void
  ) -> (offset: UInt64, runs: [SparseRun]) {
    let offset = end.withLock { end in
      defer { end += segment.length }
      return end
    }
    return (offset, runs)
  }

  package func put(
    _ segment: Segment, _ bytes: RawSpan, _ placement: (offset: UInt64, runs: [SparseRun]), _ scratch: inout Void
  ) throws(ImageError) {
    do throws(ImageError) {
      switch output {
      case .stream(let stream):
        if segment.kind == .data {
          try stream.write(bytes, at: placement.offset)
        } else {
          try stream.writeZeros(segment.length, at: placement.offset)
        }
      case .file(let file):
        if !file.growsWithZeros {
          if segment.kind == .data {
            try file.write(bytes, at: placement.offset)
          } else {
            try file.zero(placement.offset..<placement.offset + segment.length, mayUnmap: false)
          }
        }
        for run in placement.runs where run.isData {
          try file.write(bytes.slice(run.range), at: placement.offset + UInt64(run.range.lowerBound))
        }
      }
    } catch {
      throw tableFailure(error, writing: "inode table")
    }
  }

  package func finish() {}
}

/// Writes a normal image (§9): the parts in their order, to a file the header last.
package struct E2imageWriter {
  private let volume: ExtVolume
  private let output: ExtImageOutput
  private let header: E2imageHeader
  private let layout: E2imageLayout

  package init(_ volume: ExtVolume, to output: ExtImageOutput, _ header: E2imageHeader) {
    self.volume = volume
    self.output = output
    self.header = header
    layout = E2imageLayout(volume.superblock)
  }

  /// Writes everything.
  ///
  /// - Throws: what cannot be read with the part concerned, as in `… while writing inode table`; failed writes in their own
  ///   words.
  package func run() throws(ImageError) {
    let blockSize = volume.superblock.blockSize
    switch output {
    case .stream: try write(header.bytes, at: 0)
    case .file(let file): file.lengthen(to: layout.end)
    }
    let padding = [UInt8](repeating: 0, count: blockSize - ExtSuperblock.size)
    try write(volume.superblock.bytes + padding, at: layout.superblockOffset)
    try write(volume.groups.bytes, at: layout.descriptorOffset)
    try writeTables()
    let bitmaps = ExtBitmaps(volume)
    try writeMaps("block bitmap", at: layout.blockMapOffset, upTo: layout.inodeMapOffset, bitmaps.blockBitmap)
    try writeMaps("inode bitmap", at: layout.inodeMapOffset, upTo: layout.end, bitmaps.inodeBitmap)
    if case .file = output { try write(header.bytes, at: 0) }
  }

  private func writeTables() throws(ImageError) {
    let selection: InodeTableSelection
    do throws(ImageError) {
      selection = try InodeTableSelection(volume)
    } catch {
      throw error.suffixed("while writing inode table")
    }
    var engine = CopyEngine(bufferSize: ExtBlockSelection.pieceSize)
    engine.readFailure = { error, _ in error.suffixed("while writing inode table") }
    try engine.run(
      selection, from: WholeVolumeSource(volume),
      to: SequentialSink(output, at: layout.inodeOffset, blockSize: volume.superblock.blockSize))
  }

  /// Writes the bitmaps of all groups without gaps, and zeros up to `end`.
  private func writeMaps(
    _ part: String, at start: UInt64, upTo end: UInt64, _ map: (UInt64) throws(ImageError) -> [UInt8]
  ) throws(ImageError) {
    var offset = start
    var pending: [UInt8] = []
    for group in 0..<volume.superblock.groupCount {
      do throws(ImageError) {
        pending += try map(group)
      } catch {
        throw error.suffixed("while writing \(part)")
      }
      if pending.count >= ExtBlockSelection.pieceSize {
        try write(pending, at: offset, of: part)
        offset += UInt64(pending.count)
        pending.removeAll(keepingCapacity: true)
      }
    }
    pending += [UInt8](repeating: 0, count: Int(end - offset) - pending.count)
    try write(pending, at: offset, of: part)
  }

  /// - Parameter part: how the part is called in what is said of a failure, if it has a name.
  private func write(_ bytes: [UInt8], at offset: UInt64, of part: String? = nil) throws(ImageError) {
    do throws(ImageError) {
      switch output {
      case .file(let file): try file.write(bytes, at: offset)
      case .stream(let stream): try stream.write(bytes.rawBytes, at: offset)
      }
    } catch {
      throw tableFailure(error, writing: part)
    }
  }
}
