import Bytes
import Storage

// The header as it is written: always the whole first cluster, so that header, extensions and names change together
// (qcow2-qcow-qed §1, §3).

extension Qcow2Header {
  /// The first cluster of the file.
  ///
  /// Where the backing file's name lies follows from the extensions; ``backingFileOffset`` and ``backingFileSize`` are not
  /// looked at.
  ///
  /// - Throws: ENOSPC if the extensions and the name do not fit, EINVAL if the backing file's name is too long.
  package func firstCluster() throws(ImageError) -> [UInt8] {
    let noSpace = ImageError.system(28 /* ENOSPC */)
    var trailer = extensionBytes()
    let length = version >= 3 ? Int(Qcow2Header.lengthOfVersion3) + unknownFields.count : 72
    let name = backingFile?.rawBytes ?? []
    guard name.count <= Int(Qcow2Header.backingNameLimit) else { throw ImageError.system(22 /* EINVAL */) }
    let nameOffset = length + trailer.count
    trailer += name
    guard length + trailer.count <= Int(clusterSize) else { throw noSpace }

    var cluster = Buffer(Int(clusterSize))
    var bytes = cluster.mutableBytes
    bytes.storeBigEndian(Qcow2Header.magic, at: 0)
    bytes.storeBigEndian(version, at: 4)
    if backingFile != nil {
      bytes.storeBigEndian(UInt64(nameOffset), at: 8)
      bytes.storeBigEndian(UInt32(name.count), at: 16)
    }
    bytes.storeBigEndian(clusterBits, at: 20)
    bytes.storeBigEndian(size, at: 24)
    bytes.storeBigEndian(encryption.rawValue, at: 32)
    bytes.storeBigEndian(l1Size, at: 36)
    bytes.storeBigEndian(l1TableOffset, at: 40)
    bytes.storeBigEndian(refcountTableOffset, at: 48)
    bytes.storeBigEndian(refcountTableClusters, at: 56)
    bytes.storeBigEndian(snapshotCount, at: 60)
    bytes.storeBigEndian(snapshotsOffset, at: 64)
    if version >= 3 {
      bytes.storeBigEndian(incompatibleFeatures.rawValue, at: 72)
      bytes.storeBigEndian(compatibleFeatures.rawValue, at: 80)
      bytes.storeBigEndian(autoclearFeatures.rawValue, at: 88)
      bytes.storeBigEndian(refcountOrder, at: 96)
      bytes.storeBigEndian(UInt32(length), at: 100)
      bytes.storeBigEndian(compressionType.rawValue, at: 104)
      bytes.copy(unknownFields.rawBytes, at: Int(Qcow2Header.lengthOfVersion3))
    }
    bytes.copy(trailer.rawBytes, at: length)
    return cluster.bytes.array(0..<cluster.count)
  }

  /// The extensions in the order in which they are written, with the end marker (§3).
  private func extensionBytes() -> [UInt8] {
    var bytes: [UInt8] = []
    func append(_ magic: UInt32, _ data: [UInt8]) {
      bytes += magic.bigEndianBytes + UInt32(data.count).bigEndianBytes + data
      bytes += Array(repeating: 0, count: (8 - data.count % 8) % 8)
    }
    if let format = extensions.backingFormat, !format.isEmpty {
      append(HeaderExtensions.Magic.backingFormat, format.rawBytes)
    }
    if hasDataFile, let name = extensions.dataFile { append(HeaderExtensions.Magic.dataFile, name.rawBytes) }
    if let header = extensions.encryptionHeader {
      append(HeaderExtensions.Magic.encryptionHeader, header.offset.bigEndianBytes + header.length.bigEndianBytes)
    }
    if version >= 3 && clusterSize > 4096 {
      append(HeaderExtensions.Magic.featureNames, FeatureName.written.flatMap(\.bytes))
    }
    if let bitmaps = extensions.bitmaps {
      append(
        HeaderExtensions.Magic.bitmaps,
        bitmaps.count.bigEndianBytes + UInt32(0).bigEndianBytes + bitmaps.directorySize.bigEndianBytes
          + bitmaps.directoryOffset.bigEndianBytes)
    }
    for other in extensions.unknown { append(other.magic, other.data) }
    append(HeaderExtensions.Magic.end, [])
    return bytes
  }
}

extension FeatureName {
  /// The 48 bytes of the entry.
  fileprivate var bytes: [UInt8] {
    let text = Array(name.rawBytes.prefix(FeatureName.size - 2))
    return [kind, bit] + text + Array(repeating: 0, count: FeatureName.size - 2 - text.count)
  }
}

extension FixedWidthInteger {
  /// The value's bytes, most significant first.
  var bigEndianBytes: [UInt8] {
    (0..<Self.bitWidth / 8).map { UInt8(truncatingIfNeeded: self >> Self(Self.bitWidth - 8 - 8 * $0)) }
  }
}
