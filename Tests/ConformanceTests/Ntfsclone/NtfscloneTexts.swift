import Foundation

/// What ours says of `v.img` where it does not say what the reference says, put together from the parts that the runs
/// have in common.
enum NtfscloneTexts {
  static let banner = "ntfsclone v2022.10.3 (libntfs-3g)\n"

  static let sizes = """
    NTFS volume version: 3.1
    Cluster size       : 4096 bytes
    Current volume size: 12578816 bytes (13 MB)

    """
  /// The source has been opened.
  static let opened = sizes + "Current device size: 12582912 bytes (13 MB)\n"
  /// It has been gone through.
  static let scanned = opened + "Scanning volume ...\nAccounting clusters ...\n"
  static let used = "Space in use       : 3 MB (20.4%)   \n"
  static let saved = scanned + used + "Saving NTFS to image ...\nSyncing ...\n"
  static let cloned = scanned + used + "Cloning NTFS ...\nSyncing ...\n"

  /// `-m`, up to the statistics.
  static let copiesMetadata = scanned + used + "Syncing ...\n" + sizes + "Scanning volume ...\n"
  /// `-m -s`, up to the statistics.
  static let savesMetadata = scanned + "Space in use       : 1 MB (4.3%)   \nScanning volume ...\n"

  /// `-m`, complete.
  static func metadata(timestamps: Int = 1576) -> String {
    copiesMetadata + statistics(timestamps: timestamps) + "Syncing ...\n"
  }

  /// `-m -s`, complete.
  static func metadataImage(timestamps: Int = 3408) -> String { savesMetadata + statistics(timestamps: timestamps) }

  /// How many bytes of deleted records are not zero depends on the time when the volume was made.
  static let deletedMask = Mask("Wiped (deleted MFT data|totally) .*", "Wiped $1")

  /// What was wiped, in bytes.
  static func statistics(
    records: Int = 27, used: Int = 19, unused: Int = 0, deleted: Int = 312, resident: Int = 0, timestamps: Int
  ) -> String {
    [
      ("Num of MFT records       =", records), ("Num of used MFT records  =", used),
      ("Wiped unused MFT data    =", unused), ("Wiped deleted MFT data   =", deleted),
      ("Wiped resident user data =", resident), ("Wiped timestamp data     =", timestamps),
      ("Wiped totally            =", unused + deleted + resident + timestamps),
    ].map { label, number in label + String(format: "%11d", number) + "\n" }.joined()
  }

  /// Differences from $Bitmap, forgiven: `count` clusters from `first` on that it has and no file, or the other way round.
  static func mismatches(from first: Int, _ count: Int, _ kind: String = "extra") -> String {
    (first..<first + min(count, 10)).map {
      "Cluster accounting failed at \($0) (0x\(String($0, radix: 16))): \(kind) cluster in $Bitmap\n"
    }.joined() + "Totally \(count) cluster accounting mismatches.\n"
      + "WARNING: The NTFS inconsistency was overruled by the --ignore-fs-check option.\n"
  }

  /// A clone or an image of a volume with such differences; `share` of it is in use without them.
  static func overruled(_ mismatches: String, _ share: String, _ work: String = "Cloning NTFS ...\n") -> String {
    scanned + mismatches + "Space in use       : 3 MB (\(share)%)   \n" + work + "Accounting clusters ...\n"
      + mismatches
      + "Syncing ...\n"
  }

  /// `special.img` is being restored, without progress.
  static let restoring = """
    Ntfsclone image version: 10.1
    Cluster size           : 4096 bytes
    Image volume size      : 12578816 bytes (13 MB)
    Image device size      : 12582912 bytes
    Space in use           : 3 MB (20.4%)   
    Offset to image data   : 56 (0x38) bytes
    Restoring NTFS from image ...

    """

  static let faultyDisk = """
    *************************************************************************
    * WARNING: The disk has one or more bad sectors. This means that damage *
    * has occurred on the disk surface, possibly caused by deterioration of *
    * the physical media, manufacturing faults or other reasons. The        *
    * reliability of the disk may stay stable or degrade fast.              *
    * Use the --rescue option to efficiently save as much data as possible! *
    *************************************************************************
    ERROR: Disk is faulty, can't make full backup!

    """

  /// A record of which not all was written; `found` is in its first or second block.
  static func torn(blocks: Int = 2, found: Int = 22616, number: Int = 2) -> String {
    "Incomplete multi-sector transfer: magic: 0x454c4946  size: 1024  usa_ofs: 48  usa_count: \(blocks)  data: \(found)"
      + "  usn: \(number): Input/output error\n"
  }

  /// Restores both metadata images, where they are ones, and prints the numbers of the records in which they differ.
  static func differingRecords(_ copy: String, _ other: String, isImage: Bool) -> String {
    let restored =
      isImage ? "for i in \(copy) \(other); do ntfsclone -q -r -o $i.raw $i; done >/dev/null 2>&1; " : ""
    let suffix = isImage ? ".raw" : ""
    return restored + "cmp -l \(copy)\(suffix) \(other)\(suffix) | awk '{ print int(($1 - 16385) / 1024) }' | sort -un"
  }
}
