import Bytes
import Images
import Storage

/// The copying of a rebase (qemu-img-cli-2 §2.5): afterwards the image shows over its new layer below what it showed over
/// the old one.
///
/// The image gets whole allocation units in which a byte differs, with the old layer's contents. Until its record of the
/// layer below changes they make no difference to what is read, so that an interruption costs nothing but space.
public struct Rebase: Sendable {
  private let sides: RebaseSides
  private let compression: ClusterCompression?
  /// Called with the number of bytes of the disk that are done with.
  public var completed: (@Sendable (UInt64) -> Void)?

  /// The longest data segment in bytes, unless a unit is longer: it stays in a processor's cache from the read to the write.
  private static let segmentSize = 512 << 10

  /// A rebase of `image` from the layer below that it has to another.
  ///
  /// - Parameters:
  ///   - new: the new layer; nil for none. It may be one of the layers below `image`.
  ///   - compression: how whole clusters are compressed; nil to store them as they are.
  public init(_ image: any RebasableImage, onto new: (any DiskImage)?, compression: ClusterCompression? = nil) {
    sides = RebaseSides(image: image, old: image.backing, new: new)
    self.compression = compression
  }

  /// Copies what differs, and makes it durable.
  public func run() throws(ImageError) {
    let image = sides.image
    let unit = compression.map { UInt64($0.clusterSize) } ?? image.allocationUnit
    // Compressed clusters go one by one.
    let segmentSize = compression.map(\.clusterSize) ?? max(Rebase.segmentSize, Int(unit))
    var engine = CopyEngine(bufferSize: segmentSize)
    engine.readFailure = { error, _ in RebaseFailure.reading("old", error) }
    if let completed {
      engine.completed = { (segment) throws(ImageError) in completed(segment.offset + segment.length) }
    }
    let sink = RebaseSink(sides, unit: Int(unit), compression)
    try engine.run(RebaseSelection(sides, unit: unit, segmentSize: UInt64(segmentSize)), from: sink, to: sink)
    do throws(ImageError) { try image.flush() } catch { throw RebaseFailure.writing(error) }
  }
}

/// The words of §2.5.
private enum RebaseFailure {
  static func reading(_ side: String, _ error: ImageError) -> ImageError {
    ImageError("error while reading from \(side) backing file", errno: error.errno)
  }

  static func metadata(_ error: ImageError) -> ImageError {
    ImageError("error while reading image metadata: \(errorText(error.errno))", errno: error.errno)
  }

  static func writing(_ error: ImageError) -> ImageError {
    if error == CopyEngine.stopped { return error }
    return ImageError("Error while writing to COW image: \(errorText(error.errno))", errno: error.errno)
  }
}

/// The image and the layers below it: the one that it has and the one that it gets.
private struct RebaseSides: Sendable {
  let image: any RebasableImage
  let old: (any DiskImage)?
  let new: (any DiskImage)?

  /// How a side reads at `offset`, and how far, within `limit` bytes.
  func extent(
    _ side: (any DiskImage)?, called name: String, at offset: UInt64, limit: UInt64
  ) throws(ImageError) -> Extent {
    guard let side, offset < side.virtualSize else { return Extent(length: limit, flags: .zero) }
    do throws(ImageError) {
      return try side.chainExtent(at: offset, limit: min(limit, side.virtualSize - offset)).extent
    } catch {
      throw RebaseFailure.reading(name, error)
    }
  }

  /// Fills `buffer` with what a side shows; zeros where there is none or where it ends.
  func read(_ side: (any DiskImage)?, into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    guard let side, offset < side.virtualSize else { return buffer.fill(0..<buffer.byteCount) }
    try side.read(into: &buffer, at: offset)
  }
}

/// The parts of the disk that may read otherwise over the new layer: not held by the image, and not known to be the same.
/// A segment of zeros is one for which the old side has none but zeros.
private final class RebaseSelection: Selection {
  private let sides: RebaseSides
  private let unit: UInt64
  /// What the image allocates as a whole, at most ``unit``.
  private let allocationUnit: UInt64
  private let segmentSize: UInt64
  private let size: UInt64
  /// The layers above the new one, when that is a layer below the image; nil when it is not.
  private let layersAboveNew: [any DiskImage]?
  private var offset: UInt64 = 0
  private var run: (end: UInt64, kind: Segment.Kind?) = (0, nil)

  init(_ sides: RebaseSides, unit: UInt64, segmentSize: UInt64) {
    self.sides = sides
    self.unit = unit
    self.segmentSize = segmentSize
    allocationUnit = min(unit, sides.image.allocationUnit)
    size = sides.image.virtualSize
    if let new = sides.new, sides.image.layers.dropFirst().contains(where: { $0 === new }) {
      layersAboveNew = sides.image.layers(above: new)
    } else {
      layersAboveNew = nil
    }
  }

  func next() throws(ImageError) -> Segment? {
    while offset < size {
      if offset >= run.end { run = try findUnits() }
      let start = offset
      guard let kind = run.kind else {
        offset = run.end
        continue
      }
      offset = min(run.end, start + segmentSize)
      return Segment(offset: start, length: offset - start, kind: kind)
    }
    return nil
  }

  /// The run at the present offset, in whole units. A unit of which only a part may differ is data.
  private func findUnits() throws(ImageError) -> (end: UInt64, kind: Segment.Kind?) {
    let (length, kind) = try findRun()
    let end = offset + length
    if end >= size { return (size, kind) }
    let whole = end.roundedDown(to: unit)
    if whole > offset { return (whole, kind) }
    if try isUnitFree() { return (min(size, offset.saturatingAdd(unit)), .data) }
    // The image holds a part of the unit already: what it holds must stay.
    let part = end.roundedDown(to: allocationUnit)
    return part > offset ? (part, kind) : (min(size, offset.saturatingAdd(allocationUnit)), .data)
  }

  /// Whether the image has nothing of its own in the unit that begins at the present offset.
  private func isUnitFree() throws(ImageError) -> Bool {
    if allocationUnit == unit { return true }
    guard offset % unit == 0 else { return false }
    let limit = min(unit, size - offset)
    do throws(ImageError) {
      let own = try sides.image.layerExtent(at: offset, limit: limit)
      return own.length == limit && own.flags.isDisjoint(with: [.data, .zero])
    } catch {
      throw RebaseFailure.metadata(error)
    }
  }

  /// How the bytes at the present offset compare, as far as the tables tell; nil: no difference.
  private func findRun() throws(ImageError) -> (length: UInt64, kind: Segment.Kind?) {
    let (shared, isSame) = try findShared()
    if isSame { return (shared, nil) }
    let old = try sides.extent(sides.old, called: "old", at: offset, limit: shared)
    let new = try sides.extent(sides.new, called: "new", at: offset, limit: max(old.length, 1))
    let length = max(new.length, 1)
    if old.isZeros && new.isZeros { return (length, nil) }
    if let there = old.hostOffset, there == new.hostOffset, let file = old.host?.identity, file == new.host?.identity {
      return (length, nil)
    }
    return (length, old.isZeros ? .zero : .data)
  }

  /// A run at the present offset, and whether it is the same over both layers because it comes from the image itself, or
  /// from no layer above the new one.
  private func findShared() throws(ImageError) -> (length: UInt64, isSame: Bool) {
    do throws(ImageError) {
      let own = try sides.image.layerExtent(at: offset, limit: size - offset)
      var length = max(own.length, 1)
      if !own.flags.isDisjoint(with: [.data, .zero]) { return (length, true) }
      guard let layersAboveNew else { return (length, false) }
      for layer in layersAboveNew {
        // Beyond a layer's end there are zeros, whatever lies below.
        guard offset < layer.virtualSize else { return (length, false) }
        let extent = try layer.layerExtent(at: offset, limit: min(length, layer.virtualSize - offset))
        length = max(extent.length, 1)
        if !extent.flags.isDisjoint(with: [.data, .zero]) { return (length, false) }
      }
      return (length, true)
    } catch {
      throw RebaseFailure.metadata(error)
    }
  }
}

extension Extent {
  /// Whether the run reads as zeros, as an answer about a whole chain.
  fileprivate var isZeros: Bool { flags.contains(.zero) || !flags.contains(.data) }
}

/// Compares the old side, which the engine has read, with the new one, and writes what differs.
private final class RebaseSink: CopySource, CopySink {
  private let sides: RebaseSides
  private let unit: Int
  private let compression: ClusterCompression?
  /// The new side is read in blocks of at least this many bytes, so that they are still in the processor's cache when
  /// compared.
  private static let blockSize = 256 << 10

  init(_ sides: RebaseSides, unit: Int, _ compression: ClusterCompression?) {
    self.sides = sides
    self.unit = unit
    self.compression = compression
  }

  struct Scratch: ~Copyable {
    var new: Buffer
    var compressed: Buffer
    let compressor: (any ClusterCompressor)?
  }

  /// What is to be written of a segment.
  struct Prepared: Sendable {
    var runs: [PlannedRun] = []
    /// Length in bytes of the segment's only cluster in compressed form.
    var compressedLength: Int?
  }

  struct Placement: Sendable {
    var runs: [PlacedRun] = []
    var compressed: PlacedRun?
  }

  func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    try sides.read(sides.old, into: &buffer, at: offset)
  }

  func makeScratch() throws(ImageError) -> Scratch {
    Scratch(
      new: Buffer(max(RebaseSink.blockSize, unit)), compressed: Buffer(compression?.clusterSize ?? 0),
      compressor: try compression?.makeCompressor())
  }

  func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Scratch) throws(ImageError) -> Prepared {
    var prepared = Prepared()
    let count = Int(segment.length)
    var start = 0
    while start < count {
      let end = min(count, start + scratch.new.count)
      var all = scratch.new.mutableBytes
      var new = all.slice(0..<end - start)
      do throws(ImageError) {
        try sides.read(sides.new, into: &new, at: segment.offset + UInt64(start))
      } catch {
        throw RebaseFailure.reading("new", error)
      }
      compare(segment, bytes, scratch.new.bytes.slice(0..<end - start), from: start, &prepared.runs)
      start = end
    }
    if let compression, let compressor = scratch.compressor, prepared.runs.count == 1, !prepared.runs[0].isZero,
      try isCompressible(segment)
    {
      var target = scratch.compressed.mutableBytes
      prepared.compressedLength = try compressor.compress(bytes, paddedTo: compression.clusterSize, into: &target)
      if let length = prepared.compressedLength, length >= compression.clusterSize { prepared.compressedLength = nil }
    }
    return prepared
  }

  /// Whether a segment is a cluster of which the image has nothing.
  private func isCompressible(_ segment: Segment) throws(ImageError) -> Bool {
    guard let size = compression.map({ UInt64($0.clusterSize) }), segment.offset % size == 0,
      segment.length == size || segment.offset + segment.length == sides.image.virtualSize
    else { return false }
    let extent = try sides.image.layerExtent(at: segment.offset, limit: segment.length)
    return extent.length == segment.length && extent.flags.isDisjoint(with: [.data, .zero])
      && extent.hostOffset == nil
  }

  /// Adds the units of a block that differ. `old` is empty where that side is all zeros.
  private func compare(
    _ segment: Segment, _ old: RawSpan, _ new: RawSpan, from start: Int, _ runs: inout [PlannedRun]
  ) {
    let oldIsZero = segment.kind == .zero
    if oldIsZero ? new.isZero : old.slice(start..<start + new.byteCount).elementsEqual(new) { return }
    var position = 0
    while position < new.byteCount {
      let range = position..<min(position + unit, new.byteCount)
      position = range.upperBound
      var isZero = true
      if oldIsZero {
        if new.isZero(range) { continue }
      } else {
        let there = old.slice(start + range.lowerBound..<start + range.upperBound)
        if there.elementsEqual(new.slice(range)) { continue }
        isZero = there.isZero
      }
      let guest =
        segment.offset + UInt64(start + range.lowerBound)..<segment.offset + UInt64(start + range.upperBound)
      if let last = runs.last, last.isZero == isZero, last.range.upperBound == guest.lowerBound {
        runs[runs.count - 1].range = last.range.lowerBound..<guest.upperBound
      } else {
        runs.append(PlannedRun(guest, isZero: isZero))
      }
    }
  }

  func place(
    _ segment: Segment, _ prepared: Prepared, waitForPuts: () throws(ImageError) -> Void
  ) throws(ImageError) -> Placement {
    var placement = Placement()
    if prepared.runs.isEmpty { return placement }
    do throws(ImageError) {
      if let length = prepared.compressedLength {
        placement.compressed = try sides.image.placeCompressed(
          length: length, at: segment.offset, waitForStores: waitForPuts)
      }
      if placement.compressed == nil {
        placement.runs = try sides.image.place(prepared.runs, waitForStores: waitForPuts)
      }
    } catch {
      throw RebaseFailure.writing(error)
    }
    return placement
  }

  func put(_ segment: Segment, _ bytes: RawSpan, _ placement: Placement, _ scratch: inout Scratch)
    throws(ImageError)
  {
    do throws(ImageError) {
      if let run = placement.compressed { try run.store(scratch.compressed.bytes.slice(0..<run.length)) }
      for run in placement.runs {
        let start = Int(run.guestOffset - segment.offset)
        try run.store(bytes.slice(start..<start + run.length))
      }
    } catch {
      throw RebaseFailure.writing(error)
    }
  }

  func finish() {}
}
