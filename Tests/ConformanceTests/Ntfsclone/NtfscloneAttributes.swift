/// Single fields of attributes and index blocks that are wrong: what still counts, and what is said about it (spec §11,
/// §13.1, §20.1). In `v.img` records 8, 24 and 25 are at bytes 24576, 40960 and 41984; their attributes 0x10, 0x30 and
/// 0x80 or 0x90 at 56, 152 (of record 8: 152, 264, 288) and 256.
let ntfscloneAttributeCases: [Case] =
  userCases + systemCases + openingCases + indexCases + extensionCases + [
    // What lies behind a wrong length is nothing that can be told.
    Case(
      "-q -s -o s v.img", name: "an attribute that is too short (N-30)", fixture: NtfsVolumes.fixture,
      setup: [Step(line: "patch v.img 41116 u8 0x60")],
      deviation: Deviation(
        "N-30", stdout: NtfscloneTexts.saved,
        stderr: "ntfsclone v2022.10.3 (libntfs-3g)\nntfs_attr_find: Corrupt inode (24): Input/output error\n",
        status: 0,
        files: .unchecked)),
    // The root directory's index is not needed to find $Secure.
    Case(
      "-q -s -o s v.img", name: "index of the root directory (N-29)", fixture: NtfsVolumes.fixture,
      setup: [Step(line: "patch v.img 1593344 text X")],
      deviation: Deviation(
        "N-29", stdout: NtfscloneTexts.saved, stderr: "ntfsclone v2022.10.3 (libntfs-3g)\n", status: 0,
        files: .unchecked)),
  ]

private let userCases: [Case] = userPatches.flatMap { patch -> [Case] in
  // What is no file is wiped all the same, and what is behind an attribute that is none.
  let wiped = ["-q -m -o m v.img", "-q -ms -o n v.img"].map { command -> Case in
    var test = changed(patch, command)
    test.deviation = Deviation("N-13", files: .unchecked)
    return test
  }
  return [changed(patch, "-q -s -o s v.img")] + wiped
}

private let systemCases: [Case] = systemPatches.flatMap { patch -> [Case] in
  [changed(patch, "-s -o s v.img"), changed(patch, "-q -m -o m v.img")]
}

/// What is looked at when the volume is opened; records 0 to 3 are changed in $MFTMirr, at byte 6287360, as well.
private let openingCases: [Case] = openingPatches.map { patch in
  let places = patch.split(separator: " ").first.flatMap { Int($0) } ?? 0
  let value = patch.split(separator: " ").dropFirst().joined(separator: " ")
  var steps = ["patch v.img \(patch)"]
  if places < 16384 + 4 * 1024 { steps.append("patch v.img \(places - 16384 + 6_287_360) \(value)") }
  return Case(
    "-q -s -o s v.img", name: "opened: \(patch)", fixture: NtfsVolumes.fixture, setup: steps.map { Step(line: $0) })
}

private let openingPatches: [String] =
  // A file name's value begins elsewhere: its length is nothing, or lies outside.
  [0, 1, 4, 8, 16, 23, 24, 25, 26, 102, 104].map { "26796 l16 \($0)" }
  // $STANDARD_INFORMATION has a name, or its type is too small; records that are not in use.
  + ["19521 u8 8", "22593 u8 8", "22584 u8 0x0f", "26680 u8 0x0f", "22550 u8 0", "26646 u8 0", "19478 u8 0"]
  // The data's type, flags, unit of compression and sizes, in $MFT, $MFTMirr, $AttrDef, $Bitmap and $UpCase.
  + [16640, 17672, 20848, 22784, 26880].flatMap { (data: Int) -> [String] in
    ["u8 0x81"].map { "\(data) \($0)" }
      + [1, 2, 4, 0x8000, 0x4000, 0x8001, 0xFFC0, 0xFF00, 0x100].map { "\(data + 12) l16 \($0)" }
      + [1, 4, 0xF8].map { "\(data + 34) u8 \($0)" } + ["\(data + 64) u8 0x41", "\(data + 9) u8 1"]
  }
  + [22832, 22840].flatMap { place in
    ["0", "1", "383", "-1", "0x1000", "0x100000"].map { "\(place) l64 \($0)" }
  }
  // $MFT's bitmap and the volume's information have names; $MFTMirr has been written in part; $BadClus is not in use.
  + ["16721 u8 2", "19865 u8 2", "17728 l16 4032", "24598 u8 0xfe"]
  // In the root directory: what must be resident is not, and the other way round. $BadClus begins before its beginning.
  + [0x30, 0x40, 0x60, 0x70, 0x80, 0x90].map { "21728 u8 \($0)" } + ["24880 l64 -1", "64 u8 0xf8", "16664 l64 16"]
  // $Bitmap's run list; the file's own flags.
  + ["22808 l64 -64", "22808 l64 7", "22848 u8 0x20", "22848 u8 0", "22640 l32 0x4006", "22640 l32 0x206"]
  // The boot sector: clusters and records of odd sizes; more clusters than $Bitmap has bits.
  + ["0x0b l16 510", "0x0b l16 300", "0x28 l64 24600", "0x28 l64 24576"]

/// Blocks that cannot be unprotected: we wipe them as they stand, and count what was wiped.
private let indexCases: [Case] = indexPatches.flatMap { patch -> [Case] in
  ["-q -ms -o n", "-q -m -o m"].map { command -> Case in
    let script =
      "cp --sparse=always full-s512-c4k.img w.img; b=$(grep -abo INDX w.img | cut -d: -f1 | "
      + "awk '$1 % 4096 == 0' | sed -n 4p); printf '\(patch.bytes)' | dd of=w.img bs=1 seek=$((b + \(patch.offset))) "
      + "conv=notrunc status=none; ntfsclone \(command) w.img; rm w.img"
    return Case(
      "sh " + script, name: "index block, \(patch.name): \(command)", fixture: NtfsVolumes.fixture,
      masks: [Mask("Wiped (timestamp data|totally) +=.*", "Wiped $1 = …")],
      deviation: Deviation("N-13", files: .unchecked))
  }
}

/// Extension records, found through an attribute list: which still count.
private let extensionCases: [Case] = extensionPatches.map { patch -> Case in
  let script =
    extensionRecord + "printf '\(patch.bytes)' | dd of=w.img bs=1 seek=$((r + \(patch.offset))) conv=notrunc "
    + "status=none; ntfsclone -q -s -o s w.img || echo $?; rm w.img"
  return Case("sh " + script, name: "extension record: \(patch.name)", fixture: NtfsVolumes.fixture)
}

private let indexPatches: [(name: String, offset: Int, bytes: String)] = [
  ("count of fix-ups", 6, "\\0\\0"), ("place of fix-ups", 4, "\\377\\7"), ("torn", 510, "XX"),
]

private func changed(_ patch: String, _ command: String) -> Case {
  Case(
    command, name: "patch \(patch): \(command)", fixture: NtfsVolumes.fixture,
    setup: [Step(line: "patch v.img \(patch)")])
}

private let userPatches: [String] = [
  // STANDARD_INFORMATION: length of the value, its place, the name, residency, type, length.
  "41032 l32 0", "41032 l32 47", "41032 l32 0x400", "41032 l32 0xffffffff", "41036 l16 0x20", "41025 u8 255",
  "41024 u8 1", "41016 u8 0x11", "41020 l32 0", "41020 l32 0x7fffff00",
  // FILE_NAME: the same.
  "41128 l32 0x400", "41128 l32 0", "41128 l32 30", "41121 u8 64", "41119 u8 0x51", "41113 u8 1",
  // Index roots, of two records.
  "41232 l32 0", "41232 l32 0x10000", "41225 u8 40", "41216 u8 0x10", "42256 l32 0", "42256 l32 0xfff0",
]

private let systemPatches: [String] = [
  // $BadClus: types, the name and the residency of its list.
  "24729 u8 0xff", "24840 u8 0x81", "24864 u8 0x81", "24873 u8 3", "24872 u8 0", "24632 u8 0x11",
  // The root directory: types that do not ascend, residency, values and names of files.
  "21560 u8 0x11", "21560 u8 0", "21632 u8 0", "21633 u8 1", "21736 u8 2", "21648 l32 60", "21728 u8 0x30",
  // $Bitmap and $UpCase: virtual clusters, places of values.
  "22528 u8 0", "26624 u8 0", "26872 u8 2",
]

/// Copies the volume with attribute lists, and finds a record that extends another.
private let extensionRecord =
  "cp --sparse=always full-s512-c4k.img w.img; r=$(for i in $(seq 40 200); do p=$((16384 + i * 1024)); "
  + "[ \"$(od -An -tx1 -j $((p + 32)) -N 6 w.img | tr -d ' 0')\" = '' ] || { echo $p; break; }; done); "

private let extensionPatches: [(name: String, offset: Int, bytes: String)] = [
  ("no magic", 0, "X"),
  ("not in use", 22, "\\0"),
  ("allocated size", 28, "\\1"),
  ("alignment of the attributes", 20, "\\125"),
  ("another base", 32, "\\1"),
  ("another sequence number", 16, "\\143"),
  ("torn", 510, "XX"),
  ("without fix-ups", 6, "\\0"),
]
