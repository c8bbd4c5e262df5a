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

private let endingCases: [Case] = [
  // Without --rescue the first bad sector ends it; the reference forgets the newline.
  unreadable("v.img", "8386048:512", "-q -o o v.img", differs: "N-24", status: 1),
  unreadable("v.img", "8386048:512", "-q -s -o o v.img", differs: "N-24", status: 1),
  // A mirror of which the first records can be read is enough to open the volume.
  unreadable("v.img", "6288384:512", "-q -o o v.img", differs: "N-24", status: 1),
  unreadable("v.img", "6290432:512", "-q -s -o o v.img", differs: "N-24", status: 1),
  // Metadata is copied once, wiped: the lines come with the only copy.
  unreadable("v.img", "6295552:512", "-q --rescue -m -o o v.img", differs: "N-27", status: 0),
  unreadable("v.img", "6295552:512", "-q --rescue -ms -o o v.img", differs: "N-27", status: 0),
]

/// Records that cannot be read, needed for opening, without rescue.
private let recordCases: [Case] = [
  "16384:512", "17408:512", "19456:1024", "20480:512", "26624:512", "6287360:512",
].flatMap {
  (bad: String) -> [Case] in
  ["-q -o o v.img", "-q -s -o o v.img", "-q -m -o o v.img"].map { unreadable("v.img", bad, $0) }
}

/// A case in which reading `bad` (OFFSET:LENGTH,...) of a file fails.
private func unreadable(
  _ file: String, _ bad: String, _ command: String, after: String = "", differs: String? = nil, status: Int32? = nil
) -> Case {
  Case(
    "sh FAULT_READ=\(file):\(bad) LD_PRELOAD=\(FaultLibrary.path) ntfsclone \(command) \(after)",
    fixture: NtfsVolumes.fixture,
    deviation: differs.map { Deviation($0, status: status, anyText: true, files: .unchecked) })
}

/// With `--rescue` the backup boot sector and $MFTMirr stand in for what is damaged.
private let mirrorCases: [Case] =
  // Damaged or torn: boot sector, records 0 to 3.
  [
    "3 text XXXX", "16384 text XXXX", "17408 text XXXX", "18432 text XXXX", "19456 text XXXX", "16894 text XX",
    "19968 text XX",
  ].map { standIn($0, "ntfsclone -q --rescue -o o v.img && cmp o v.img") }
  + [
    standIn("3 text XXXX", "ntfsclone -q --rescue -s -o s v.img && ntfsclone -q -r -o o s && cmp o v.img"),
    standIn("17408 text XXXX", "ntfsclone -q --rescue -s -o s v.img && ntfsclone -q -r -o o s && cmp o v.img"),
    standIn("19456 text XXXX", "ntfsclone -q --rescue -m -o o v.img"),
    // $AttrDef, $UpCase, $Secure: their clusters count as extra ones then.
    standIn("20480 text XXXX", "ntfsclone -q --rescue --ignore-fs-check -o o v.img && cmp o v.img"),
    standIn("26624 text XXXX", "ntfsclone -q --rescue --ignore-fs-check -o o v.img && cmp o v.img"),
    standIn("25600 text XXXX", "ntfsclone -q --rescue --ignore-fs-check -o o v.img && cmp o v.img"),
    // A copy that is not the same.
    standIn("6291500 text XXXX", "ntfsclone -q --rescue -o o v.img && cmp o v.img"),
    unreadable("v.img", "0:512", "-q --rescue -o o v.img", differs: "N-23", status: 0),
    unreadable("v.img", "16384:1024", "-q --rescue -o o v.img", differs: "N-23", status: 0),
    // Neither the boot sector nor its backup.
    Case(
      commands: ["-q --rescue -o o v.img"], name: "boot sector and its backup", fixture: NtfsVolumes.fixture,
      setup: [Step(line: "patch v.img 3 text X"), Step(line: "patch v.img 12582403 text X")]),
  ]

private func standIn(_ patch: String, _ command: String) -> Case {
  Case(
    commands: ["sh \(command)"], name: "patch v.img \(patch): \(command)", fixture: NtfsVolumes.fixture,
    setup: [Step(line: "patch v.img \(patch)")],
    deviation: Deviation("N-23", status: 0, anyText: true, files: .unchecked))
}

/// Special images that cannot be read everywhere.
private let imageCases: [Case] = [
  Case(
    "sh FAULT_READ=special.img:100000:10 LD_PRELOAD=\(FaultLibrary.path) ntfsclone -q -r -o o special.img",
    fixture: NtfsVolumes.fixture,
    deviation: Deviation(
      "N-12", stdout: restoring + "ERROR(5): read_all: Input/output error\n", stderr: banner, status: 1,
      files: .unchecked)),
  Case(
    "sh FAULT_READ=special.img:100000:10 LD_PRELOAD=\(FaultLibrary.path) ntfsclone -q -r --rescue -o o special.img;"
      + " [ $(cmp -l o v.img | wc -l) -le 512 ]", fixture: NtfsVolumes.fixture,
    deviation: Deviation(
      "N-12", stdout: restoring + "WARNING: Can't read sector at 99840, lost data.\nSyncing ...\n", stderr: banner,
      status: 0, files: .unchecked)),
]

private let banner = "ntfsclone v2022.10.3 (libntfs-3g)\n"
private let restoring = """
  Ntfsclone image version: 10.1
  Cluster size           : 4096 bytes
  Image volume size      : 12578816 bytes (13 MB)
  Image device size      : 12582912 bytes
  Space in use           : 3 MB (20.4%)   
  Offset to image data   : 56 (0x38) bytes
  Restoring NTFS from image ...

  """

/// The library that makes system calls fail, built beside the tools.
enum FaultLibrary {
  static let path: String = {
    let products = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    return URL(fileURLWithPath: products ?? "/").deletingLastPathComponent()
      .appendingPathComponent("libFaultInjection.so").path
  }()
}
