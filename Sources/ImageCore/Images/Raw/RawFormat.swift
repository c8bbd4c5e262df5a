import Bytes
import Images
import Storage

/// The raw format: whatever no other format claims.
public enum RawFormat: ImageFormat {
  public static let name = "raw"

  public static func probe(_ head: RawSpan, filename: String) -> Int { 1 }

  public static func open(_ storage: any Storage, _ context: OpenContext) throws(ImageError) -> any DiskImage {
    RawImage(storage, filename: context.filename)
  }

  /// Raw images tolerate writers: guests of shared raw disks look after that themselves (qemu-img-cli-2 §10.2).
  public static func lock(for use: ImageUse) -> ImageLock {
    switch use {
    case .inspect: .none
    case .read: .shared
    case .write: .writeRaw
    case .resize: .resizeRaw
    }
  }
}
