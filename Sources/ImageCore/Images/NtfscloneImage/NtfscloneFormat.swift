import Bytes
import Images
import Storage

/// ntfsclone's special image as a format: the disk is the volume as it would be restored.
public enum NtfscloneFormat: ImageFormat {
  public static let name = "ntfsclone"

  public static func probe(_ head: RawSpan, filename: String) -> Int {
    head.byteCount >= 16 && head.array(0..<16) == NtfscloneHeader.magic ? 100 : 0
  }

  public static func open(_ storage: any Storage, _ context: OpenContext) throws(ImageError) -> any DiskImage {
    try context.refuseWriting(name)
    var offset: UInt64 = 0
    do throws(ImageError) {
      let header = try NtfscloneHeader { (count) throws(ImageError) in
        let available = storage.length > offset ? storage.length - offset : 0
        let bytes = try storage.readArray(at: offset, count: Int(min(UInt64(count), available)))
        offset += UInt64(bytes.count)
        return bytes
      }
      return NtfscloneImage(storage, header, filename: context.filename)
    } catch {
      throw error.errno == 0 ? ImageError(error.message) : error
    }
  }
}
