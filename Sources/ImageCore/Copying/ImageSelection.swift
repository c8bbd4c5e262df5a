import Bytes
import Images
import Storage

/// The allocated, non-zero bytes of one or several disks (qemu-img-cli-1 §11.8, steps 1 to 3).
public final class ImageSelection: Selection {
  /// What is selected, and how it is cut.
  public struct Rule: Sendable {
    /// The longest data segment in bytes.
    public var dataLimit: Int
    /// Shorter data segments, where they are allowed.
    public var shortening: Shortening?
    /// Segments of whole units of so many bytes (compressed clusters); runs shorter than a unit count as data. 0: as found.
    public var unit: UInt64 = 0
    /// Only what the top layer holds is copied: the target has a layer below of its own.
    public var topLayerOnly = false
    /// Size of that layer: zeros beyond it need not be written.
    public var targetBackingSize: UInt64?
    /// Zeros are left out: the target reads as zeros.
    public var skipsZeros = false
    /// Zeros are copied like data (`-S 0`), so that the target is fully allocated.
    public var copiesZeros = false

    /// Everything, in data segments of at most `dataLimit` bytes.
    public init(dataLimit: Int) { self.dataLimit = dataLimit }
  }

  /// The longest run asked for at once in bytes: below 2^31 as the reference, so that progress and -W look alike.
  private static let statusLimit = UInt64(Int32.max) / 512 * 512

  private let source: ConcatenatedImages
  private let rule: Rule
  /// Called when a layer's tables cannot be read; answers whether the range is to be read as data instead (salvage).
  private let onStatusError: (@Sendable (ImageError, UInt64) -> Bool)?
  private var offset: UInt64 = 0
  private var cutter: RequestCutter
  private var run: (end: UInt64, kind: Kind)

  /// What a run of the source is, for the target.
  private enum Kind { case data, zero, below }

  /// A walk over `source` from its beginning.
  public init(
    _ source: ConcatenatedImages, _ rule: Rule, onStatusError: (@Sendable (ImageError, UInt64) -> Bool)? = nil
  ) {
    self.source = source
    self.rule = rule
    self.onStatusError = onStatusError
    cutter = RequestCutter(limit: rule.dataLimit, rule.shortening)
    run = (0, .below)
  }

  public func next() throws(ImageError) -> Segment? {
    while offset < source.size {
      if offset >= run.end { run = try findRun() }
      let start = offset
      var kind = run.kind
      var end = run.end
      if rule.unit > 0 {
        // Whole units only; what is left of a run shorter than a unit is data, with its neighbours.
        let wholeEnd = end >= source.size ? end : start + (end - start).roundedDown(to: rule.unit)
        if wholeEnd == start {
          kind = .data
          end = min(source.size, start + rule.unit)
        } else {
          end = wholeEnd
        }
      }
      switch kind {
      case .below:
        offset = end
      case .zero:
        offset = end
        if !rule.skipsZeros { return Segment(offset: start, length: end - start, kind: .zero) }
      case .data:
        let segment = cutter.segment(at: start, end: end)
        offset += segment.length
        return segment
      }
    }
    return nil
  }

  /// Asks the source what lies at the present offset.
  private func findRun() throws(ImageError) -> (end: UInt64, kind: Kind) {
    cutter.beginRun(at: offset)
    let index = source.index(at: offset)
    let image = source.images[index]
    let start = source.starts[index]
    var limit = min(source.starts[index + 1] - offset, ImageSelection.statusLimit)
    if let size = rule.targetBackingSize, offset < size { limit = min(limit, size - offset) }
    let extent: Extent
    do throws(ImageError) {
      extent =
        rule.topLayerOnly
        ? try image.completedExtent(at: offset - start, limit: limit)
        : try image.chainExtent(at: offset - start, limit: limit).extent
    } catch {
      guard let onStatusError, onStatusError(error, offset) else {
        throw error.prefixed("error while reading block status at offset \(offset): ")
      }
      return (offset + min(limit, 512), .data)
    }
    var length = max(extent.length, 1)
    let alignment = max(512, image.clusterSize ?? 0, UInt64(image.storage.requestAlignment))
    let tail = (offset - start + length) % alignment
    if length > tail && offset + length < source.starts[index + 1] { length -= tail }
    let kind: Kind
    if extent.flags.contains(.zero) {
      if rule.copiesZeros {
        kind = .data
      } else if let size = rule.targetBackingSize, offset >= size {
        kind = .below
      } else {
        kind = .zero
      }
    } else if extent.flags.contains(.data) {
      kind = .data
    } else {
      kind = rule.topLayerOnly ? .below : rule.copiesZeros ? .data : .zero
    }
    return (offset + length, kind)
  }
}
