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
