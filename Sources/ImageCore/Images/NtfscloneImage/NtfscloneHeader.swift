import Bytes

/// The header of a special image (spec §14.1). All fields are little-endian since version 10.0.
package struct NtfscloneHeader: Sendable, Equatable {
  /// Version that the image shows; an old image shows 10.1.
  package var majorVersion: UInt8 = 10
  package var minorVersion: UInt8 = 1
  /// Size of a cluster in bytes.
  package var clusterSize: Int
  /// Size of the source device in bytes.
  package var deviceSize: UInt64
  /// Whole clusters of the volume; cluster number `clusterCount` is the backup of the boot sector, and may be short.
  package var clusterCount: UInt64
  /// Clusters in use, for display.
  package var clustersInUse: UInt64
  /// Where the body begins, as the header has it, and where it really does.
  package var recordedOffset: UInt32 = 56
  package var bodyOffset: UInt64 = 56

  package static let magic: [UInt8] = [0] + Array("ntfsclone-image".utf8)
  /// The part that every version has.
  package static let oldSize = 46
  private static let currentVersion: UInt8 = 10
  /// Header, padding included, as it is written.
  package static let writtenSize = 56

  package init(clusterSize: Int, deviceSize: UInt64, clusterCount: UInt64, clustersInUse: UInt64) {
    self.clusterSize = clusterSize
    self.deviceSize = deviceSize
    self.clusterCount = clusterCount
    self.clustersInUse = clustersInUse
  }

  /// Reads the header.
  ///
  /// - Parameter next: hands on the image's next bytes; fewer than asked only at its end.
  /// - Throws: errors with `errno` 0 for what the image has wrong, else the kernel's.
  package init(_ next: (_ count: Int) throws(ImageError) -> [UInt8]) throws(ImageError) {
    let head = try next(NtfscloneHeader.oldSize)
    guard head.count >= NtfscloneHeader.magic.count, head.starts(with: NtfscloneHeader.magic) else {
      throw ImageError("Input file is not an image! (invalid magic)", errno: 0)
    }
    guard head.count == NtfscloneHeader.oldSize else { throw NtfscloneHeader.short }
    let bytes = head.rawBytes
    let version = bytes[16]
    guard version <= NtfscloneHeader.currentVersion else {
      throw ImageError(
        "Do not know how to handle image format version \(version).\(bytes[17]).  "
          + "Please obtain a newer version of ntfsclone.", errno: 0)
    }
    let size = bytes.littleEndian(at: 18, as: UInt32.self)
    let clusters = bytes.littleEndian(at: 30, as: Int64.self)
    deviceSize = bytes.littleEndian(at: 22)
    clustersInUse = bytes.littleEndian(at: 38)
    guard size.nonzeroBitCount == 1, (256...1 << 21).contains(size) else {
      throw ImageError("Corrupt image: cluster size \(size)", errno: 0)
    }
    guard clusters >= 0, clusters < Int64.max / Int64(size) - 1 else {
      throw ImageError("Corrupt image: \(clusters) clusters of \(size) bytes", errno: 0)
    }
    clusterSize = Int(size)
    clusterCount = UInt64(clusters)
    guard deviceSize >= clusterCount * UInt64(size) else {
      throw ImageError(
        "Corrupt image: device of \(deviceSize) bytes, volume of \(clusterCount * UInt64(size))", errno: 0)
    }
    if version < NtfscloneHeader.currentVersion {
      // Before version 10 the header had the volume's version and no offset.
      bodyOffset = UInt64(NtfscloneHeader.oldSize)
      return
    }
    minorVersion = bytes[17]
    let rest = try next(4)
    guard rest.count == 4 else { throw NtfscloneHeader.short }
    recordedOffset = rest.rawBytes.littleEndian(at: 0)
    // An offset within the header, or one that is negative as a signed distance from its end, skips nothing.
    let padding = Int(max(0, Int32(bitPattern: recordedOffset &- 50)))
    guard padding <= 1 << 16 else {
      throw ImageError("Corrupt image: offset to image data \(recordedOffset)", errno: 0)
    }
    guard try next(padding).count == padding else { throw NtfscloneHeader.short }
    bodyOffset = UInt64(50 + padding)
  }

  /// The image ends too early.
  package static let short = ImageError("Short image file...", errno: 0)

  /// The header as it is written: version 10.1.
  package var encoded: [UInt8] {
    var buffer = Buffer(NtfscloneHeader.writtenSize)
    var bytes = buffer.mutableBytes
    bytes.copy(NtfscloneHeader.magic.rawBytes, at: 0)
    bytes.storeLittleEndian(majorVersion, at: 16)
    bytes.storeLittleEndian(minorVersion, at: 17)
    bytes.storeLittleEndian(UInt32(clusterSize), at: 18)
    bytes.storeLittleEndian(deviceSize, at: 22)
    bytes.storeLittleEndian(clusterCount, at: 30)
    bytes.storeLittleEndian(clustersInUse, at: 38)
    bytes.storeLittleEndian(recordedOffset, at: 46)
    return buffer.bytes.array(0..<buffer.count)
  }

  /// Bytes of a cluster that the device holds: fewer than a whole cluster where the device ends within it. Of clusters
  /// behind the volume only the first is asked for.
  package func length(of cluster: UInt64) -> Int {
    NtfscloneHeader.length(of: cluster, clusterSize: clusterSize, deviceSize: deviceSize)
  }

  /// As above, for a device that is not an image yet.
  package static func length(of cluster: UInt64, clusterSize: Int, deviceSize: UInt64) -> Int {
    let start = cluster * UInt64(clusterSize)
    return start >= deviceSize ? 0 : Int(min(UInt64(clusterSize), deviceSize - start))
  }
}
