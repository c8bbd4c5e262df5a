import Bytes

/// An image that holds persistent dirty bitmaps.
public protocol BitmapImage: DiskImage {
  /// Whether the image's version can hold bitmaps.
  var supportsBitmaps: Bool { get }
  /// The recorded bitmaps, in the order of the directory.
  var bitmaps: [BitmapDescription] { get }
  /// The bits of a bitmap: bit k (least significant first) stands for bytes k·granularity ….
  func readBitmap(_ index: Int) throws(ImageError) -> [UInt8]
}

/// One persistent dirty bitmap.
public struct BitmapDescription: Sendable {
  /// Name.
  public var name: String
  /// Guest bytes that a bit stands for.
  public var granularity: UInt64
  /// Whether it was not closed properly, and is not to be trusted.
  public var isInconsistent: Bool
  /// Whether it records writes.
  public var isEnabled: Bool

  /// A bitmap's record.
  public init(name: String, granularity: UInt64, isInconsistent: Bool, isEnabled: Bool) {
    self.name = name
    self.granularity = granularity
    self.isInconsistent = isInconsistent
    self.isEnabled = isEnabled
  }
}

/// An image into which persistent bitmaps can be put.
public protocol WritableBitmapImage: BitmapImage, WritableDiskImage {
  /// Adds a persistent bitmap with the contents `bits` (as ``BitmapImage/readBitmap(_:)`` gives them); stored by close().
  func addBitmap(_ description: BitmapDescription, bits: [UInt8]) throws(ImageError)
}

/// An image whose persistent bitmaps can be edited. Changes are kept in memory; close() stores all of them at one instant.
public protocol EditableBitmapImage: WritableBitmapImage {
  /// Changes the bitmap with this name.
  ///
  /// - Throws: the reference's text, without what it is about (`Operation add on bitmap b failed: `).
  func editBitmap(_ name: String, _ change: BitmapChange) throws(ImageError)
}

/// A change of a persistent bitmap.
public enum BitmapChange: Sendable {
  /// Makes one that records writes; `granularity`: guest bytes that a bit stands for, a power of two of at least 512, nil for
  /// what suits the image.
  case add(granularity: UInt64?)
  /// Deletes it.
  case remove
  /// Sets all its bits to 0.
  case clear
  /// Lets it record writes.
  case enable
  /// Stops it from recording writes.
  case disable
  /// Sets the bits for all that another bitmap has bits for.
  case merge(BitmapContents)
}

/// The bits of a bitmap.
public struct BitmapContents: Sendable {
  /// Guest bytes that a bit stands for.
  public var granularity: UInt64
  /// Size of the disk in bytes.
  public var diskSize: UInt64
  /// The bits, as ``BitmapImage/readBitmap(_:)`` gives them.
  public var bits: [UInt8]

  /// The bits `bits` of a disk of `diskSize` bytes.
  public init(granularity: UInt64, diskSize: UInt64, bits: [UInt8]) {
    self.granularity = granularity
    self.diskSize = diskSize
    self.bits = bits
  }
}
