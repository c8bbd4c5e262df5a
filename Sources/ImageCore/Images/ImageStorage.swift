import Bytes
import Storage

/// A virtual disk as the storage of another format: a raw window into a qcow2 image, for example.
final class ImageStorage: Storage {
  private let image: any DiskImage

  init(_ image: any DiskImage) { self.image = image }

  var name: String { image.filename }
  var length: UInt64 { image.virtualSize }
  var requestAlignment: Int { 1 }
  var allocatedSize: UInt64? { image.allocatedSize }
  // The inner image's file has been noted already.
  var identity: FileIdentity? { nil }

  func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    try image.read(into: &buffer, at: offset)
  }

  func extent(at offset: UInt64, limit: UInt64) throws(ImageError) -> StorageExtent {
    guard offset < length else { return StorageExtent(length: limit, isData: false) }
    let extent = try image.chainExtent(at: offset, limit: limit).extent
    return StorageExtent(
      length: max(extent.length, 1), isData: extent.flags.contains(.data) && !extent.flags.contains(.zero))
  }
}
