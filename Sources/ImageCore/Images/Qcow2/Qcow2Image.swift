import Bytes
import Images
import Storage
import Synchronization

/// A qcow2 image.
///
/// Reading is safe from many threads; the tables lie behind one lock, which is held for look-ups, never for data.
public final class Qcow2Image: DiskImage {
  public let format = "qcow2"
  public let filename: String
  public let storage: any Storage
  public let supportsBacking = true
  /// The storage with the guest's clusters: ``storage``, or the external data file; nil when that was not opened because
  /// the image is only looked at.
  package let dataStorage: (any Storage)?
  /// What the image was opened for.
  package var use: ImageUse { currentUse.withLock { $0 } }
  /// Header, L1 table and cached L2 tables.
  package let tables: Mutex<Qcow2Tables>
  /// Where damage is reported that shows while the image is in use.
  package let corruption: CorruptionReport
  let currentUse: Mutex<ImageUse>
  /// Opens a file that the image names; nil for a view of an image.
  package let openDependent: (@Sendable (_ name: String) throws(ImageError) -> any Storage)?
  /// Takes notices.
  package let notify: @Sendable (Notice) -> Void

  private let currentSize: Atomic<UInt64>
  /// While several runs are placed together, tables are not written back.
  let keepsTables = Atomic(false)
  private let cluster: UInt64
  private let backingLayer = Mutex<(any DiskImage)?>(nil)
  let decompression: ClusterDecompression
  private let sparseness: Sparseness

  init(
    _ storage: any Storage, dataStorage: (any Storage)?, header: Qcow2Header, snapshots: [SnapshotRecord],
    bitmaps: [BitmapRecord], filename: String, use: ImageUse,
    openDependent: (@Sendable (_ name: String) throws(ImageError) -> any Storage)? = nil,
    notify: @escaping @Sendable (Notice) -> Void
  ) {
    self.openDependent = openDependent
    self.storage = storage
    self.dataStorage = dataStorage
    self.filename = filename
    currentUse = Mutex(use)
    self.notify = notify
    corruption = CorruptionReport(storage, version: header.version, isWritable: use.isWriting, notify: notify)
    currentSize = Atomic(header.virtualSize)
    cluster = header.clusterSize
    decompression = ClusterDecompression(header.compressionType, clusterSize: Int(header.clusterSize))
    sparseness = Sparseness(storage)
    tables = Mutex(Qcow2Tables(storage, header, snapshots, bitmaps, corruption))
  }

  public var virtualSize: UInt64 { currentSize.load(ordering: .relaxed) }

  public var clusterSize: UInt64? { cluster }

  /// The header as it stands.
  package var header: Qcow2Header { tables.withLock { $0.header } }

  /// Tells readers the disk's new size in bytes; the header is the writer's business.
  package func setVirtualSize(_ size: UInt64) { currentSize.store(size, ordering: .relaxed) }

  public var backing: (any DiskImage)? { backingLayer.withLock { $0 } }

  public func attachBacking(_ image: any DiskImage) { backingLayer.withLock { $0 = image } }

  public var backingReference: BackingReference? {
    let header = self.header
    return header.backingFile.map { BackingReference(name: $0, format: header.extensions.backingFormat) }
  }

  /// The run at guest offset `offset`, at most `limit` (> 0) bytes, as the tables have it.
  package func mapping(at offset: UInt64, limit: UInt64) throws(ImageError) -> Mapping {
    try tables.withLock { (tables) throws(ImageError) in try tables.mapping(at: offset, limit: limit) }
  }

  public func layerExtent(at offset: UInt64, limit: UInt64) throws(ImageError) -> Extent {
    let mapping = try mapping(at: offset, limit: limit)
    switch mapping.kind {
    case .unallocated(let hostOffset):
      return Extent(
        length: mapping.length, flags: [], hostOffset: hostOffset, host: hostOffset == nil ? nil : dataStorage)
    case .zero(let hostOffset):
      return Extent(
        length: mapping.length, flags: .zero, hostOffset: hostOffset, host: hostOffset == nil ? nil : dataStorage)
    case .data(let hostOffset):
      let mayHoldZeros = try sparseness.mayHoldZeros(header: { self.header })
      return Extent(
        length: mapping.length, flags: mayHoldZeros ? [.data, .recurse] : .data, hostOffset: hostOffset,
        host: dataStorage)
    case .compressed:
      return Extent(length: mapping.length, flags: [.data, .compressed])
    }
  }
}
