import Bytes

/// A format that can tell how large an image will be (`measure`).
package protocol MeasurableFormat: ImageFormat {
  /// The size of an image of `size` bytes (a multiple of 512), or of one that `source` is converted to.
  ///
  /// - Throws: the reference's text (qemu-img-cli-1 §13).
  static func measure(_ options: OptionValues, size: UInt64, source: (any DiskImage)?) throws(ImageError)
    -> ImageMeasure
}

/// How large an image will be, in bytes.
package struct ImageMeasure: Sendable, Equatable {
  /// What is needed for the data that there is.
  package var required: UInt64
  /// What is needed once every byte has been written.
  package var fullyAllocated: UInt64
  /// What persistent bitmaps need beside that; nil where they cannot be copied.
  package var bitmaps: UInt64?

  package init(required: UInt64, fullyAllocated: UInt64, bitmaps: UInt64? = nil) {
    self.required = required
    self.fullyAllocated = fullyAllocated
    self.bitmaps = bitmaps
  }
}
