import Bytes

/// The volume's geometry, from its first sector (spec §1). All sizes in bytes.
package struct BootSector: Sendable {
  /// Size of the structure on disk, whatever the sector size.
  package static let size = 512

  package let sectorSize: Int
  package let clusterSize: Int
  /// Sectors of the volume, without the backup of this sector, which follows them.
  package let sectorCount: UInt64
  /// Whole clusters of the volume.
  package let clusterCount: UInt64
  /// First cluster of $MFT and of $MFTMirr.
  package let tableCluster: UInt64
  package let mirrorCluster: UInt64
  /// Size of a record of $MFT.
  package let recordSize: Int
  /// Size of an index block where the index itself does not say.
  package let indexBlockSize: Int

  /// The volume's size in bytes.
  package var volumeSize: UInt64 { clusterCount * UInt64(clusterSize) }
  /// Number of records that $MFTMirr repeats.
  package var mirroredRecords: Int { clusterSize <= 4 * recordSize ? 4 : clusterSize / recordSize }

  /// Reads and checks the fields.
  ///
  /// - Parameter log: takes the library's line about what is wrong.
  /// - Throws: `EINVAL`.
  package init(_ bytes: RawSpan, log: (String) -> Void) throws(ImageError) {
    func reject(_ line: String) -> ImageError {
      log(line)
      return .system(22)
    }
    guard bytes.byteCount >= BootSector.size else { throw .system(22) }
    guard bytes.array(3..<11) == Array("NTFS    ".utf8) else { throw reject("NTFS signature is missing.") }
    let sectorSize = Int(bytes.littleEndian(at: 0x0B, as: UInt16.self))
    guard (256...4096).contains(sectorSize) else { throw reject("Unexpected bytes per sector value (\(sectorSize)).") }
    let code = Int(bytes[0x0D])
    let sectorsShift: Int
    switch code {
    case 1, 2, 4, 8, 16, 32, 64, 128: sectorsShift = code.trailingZeroBitCount
    case 240...253: sectorsShift = 256 - code
    case 129...: throw reject("Unexpected sectors per cluster value (code 0x\(String(code, radix: 16)))")
    default: throw reject("Unexpected sectors per cluster value (\(code)).")
    }
    let clusterSize = sectorSize << sectorsShift
    guard clusterSize <= 1 << 21 else { throw reject("Unexpected cluster size (\(clusterSize)).") }
    let reserved = [
      UInt32(bytes.littleEndian(at: 0x0E, as: UInt16.self)), UInt32(bytes.littleEndian(at: 0x11, as: UInt16.self)),
      UInt32(bytes.littleEndian(at: 0x13, as: UInt16.self)), UInt32(bytes.littleEndian(at: 0x16, as: UInt16.self)),
      bytes.littleEndian(at: 0x20, as: UInt32.self), UInt32(bytes[0x10]),
    ]
    guard reserved.allSatisfy({ $0 == 0 }) else {
      // The reference prints them as signed numbers.
      let list = reserved.map { String(Int32(bitPattern: $0)) }.joined(separator: ", ")
      throw reject("Reserved fields aren't zero (\(list)).")
    }
    let recordCode = Int8(bitPattern: bytes[0x40])
    guard let recordSize = BootSector.size(recordCode, clusterSize), recordCode > 0 || recordSize >= 512 else {
      throw reject("Unexpected clusters per mft record (\(recordCode)).")
    }
    guard recordSize <= 1 << 16 else {
      // Larger than any record can be.
      log("Error reading $MFT: \(errorText(5))")
      log("Failed to load $MFT: \(errorText(5))")
      throw .system(5)
    }
    let indexCode = Int8(bitPattern: bytes[0x44])
    guard let indexBlockSize = BootSector.size(indexCode, clusterSize), (256...1 << 31).contains(indexBlockSize) else {
      throw reject("Unexpected clusters per index record (\(indexCode)).")
    }
    let table = bytes.littleEndian(at: 0x30, as: Int64.self)
    let mirror = bytes.littleEndian(at: 0x38, as: Int64.self)
    guard table > 0, mirror > 0, table != mirror else { throw reject("Invalid location of MFT or MFTMirr.") }
    let sectors = bytes.littleEndian(at: 0x28, as: Int64.self)
    guard sectors != 0 else { throw reject("Volume size is set to zero.") }
    let clusters = sectors >> sectorsShift
    guard sectors > 0, sectors < Int64.max / Int64(sectorSize) else {
      log("Failed to read last sector (\(sectors &- 1)): \(errorText(22))")
      throw reject(
        """
        HINTS: Either the volume is a RAID/LDM but it wasn't setup yet,
           or it was not setup correctly (e.g. by not using mdadm --build ...),
           or a wrong device is tried to be mounted,
           or the partition table is corrupt (partition is smaller than NTFS),
           or the NTFS boot sector is corrupt (NTFS size is not valid).
        """)
    }
    guard table <= clusters, mirror <= clusters else {
      throw reject(
        "$MFT LCN (\(table)) or $MFTMirr LCN (\(mirror)) is greater than the number of clusters (\(clusters)).")
    }
    guard clusterSize.nonzeroBitCount == 1 else {
      throw reject("cluster_size (\(clusterSize)) is not a power of 2.")
    }
    guard recordSize.nonzeroBitCount == 1 else {
      throw reject("mft_record_size (\(recordSize)) is not a power of 2.")
    }
    guard recordSize >= 512 else {
      // Smaller than the stride of the fix-ups: the reference comes upon it at the first record.
      log("Error reading $MFT: \(errorText(22))")
      log("Failed to load $MFT: \(errorText(22))")
      throw .system(22)
    }
    // Every byte offset on the volume, and one cluster more, must be a file offset.
    guard clusters < Int64.max / Int64(clusterSize) - 1 else { throw .system(22) }
    // NTFS counts clusters in 32 bits; far more would only cost memory for the bitmap.
    guard clusters < 1 << 34 else { throw .system(12) }
    self.sectorSize = sectorSize
    self.clusterSize = clusterSize
    self.indexBlockSize = indexBlockSize
    self.recordSize = recordSize
    sectorCount = UInt64(sectors)
    clusterCount = UInt64(clusters)
    tableCluster = UInt64(table)
    mirrorCluster = UInt64(mirror)
  }

  /// A record size: a number of clusters, or as a negative number the power of two in bytes.
  private static func size(_ code: Int8, _ clusterSize: Int) -> Int? {
    if code < 0 { return code >= -31 ? 1 << -Int(code) : nil }
    return [1, 2, 4, 8, 16, 32, 64].contains(code) ? Int(code) * clusterSize : nil
  }
}
