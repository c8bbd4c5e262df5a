import BtrfsImage
import E2imageImage
import Images
import NtfscloneImage
import OCFS2Image
import Qcow2
import Raw

extension ImageOpener {
  /// An opener that knows all formats of this library.
  ///
  /// - Parameter notify: takes what the user should know although the work goes on.
  public static func standard(notify: @escaping @Sendable (Notice) -> Void) -> ImageOpener {
    ImageOpener(
      formats: [
        Qcow2Format.self, NtfscloneFormat.self, OCFS2ImageFormat.self, BtrfsImageFormat.self, E2imageFormat.self,
        RawFormat.self, FileFormat.self,
      ], notify: notify)
  }
}
