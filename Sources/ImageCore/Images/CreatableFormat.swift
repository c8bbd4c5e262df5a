import Bytes

/// A format that can make new images (`create`, and the targets of `convert` and `dd`).
package protocol CreatableFormat: ImageFormat {
  /// What `-o` takes, in declared order, with the defaults that `create` shows (qemu-img-cli-1 §4.6, §7.3).
  static var creationOptions: [OptionDefinition] { get }

  /// Makes an image, or makes an existing file one.
  ///
  /// The option `size` is set, and values have been read according to their definitions; what they mean together is
  /// checked here, before the file is touched. Options of the local file (`nocow`, `extent_size_hint`, and
  /// `preallocation` where the format has none of its own) may be set as well.
  ///
  /// - Parameters:
  ///   - name: the file, as the user typed it.
  ///   - warn: is told what could not be done as asked.
  /// - Throws: the reference's text without the file's name (qemu-img-cli-1 §7.5).
  static func create(_ name: String, _ options: OptionValues, warn: (String) -> Void) throws(ImageError)

  /// Whether images of the format can hold compressed clusters.
  static var supportsCompression: Bool { get }
  /// Whether images with these options can hold persistent bitmaps.
  static func supportsBitmaps(_ options: OptionValues) -> Bool
}

/// The options of a local file that is made for an image (qemu-img-cli-1 §4.6).
package let fileCreationOptions = [
  OptionDefinition("nocow", .boolean, "Turn off copy-on-write (valid only on btrfs)"),
  OptionDefinition("preallocation", .text, "Preallocation mode (allowed values: off, falloc, full)"),
  OptionDefinition("extent_size_hint", .size, "Extent size hint for the image file, 0 to disable"),
  OptionDefinition("size", .size, "Virtual disk size"),
]

/// The options of a device that is made an image.
package let deviceCreationOptions = [
  OptionDefinition("size", .size, "Virtual disk size"),
  OptionDefinition("preallocation", .text, "Preallocation mode (allowed values: off)"),
]

extension CreatableFormat {
  package static var supportsCompression: Bool { false }
  package static func supportsBitmaps(_ options: OptionValues) -> Bool { false }
}
