import Bytes
import Images
import Storage
import Synchronization

extension Qcow2Image: WritableDiskImage {
  /// Size in bytes of what lies below; nothing below reads as zeros.
  private var backingEnd: UInt64 { backing?.virtualSize ?? 0 }

  /// Refuses to change a damaged image.
  func checkWritable() throws(ImageError) {
    try corruption.check()
    try tables.withLock { (tables) throws(ImageError) in _ = try tables.writer() }
  }

  /// Refuses to change a damaged image; before the first change, bitmaps are marked as in use.
  private func begin() throws(ImageError) {
    try checkWritable()
    try tables.withLock { (tables) throws(ImageError) in try tables.beginChange() }
  }

  /// Commits the tables if there is no room for more changes.
  private func makeRoom(_ waitForStores: () throws(ImageError) -> Void) throws(ImageError) {
    if keepsTables.load(ordering: .relaxed) { return }
    let (isNeeded, isUnfinished) = try tables.withLock { (tables) throws(ImageError) in
      (try tables.needsCommit(), try tables.writer().isUnfinished)
    }
    if !isNeeded { return }
    // Nothing refers to the tables of an unfinished image: they may run ahead of the data.
    if !isUnfinished { try waitForStores() }
    try tables.withLock { (tables) throws(ImageError) in try tables.commit() }
  }

  /// Finds host clusters for `range`, and stores what has to be kept around it.
  private func allocate(_ range: Range<UInt64>) throws(ImageError) -> [WritePiece] {
    let backingEnd = backingEnd
    let pieces = try tables.withLock { (tables) throws(ImageError) in
      try tables.allocatePieces(range, backingEnd: backingEnd)
    }
    do throws(ImageError) {
      for piece in pieces {
        for part in piece.kept { try keep(part) }
      }
    } catch {
      try tables.withLock { (tables) throws(ImageError) in try tables.abandon(pieces) }
      throw error
    }
    return pieces
  }

  /// The storage of the guest's clusters.
  private func host() throws(ImageError) -> any WritableStorage {
    guard let host = dataStorage as? any WritableStorage else {
      throw ImageError("Block node is read-only", errno: 30 /* EROFS */)
    }
    return host
  }

  /// Stores a part of a cluster around a write. The entry still says where it is read from.
  private func keep(_ part: WritePiece.KeptPart) throws(ImageError) {
    let host = try host()
    let count = part.guest.upperBound - part.guest.lowerBound
    switch part.source {
    case .zeros:
      // Kept allocated: the rest of a cluster in use is likely to be written soon.
      try host.zero(part.hostOffset..<part.hostOffset + count, mayUnmap: false)
    case .image:
      // At most a cluster.
      var buffer = Buffer(Int(count))
      var bytes = buffer.mutableBytes
      try read(into: &bytes, at: part.guest.lowerBound)
      try host.write(buffer.bytes, at: part.hostOffset)
    }
  }

  public func place(_ range: Range<UInt64>, waitForStores: () throws(ImageError) -> Void) throws(ImageError)
    -> [PlacedRun]
  {
    try begin()
    if range.isEmpty { return [] }
    try makeRoom(waitForStores)
    let host = try host()
    let pieces = try allocate(range)
    try link(pieces, range)
    var runs: [PlacedRun] = []
    for piece in pieces {
      let count = Int(piece.guest.upperBound - piece.guest.lowerBound)
      if let last = runs.last, last.hostOffset + UInt64(last.length) == piece.hostOffset {
        runs[runs.count - 1].length += count
      } else {
        runs.append(
          PlacedRun(guestOffset: piece.guest.lowerBound, length: count, host: host, hostOffset: piece.hostOffset))
      }
    }
    return runs
  }

  public func place(_ runs: [PlannedRun], waitForStores: () throws(ImageError) -> Void) throws(ImageError)
    -> [PlacedRun]
  {
    try begin()
    try makeRoom(waitForStores)
    // Placing is done by one thread at a time.
    keepsTables.store(true, ordering: .relaxed)
    defer { keepsTables.store(false, ordering: .relaxed) }
    var placed: [PlacedRun] = []
    for run in runs {
      if run.isZero {
        try writeZeros(run.range, mayUnmap: run.mayUnmap, waitForStores: {})
      } else {
        placed += try place(run.range, waitForStores: {})
      }
    }
    return placed
  }

  public func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) { try write(bytes, at: offset, {}) }

  private func write(_ bytes: RawSpan, at offset: UInt64, _ waitForStores: () throws(ImageError) -> Void)
    throws(ImageError)
  {
    try begin()
    if bytes.byteCount == 0 { return }
    try makeRoom(waitForStores)
    let host = try host()
    let pieces = try allocate(offset..<offset + UInt64(bytes.byteCount))
    do throws(ImageError) {
      for piece in pieces {
        let range = Int(piece.guest.lowerBound - offset)..<Int(piece.guest.upperBound - offset)
        try host.write(bytes.slice(range), at: piece.hostOffset)
      }
    } catch {
      // The tables do not know of the new clusters yet.
      try tables.withLock { (tables) throws(ImageError) in try tables.abandon(pieces) }
      throw error
    }
    try link(pieces, offset..<offset + UInt64(bytes.byteCount))
  }

  /// Enters pieces of a write to `range` into the tables.
  private func link(_ pieces: [WritePiece], _ range: Range<UInt64>) throws(ImageError) {
    try tables.withLock { (tables) throws(ImageError) in
      try tables.link(pieces)
      try tables.mark(range)
    }
    // Clusters that were freed may get other contents.
    decompression.forget()
  }

  public var compression: ClusterCompression? {
    var header = self.header
    // An external data file is refused when the first cluster is to be placed, as the reference does.
    header.incompatibleFeatures.remove(.externalDataFile)
    return header.clusterCompression
  }

  public func placeCompressed(
    length: Int, at offset: UInt64, waitForStores: () throws(ImageError) -> Void
  ) throws(ImageError) -> PlacedRun? {
    try begin()
    try makeRoom(waitForStores)
    let host = try host()
    let hostOffset = try tables.withLock { (tables) throws(ImageError) in
      let place = try tables.placeCompressed(UInt64(length), at: offset)
      try tables.mark(offset..<offset + tables.header.clusterSize)
      return place
    }
    return PlacedRun(guestOffset: offset, length: length, host: host, hostOffset: hostOffset)
  }

  public var allocationUnit: UInt64 { header.hasSubclusters ? header.subclusterSize : header.clusterSize }

  public var orderlySpace: UInt64 {
    let space = try? tables.withLock { (tables) throws(ImageError) in try tables.writer().refcounts.orderlySpace() }
    return space ?? 0
  }

  public var readsAsZeros: Bool {
    let isPreallocated = tables.withLock { $0.isPreallocated }
    return !isPreallocated || ((dataStorage as? any WritableStorage)?.growsWithZeros ?? false)
  }

  // MARK: Zeros

  public func writeZeros(_ range: Range<UInt64>, mayUnmap: Bool, waitForStores: () throws(ImageError) -> Void)
    throws(ImageError)
  {
    try begin()
    // What is changed below may write tables back: they must not point at data that is not there.
    try makeRoom(waitForStores)
    if range.isEmpty { return }
    try tables.withLock { (tables) throws(ImageError) in try tables.mark(range) }
    let header = self.header
    if header.version < 3 && backing != nil { return try storeZeros(range, waitForStores) }
    if header.hasRawDataFile { try host().zero(range, mayUnmap: mayUnmap) }
    let size = header.subclusterSize
    // The disk's last cluster may be incomplete.
    let end =
      range.upperBound == virtualSize ? range.upperBound.roundedUp(to: size) ?? range.upperBound : range.upperBound
    var start = range.lowerBound
    if start % size != 0 {
      let unit = start.roundedDown(to: size)
      let stop = min(end, unit + size)
      try zeroPart(start..<min(stop, range.upperBound), of: unit, header, waitForStores)
      start = stop
    }
    var stop = end.roundedDown(to: size)
    if stop < end && stop >= start {
      try zeroPart(stop..<range.upperBound, of: stop, header, waitForStores)
    } else {
      stop = max(stop, start)
    }
    if start < stop { try zeroUnits(start..<stop, mayUnmap: mayUnmap, header, waitForStores) }
  }

  /// Makes whole clusters, or with extended L2 subclusters, zeros.
  private func zeroUnits(
    _ range: Range<UInt64>, mayUnmap: Bool, _ header: Qcow2Header, _ waitForStores: () throws(ImageError) -> Void
  ) throws(ImageError) {
    let size = header.clusterSize
    var start = range.lowerBound
    if start % size != 0 {
      let stop = min(range.upperBound, start.roundedDown(to: size) + size)
      try zeroSubclusters(start..<stop, header, waitForStores)
      start = stop
    }
    let stop = max(start, range.upperBound.roundedDown(to: size))
    let mode: Qcow2Tables.ZeroingMode =
      header.version < 3 ? .discarding(isFull: false) : mayUnmap && !header.hasRawDataFile ? .unmapping : .keepingSpace
    try changeClusters(start / size..<stop / size, mode, waitForStores)
    if stop < range.upperBound && stop >= start { try zeroSubclusters(stop..<range.upperBound, header, waitForStores) }
  }

  private func zeroSubclusters(
    _ range: Range<UInt64>, _ header: Qcow2Header, _ waitForStores: () throws(ImageError) -> Void
  ) throws(ImageError) {
    if range.isEmpty { return }
    let cluster = range.lowerBound / header.clusterSize
    let base = cluster * header.clusterSize
    let part = (range.lowerBound - base) / header.subclusterSize..<(range.upperBound - base) / header.subclusterSize
    try makeRoom(waitForStores)
    let isDone = try tables.withLock { (tables) throws(ImageError) in try tables.zeroSubclusters(cluster, part) }
    if !isDone { try storeZeros(range.lowerBound..<min(range.upperBound, virtualSize), waitForStores) }
  }

  /// Makes part of the unit (cluster or subcluster) at `unit` zeros: the whole unit if the rest of it is zero already.
  private func zeroPart(
    _ part: Range<UInt64>, of unit: UInt64, _ header: Qcow2Header, _ waitForStores: () throws(ImageError) -> Void
  ) throws(ImageError) {
    let end = min(unit + header.subclusterSize, virtualSize)
    let mapping = try mapping(at: unit, limit: end - unit)
    var isZero = mapping.length == end - unit
    switch mapping.kind {
    case .zero: break
    case .unallocated:
      if unit < backingEnd, let backing {
        let below = try backing.chainExtent(at: unit, limit: end - unit).extent
        if !(below.flags.contains(.zero) && unit + below.length >= min(end, backingEnd)) { isZero = false }
      }
    case .data, .compressed: isZero = false
    }
    if isZero {
      try zeroUnits(unit..<unit + header.subclusterSize, mayUnmap: false, header, waitForStores)
    } else {
      try storeZeros(part, waitForStores)
    }
  }

  /// Writes zeros as data.
  func storeZeros(_ range: Range<UInt64>, _ waitForStores: () throws(ImageError) -> Void = {}) throws(ImageError) {
    if range.isEmpty { return }
    let zeros = Buffer(Int(min(range.upperBound - range.lowerBound, 1 << 21)))
    var offset = range.lowerBound
    while offset < range.upperBound {
      let count = min(range.upperBound - offset, UInt64(zeros.count))
      try write(zeros.bytes.slice(0..<Int(count)), at: offset, waitForStores)
      offset += count
    }
  }

  func changeClusters(
    _ clusters: Range<UInt64>, _ mode: Qcow2Tables.ZeroingMode, _ waitForStores: () throws(ImageError) -> Void = {}
  ) throws(ImageError) {
    let hasBacking = backing != nil
    var position = clusters.lowerBound
    while position < clusters.upperBound {
      try makeRoom(waitForStores)
      let start = position
      position += try tables.withLock { (tables) throws(ImageError) in
        try tables.zeroClusters(start, clusters.upperBound - start, mode, hasBacking: hasBacking)
      }
    }
    decompression.forget()
  }

  /// Tells the image that the guest bytes of `range` are not needed: they read as zeros afterwards, except at the edges
  /// that are no whole clusters. Version 2 images with a layer below keep everything.
  package func discard(_ range: Range<UInt64>) throws(ImageError) {
    try begin()
    try tables.withLock { (tables) throws(ImageError) in try tables.mark(range) }
    let header = self.header
    if header.version < 3 && backing != nil { return }
    let size = header.clusterSize
    let end = range.upperBound == virtualSize ? range.upperBound.dividedUp(by: size) : range.upperBound / size
    let start = range.lowerBound.dividedUp(by: size)
    if start < end { try changeClusters(start..<end, .discarding(isFull: false)) }
  }

  // MARK: The end

  public func flush() throws(ImageError) {
    try checkWritable()
    try tables.withLock { (tables) throws(ImageError) in
      try tables.commit()
      try tables.writer().barrier()
    }
  }

  public func close() throws(ImageError) {
    // A check writes what it repairs at once, and never begins with writing proper.
    if tables.withLock({ $0.writing == nil }), let storage = storage as? any WritableStorage {
      return try storage.flush()
    }
    try checkWritable()
    try tables.withLock { (tables) throws(ImageError) in try tables.finish() }
  }
}

extension Qcow2Tables {
  /// Allocates and enters `length` bytes of compressed data for the cluster at the guest offset `offset` (§11.5), and
  /// returns where they go.
  func placeCompressed(_ length: UInt64, at offset: UInt64) throws(ImageError) -> UInt64 {
    let writing = try writer()
    let rules = EntryRules(header)
    if rules.hasDataFile { throw .system(95 /* ENOTSUP */) }
    guard offset % header.clusterSize == 0, length > 0, length < header.clusterSize else { throw .system(22) }
    let cluster = offset / header.clusterSize
    let table = try writableTable(cluster / header.l2Entries)
    let index = cluster & (header.l2Entries - 1)
    let (slice, first) = try slice(of: table, index)
    let place = Int(index - first)
    let target = try target(slice.words, place, table: table, index: index, rules)
    // A cluster that has a place keeps it.
    guard target.kind == .unallocated || target.kind == .zeroPlain else { throw .system(5 /* EIO */) }
    let host = try writing.refcounts.allocateBytes(length, endingBefore: rules.compressedOffsetLimit)
    try change(slice, writing)
    slice.words[place * header.wordsPerL2Entry] = L2Entry(compressedAt: host, length: length, rules).rawValue
    if header.hasSubclusters { slice.words[place * 2 + 1] = 0 }
    writing.neededLength = max(writing.neededLength, ((host + length + 511) / 512) * 512)
    return host
  }

  /// Commits everything and marks the end of writing: a new image becomes valid now.
  func finish() throws(ImageError) {
    let writing = try writer()
    try commit()
    try storeBitmaps()
    try writing.barrier()
    if !writing.isUnfinished { return }
    if writing.dataStorage !== writing.storage { try writing.dataStorage.flush() }
    try writing.storage.flush()
    try writeHeader()
    try writing.storage.write(try header.firstCluster(), at: 0)
    try writing.storage.flush()
  }

  /// Whether the image has L2 tables: a new one then has space for guest clusters.
  var isPreallocated: Bool {
    guard let first = try? l1.firstNonZero(0, below: l1.count) else { return true }
    return first < l1.count
  }
}
