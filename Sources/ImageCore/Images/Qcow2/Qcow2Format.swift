import Bytes
import Images
import Storage

/// The qcow2 format, versions 2 and 3.
public enum Qcow2Format: ImageFormat {
  public static let name = "qcow2"

  public static func probe(_ head: RawSpan, filename: String) -> Int {
    // Later versions are recognised, and then refused by their number.
    head.byteCount >= 8 && head.bigEndian(at: 0, as: UInt32.self) == Qcow2Header.magic
      && head.bigEndian(at: 4, as: UInt32.self) >= 2 ? 100 : 0
  }

  public static func open(_ storage: any Storage, _ context: OpenContext) throws(ImageError) -> any DiskImage {
    try Qcow2Image(storage, context)
  }
}

extension Qcow2Image {
  /// Opens an image in the order of qcow2-qcow-qed §14, without the layer below.
  public convenience init(_ storage: any Storage, _ context: OpenContext) throws(ImageError) {
    let header = try Qcow2Header(
      storage,
      Qcow2Header.Rules(
        isWriting: context.use.isWriting, isCheck: context.isCheck, readsDiskOnly: context.readsDiskOnly,
        isInspecting: context.use == .inspect, hasDataFileOption: context.openDataFile != nil,
        options: context.options))
    var dataStorage: (any Storage)? = storage
    if let open = context.openDataFile {
      dataStorage = try open()
      guard header.hasDataFile else {
        throw ImageError("'data-file' can only be set for images with an external data file")
      }
    } else if header.hasDataFile {
      dataStorage = nil
      if context.use != .inspect, let name = header.extensions.dataFile {
        dataStorage = try context.openDependent(name)
      }
    }
    if header.encryption != .none && context.use != .inspect {
      throw ImageError("Parameter 'encrypt.key-secret' is required for cipher")
    }
    if header.encryption == .luks, let place = header.extensions.encryptionHeader {
      _ = try LUKSHeader(storage, place)
    }
    // Tables end where offsets end in the reference's block layer.
    guard header.l1TableOffset + UInt64(header.l1Size) * 8 <= UInt64(Int64.max) - (1 << 30) else {
      throw ImageError("Could not read L1 table: Input/output error", errno: 5)
    }
    // A check reads the table of snapshots itself, and reports what is wrong with it.
    let snapshots = context.isCheck || context.readsDiskOnly ? [] : try header.readSnapshots(storage)
    Qcow2Image.warnOfStaleBitmaps(header, context)
    let bitmaps = try header.readBitmaps(storage)
    self.init(
      storage, dataStorage: dataStorage, header: header, snapshots: snapshots, bitmaps: bitmaps,
      filename: context.filename, use: context.use, openDependent: context.openDependent, notify: context.notify)
    // A check looks first, and writes what it finds necessary.
    if context.use.isWriting {
      try dropUnkeptPromises()
      if !context.isCheck { try beginWriting() }
    }
  }

  private static func warnOfStaleBitmaps(_ header: Qcow2Header, _ context: OpenContext) {
    guard header.extensions.hasStaleBitmaps else { return }
    if header.version < 3 {
      context.warn(
        "This qcow2 v2 image contains bitmaps, but they may have been modified by a program without persistent bitmap "
          + "support; so now they must all be considered inconsistent")
    } else {
      context.warn(
        "a program lacking bitmap support modified this file, so all bitmaps are now considered inconsistent")
    }
    context.notify(.line("Some clusters may be leaked, run 'qemu-img check -r' on the image file to fix."))
  }
}
