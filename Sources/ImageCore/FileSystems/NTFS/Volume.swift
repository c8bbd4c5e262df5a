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
  /// - Parameter log: takes the library's line about each thing that is wrong.
  /// - Throws: `EINVAL` where this is no NTFS, `EIO` where it is damaged.
  package init(_ storage: any Storage, log: (String) -> Void) throws(ImageError) {
    self.storage = storage
    let head: [UInt8]
    do throws(ImageError) {
      guard storage.length > 0 else {
        log("Failed to read bootsector (size=0)")
        throw ImageError.system(22)
      }
      guard storage.length >= UInt64(BootSector.size) else {
        log("Error reading bootsector: \(errorText(22))")
        throw ImageError.system(22)
      }
      head = try storage.readArray(at: 0, count: BootSector.size)
    } catch {
      if error.errno != 22 { log("Error reading bootsector: \(errorText(error.errno))") }
      throw error
    }
    boot = try BootSector(head.rawBytes, log: log)
    let opening = VolumeOpening(storage, boot)
    let (runs, initialized) = try opening.table(log: log)
    table = RunReader(storage, clusterSize: boot.clusterSize, runs: runs)
    recordCount = min(
      initialized / UInt64(boot.recordSize), table.clusterCount * UInt64(boot.clusterSize) / UInt64(boot.recordSize))
    try opening.checkMirror(table, recordCount, log: log)
    let facts = try opening.systemFiles(RecordReader(table, recordSize: boot.recordSize, count: recordCount), log: log)
    bitmap = RunReader(storage, clusterSize: boot.clusterSize, runs: facts.bitmap)
    bitmapSize = facts.bitmapSize
    majorVersion = facts.majorVersion
    minorVersion = facts.minorVersion
    flags = facts.flags
  }

  /// A reader of the volume's records, for one thread.
  package func recordReader() -> RecordReader { RecordReader(table, recordSize: boot.recordSize, count: recordCount) }

  /// Whether all runs lie within the volume.
  package func holds(_ runs: [Run]) -> Bool { runs.allSatisfy { holds($0) } }

  /// Whether the run lies within the volume, or is a hole.
  package func holds(_ run: Run) -> Bool {
    guard let lcn = run.lcn else { return true }
    return lcn <= boot.clusterCount && run.count <= boot.clusterCount - lcn
  }
}
