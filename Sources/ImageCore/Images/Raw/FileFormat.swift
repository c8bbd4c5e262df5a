import Bytes
import Images
import Storage

/// The protocol `file` where a format is asked for: a file's bytes as they are, like raw.
public enum FileFormat: CreatableFormat {
  public static let name = "file"

  /// Nothing is ever recognised as this: it is named or not used.
  public static func probe(_ head: RawSpan, filename: String) -> Int { 0 }

  public static func open(_ storage: any Storage, _ context: OpenContext) throws(ImageError) -> any DiskImage {
    RawImage(storage, filename: context.filename, format: name)
  }

  public static func lock(for use: ImageUse) -> ImageLock { RawFormat.lock(for: use) }

  package static var creationOptions: [OptionDefinition] { fileCreationOptions }

  package static func create(_ name: String, _ options: OptionValues, warn: (String) -> Void) throws(ImageError) {
    try RawFormat.create(name, options, warn: warn)
  }
}
