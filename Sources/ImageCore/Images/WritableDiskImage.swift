import Bytes
import Storage

/// How new space of a growing image is prepared.
public enum Preallocation: String, Sendable, CaseIterable {
  /// Not at all.
  case off
  /// Tables only.
  case metadata
  /// Space is reserved.
  case falloc
  /// Space is reserved and zeros are written.
  case full
}

/// A virtual disk that can be changed.
public protocol WritableDiskImage: DiskImage {
  /// Stores `bytes` at `offset`; both ends lie within the disk. May be called from one thread at a time.
  func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError)
  /// Makes `range` read as zeros. `mayUnmap`: space may be given back.
  ///
  /// - Parameter waitForStores: as for ``place(_:waitForStores:)``.
  func writeZeros(_ range: Range<UInt64>, mayUnmap: Bool, waitForStores: () throws(ImageError) -> Void)
    throws(ImageError)
  /// Changes the size of the virtual disk in bytes.
  func resize(to size: UInt64, preallocation: Preallocation) throws(ImageError)
  /// Writes out all metadata and makes everything durable, as the cache mode has it.
  func flush() throws(ImageError)
  /// Flushes and writes the marks of an orderly end (bitmaps, dirty bit). Nothing may be written afterwards.
  func close() throws(ImageError)

  /// Decides where `range` will be stored and records that in the image's tables (in memory until they are flushed), so
  /// that the runs can be stored by many threads at once. Called in the order in which the image shall grow.
  ///
  /// Every placed run must be stored before the next ``flush()``.
  ///
  /// - Parameter waitForStores: returns when every run placed before has been stored. Called when tables must be written
  ///   back to make room in memory: they must not point at data that is not there.
  func place(_ range: Range<UInt64>, waitForStores: () throws(ImageError) -> Void) throws(ImageError) -> [PlacedRun]
  /// Places several runs that will be stored together: their tables are not written back in between, so that none of them
  /// points at data that is not there, whatever happens.
  ///
  /// - Parameters:
  ///   - runs: ascending; short enough (some MiB) for their tables to stay in memory.
  ///   - waitForStores: as for ``place(_:waitForStores:)``; called at most once, before the first run is placed.
  func place(_ runs: [PlannedRun], waitForStores: () throws(ImageError) -> Void) throws(ImageError) -> [PlacedRun]
  /// Where compressed data of one cluster at `offset` will be stored; nil if the image cannot hold it compressed.
  ///
  /// - Parameter waitForStores: as for ``place(_:waitForStores:)``.
  func placeCompressed(length: Int, at offset: UInt64, waitForStores: () throws(ImageError) -> Void)
    throws(ImageError) -> PlacedRun?
  /// Whether clusters can be stored compressed, and how.
  var compression: ClusterCompression? { get }
  /// The size in bytes of the aligned ranges that get their space as a whole, a power of two: a cluster or subcluster.
  var allocationUnit: UInt64 { get }
  /// While so many bytes of new space are handed out, tables included, and none is set free, they follow one another in the
  /// order in which they are asked for, so that where things lie does not depend on how the data is cut; 0 where that is not
  /// known.
  var orderlySpace: UInt64 { get }
  /// Whether a new image reads as zeros where nothing was written (qemu-img-cli-1 §11.10).
  var readsAsZeros: Bool { get }
}

extension WritableDiskImage {
  /// Makes `range` read as zeros while nothing is placed that has not been stored.
  public func writeZeros(_ range: Range<UInt64>, mayUnmap: Bool) throws(ImageError) {
    try writeZeros(range, mayUnmap: mayUnmap, waitForStores: {})
  }
}

extension WritableDiskImage {
  public var orderlySpace: UInt64 { 0 }

  /// Run by run: for formats without tables.
  public func place(_ runs: [PlannedRun], waitForStores: () throws(ImageError) -> Void) throws(ImageError)
    -> [PlacedRun]
  {
    var placed: [PlacedRun] = []
    for run in runs {
      if run.isZero {
        try writeZeros(run.range, mayUnmap: run.mayUnmap, waitForStores: waitForStores)
      } else {
        placed += try place(run.range, waitForStores: waitForStores)
      }
    }
    return placed
  }
}

/// A run of guest bytes that is to be written.
public struct PlannedRun: Sendable, Equatable {
  /// Guest bytes.
  public var range: Range<UInt64>
  /// Whether the bytes are to read as zeros; otherwise they get a place, and are stored there afterwards.
  public var isZero: Bool
  /// Whether space may be given back where the bytes are zeros.
  public var mayUnmap = false

  /// A run of data, or of zeros.
  public init(_ range: Range<UInt64>, isZero: Bool, mayUnmap: Bool = false) {
    self.range = range
    self.isZero = isZero
    self.mayUnmap = mayUnmap
  }
}

/// A run of guest bytes that has been given its place.
public struct PlacedRun: Sendable {
  /// Guest offset in bytes.
  public var guestOffset: UInt64
  /// Length in bytes.
  public var length: Int
  /// The storage that takes the bytes.
  public var host: any WritableStorage
  /// Offset in ``host`` in bytes.
  public var hostOffset: UInt64

  /// A placed run.
  public init(guestOffset: UInt64, length: Int, host: any WritableStorage, hostOffset: UInt64) {
    self.guestOffset = guestOffset
    self.length = length
    self.host = host
    self.hostOffset = hostOffset
  }

  /// Whether `next` lies right behind this run in the same storage.
  package func isFollowed(by next: PlacedRun) -> Bool {
    host === next.host && hostOffset + UInt64(length) == next.hostOffset
  }

  /// Stores the run's bytes, which are exactly its length. Safe from any thread.
  public func store(_ bytes: RawSpan) throws(ImageError) { try host.write(bytes, at: hostOffset) }
}

/// How an image stores compressed clusters.
public struct ClusterCompression: Sendable {
  /// Size of a cluster in bytes: the unit of compression.
  public var clusterSize: Int
  /// Makes a compressor, one a thread.
  public var makeCompressor: @Sendable () throws(ImageError) -> any ClusterCompressor

  /// A way to compress.
  public init(
    clusterSize: Int, makeCompressor: @escaping @Sendable () throws(ImageError) -> any ClusterCompressor
  ) {
    self.clusterSize = clusterSize
    self.makeCompressor = makeCompressor
  }
}

/// Compresses clusters; used by one thread at a time.
public protocol ClusterCompressor: AnyObject {
  /// Compresses `input` into `output`, and returns the number of bytes, or nil if it does not get smaller than `output`.
  func compress(_ input: RawSpan, into output: inout MutableRawSpan) throws(ImageError) -> Int?
}
