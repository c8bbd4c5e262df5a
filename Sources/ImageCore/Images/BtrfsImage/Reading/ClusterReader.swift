import Btrfs
import Bytes

/// An item of a dump, and where its payload is.
package struct ItemPlace: Sendable, Equatable {
  /// Logical address of the first byte.
  package var address: UInt64
  /// Position of the payload in the dump in bytes.
  package var offset: UInt64
  /// Size of the payload in bytes.
  package var storedSize: Int
  /// Whether the payload is a zlib stream.
  package var isCompressed: Bool
  /// Whether it is the dump's first item, which begins with the superblock.
  package var isFirst: Bool

  /// The dump's position behind the payload.
  package var end: UInt64 { offset + UInt64(storedSize) }
}

/// Goes through the clusters of a dump from its beginning, item by item (btrfs-image §7).
///
/// The caller reads the payloads; whatever lies between them is read here, so that a dump may be a stream.
package struct ClusterReader: Sendable {
  private let input: any MetadumpInput
  /// The version that the first cluster has.
  package private(set) var version: MetadumpVersion?
  private var header: ClusterHeader?
  private var index = 0
  private var payload: UInt64 = 0
  /// Where the next header is.
  private var position: UInt64 = 0

  package init(_ input: any MetadumpInput) { self.input = input }

  /// The next item; nil at the end of the dump.
  ///
  /// - Throws: what is wrong with a header, or that the dump ends where more should follow.
  package mutating func next() throws(ImageError) -> ItemPlace? {
    if let header, index < header.items.count { return item(of: header) }
    if let header {
      try readPadding(payload..<header.end)
      position = header.end
    }
    guard let header = try readHeader() else { return nil }
    self.header = header
    index = 0
    payload = position + UInt64(ClusterHeader.size)
    return item(of: header)
  }

  private mutating func item(of header: ClusterHeader) -> ItemPlace {
    let item = header.items[index]
    let place = ItemPlace(
      address: item.address, offset: payload, storedSize: Int(item.storedSize), isCompressed: header.isCompressed,
      isFirst: position == 0 && index == 0)
    index += 1
    // A header's end was computed without overflow, or is saturated and nothing can be read there.
    payload = payload.saturatingAdd(UInt64(item.storedSize))
    return place
  }

  private mutating func readHeader() throws(ImageError) -> ClusterHeader? {
    var buffer = Buffer(ClusterHeader.size)
    let count = try read(into: &buffer, ClusterHeader.size, at: position)
    if count == 0, position > 0 { return nil }
    if position == 0 {
      guard count == ClusterHeader.size else { throw ImageError("failed to read header", errno: 5) }
      guard let found = MetadumpVersion(buffer.bytes) else {
        throw ImageError("unrecognized header format", errno: 22)
      }
      version = found
    }
    guard let version, count == ClusterHeader.size else { throw ClusterReader.cut(at: position) }
    return try ClusterHeader(buffer.bytes, version: version, at: position)
  }

  /// Logical address of the last item of the present cluster.
  package var lastAddress: UInt64 { header?.items.last?.address ?? 0 }

  private func readPadding(_ range: Range<UInt64>) throws(ImageError) {
    guard !range.isEmpty else { return }
    var buffer = Buffer(ClusterHeader.size)
    let wanted = Int(min(UInt64(buffer.count), range.upperBound - range.lowerBound))
    let count = try read(into: &buffer, wanted, at: range.lowerBound)
    guard count == wanted else { throw ClusterReader.cut(at: range.lowerBound) }
  }

  private func read(into buffer: inout Buffer, _ wanted: Int, at offset: UInt64) throws(ImageError) -> Int {
    var bytes = buffer.mutableBytes
    var part = bytes.slice(0..<wanted)
    do throws(ImageError) {
      return try input.read(into: &part, at: offset)
    } catch {
      throw error.errno == 125 /* ECANCELED */
        ? error : ImageError("unable to read cluster: \(error.message)", errno: error.errno)
    }
  }

  /// The dump ends too early.
  package static func cut(at offset: UInt64) -> ImageError {
    ImageError("unable to read buffer: the dump ends too early, at or behind offset \(offset)", errno: 5)
  }
}
