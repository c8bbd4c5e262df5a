import Bytes
import Storage

/// What the tables say about a run of guest bytes.
package struct Mapping: Sendable, Equatable {
  /// Kinds of runs.
  package enum Kind: Sendable, Equatable {
    /// Not in this image; with the host offset (bytes) of the space that is reserved for it, if there is any.
    case unallocated(hostOffset: UInt64?)
    /// Zeros; with the host offset (bytes) of the space that is reserved for them, if there is any.
    case zero(hostOffset: UInt64?)
    /// Stored at this offset (bytes) of the data storage.
    case data(hostOffset: UInt64)
    /// Part of the compressed cluster with this descriptor.
    case compressed(CompressedData)
  }

  /// What the run is.
  package var kind: Kind
  /// Length in bytes.
  package var length: UInt64

  package init(_ kind: Kind, length: UInt64) {
    self.kind = kind
    self.length = length
  }

  /// Adds `next`, which follows directly, if both are one run.
  mutating func merge(_ next: Mapping) -> Bool {
    switch (kind, next.kind) {
    case (.unallocated(nil), .unallocated(nil)), (.zero(nil), .zero(nil)):
      break
    case (.unallocated(let here?), .unallocated(let there?)), (.zero(let here?), .zero(let there?)),
      (.data(let here), .data(let there)):
      guard here &+ length == there else { return false }
    default:
      return false
    }
    length += next.length
    return true
  }
}

/// How guest offsets are cut into tables and clusters: what a look-up needs of the header, which never changes while an
/// image is open (the version can, by amend, but not while it matters here).
package struct MappingLayout: Sendable {
  /// Size of a cluster in bytes.
  let clusterSize: UInt64
  /// Size of a subcluster in bytes.
  let subclusterSize: UInt64
  /// Size of an L2 entry in bytes.
  let entrySize: UInt64
  /// Entries of an L2 table.
  let l2Entries: UInt64
  /// Guest bytes that an L1 entry stands for.
  let l1Span: UInt64
  /// Whether entries may say "reads as zeros" (version 3).
  let allowsZero: Bool
  let rules: EntryRules

  init(_ header: Qcow2Header) {
    clusterSize = header.clusterSize
    subclusterSize = header.subclusterSize
    entrySize = header.l2EntrySize
    l2Entries = header.l2Entries
    l1Span = header.bytesPerL1Entry
    allowsZero = header.version >= 3
    rules = EntryRules(header)
  }
}

/// The tables of an open image, to be used by one thread at a time: ``Qcow2Image`` holds them behind its lock.
package final class Qcow2Tables {
  /// The header as it is in the file, or will be after the next flush.
  package var header: Qcow2Header {
    didSet { layout = MappingLayout(header) }
  }
  private var layout: MappingLayout
  /// The active L1 table (or a snapshot's).
  package var l1: LazyTable
  /// The snapshot table; empty when the image was opened for a check.
  package var snapshots: [SnapshotRecord]
  /// The bitmap directory.
  package var bitmaps: [BitmapRecord]
  /// Pieces of L2 tables.
  package let l2: L2Cache
  private let corruption: CorruptionReport
  /// What else is needed to change the image; nil while it is only read.
  package var writing: Qcow2Writing?

  package init(
    _ storage: any Storage, _ header: Qcow2Header, _ snapshots: [SnapshotRecord], _ bitmaps: [BitmapRecord],
    _ corruption: CorruptionReport
  ) {
    self.snapshots = snapshots
    self.bitmaps = bitmaps
    self.header = header
    layout = MappingLayout(header)
    self.corruption = corruption
    l1 = LazyTable(storage, offset: header.l1TableOffset, count: Int(header.l1Size))
    l2 = L2Cache(storage, clusterSize: header.clusterSize)
  }

  /// Tables that are read for one look-up at most: it holds the lock, and others wait.
  private static let missLimit = 32

  /// The run at guest offset `offset`, at most `limit` (> 0) bytes, not necessarily maximal.
  package func mapping(at offset: UInt64, limit: UInt64) throws(ImageError) -> Mapping {
    let end = offset.saturatingAdd(limit)
    let missesAtStart = l2.misses
    var result = try piece(at: offset, end: end)
    while offset + result.length < end, l2.misses - missesAtStart < Qcow2Tables.missLimit {
      if case .compressed = result.kind { break }
      // Damage further on is met by whoever asks for what is there.
      guard let next = try? piece(at: offset + result.length, end: end, isAhead: true), result.merge(next) else {
        break
      }
    }
    return result
  }

  /// A run within one slice of an L2 table, or over missing tables. `isAhead`: damage is not reported.
  private func piece(at offset: UInt64, end: UInt64, isAhead: Bool = false) throws(ImageError) -> Mapping {
    let span = layout.l1Span
    let index = offset / span
    guard index < UInt64(l1.count) else { return Mapping(.unallocated(hostOffset: nil), length: end - offset) }
    let entry = L1Entry(rawValue: try l1.word(Int(index)))
    if entry.offset == 0 {
      // Whole tables that are missing are passed over without looking at guest clusters.
      let below = min(UInt64(l1.count), (end - 1) / span + 1)
      let next = UInt64(try l1.firstNonZero(Int(index) + 1, below: max(Int(below), Int(index) + 1)))
      // The last table's guest space may pass 2^64 − 1 only if `end` is there, too.
      let (bytes, overflow) = next.multipliedReportingOverflow(by: span)
      let stop = overflow || next >= below ? end : min(end, bytes)
      return Mapping(.unallocated(hostOffset: nil), length: stop - offset)
    }
    guard entry.offset % layout.clusterSize == 0 else {
      throw damage(
        "L2 table offset \(alternateHex(entry.offset)) unaligned (L1 index: \(alternateHex(index)))", isAhead)
    }
    let cluster = offset / layout.clusterSize
    let clusterIndex = cluster % layout.l2Entries
    let clustersPerSlice = l2.sliceSize / layout.entrySize
    let sliceOffset = entry.offset + clusterIndex / clustersPerSlice * l2.sliceSize
    let slice = try l2.slice(at: sliceOffset)
    let run = SliceRun(
      layout: layout, tableOffset: entry.offset,
      firstIndex: Int(clusterIndex / clustersPerSlice * clustersPerSlice), words: slice.words)
    let place = Int(clusterIndex % clustersPerSlice)
    switch run.mapping(at: offset, place: place, end: end) {
    case .success(let mapping): return mapping
    case .failure(let fault): throw damage(fault.message, isAhead)
    }
  }

  private func damage(_ message: String, _ isAhead: Bool) -> ImageError {
    isAhead ? .system(5 /* EIO */) : corruption.fatal(message)
  }
}

/// The clusters of one slice of an L2 table.
private struct SliceRun {
  let layout: MappingLayout
  /// Offset of the whole table, for messages.
  let tableOffset: UInt64
  /// Index in the table of the slice's first entry.
  let firstIndex: Int
  let words: [UInt64]

  struct Fault: Error {
    var message: String
    /// Met while a run is only being extended: the reference answers for the whole request with it.
    var endsRun = false
  }

  /// The run at guest `offset`, whose cluster is number `place` of the slice, up to the slice's or the run's end or `end`.
  func mapping(at offset: UInt64, place: Int, end: UInt64) -> Result<Mapping, Fault> {
    let inCluster = offset % layout.clusterSize
    let clusterStart = offset - inCluster
    let first =
      layout.rules.hasSubclusters ? subclusters(place, clusterStart, inCluster) : whole(place, clusterStart, inCluster)
    guard case .success(var mapping) = first else { return first }
    if case .compressed = mapping.kind {
    } else if mapping.length == layout.clusterSize - inCluster {
      let entries = words.count / (layout.rules.hasSubclusters ? 2 : 1)
      // Clusters that begin before `end`; the last may lie beyond in part.
      let wanted = min(entries - place, Int(min((end - 1 - clusterStart) / layout.clusterSize, UInt64(entries))) + 1)
      if layout.rules.hasSubclusters {
        if let fault = extendSubclusters(&mapping, place, wanted, clusterStart) { return .failure(fault) }
      } else {
        extendWhole(&mapping, place, wanted)
      }
    }
    mapping.length = min(mapping.length, end - offset)
    return .success(mapping)
  }

  /// Adds the clusters after `place` whose entries continue the run.
  private func extendWhole(_ mapping: inout Mapping, _ place: Int, _ wanted: Int) {
    // COPIED does not matter for reading, unless it is what makes the entry.
    let mask = layout.rules.hasDataFile ? UInt64.max : ~EntryBits.copied
    let first = words[place] & mask
    let step: UInt64
    switch mapping.kind {
    case .unallocated(nil), .zero(nil): step = 0
    case .unallocated, .zero, .data: step = layout.clusterSize
    case .compressed: return
    }
    var index = place + 1
    var expected = first
    while index < place + wanted {
      expected &+= step
      // A run ends where the offset would leave its field.
      if words[index] & mask != expected || (step != 0 && expected & EntryBits.offset == 0) { break }
      index += 1
    }
    mapping.length += UInt64(index - place - 1) * layout.clusterSize
  }

  /// Adds whole clusters, then the beginning of another one. Damage there is met at once, as in the reference.
  private func extendSubclusters(_ mapping: inout Mapping, _ place: Int, _ wanted: Int, _ clusterStart: UInt64)
    -> Fault?
  {
    var index = place + 1
    while index < place + wanted {
      let start = clusterStart + UInt64(index - place) * layout.clusterSize
      switch subclusters(index, start, 0) {
      case .failure(let fault): return fault.endsRun ? fault : nil
      case .success(let next): guard mapping.merge(next), next.length == layout.clusterSize else { return nil }
      }
      index += 1
    }
    return nil
  }

  /// One cluster without subclusters, from `inCluster` on.
  private func whole(_ place: Int, _ guest: UInt64, _ inCluster: UInt64) -> Result<Mapping, Fault> {
    let entry = L2Entry(rawValue: words[place])
    let length = layout.clusterSize - inCluster
    switch entry.kind(layout.rules) {
    case .unallocated:
      return .success(Mapping(.unallocated(hostOffset: nil), length: length))
    case .zeroPlain, .zeroAllocated:
      guard layout.allowsZero else {
        return .failure(Fault(message: "Zero cluster entry found in pre-v3 image \(location(place))"))
      }
      if entry.offset == 0 { return .success(Mapping(.zero(hostOffset: nil), length: length)) }
      if let fault = fault(entry, place, guest) { return .failure(fault) }
      return .success(Mapping(.zero(hostOffset: entry.offset + inCluster), length: length))
    case .normal:
      if let fault = fault(entry, place, guest) { return .failure(fault) }
      return .success(Mapping(.data(hostOffset: entry.offset + inCluster), length: length))
    case .compressed:
      return compressed(entry, place, length)
    }
  }

  /// The run of subclusters of one cluster, from `inCluster` on.
  private func subclusters(_ place: Int, _ guest: UInt64, _ inCluster: UInt64) -> Result<Mapping, Fault> {
    let entry = L2Entry(rawValue: words[2 * place])
    if entry.isCompressed { return compressed(entry, place, layout.clusterSize - inCluster) }
    let bitmap = SubclusterBitmap(rawValue: words[2 * place + 1])
    let hasCluster = entry.kind(layout.rules) == .normal
    guard bitmap.isValid(hasCluster: hasCluster) else {
      return .failure(Fault(message: "Invalid cluster entry found  \(location(place))", endsRun: true))
    }
    if hasCluster, let fault = fault(entry, place, guest) { return .failure(fault) }
    let index = Int(inCluster / layout.subclusterSize)
    let length = UInt64(bitmap.run(from: index)) * layout.subclusterSize - inCluster % layout.subclusterSize
    let reserved = hasCluster ? entry.offset + inCluster : nil
    switch bitmap[index] {
    case .backing: return .success(Mapping(.unallocated(hostOffset: reserved), length: length))
    case .zero: return .success(Mapping(.zero(hostOffset: reserved), length: length))
    case .data: return .success(Mapping(.data(hostOffset: entry.offset + inCluster), length: length))
    }
  }

  private func compressed(_ entry: L2Entry, _ place: Int, _ length: UInt64) -> Result<Mapping, Fault> {
    if layout.rules.hasDataFile {
      return .failure(
        Fault(message: "Compressed cluster entry found in image with external data file \(location(place))"))
    }
    return .success(Mapping(.compressed(entry.compressedData(layout.rules)), length: length))
  }

  /// What is wrong with the host offset of a standard entry, if anything.
  private func fault(_ entry: L2Entry, _ place: Int, _ guest: UInt64) -> Fault? {
    if entry.offset % layout.clusterSize != 0 {
      return Fault(
        message: "Cluster allocation offset \(alternateHex(entry.offset)) unaligned \(location(place))")
    }
    if layout.rules.hasDataFile && entry.offset != guest {
      return Fault(
        message: "External data file host cluster offset \(alternateHex(entry.offset)) does not match guest cluster "
          + "offset: \(alternateHex(guest)), L2 index: \(alternateHex(UInt64(firstIndex + place))))")
    }
    return nil
  }

  private func location(_ place: Int) -> String {
    "(L2 offset: \(alternateHex(tableOffset)), L2 index: \(alternateHex(UInt64(firstIndex + place))))"
  }
}
