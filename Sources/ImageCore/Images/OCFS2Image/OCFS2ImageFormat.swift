import Bytes
import Images
import Storage

/// The packed images of `o2image`: the metadata of an OCFS2 volume, for reading.
public enum OCFS2ImageFormat: ImageFormat {
  public static let name = "o2image"

  public static func probe(_ head: RawSpan, filename: String) -> Int { PackedHeader.isPresent(head) ? 100 : 0 }

  public static func open(_ storage: any Storage, _ context: OpenContext) throws(ImageError) -> any DiskImage {
    try context.refuseWriting(name)
    return try PackedImage(storage, filename: context.filename)
  }
}
