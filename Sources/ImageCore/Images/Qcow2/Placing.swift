import Bytes
import Storage

/// A part of a guest write that lies in one piece in the host storage.
struct WritePiece: Sendable {
  /// Guest bytes that are written.
  var guest: Range<UInt64>
  /// Where they go, in bytes.
  var hostOffset: UInt64
  /// Offset of the L2 table in bytes.
  var table: UInt64
  /// Number of the first cluster's entry in the table.
  var firstEntry: UInt64
  /// Number of clusters.
  var clusters: UInt64
  /// Whether the clusters have just been allocated.
  var isNew: Bool
  /// What must be stored around the written bytes, so that the rest of the first and last cluster reads as before: at
  /// most one part before and one behind.
  var kept: [KeptPart] = []

  /// A part of a cluster around a write.
  struct KeptPart: Sendable {
    /// Guest bytes.
    var guest: Range<UInt64>
    /// Where they go, in bytes.
    var hostOffset: UInt64
    /// How the contents come about.
    var source: Source
  }

  /// Contents of a kept part.
  enum Source: Sendable {
    /// As the image reads now.
    case image
    /// Zeros that have to be stored.
    case zeros
  }
}

/// What an L2 entry means to a write.
struct WriteTarget {
  var entry: L2Entry
  var bitmap: SubclusterBitmap
  var kind: ClusterKind
  /// Whether the cluster can be written where it is.
  var isInPlace: Bool
}

// Where guest writes go (qcow2-qcow-qed §11.6, §11.7).

extension Qcow2Tables {
  /// Number of the entry of a guest cluster in its L2 table.
  private func entryIndex(_ cluster: UInt64) -> UInt64 { cluster & (header.l2Entries - 1) }

  /// What entry number `index` of the L2 table at `table` means, checked.
  func target(_ words: [UInt64], _ position: Int, table: UInt64, index: UInt64, _ rules: EntryRules)
    throws(ImageError) -> WriteTarget
  {
    let step = header.wordsPerL2Entry
    let entry = L2Entry(rawValue: words[position * step])
    let kind = entry.kind(rules)
    var bitmap = SubclusterBitmap(rawValue: 0)
    func fault(_ text: String) throws(ImageError) -> ImageError {
      try writer().refcounts.corruption.fatal(
        "\(text) (L2 offset: \(alternateHex(table)), L2 index: \(alternateHex(index)))")
    }
    switch kind {
    case .compressed:
      if rules.hasDataFile { throw try fault("Compressed cluster entry found in image with external data file") }
    case .zeroPlain, .zeroAllocated:
      if header.version < 3 { throw try fault("Zero cluster entry found in pre-v3 image") }
    case .normal, .unallocated:
      if step == 2 {
        bitmap = SubclusterBitmap(rawValue: words[position * step + 1])
        guard bitmap.isValid(hasCluster: kind == .normal) else { throw try fault("Invalid cluster entry found") }
      }
    }
    let isHere = kind == .normal || kind == .zeroAllocated
    if isHere && entry.offset % header.clusterSize != 0 {
      throw try fault("Cluster allocation offset \(alternateHex(entry.offset)) unaligned")
    }
    return WriteTarget(
      entry: entry, bitmap: bitmap, kind: kind, isInPlace: isHere && (entry.isCopied || rules.hasDataFile))
  }

  /// Finds or makes the host clusters for a write to `range` (not empty, within the disk). Nothing refers to new clusters
  /// until ``link(_:)``.
  ///
  /// - Parameter backingEnd: size in bytes of the layer below, 0 without one; what is beyond reads as zeros.
  func allocatePieces(_ range: Range<UInt64>, backingEnd: UInt64) throws(ImageError) -> [WritePiece] {
    let writing = try writer()
    var pieces: [WritePiece] = []
    // Where the next piece has to be to continue the one before (§11.2).
    var expected: UInt64?
    var offset = range.lowerBound
    do throws(ImageError) {
      while offset < range.upperBound {
        guard let piece = try nextPiece(offset..<range.upperBound, writing, backingEnd, expected) else {
          expected = nil
          continue
        }
        expected = piece.hostOffset + UInt64(piece.guest.upperBound - piece.guest.lowerBound)
        offset = piece.guest.upperBound
        pieces.append(piece)
      }
    } catch {
      try abandon(pieces)
      throw error
    }
    return pieces
  }

  /// Gives back the clusters of pieces that could not be stored.
  func abandon(_ pieces: [WritePiece]) throws(ImageError) {
    let writing = try writer()
    guard writing.dataStorage === writing.storage else { return }
    for piece in pieces where piece.isNew {
      let start = piece.hostOffset >> UInt64(header.clusterBits)
      try writing.refcounts.lower(start..<start + piece.clusters)
    }
  }

  /// The first piece of a write to `range`; nil if it cannot continue at the host offset `expected`.
  func nextPiece(
    _ range: Range<UInt64>, _ writing: Qcow2Writing, _ backingEnd: UInt64, _ expected: UInt64?
  ) throws(ImageError) -> WritePiece? {
    let bits = UInt64(header.clusterBits)
    let first = range.lowerBound >> bits
    let index = entryIndex(first)
    let table = try writableTable(first / header.l2Entries)
    // Up to the end of the write or of the piece of the table that is handled at once.
    let wanted = min(((range.upperBound - 1) >> bits) - first + 1, writing.pieceEntries - index % writing.pieceEntries)
    let rules = EntryRules(header)
    let (target, run) = try run(table, index, wanted, rules)

    let start = first << bits
    var host: UInt64
    var count = run
    if target.isInPlace {
      host = target.entry.offset
      if !rules.hasDataFile {
        let cluster = host >> bits
        if let kind = writing.refcounts.metadata.overlap(cluster..<cluster + count) {
          throw writing.refcounts.overlap(kind)
        }
      }
    } else if rules.hasDataFile {
      host = start
    } else if let expected {
      host = expected
      count = try writing.refcounts.allocate(at: expected >> bits, upTo: run)
      if count == 0 { return nil }
    } else {
      host = try writing.refcounts.allocate(run, for: .data) << bits
    }
    let end = min(range.upperBound, start + count << bits)
    var piece = WritePiece(
      guest: range.lowerBound..<end, hostOffset: host + (range.lowerBound - start), table: table, firstEntry: index,
      clusters: count, isNew: !target.isInPlace)
    try keepSurroundings(&piece, first: target, rules, backingEnd)
    if piece.isNew && !rules.hasDataFile {
      let stored = (end - start).roundedUp(to: header.subclusterSize) ?? 0
      writing.neededLength = max(writing.neededLength, host + stored)
    }
    return piece
  }

  /// The first entry's meaning, and the number of entries (at most `wanted`) from `index` on that go together: neighbouring
  /// clusters written in place, or clusters that need new space.
  private func run(_ table: UInt64, _ index: UInt64, _ wanted: UInt64, _ rules: EntryRules) throws(ImageError)
    -> (WriteTarget, UInt64)
  {
    var (slice, first) = try slice(of: table, index)
    let head = try target(slice.words, Int(index - first), table: table, index: index, rules)
    let step = header.wordsPerL2Entry
    let perSlice = l2.sliceSize / header.l2EntrySize
    var count: UInt64 = 1
    while count < wanted {
      let next = index + count
      if next - first == perSlice { (slice, first) = try self.slice(of: table, next) }
      let position = Int(next - first)
      // Most often: nothing there.
      if slice.words[position * step] == 0 && step == 1 {
        if head.isInPlace { break }
      } else {
        let target = try target(slice.words, position, table: table, index: next, rules)
        if target.isInPlace != head.isInPlace { break }
        if head.isInPlace && target.entry.offset != head.entry.offset + count * header.clusterSize { break }
      }
      count += 1
    }
    return (head, count)
  }

  /// Works out what has to be stored before and behind the written bytes of a piece.
  private func keepSurroundings(
    _ piece: inout WritePiece, first: WriteTarget, _ rules: EntryRules, _ backingEnd: UInt64
  ) throws(ImageError) {
    let size = header.clusterSize
    let headStart = piece.guest.lowerBound.roundedDown(to: size)
    let base = piece.hostOffset &- piece.guest.lowerBound
    if piece.guest.lowerBound > headStart {
      let start = headStart + keptStart(first, piece.guest.lowerBound - headStart)
      keep(start..<piece.guest.lowerBound, first, base, backingEnd, in: &piece)
    }
    let tailStart = (piece.guest.upperBound - 1).roundedDown(to: size)
    var last = first
    if piece.clusters > 1 {
      let index = piece.firstEntry + piece.clusters - 1
      let (slice, firstOfSlice) = try slice(of: piece.table, index)
      last = try target(slice.words, Int(index - firstOfSlice), table: piece.table, index: index, rules)
    }
    if piece.guest.upperBound < tailStart + size {
      let end = tailStart + keptEnd(last, piece.guest.upperBound - tailStart)
      keep(piece.guest.upperBound..<end, last, base, backingEnd, in: &piece)
    }
  }

  private func keep(
    _ guest: Range<UInt64>, _ target: WriteTarget, _ base: UInt64, _ backingEnd: UInt64, in piece: inout WritePiece
  ) {
    if guest.isEmpty { return }
    let isZero: Bool
    if header.hasSubclusters && target.kind != .compressed {
      let size = header.subclusterSize
      let start = guest.lowerBound.roundedDown(to: header.clusterSize)
      let part = (guest.lowerBound - start) / size..<(guest.upperBound - start).dividedUp(by: size)
      isZero = part.allSatisfy { index in
        switch target.bitmap[Int(index)] {
        case .zero: true
        case .backing: max(guest.lowerBound, start + index * size) >= backingEnd
        case .data: false
        }
      }
    } else {
      isZero =
        switch target.kind {
        case .zeroPlain, .zeroAllocated: true
        case .unallocated: guest.lowerBound >= backingEnd
        case .normal, .compressed: false
        }
    }
    piece.kept.append(
      WritePiece.KeptPart(guest: guest, hostOffset: base &+ guest.lowerBound, source: isZero ? .zeros : .image))
  }

  /// Where, in bytes from the start of the cluster, storing has to begin for a write that begins at `lower`.
  private func keptStart(_ target: WriteTarget, _ lower: UInt64) -> UInt64 {
    guard header.hasSubclusters, target.kind != .compressed else {
      return target.isInPlace && target.kind == .normal ? lower : 0
    }
    let size = header.subclusterSize
    let index = lower / size
    if target.isInPlace { return target.bitmap[Int(index)] == .data ? lower : index * size }
    // A cluster that moves takes its stored subclusters along.
    return min(index, UInt64(target.bitmap.allocated.trailingZeroBitCount)) * size
  }

  /// Where, in bytes from the start of the cluster, storing has to end for a write that ends at `upper` (> 0).
  private func keptEnd(_ target: WriteTarget, _ upper: UInt64) -> UInt64 {
    guard header.hasSubclusters, target.kind != .compressed else {
      return target.isInPlace && target.kind == .normal ? upper : header.clusterSize
    }
    let size = header.subclusterSize
    let index = (upper - 1) / size
    if target.isInPlace { return target.bitmap[Int(index)] == .data ? upper : (index + 1) * size }
    return max(index + 1, UInt64(32 - target.bitmap.allocated.leadingZeroBitCount)) * size
  }

  /// Enters pieces into the L2 tables; all that they hold is stored, or will be before the tables are committed.
  ///
  /// - Parameter isStored: false for clusters that are only reserved: with extended L2 nothing of them is entered as stored.
  func link(_ pieces: [WritePiece], isStored: Bool = true) throws(ImageError) {
    let writing = try writer()
    let rules = EntryRules(header)
    for piece in pieces { try link(piece, isStored, writing, rules) }
  }

  private func link(_ piece: WritePiece, _ isStored: Bool, _ writing: Qcow2Writing, _ rules: EntryRules)
    throws(ImageError)
  {
    let step = header.wordsPerL2Entry
    let perSlice = l2.sliceSize / header.l2EntrySize
    var host = piece.hostOffset.roundedDown(to: header.clusterSize)
    var index = piece.firstEntry
    let end = index + piece.clusters
    // The guest bytes that are stored.
    let stored =
      min(
        piece.guest.lowerBound, piece.kept.first?.guest.lowerBound ?? .max)..<max(
        piece.guest.upperBound, piece.kept.last?.guest.upperBound ?? 0)
    var clusterStart = piece.guest.lowerBound.roundedDown(to: header.clusterSize)
    while index < end {
      let (slice, first) = try slice(of: piece.table, index)
      let stop = min(end, first + perSlice)
      while index < stop {
        let position = Int(index - first) * step
        let old = L2Entry(rawValue: slice.words[position])
        let new = L2Entry(offset: host)
        if old != new || step == 2 {
          try change(slice, writing)
          slice.words[position] = new.rawValue
          if step == 2 && isStored {
            slice.words[position + 1] =
              linked(
                slice.words[position + 1], old, piece.isNew, stored, clusterStart, rules
              ).rawValue
          }
          if piece.isNew && old.rawValue != 0 { try release(old, writing, rules) }
        }
        index += 1
        host += header.clusterSize
        clusterStart += header.clusterSize
      }
    }
  }

  /// The bitmap of a cluster of which the guest bytes `stored` are stored now.
  private func linked(
    _ bitmap: UInt64, _ old: L2Entry, _ isNew: Bool, _ stored: Range<UInt64>, _ clusterStart: UInt64,
    _ rules: EntryRules
  ) -> SubclusterBitmap {
    let size = header.subclusterSize
    let from = stored.lowerBound > clusterStart ? (stored.lowerBound - clusterStart) / size : 0
    let to = min(32, (stored.upperBound - clusterStart).dividedUp(by: size))
    let mask = UInt32(truncatingIfNeeded: ((UInt64(1) << (to - from)) - 1) << from)
    var result = old.isCompressed ? SubclusterBitmap(rawValue: 0) : SubclusterBitmap(rawValue: bitmap)
    result.allocated = isNew ? mask : result.allocated | mask
    result.zero &= ~mask
    return result
  }

  /// The host clusters that an entry refers to have one reference less.
  func release(_ entry: L2Entry, _ writing: Qcow2Writing, _ rules: EntryRules, givesBack: Bool = false)
    throws(ImageError)
  {
    if rules.hasDataFile { return }
    let bits = UInt64(header.clusterBits)
    switch entry.kind(rules) {
    case .unallocated, .zeroPlain:
      return
    case .normal, .zeroAllocated:
      let cluster = entry.offset >> bits
      guard entry.offset % header.clusterSize == 0 else {
        writing.refcounts.corruption.nonFatal("Cannot free unaligned cluster \(alternateHex(entry.offset))")
        return
      }
      try writing.refcounts.release(cluster..<cluster + 1, givesBack: givesBack)
    case .compressed:
      let data = entry.compressedData(rules)
      // At most two clusters; the sum cannot overflow, offsets have 62 bits at most.
      try writing.refcounts.release(
        data.offset >> bits..<((data.offset + data.length - 1) >> bits) + 1, givesBack: givesBack)
    }
  }
}
