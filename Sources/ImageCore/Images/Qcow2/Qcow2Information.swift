import Bytes
import Images

extension Qcow2Image {
  public func information() throws(ImageError) -> ImageInformation {
    let (header, bitmaps) = tables.withLock { ($0.header, $0.bitmaps) }
    var information = ImageInformation()
    information.isDirty = header.incompatibleFeatures.contains(.dirty)
    information.isEncrypted = header.encryption != .none
    information.snapshots = snapshots
    information.formatSpecificType = format
    information.formatSpecific = .object(try members(header, bitmaps))
    return information
  }

  /// The format's own part (qcow2-qcow-qed §19.8, qemu-img-cli-1 §8.5).
  private func members(_ header: Qcow2Header, _ bitmaps: [BitmapRecord]) throws(ImageError) -> [DataTree.Member] {
    let compression = header.compressionType == .zstd ? "zstd" : "zlib"
    var members: [DataTree.Member] = [
      (key: "compat", value: header.version == 2 ? "0.10" : "1.1"),
      (key: "compression-type", value: .string(compression)),
      (key: "refcount-bits", value: .number(header.refcountBits)),
    ]
    if header.version >= 3 {
      members += [
        (key: "lazy-refcounts", value: .boolean(header.compatibleFeatures.contains(.lazyRefcounts))),
        (key: "corrupt", value: .boolean(header.incompatibleFeatures.contains(.corrupt))),
        (key: "extended-l2", value: .boolean(header.hasSubclusters)),
      ]
      if let dataFile = header.extensions.dataFile {
        members.append((key: "data-file", value: .string(dataFile)))
      }
      if header.hasDataFile {
        members.append((key: "data-file-raw", value: .boolean(header.hasRawDataFile)))
      }
      if !bitmaps.isEmpty { members.append((key: "bitmaps", value: .array(bitmaps.map(Self.bitmap)))) }
    }
    switch header.encryption {
    case .none: break
    case .aes: members.append((key: "encrypt", value: .object([(key: "format", value: "aes")])))
    case .luks:
      if let place = header.extensions.encryptionHeader {
        members.append((key: "encrypt", value: try LUKSHeader(storage, place).information))
      }
    }
    return members
  }

  private static func bitmap(_ record: BitmapRecord) -> InfoValue {
    var flags: [InfoValue] = []
    if record.isInUse { flags.append("in-use") }
    if record.flags & BitmapRecord.auto != 0 { flags.append("auto") }
    return .object([
      (key: "flags", value: .array(flags)), (key: "name", value: .string(record.shownName)),
      (key: "granularity", value: .number(UInt64(1) << UInt64(record.granularityBits))),
    ])
  }
}
