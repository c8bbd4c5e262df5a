import Bytes
import Storage

/// A virtual disk seen through a container format. Safe to read from many threads.
public protocol DiskImage: AnyObject, Sendable {
  /// The driver's name: `raw`, `qcow2`, …
  var format: String { get }
  /// The name that messages and `info` show.
  var filename: String { get }
  /// Size of the virtual disk in bytes, a multiple of 512.
  var virtualSize: UInt64 { get }
  /// Allocation unit in bytes; nil when the format has none.
  var clusterSize: UInt64? { get }
  /// The file with the image's metadata (for raw: with everything).
  var storage: any Storage { get }
  /// Space that the image's files take on their devices in bytes, without layers below; nil when unknown.
  var allocatedSize: UInt64? { get }
  /// The layer below, if one is recorded and was opened.
  var backing: (any DiskImage)? { get }
  /// Whether the format can have a layer below: then bytes that it does not hold are "not allocated" rather than zero.
  var supportsBacking: Bool { get }

  /// The longest run of one kind that begins at `offset` (< ``virtualSize``), at most `limit` (> 0) bytes, as this layer
  /// alone sees it: neither data nor zero where the layer below decides. Not necessarily maximal.
  func layerExtent(at offset: UInt64, limit: UInt64) throws(ImageError) -> Extent

  /// Fills `buffer` with the disk's contents at `offset`, seen through all layers. Bytes past the end read as zeros.
  func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError)

  /// What `info` tells about this layer.
  func information() throws(ImageError) -> ImageInformation

  /// The layer below as the image's header records it.
  var backingReference: BackingReference? { get }
  /// Puts an opened layer below this one. Called once, by the opener, before anything is read.
  func attachBacking(_ image: any DiskImage)
}

/// A layer below as a header records it.
public struct BackingReference: Sendable, Equatable {
  /// The recorded name, unresolved.
  public var name: String
  /// The recorded format; nil means probing.
  public var format: String?

  /// A recorded layer.
  public init(name: String, format: String?) {
    self.name = name
    self.format = format
  }
}

/// Most formats have no place for a layer below; one that has says all four itself.
extension DiskImage {
  public var supportsBacking: Bool { false }
  public var backing: (any DiskImage)? { nil }
  public var backingReference: BackingReference? { nil }
  public func attachBacking(_ image: any DiskImage) {}
}

extension DiskImage {
  /// What the file with the metadata takes; an image of several files says more.
  public var allocatedSize: UInt64? { storage.allocatedSize }
}

extension DiskImage {
  /// Fills `buffer` extent by extent: what an extent says is stored is read from there; other data is computed; the rest,
  /// and what lies past the end, are zeros. For images that are one layer.
  ///
  /// - Parameter compute: fills a part with data that has no place in the storage; it begins at the given offset.
  @_lifetime(buffer: copy buffer)
  package func readExtents(
    into buffer: inout MutableRawSpan, at offset: UInt64,
    compute: (_ part: inout MutableRawSpan, _ offset: UInt64) throws(ImageError) -> Void = { part, _ in
      part.fill(0..<part.byteCount)
    }
  ) throws(ImageError) {
    var done = 0
    while done < buffer.byteCount {
      let position = offset.saturatingAdd(UInt64(done))
      guard position < virtualSize else { return buffer.fill(done..<buffer.byteCount) }
      let extent = try layerExtent(at: position, limit: UInt64(buffer.byteCount - done))
      let range = done..<done + Int(extent.length)
      var part = buffer.slice(range)
      if let hostOffset = extent.hostOffset {
        try storage.read(into: &part, at: hostOffset)
      } else if extent.flags.contains(.data) {
        try compute(&part, position)
      } else {
        part.fill(0..<range.count)
      }
      done = range.upperBound
    }
  }
}
