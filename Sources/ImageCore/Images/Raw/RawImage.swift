import Bytes
import Images
import Storage
import Synchronization

/// A disk stored byte by byte, or a window of one (options `offset` and `size`).
public final class RawImage: DiskImage {
  public let format: String
  public let filename: String
  public let storage: any Storage
  public var clusterSize: UInt64? { (storage as? ImageStorage)?.clusterSize }
  /// Where the disk begins in the storage, in bytes.
  package let start: UInt64
  /// The window's size in bytes; nil for "up to the storage's end".
  let fixedSize: UInt64?
  /// What the first bytes must look like when somebody writes to an image that was opened for reading.
  let looksRaw: (@Sendable (RawSpan) -> Bool)?
  /// What is written to instead of ``storage``.
  let guarded = Mutex<FirstSectorGuard?>(nil)

  /// A disk over `storage`, or over the `size` bytes (nil: all the rest) from `start` on.
  ///
  /// - Parameter format: the driver's name, which is the protocol's when a file is looked at without a format.
  public init(
    _ storage: any Storage, filename: String, format: String = "raw", start: UInt64 = 0, size: UInt64? = nil,
    looksRaw: (@Sendable (RawSpan) -> Bool)? = nil
  ) {
    self.looksRaw = looksRaw
    self.format = format
    self.storage = storage
    self.filename = filename
    self.start = start
    fixedSize = size
  }

  /// The window's or storage's size, rounded up to 512 (qemu-img-cli-1 §1.6).
  public var virtualSize: UInt64 {
    let exact = fixedSize ?? (storage.length >= start ? storage.length - start : 0)
    return exact.roundedUp(to: 512) ?? exact.roundedDown(to: 512)
  }

  public func layerExtent(at offset: UInt64, limit: UInt64) throws(ImageError) -> Extent {
    if let image = storage as? ImageStorage { return try image.imageExtent(at: start + offset, limit: limit) }
    let stored = try storage.extent(at: start + offset, limit: limit)
    return Extent(
      length: stored.length, flags: stored.isData ? .data : .zero, hostOffset: start + offset, host: storage)
  }

  public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    let inside = offset < virtualSize ? Int(min(UInt64(buffer.byteCount), virtualSize - offset)) : 0
    if inside < buffer.byteCount {
      buffer.fill(inside..<buffer.byteCount)
      if inside == 0 { return }
      var part = buffer.slice(0..<inside)
      return try storage.read(into: &part, at: start + offset)
    }
    try storage.read(into: &buffer, at: start + offset)
  }

  public func information() -> ImageInformation {
    var information = ImageInformation()
    information.isDirty = false
    return information
  }
}

extension RawImage: WritableDiskImage {
  /// The storage, if it can be written to.
  private func writable() throws(ImageError) -> any WritableStorage {
    if let guarded = guarded.withLock({ $0 }) { return guarded }
    guard let storage = storage as? any WritableStorage else { throw ImageError("Block node is read-only", errno: 30) }
    return storage
  }

  public func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
    try writable().write(bytes, at: start + offset)
  }

  public func writeZeros(_ range: Range<UInt64>, mayUnmap: Bool, waitForStores: () throws(ImageError) -> Void)
    throws(ImageError)
  {
    try writable().zero(start + range.lowerBound..<start + range.upperBound, mayUnmap: mayUnmap)
  }

  public func place(_ range: Range<UInt64>, waitForStores: () throws(ImageError) -> Void) throws(ImageError)
    -> [PlacedRun]
  {
    return [
      PlacedRun(
        guestOffset: range.lowerBound, length: range.count, host: try writable(), hostOffset: start + range.lowerBound)
    ]
  }

  public func placeCompressed(length: Int, at offset: UInt64, waitForStores: () throws(ImageError) -> Void)
    throws(ImageError) -> PlacedRun?
  { nil }

  public var compression: ClusterCompression? { nil }

  public var allocationUnit: UInt64 { 512 }

  public var readsAsZeros: Bool { (storage as? any WritableStorage)?.growsWithZeros ?? false }

  public func flush() throws(ImageError) { try writable().flush() }

  public func close() throws(ImageError) { try flush() }

  public func resize(to size: UInt64, preallocation: Preallocation) throws(ImageError) {
    guard fixedSize == nil else {
      throw ImageError("Cannot resize fixed-size raw disks", errno: 95 /* ENOTSUP */)
    }
    let storage = try writable()
    try ImageOpener.checkLength(size, behind: start)
    if let file = storage as? FileStorage, file.isDevice, preallocation != .off {
      throw ImageError(
        "Preallocation mode '\(preallocation.rawValue)' unsupported for this non-regular file", errno: 95)
    }
    // A device's length is its own; only a file grows from where it is.
    if !storage.growsWithZeros, storage.length != start + size {
      throw ImageError("Cannot resize device files", errno: 95 /* ENOTSUP */)
    }
    let wasEmpty = storage.length == 0
    do throws(ImageError) {
      try RawImage.resize(storage, to: start + size, preallocation: preallocation)
      // As when a file is made (qemu-img-cli-1 §15.5).
      if wasEmpty && start == 0 { FileCreation.writeFirstBlock(storage, size: size) }
    } catch {
      throw preallocation == .off ? error.prefixed("Could not resize file: ") : error
    }
  }

  /// Sets a file's length, and prepares new space as asked (qemu-img-cli-1 §7.6).
  package static func resize(
    _ storage: any WritableStorage, to length: UInt64, preallocation: Preallocation
  ) throws(ImageError) {
    let old = storage.length
    switch preallocation {
    case .off:
      try storage.resize(to: length)
    case .metadata:
      throw ImageError("Unsupported preallocation mode: metadata", errno: 95)
    case .falloc where length > old:
      do throws(ImageError) {
        try storage.allocate(old..<length)
      } catch {
        throw error.prefixed("Could not preallocate new data: ")
      }
    case .full where length > old:
      try storage.resize(to: length)
      do throws(ImageError) {
        try storage.writeZeros(old..<length)
      } catch {
        throw error.prefixed("Could not write zeros for preallocation: ")
      }
    case .falloc, .full:
      break
    }
  }
}
