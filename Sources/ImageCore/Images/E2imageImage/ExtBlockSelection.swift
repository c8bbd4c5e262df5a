import Bytes
import Copying
import Ext

/// The blocks of an image as a copy wants them: offsets in the file system, in bytes.
package final class ExtBlockSelection: Selection {
  /// The longest piece of data in bytes.
  package static let pieceSize = 256 << 10

  /// How many clusters are looked ahead for the end of a run: enough for any hole to be told in few pieces.
  private static let longestRun: UInt64 = 4096

  private let volume: ExtVolume
  private let clusters: BlockSet
  private var position: UInt64 = 0
  private var hole = HoleMap()

  /// - Parameter clusters: the clusters that are selected, in ascending order.
  package init(_ volume: ExtVolume, _ clusters: BlockSet) {
    self.volume = volume
    self.clusters = clusters
  }

  package func next() throws(ImageError) -> Segment? {
    let size = volume.superblock.clusterSize
    guard let run = clusters.nextRun(from: position / size, longest: ExtBlockSelection.longestRun) else { return nil }
    let start = max(
      position, run.lowerBound * size, volume.superblock.firstDataBlock * UInt64(volume.superblock.blockSize))
    let end = min(run.upperBound * size, volume.superblock.byteCount)
    guard start < end else { return nil }
    let segment = hole.segment(at: start, length: end - start, volume)
    position = segment.offset + segment.length
    return segment
  }
}

/// The blocks of an image from the last to the first: for a file system that moves to where it overlaps itself.
package final class DescendingBlockSelection: Selection {
  private let volume: ExtVolume
  private let clusters: BlockSet
  /// Pieces of the set below this one are still to come.
  private var piece: UInt64
  /// Ranges of the present piece, in bytes, ascending.
  private var ranges: [Range<UInt64>] = []

  package init(_ volume: ExtVolume, _ clusters: BlockSet) {
    self.volume = volume
    self.clusters = clusters
    piece = clusters.pieceCount
  }

  package func next() throws(ImageError) -> Segment? {
    while ranges.isEmpty {
      if piece == 0 { return nil }
      piece -= 1
      if clusters.count(inPiece: piece) > 0 { ranges = runs(in: piece) }
    }
    guard let last = ranges.popLast() else { return nil }
    let length = min(last.upperBound - last.lowerBound, UInt64(ExtBlockSelection.pieceSize))
    let start = last.upperBound - length
    if start > last.lowerBound { ranges.append(last.lowerBound..<start) }
    return Segment(offset: start, length: length, kind: .data)
  }

  private func runs(in piece: UInt64) -> [Range<UInt64>] {
    let size = volume.superblock.clusterSize
    let end = min((piece + 1) * BlockSet.pieceBits, clusters.limit)
    var ranges: [Range<UInt64>] = []
    var next = piece * BlockSet.pieceBits
    while next < end, let run = clusters.nextRun(from: next, longest: end - next), run.lowerBound < end {
      let first = max(run.lowerBound * size, volume.superblock.firstDataBlock * UInt64(volume.superblock.blockSize))
      let last = min(min(run.upperBound, end) * size, volume.superblock.byteCount)
      if first < last { ranges.append(first..<last) }
      next = run.upperBound
    }
    return ranges
  }
}

/// The blocks of an image in the order in which the reference moves a file system to the right: pieces as long as the
/// distance from the last to the first, each of them in ascending order (ext4-e2image §5.3). Scrambled names are numbered
/// in that order.
package final class PiecewiseBlockSelection: Selection {
  private let volume: ExtVolume
  private let clusters: BlockSet
  /// Length of a piece in blocks.
  private let pieceLength: UInt64
  /// The present piece, of which what is before `position` is done.
  private var piece: Range<UInt64>
  private var position: UInt64

  /// - Parameter distance: by how much the file system moves, in bytes.
  package init(_ volume: ExtVolume, _ clusters: BlockSet, distance: UInt64) {
    self.volume = volume
    self.clusters = clusters
    pieceLength = max(1, distance / UInt64(volume.superblock.blockSize))
    let end = volume.superblock.blockCount
    piece = end - min(end, pieceLength)..<end
    position = piece.lowerBound
  }

  package func next() throws(ImageError) -> Segment? {
    let size = UInt64(volume.superblock.blockSize)
    let bits = volume.superblock.clusterBits
    while true {
      position = max(position, volume.superblock.firstDataBlock)
      if position < piece.upperBound,
        let run = clusters.nextRun(from: position >> bits, longest: UInt64(ExtBlockSelection.pieceSize) / size),
        run.lowerBound << bits < piece.upperBound
      {
        let start = max(position, run.lowerBound << bits)
        let end = min(piece.upperBound, run.upperBound << bits, start + UInt64(ExtBlockSelection.pieceSize) / size)
        position = end
        return Segment(offset: start * size, length: (end - start) * size, kind: .data)
      }
      if piece.lowerBound == 0 { return nil }
      piece = piece.lowerBound - min(piece.lowerBound, pieceLength)..<piece.lowerBound
      position = piece.lowerBound
    }
  }
}

/// What is known about the holes of the file that holds a volume; asks for large stretches, and remembers the answer.
struct HoleMap {
  /// A hole, as far as it was asked for: bytes of the file system. Inode tables need not ascend, so that what lies in front
  /// of it is unknown.
  private var known: Range<UInt64> = 0..<0

  /// The segment that begins at `offset` of the file system: a piece that begins with data, or all of a hole in whole
  /// blocks. Holes within a piece are read: to look for each would take longer.
  mutating func segment(at offset: UInt64, length: UInt64, _ volume: ExtVolume) -> Segment {
    let piece = min(length, UInt64(ExtBlockSelection.pieceSize))
    var segment = Segment(offset: offset, length: piece, kind: .data)
    // Beyond the end there is no hole but an error, which reading finds.
    guard volume.contains(offset..<offset + piece) else { return segment }
    if !known.contains(offset) {
      let place = volume.start + offset
      guard let start = try? volume.storage.dataStart(at: place, limit: volume.storage.length - place) else {
        return segment
      }
      known = offset..<start - volume.start
    }
    let hole = (known.upperBound - offset).roundedDown(to: UInt64(volume.superblock.blockSize))
    if hole > 0 {
      segment.kind = .zero
      segment.length = min(length, hole)
    }
    return segment
  }
}
