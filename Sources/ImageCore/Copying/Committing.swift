import Bytes
import Images
import Storage

/// The bytes that a commit copies: what the layers from the top down to, not including, the base hold
/// (qemu-img-cli-2 §3.3). Zero clusters count, and so do the zeros that are seen where a layer ends before its overlay.
public final class CommitSelection: Selection {
  private let top: any DiskImage
  private let base: any DiskImage
  private let dataLimit: UInt64
  private var offset: UInt64 = 0
  private var run: (end: UInt64, kind: Segment.Kind?) = (0, nil)

  /// What lies above `base`, a layer below `top`, in data segments of at most `dataLimit` bytes.
  public init(_ top: any DiskImage, above base: any DiskImage, dataLimit: Int) {
    self.top = top
    self.base = base
    self.dataLimit = UInt64(dataLimit)
  }

  public func next() throws(ImageError) -> Segment? {
    while offset < top.virtualSize {
      if offset >= run.end { run = try findRun() }
      let start = offset
      switch run.kind {
      case nil:
        offset = run.end
      case .zero:
        offset = run.end
        return Segment(offset: start, length: offset - start, kind: .zero)
      case .data:
        // Segments end at multiples of the limit, so that no cluster of the base is written in two.
        offset = min(run.end, (start / dataLimit + 1) * dataLimit)
        return Segment(offset: start, length: offset - start, kind: .data)
      }
    }
    return nil
  }

  /// What lies at the present offset; nil: nothing above the base.
  private func findRun() throws(ImageError) -> (end: UInt64, kind: Segment.Kind?) {
    var length = top.virtualSize - offset
    var layer = top
    while layer !== base {
      guard offset < layer.virtualSize else { return (offset + length, .zero) }
      let extent = try layer.layerExtent(at: offset, limit: min(length, layer.virtualSize - offset))
      length = max(extent.length, 1)
      if extent.flags.contains(.data) { return (offset + length, .data) }
      if extent.flags.contains(.zero) { return (offset + length, .zero) }
      guard let below = layer.backing else { break }
      layer = below
    }
    return (offset + length, nil)
  }
}

/// The copying of a commit.
public struct Commit: Sendable {
  private let top: any DiskImage
  private let base: any WritableDiskImage
  /// Bytes a second; 0 for no limit.
  public var rateLimit: UInt64 = 0
  /// Called with the number of bytes of the disk that are done with.
  public var completed: (@Sendable (UInt64) -> Void)?

  /// The longest data segment in bytes: it stays in a processor's cache from the read to the write.
  private static let segmentSize = 512 << 10

  /// A commit of what lies above `base`, which is open for writing, into it.
  public init(_ top: any DiskImage, into base: any WritableDiskImage) {
    self.top = top
    self.base = base
  }

  /// Grows the base to the top's size where it is smaller, copies, and makes the base durable.
  public func run() throws(ImageError) {
    try checkSpace()
    if top.virtualSize > base.virtualSize { try base.resize(to: top.virtualSize, preallocation: .off) }
    var engine = CopyEngine(bufferSize: Commit.segmentSize)
    if let completed {
      engine.completed = { (segment) throws(ImageError) in completed(segment.offset + segment.length) }
    }
    if rateLimit > 0 {
      let limit = RateLimit(bytesPerSecond: rateLimit)
      engine.throttle = { limit.wait(for: $0) }
    }
    let sink = DiskImageSink(base, DiskImageSink.Rule(sparse: SparseRule(bytes: 0), targetIsZero: false))
    try engine.run(
      CommitSelection(top, above: base, dataLimit: Commit.segmentSize), from: try ConcatenatedImages([top]), to: sink)
    try base.flush()
  }

  /// Refuses to begin what cannot be ended: a base that was changed in part is of no use to its other overlays. Where
  /// nobody can know how much room there is, the copy itself finds out.
  private func checkSpace() throws(ImageError) {
    guard let file = base.storage as? FileStorage, !file.isDevice, let facts = try? file.fileSystem(),
      facts.storesAsGiven
    else { return }
    var needed: UInt64 = 0
    let selection = CommitSelection(top, above: base, dataLimit: 1 << 30)
    while let segment = try selection.next() {
      guard segment.kind == .data else { continue }
      var offset = segment.offset
      let end = segment.offset + segment.length
      while offset < end {
        var length = end - offset
        if offset < base.virtualSize {
          let extent = try base.layerExtent(at: offset, limit: min(length, base.virtualSize - offset))
          length = max(extent.length, 1)
          if !extent.flags.contains(.data) { needed += length }
        } else {
          needed += length
        }
        offset += length
      }
      if needed > facts.free { throw .system(28 /* ENOSPC */, path: file.name) }
    }
  }
}
