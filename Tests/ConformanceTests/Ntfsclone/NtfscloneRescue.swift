import Foundation

/// Sectors that cannot be read (spec §13.3, §19.16, §19.23): the library that makes reads fail is loaded into both tools.
let ntfscloneRescueCases: [Case] =
  dataCases + otherVolumes + endingCases + recordCases + mirrorCases + imageCases

/// Of v.img: the first, a middle and the last sector of a cluster, a whole cluster, across two clusters, several spots; a
/// free cluster; the boot code.
private let dataCases: [Case] = [
  "8384512:512", "8386048:512", "8388096:512", "8384512:4096", "7000000:4600", "6500000:1,6600000:1,6702080:9000",
  "9437184:1", "8704:512",
].flatMap { (bad: String) -> [Case] in
  [
    unreadable("v.img", bad, "-q --rescue -o o v.img"), unreadable("v.img", bad, "-q --rescue -s -o o v.img"),
    unreadable("v.img", bad, "--rescue -o o v.img"),
    unreadable("v.img", bad, "-q --rescue -o - v.img", after: "| sha256sum"),
  ]
}

/// Other sizes of sectors and clusters.
private let otherVolumes: [Case] = [
  unreadable("s4k-c16k.img", "10000000:70000", "-q --rescue -o o s4k-c16k.img"),
  unreadable("s4k-c16k.img", "16400000:70000", "-q --rescue -o o s4k-c16k.img"),
  unreadable("s512-c64k.img", "33600000:70000", "-q --rescue -s -o o s512-c64k.img"),
  unreadable("full-s512-c1k.img", "5000000:70000", "-q --rescue -s -o o full-s512-c1k.img"),
  unreadable("full-s512-c512.img", "5000000:70000", "--rescue -s -o o full-s512-c512.img"),
]

private let endingCases: [Case] =
  // Without --rescue the first bad sector ends it; the reference forgets the newline. Of $MFTMirr, what is compared when the
  // volume is opened can be read here.
  [
    ("8386048:512", "-q -o o v.img", "Cloning NTFS ...\n"),
    ("8386048:512", "-q -s -o o v.img", "Saving NTFS to image ...\n"),
    ("6290432:512", "-q -o o v.img", "Cloning NTFS ...\n"),
    ("6290432:512", "-q -s -o o v.img", "Saving NTFS to image ...\n"),
  ].map { (bad: String, command: String, work: String) in
    unreadable(
      "v.img", bad, command,
      deviation: Deviation(
        "N-24", stdout: NtfscloneTexts.scanned + NtfscloneTexts.used + work + NtfscloneTexts.faultyDisk,
        stderr: NtfscloneTexts.banner, status: 1, files: .unchecked))
  } + [
    // Metadata is copied once, wiped: the lines come with the only copy.
    unreadable(
      "v.img", "6295552:512", "-q --rescue -m -o o v.img",
      deviation: Deviation(
        "N-27",
        stdout: NtfscloneTexts.copiesMetadata + logLost + NtfscloneTexts.statistics(timestamps: 1576) + "Syncing ...\n",
        stderr: NtfscloneTexts.banner, status: 0, files: .unchecked)),
    unreadable(
      "v.img", "6295552:512", "-q --rescue -ms -o o v.img",
      deviation: Deviation(
        "N-27", stdout: NtfscloneTexts.savesMetadata + logLost + NtfscloneTexts.statistics(timestamps: 3408),
        stderr: NtfscloneTexts.banner, status: 0, files: .unchecked)),
  ]

/// A cluster of $LogFile that is copied twice.
private let logLost = String(repeating: "WARNING: Can't read sector at 6295552, lost data.\n", count: 2)

/// Records that cannot be read, needed for opening, without rescue.
private let recordCases: [Case] = [
  "16384:512", "17408:512", "19456:1024", "20480:512", "26624:512", "6287360:512",
].flatMap {
  (bad: String) -> [Case] in
  ["-q -o o v.img", "-q -s -o o v.img", "-q -m -o o v.img"].map { unreadable("v.img", bad, $0) }
}

/// A case in which reading `bad` (OFFSET:LENGTH,...) of a file fails.
private func unreadable(
  _ file: String, _ bad: String, _ command: String, after: String = "", deviation: Deviation? = nil
) -> Case {
  Case(
    "sh FAULT_READ=\(file):\(bad) LD_PRELOAD=\(FaultLibrary.path) ntfsclone \(command) \(after)",
    fixture: NtfsVolumes.fixture, masks: [NtfscloneTexts.deletedMask], deviation: deviation)
}

/// With `--rescue` the backup boot sector and $MFTMirr stand in for what is damaged: the copy has everything, damage
/// included.
private let mirrorCases: [Case] =
  // Damaged or torn: boot sector, records 0 to 3.
  [
    ("3 text XXXX", "NTFS signature is missing.\nWARNING: The boot sector is damaged, its backup is used.\n"),
    ("16384 text XXXX", noMagic(0) + noMagic(0) + copyUsed(0)),
    ("17408 text XXXX", noMagic(1) + "Failed to open inode $MFTMirr: Input/output error\n" + noMagic(1) + copyUsed(1)),
    ("18432 text XXXX", noMagic(2) + copyUsed(2)), ("19456 text XXXX", noMagic(3) + copyUsed(3)),
    ("16894 text XX", NtfscloneTexts.torn() + noMagic(0, bad) + NtfscloneTexts.torn() + noMagic(0, bad) + copyUsed(0)),
    ("19966 text XX", NtfscloneTexts.torn() + noMagic(3, bad) + copyUsed(3)),
    // A copy that is not the same.
    ("6289508 text XX", "WARNING: $MFTMirr does not match $MFT (record 2).\n"),
  ].flatMap { (patch: String, lines: String) in
    [
      standIn(patch, "ntfsclone -q --rescue -o o v.img && cmp o v.img", NtfscloneTexts.cloned, lines),
      standIn(
        patch, "ntfsclone -q --rescue -s -o s v.img && ntfsclone -q -r -o o s >/dev/null 2>&1 && cmp o v.img",
        NtfscloneTexts.saved, lines),
    ]
  }
  + [
    standIn(
      "19456 text XXXX", "ntfsclone -q --rescue -m -o o v.img", NtfscloneTexts.metadata(), noMagic(3) + copyUsed(3)),
    // $AttrDef, $UpCase, $Secure: their clusters count as extra ones then.
    expendable(
      "20480 text XXXX", "20.3", (390, 1), noMagic(4) + "Failed to open $AttrDef: Input/output error\n", "$AttrDef"),
    expendable(
      "26624 text XXXX", "19.3", (457, 32), noMagic(10) + "Failed to open inode FILE_UpCase: Input/output error\n",
      "$UpCase"),
    expendable(
      "25600 text XXXX", "18.2", (392, 65), noMagic(9) + "Failed to open $Secure: Input/output error\n", "$Secure"),
    unreadable(
      "v.img", "0:512", "-q --rescue -o o v.img",
      deviation: Deviation(
        "N-23", stdout: lost([0]),
        stderr: NtfscloneTexts.banner
          + "Error reading bootsector: Input/output error\nWARNING: The boot sector is damaged, its backup is used.\n",
        status: 0, files: .unchecked)),
    unreadable(
      "v.img", "16384:1024", "-q --rescue -o o v.img",
      deviation: Deviation(
        "N-23", stdout: lost([16384, 16896]),
        stderr: NtfscloneTexts.banner
          + """
          Error reading $MFT: Input/output error
          ntfs_attr_pread_i: ntfs_pread failed: Input/output error
          Failed to read of MFT, mft=0 count=1 br=-1: Input/output error

          """ + copyUsed(0), status: 0, files: .unchecked)),
    // Neither the boot sector nor its backup.
    Case(
      commands: ["-q --rescue -o o v.img"], name: "boot sector and its backup", fixture: NtfsVolumes.fixture,
      setup: [Step(line: "patch v.img 3 text X"), Step(line: "patch v.img 12582403 text X")]),
  ]

private let bad = "0x44414142"

private func noMagic(_ record: Int, _ magic: String = "0x58585858") -> String {
  "Record \(record) has no FILE magic (\(magic))\n"
}

private func copyUsed(_ record: Int) -> String {
  "WARNING: Record \(record) of $MFT is damaged, its copy in $MFTMirr is used.\n"
}

private func lost(_ sectors: [Int]) -> String {
  NtfscloneTexts.scanned + NtfscloneTexts.used + "Cloning NTFS ...\n"
    + sectors.map { "WARNING: Can't read sector at \($0), lost data.\n" }.joined() + "Syncing ...\n"
}

private func standIn(_ patch: String, _ command: String, _ stdout: String, _ lines: String) -> Case {
  Case(
    commands: ["sh \(command)"], name: "patch v.img \(patch): \(command)", fixture: NtfsVolumes.fixture,
    setup: [Step(line: "patch v.img \(patch)")], masks: [NtfscloneTexts.deletedMask],
    deviation: Deviation(
      "N-23", stdout: stdout, stderr: NtfscloneTexts.banner + lines, status: 0, files: .unchecked))
}

/// A system file that nothing depends on is damaged: its clusters, from `extra.0` on, are copied as well.
private func expendable(_ patch: String, _ share: String, _ extra: (Int, Int), _ lines: String, _ file: String) -> Case
{
  standIn(
    patch, "ntfsclone -q --rescue --ignore-fs-check -o o v.img && cmp o v.img",
    NtfscloneTexts.overruled(NtfscloneTexts.mismatches(from: extra.0, extra.1), share),
    lines + "WARNING: \(file) is damaged.\n")
}

/// Special images that cannot be read everywhere.
private let imageCases: [Case] = [
  Case(
    "sh FAULT_READ=special.img:100000:10 LD_PRELOAD=\(FaultLibrary.path) ntfsclone -q -r -o o special.img",
    fixture: NtfsVolumes.fixture,
    deviation: Deviation(
      "N-12", stdout: NtfscloneTexts.restoring + "ERROR(5): read_all: Input/output error\n",
      stderr: NtfscloneTexts.banner, status: 1,
      files: .unchecked)),
  Case(
    "sh FAULT_READ=special.img:100000:10 LD_PRELOAD=\(FaultLibrary.path) ntfsclone -q -r --rescue -o o special.img;"
      + " [ $(cmp -l o v.img | wc -l) -le 512 ]", fixture: NtfsVolumes.fixture,
    deviation: Deviation(
      "N-12", stdout: NtfscloneTexts.restoring + "WARNING: Can't read sector at 99840, lost data.\nSyncing ...\n",
      stderr: NtfscloneTexts.banner,
      status: 0, files: .unchecked)),
]

/// The library that makes system calls fail, built beside the tools.
enum FaultLibrary {
  static let path: String = {
    let products = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    return URL(fileURLWithPath: products ?? "/").deletingLastPathComponent()
      .appendingPathComponent("libFaultInjection.so").path
  }()
}
