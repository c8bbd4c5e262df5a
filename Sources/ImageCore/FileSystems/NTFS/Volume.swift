import Bytes
import Storage

/// An NTFS volume, opened read-only: its geometry, $MFT, $Bitmap and $Volume.
package final class Volume: Sendable {
  package let storage: any Storage
  package let boot: BootSector
  /// $MFT's contents.
  package let table: RunReader
  /// Number of records that have ever been written.
  package let recordCount: UInt64
  /// $Bitmap's contents and its size in bytes.
  package let bitmap: RunReader
  package let bitmapSize: UInt64
  /// NTFS version and flags of $Volume.
  package let majorVersion: UInt8
  package let minorVersion: UInt8
  package let flags: UInt16
  /// Copies in $MFTMirr of records that are damaged in $MFT, as they are stored.
  private let substitutes: [UInt64: [UInt8]]

  /// The volume was not closed, or a check is due.
  package var isDirty: Bool { flags & 1 != 0 }
  package var isSupportedVersion: Bool {
    switch majorVersion {
    case 1: minorVersion == 1 || minorVersion == 2
    case 2: true
    case 3: minorVersion == 0 || minorVersion == 1
    default: false
    }
  }

  /// Opens the volume with the checks of spec §11.
  ///
  /// - Parameters:
  ///   - isTolerant: the backup boot sector and the records in $MFTMirr may stand in for what is damaged, and system files
  ///     that the geometry does not depend on may be damaged (spec §19.23).
  ///   - log: takes the library's line about each thing that is wrong.
  /// - Throws: `EINVAL` where this is no NTFS, `EIO` where it is damaged.
  package init(_ storage: any Storage, isTolerant: Bool = false, log: (String) -> Void) throws(ImageError) {
    self.storage = storage
    do throws(ImageError) {
      boot = try Volume.bootSector(storage, log: log)
    } catch {
      guard isTolerant, let backup = Volume.backupBootSector(storage) else { throw error }
      log("WARNING: The boot sector is damaged, its backup is used.")
      boot = backup
    }
    let opening = VolumeOpening(storage, boot, isTolerant: isTolerant)
    let (runs, initialized) = try opening.table(log: log)
    table = RunReader(storage, clusterSize: boot.clusterSize, runs: runs)
    recordCount = min(
      initialized / UInt64(boot.recordSize), table.clusterCount * UInt64(boot.clusterSize) / UInt64(boot.recordSize))
    substitutes = try opening.checkMirror(table, recordCount, log: log)
    let facts = try opening.systemFiles(
      RecordReader(table, recordSize: boot.recordSize, count: recordCount, substitutes: substitutes), log: log)
    bitmap = facts.bitmap
    bitmapSize = facts.bitmapSize
    majorVersion = facts.majorVersion
    minorVersion = facts.minorVersion
    flags = facts.flags
  }

  private static func bootSector(_ storage: any Storage, log: (String) -> Void) throws(ImageError) -> BootSector {
    let bytes = try head(storage, log: log)
    return try BootSector(bytes.rawBytes, log: log)
  }

  /// The bytes that the boot sector takes.
  private static func head(_ storage: any Storage, log: (String) -> Void) throws(ImageError) -> [UInt8] {
    guard storage.length > 0 else {
      log("Failed to read bootsector (size=0)")
      throw .system(22)
    }
    do throws(ImageError) {
      guard storage.length >= UInt64(BootSector.size) else { throw ImageError.system(22) }
      return try storage.readArray(at: 0, count: BootSector.size)
    } catch {
      log("Error reading bootsector: \(errorText(error.errno))")
      throw error
    }
  }

  /// The backup of the boot sector in the device's last sector, if it is one of a volume that ends there.
  private static func backupBootSector(_ storage: any Storage) -> BootSector? {
    for size in [512, 1024, 2048, 4096] as [UInt64] where storage.length > size {
      let place = (storage.length - 1) / size * size
      guard let bytes = try? storage.readArray(at: place, count: BootSector.size),
        let boot = try? BootSector(bytes.rawBytes, log: { _ in }),
        boot.sectorSize == Int(size), boot.sectorCount * size == place
      else { continue }
      return boot
    }
    return nil
  }

  /// A reader of the volume's records, for one thread.
  package func recordReader() -> RecordReader {
    RecordReader(table, recordSize: boot.recordSize, count: recordCount, substitutes: substitutes)
  }

  /// Whether all runs lie within the volume.
  package func holds(_ runs: [Run]) -> Bool { runs.allSatisfy { holds($0) } }

  /// Whether the run lies within the volume, or is a hole.
  package func holds(_ run: Run) -> Bool {
    guard let lcn = run.lcn else { return true }
    return lcn <= boot.clusterCount && run.count <= boot.clusterCount - lcn
  }
}
