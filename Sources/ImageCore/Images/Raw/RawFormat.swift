import Bytes
import Images
import Storage

/// The raw format: whatever no other format claims.
public enum RawFormat: ImageFormat {
  public static let name = "raw"

  public static func probe(_ head: RawSpan, filename: String) -> Int { 1 }

  public static func open(_ storage: any Storage, _ context: OpenContext) throws(ImageError) -> any DiskImage {
    let (start, size) = try window(storage, context.options)
    return RawImage(
      storage, filename: context.filename, format: context.driver ?? name, start: start, size: size,
      looksRaw: context.looksRaw)
  }

  public static let runtimeOptions = [OptionDefinition("offset", .size, ""), OptionDefinition("size", .size, "")]
  public static let contentOptions = ["offset", "size"]

  /// The part of the storage that the options ask for: its start, and its size unless it goes up to the end.
  private static func window(_ storage: any Storage, _ options: OptionValues) throws(ImageError) -> (UInt64, UInt64?) {
    // A file counts up to the end of its last sector.
    let length = storage.length.roundedUp(to: 512) ?? storage.length
    let start = options.number("offset") ?? 0
    guard start <= length else {
      throw ImageError("Offset (\(start)) cannot be greater than size of the containing file (\(length))")
    }
    guard let size = options.number("size") else { return (start, nil) }
    guard size <= length - start else {
      throw ImageError(
        "The sum of offset (\(start)) and size (\(size)) has to be smaller or equal to the  actual size of the "
          + "containing file (\(length))")
    }
    guard size % 512 == 0 else { throw ImageError("Specified size is not multiple of 512") }
    return (start, size)
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
