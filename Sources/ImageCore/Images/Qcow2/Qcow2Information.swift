import Bytes
import Images

extension Qcow2Image {
  public func information() throws(ImageError) -> ImageInformation {
    let header = self.header
    var information = ImageInformation()
    information.isDirty = header.incompatibleFeatures.contains(.dirty)
    information.isEncrypted = header.encryption != .none
    information.snapshots = snapshots
    information.formatSpecificType = format
    return information
  }
}
