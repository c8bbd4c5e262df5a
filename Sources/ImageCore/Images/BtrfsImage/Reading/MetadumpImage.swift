import Btrfs
import Bytes
import Images
import Storage
import Threads

/// A dump read as a disk: the device that a restore makes of it, with the same changes (btrfs-image §14). What the dump
/// does not hold reads as zeros.
///
/// Where the items are is known only after a pass over the whole file, which happens when the first byte or extent is
/// asked for.
public final class MetadumpImage: DiskImage {
  /// `btrfs-image`.
  public let format = BtrfsImageFormat.name
  /// The name that messages and `info` show.
  public let filename: String
  /// The dump.
  public let storage: any Storage
  /// Size of the restored device in bytes.
  public let virtualSize: UInt64

  private let scan: MetadumpScan
  private let plan: ChunkPlan
  private let repair: BlockRepair
  /// The superblock that the restored device has.
  private let superblock: BtrfsSuperblock
  private let contents = Monitor<Contents?>(nil)
  /// Readers that nobody uses at present.
  private let readers = Monitor<[PayloadReader]>([])

  /// What is where, once that is known.
  private struct Contents: Sendable {
    var index: ItemIndex
    /// What is there instead of what the items have: copies of the superblock, rebuilt trees.
    var patches: [Patch]
  }

  /// Bytes of the disk that come from no item.
  private struct Patch: Sendable {
    var start: UInt64
    var bytes: [UInt8]
    var end: UInt64 { start + UInt64(bytes.count) }
  }

  init(_ storage: any Storage, filename: String, report: (ImageError) -> Void) throws(ImageError) {
    self.storage = storage
    self.filename = filename
    scan = try MetadumpScan(StorageInput(storage), report: report)
    plan = try ChunkPlan(scan)
    repair = try BlockRepair(scan, chunks: plan.isSqueezed ? plan.chunks : nil)
    superblock = try plan.superblock(scan.superblock, version: scan.version)
    guard let size = superblock.device.totalBytes.roundedUp(to: 512), size <= UInt64(Int64.max) else {
      throw ImageError("device of \(superblock.device.totalBytes) bytes is too large", errno: 27 /* EFBIG */)
    }
    virtualSize = size
  }

  /// Size of a tree block in bytes.
  public var clusterSize: UInt64? { UInt64(superblock.nodeSize) }

  // MARK: Contents

  private func prepared() throws(ImageError) -> Contents {
    try contents.withLock { (contents) throws(ImageError) in
      if let contents { return contents }
      var made = Contents(index: try ItemIndex(StorageInput(storage), plan.chunks), patches: [])
      made.patches = try patches(made.index)
      contents = made
      return made
    }
  }

  private func patches(_ index: ItemIndex) throws(ImageError) -> [Patch] {
    var patches: [Patch] = []
    for offset in BtrfsSuperblock.offsets where offset + UInt64(BtrfsSuperblock.size) <= virtualSize {
      var copy = superblock
      copy.address = offset
      patches.append(Patch(start: offset, bytes: try copy.bytesWithChecksum()))
    }
    guard plan.isSqueezed else { return patches }
    let chunks = plan.chunks
    let source = try TreeSource(scan.superblock) { (buffer, address) throws(ImageError) in
      guard let chunk = chunks.chunk(containing: address) else {
        throw ImageError("Couldn't map the block \(address)", errno: 5)
      }
      var bytes = buffer.mutableBytes
      try self.read(into: &bytes, at: chunk.piece(at: address, mirror: 1).offset, index)
    }
    for block in try plan.rebuiltBlocks(source, scan.superblock) {
      guard let chunk = chunks.chunk(containing: block.address) else { continue }
      patches.append(Patch(start: chunk.piece(at: block.address, mirror: 1).offset, bytes: block.bytes))
    }
    return patches.sorted { $0.start < $1.start }
  }

  /// What a run of one kind is.
  private enum Piece {
    case patch(Patch)
    case item(ItemIndex.Run)
    case zeros
  }

  /// What is at `offset`, and where that ends.
  private func piece(at offset: UInt64, _ contents: Contents) -> (Piece, end: UInt64) {
    var end = UInt64.max
    if let patch = contents.patches.first(where: { $0.end > offset }) {
      if patch.start <= offset { return (.patch(patch), patch.end) }
      end = patch.start
    }
    guard let run = contents.index.run(endingAfter: offset) else { return (.zeros, end) }
    if run.start <= offset { return (.item(run), min(end, run.end)) }
    return (.zeros, min(end, run.start))
  }

  /// Data where an item or a change is, zeros elsewhere.
  public func layerExtent(at offset: UInt64, limit: UInt64) throws(ImageError) -> Extent {
    let contents = try prepared()
    let (piece, pieceEnd) = piece(at: offset, contents)
    let end = min(pieceEnd, offset.saturatingAdd(limit), virtualSize)
    guard end > offset else { return Extent(length: limit, flags: .zero) }
    switch piece {
    case .zeros: return Extent(length: end - offset, flags: .zero)
    case .patch: return Extent(length: end - offset, flags: .data)
    case .item(let run):
      let place = contents.index.place(of: run)
      if place.isCompressed { return Extent(length: end - offset, flags: [.data, .compressed]) }
      guard repair.isIdle else { return Extent(length: end - offset, flags: .data) }
      return Extent(
        length: end - offset, flags: [.data, .recurse],
        hostOffset: place.offset + UInt64(run.skipped) + (offset - run.start), host: storage)
    }
  }

  /// Fills `buffer` with the restored device's bytes.
  public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    let contents = try prepared()
    var done = 0
    while done < buffer.byteCount {
      let position = offset.saturatingAdd(UInt64(done))
      let (piece, end) = piece(at: position, contents)
      let count = Int(min(UInt64(buffer.byteCount - done), end - position))
      guard count > 0 else {
        buffer.fill(done..<buffer.byteCount)
        return
      }
      var part = buffer.slice(done..<done + count)
      switch piece {
      case .zeros: part.fill(0..<count)
      case .patch(let patch):
        let start = Int(position - patch.start)
        part.copy(patch.bytes.rawBytes.slice(start..<start + count), at: 0)
      case .item(let run): try read(into: &part, run, at: position, contents.index)
      }
      done += count
    }
  }

  /// Fills `buffer` with what the items have, without changes to whole trees.
  private func read(into buffer: inout MutableRawSpan, at offset: UInt64, _ index: ItemIndex) throws(ImageError) {
    var done = 0
    while done < buffer.byteCount {
      let position = offset.saturatingAdd(UInt64(done))
      let run = index.run(endingAfter: position)
      let end = run.map { $0.start <= position ? $0.end : $0.start } ?? .max
      let count = Int(min(UInt64(buffer.byteCount - done), end - position))
      guard count > 0 else {
        buffer.fill(done..<buffer.byteCount)
        return
      }
      var part = buffer.slice(done..<done + count)
      if let run, run.start <= position {
        try read(into: &part, run, at: position, index)
      } else {
        part.fill(0..<count)
      }
      done += count
    }
  }

  /// Fills `buffer` with a part of an item.
  private func read(
    into buffer: inout MutableRawSpan, _ run: ItemIndex.Run, at offset: UInt64, _ index: ItemIndex
  ) throws(ImageError) {
    let place = index.place(of: run)
    let start = UInt64(run.skipped) + (offset - run.start)
    if !place.isCompressed && repair.isIdle { return try storage.read(into: &buffer, at: place.offset + start) }
    let reader = readers.withLock { $0.popLast() } ?? PayloadReader(StorageInput(storage))
    // The item's bytes are handed on in pieces; those that overlap are copied.
    let wanted = start..<start + UInt64(buffer.byteCount)
    var output = Buffer(buffer.byteCount)
    let problem = try reader.read(place) { (piece, count, address) throws(ImageError) in
      let pieceStart = address - place.address
      let first = max(wanted.lowerBound, pieceStart)
      let end = min(wanted.upperBound, pieceStart + UInt64(count))
      guard first < end else { return }
      if !place.isFirst {
        var bytes = piece.mutableBytes
        var part = bytes.slice(0..<count)
        if !repair.isIdle { repair.apply(to: &part, at: address) }
      }
      let range = Int(first - pieceStart)..<Int(end - pieceStart)
      var target = output.mutableBytes
      target.copy(piece.bytes.slice(range), at: Int(first - wanted.lowerBound))
    }
    readers.withLock { $0.append(reader) }
    if let problem { throw problem }
    buffer.copy(output.bytes, at: 0)
  }

  /// What `info` tells.
  public func information() -> ImageInformation {
    var information = ImageInformation()
    information.formatSpecificType = format
    information.formatSpecific = .object([
      ("version", .number(scan.version.rawValue)),
      ("label", .string(String(rawBytes: superblock.label))),
      ("uuid", .string(superblock.fsid.description)),
      ("generation", .number(superblock.generation)),
      ("node-size", .number(superblock.nodeSize)),
      ("sector-size", .number(superblock.sectorSize)),
      ("devices", .number(scan.superblock.deviceCount)),
    ])
    return information
  }
}
