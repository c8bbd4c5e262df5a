import Bytes
import Storage

/// A virtual disk as the storage of another format: a raw window into a qcow2 image, for example.
package final class ImageStorage: Storage {
  private let image: any DiskImage

  /// The disk that `image` shows.
  package init(_ image: any DiskImage) { self.image = image }

  package var name: String { image.filename }
  /// Allocation unit of the image in bytes; nil when it has none.
  package var clusterSize: UInt64? { image.clusterSize }
  package var length: UInt64 { image.virtualSize }
  package var requestAlignment: Int { 1 }
  package var allocatedSize: UInt64? { image.allocatedSize }
  // The inner image's file has been noted already.
  package var identity: FileIdentity? { nil }

  package func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    try image.read(into: &buffer, at: offset)
  }

  package func extent(at offset: UInt64, limit: UInt64) throws(ImageError) -> StorageExtent {
    guard offset < length else { return StorageExtent(length: limit, isData: false) }
    let extent = try image.chainExtent(at: offset, limit: limit).extent
    return StorageExtent(
      length: max(extent.length, 1), isData: extent.flags.contains(.data) && !extent.flags.contains(.zero))
  }
}
