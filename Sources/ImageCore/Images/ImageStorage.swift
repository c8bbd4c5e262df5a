import Bytes
import Storage
import Threads

/// A virtual disk as the storage of another format: a raw window into a qcow2 image, for example.
package final class ImageStorage: WritableStorage {
  private let image: any DiskImage
  /// Formats take one write at a time.
  private let turn = Monitor(())

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

  /// What the disk says about a run, with the place where its data lies.
  package func imageExtent(at offset: UInt64, limit: UInt64) throws(ImageError) -> Extent {
    guard offset < length else { return Extent(length: limit, flags: .zero) }
    var extent = try image.chainExtent(at: offset, limit: limit).extent
    extent.length = max(extent.length, 1)
    extent.flags.formIntersection([.data, .zero, .compressed])
    if extent.flags.isDisjoint(with: [.data, .zero]) { extent.flags.insert(.zero) }
    return extent
  }

  package func extent(at offset: UInt64, limit: UInt64) throws(ImageError) -> StorageExtent {
    guard offset < length else { return StorageExtent(length: limit, isData: false) }
    let extent = try image.chainExtent(at: offset, limit: limit).extent
    return StorageExtent(
      length: max(extent.length, 1), isData: extent.flags.contains(.data) && !extent.flags.contains(.zero))
  }

  // MARK: Writing

  private func change(_ body: (any WritableDiskImage) throws(ImageError) -> Void) throws(ImageError) {
    guard let image = image as? any WritableDiskImage else {
      throw ImageError("Block node is read-only", errno: 30 /* EROFS */)
    }
    try turn.withLock { (_) throws(ImageError) in try body(image) }
  }

  /// A write beyond the end makes the disk larger, as a file would become.
  private func grow(_ image: any WritableDiskImage, to end: UInt64) throws(ImageError) {
    guard end > image.virtualSize else { return }
    guard let size = end.roundedUp(to: 512) else { throw .system(27 /* EFBIG */) }
    try image.resize(to: size, preallocation: .off)
  }

  package func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
    let end = offset.saturatingAdd(UInt64(bytes.byteCount))
    try change { (image) throws(ImageError) in
      try grow(image, to: end)
    }
    guard let image = image as? any WritableDiskImage else { return }
    try turn.withLock { (_) throws(ImageError) in try image.write(bytes, at: offset) }
  }

  package func zero(_ range: Range<UInt64>, mayUnmap: Bool) throws(ImageError) {
    try change { (image) throws(ImageError) in
      try grow(image, to: range.upperBound)
      try image.writeZeros(range, mayUnmap: mayUnmap)
    }
  }

  package func discard(_ range: Range<UInt64>) throws(ImageError) {}

  package func allocate(_ range: Range<UInt64>) throws(ImageError) {
    try change { (image) throws(ImageError) in try grow(image, to: range.upperBound) }
  }

  package func resize(to length: UInt64) throws(ImageError) {
    guard let size = length.roundedUp(to: 512) else { throw .system(27 /* EFBIG */) }
    try change { (image) throws(ImageError) in
      if size != image.virtualSize { try image.resize(to: size, preallocation: .off) }
    }
  }

  package func flush() throws(ImageError) { try change { (image) throws(ImageError) in try image.flush() } }

  package var growsWithZeros: Bool { true }
}
