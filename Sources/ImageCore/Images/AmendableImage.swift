import Bytes

/// A format whose images can be given other options (`amend`).
package protocol AmendableFormat: ImageFormat {
  /// What `amend -o` takes, in declared order (qemu-img-cli-2 §4.3).
  static var amendOptions: [OptionDefinition] { get }
}

/// An image whose options can be changed.
public protocol AmendableImage: WritableDiskImage {
  /// Gives the image other options, which have been read according to their definitions; what they mean together is checked
  /// before anything is changed.
  ///
  /// - Parameter progress: told how much of the work is done, from 0 to 1.
  /// - Throws: the reference's text. Unless something could not be written the image is as it was.
  func amend(_ options: OptionValues, progress: @Sendable (Float) -> Void) throws(ImageError)
}
