import Bytes
import Images
import Storage

/// The dumps of `btrfs-image` as a format: the disk is the device that a restore would make of them.
public enum BtrfsImageFormat: ImageFormat {
  /// `btrfs-image`.
  public static let name = "btrfs-image"

  /// Sure, where a cluster begins.
  public static func probe(_ head: RawSpan, filename: String) -> Int {
    head.byteCount >= 8 && MetadumpVersion(head) != nil ? 100 : 0
  }

  /// Opens a dump for reading.
  public static func open(_ storage: any Storage, _ context: OpenContext) throws(ImageError) -> any DiskImage {
    try context.refuseWriting(name)
    return try MetadumpImage(storage, filename: context.filename) { context.warn($0.message) }
  }
}
