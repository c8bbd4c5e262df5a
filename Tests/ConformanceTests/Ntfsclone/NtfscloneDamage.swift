import Foundation

/// Damaged volumes (spec §11, §20.1). `v.img` has $MFT at byte 16384, records of 1 KiB, clusters of 4 KiB, $Bitmap at
/// byte 1601536; the run lists of $LogFile at 18760, of $Secure's $SDS at 25928, of $BadClus at 24936.
let ntfscloneDamageCases: [Case] =
  bootSectorPatches.map { damaged($0, ["-q -s -o o v.img"]) }
  + (recordPatches + runListPatches).flatMap { patch in
    allForms.map { command in
      var test = damaged(patch, [command])
      if lostRecords.contains(patch), command.contains("-m") { test.deviation = Deviation("N-13", files: .unchecked) }
      return test
    }
  }
  + bitmapPatches.flatMap { patch in
    (allForms + [
      "-q -m --ignore-fs-check -o i v.img", "-q -ms --ignore-fs-check -o j v.img",
      "-q --rescue --ignore-fs-check -o k v.img",
    ]).map { command in
      var test = damaged(patch, [command])
      // The record differs from its copy in the mirror, which does not matter then.
      if patch.hasPrefix("18760"), command.contains("ignore") {
        test.masks = [NtfscloneTexts.deletedMask]
        test.deviation = Deviation(
          "N-23", stdout: overlapping(command), stderr: mirrorDiffers + lostLog(command), status: 0, files: .unchecked)
      }
      return test
    }
  }
  // Records that belong to another are no files; in a copy of the metadata we wipe them all the same.
  + [24, 25].flatMap { number in
    allForms.map { command in
      var test = damaged("\(16384 + 1024 * number + 32) u8 5", [command])
      if command.contains("-m -o") { test.deviation = Deviation("N-13", files: .unchecked) }
      return test
    }
  }
  + leftBehind
  + wantedDifferences

private let allForms = ["-q -s -o s v.img", "-q -o c v.img", "-q -m -o m v.img", "-q -ms -o n v.img"]

private func damaged(_ patch: String, _ commands: [String]) -> Case {
  Case(
    commands: commands, name: "patch \(patch): \(commands.joined(separator: " ; "))", fixture: NtfsVolumes.fixture,
    setup: patch.components(separatedBy: " & ").map { Step(line: "patch v.img \($0)") })
}

private let bootSectorPatches = [
  "3 text X", "0x0b l16 600", "0x0b l16 128", "0x0b l16 4096", "0x0d u8 3", "0x0d u8 0x82", "0x0d u8 0xf1",
  "0x0d u8 0xf3", "0x0e u8 1", "0x10 u8 1", "0x20 l32 0xffffffff", "0x28 l64 0", "0x28 l64 -1",
  "0x28 l64 0x1000000000000000", "0x30 l64 0", "0x38 l64 0", "0x30 l32 0x1000000", "0x38 l32 0x1000000", "0x30 u8 5",
  "0x38 l16 5", "0x40 u8 3", "0x40 u8 0xe0", "0x40 u8 0xff", "0x40 u8 0xf0", "0x40 u8 0xf7", "0x40 u8 0xf5",
  "0x40 u8 0xe2", "0x44 u8 3", "0x44 u8 0xe0", "0x44 u8 0xfe", "0x44 u8 0xf7", "0x44 u8 0xe2", "0x1fe l16 0",
]

private let recordPatches =
  // Record 0: magic, torn, fix-up array, sizes, alignment, the first attribute's type, length and residency.
  [
    "16384 text XXXX", "16894 text XX", "16388 u8 0xff", "16412 l16 257", "16408 l16 65528", "16404 u8 58",
    "16404 l16 65528", "16440 u8 0x11", "16444 u8 7", "16444 u8 0", "16448 u8 1",
  ]
  // The magic of each system file's record, and of some that are free or belong to users.
  + (1...26).map { "\(16384 + 1024 * $0) text X" }
  // Sizes in use, alignments.
  + [5, 6, 9, 10, 11, 14, 24].map { "\(16384 + 1024 * $0 + 24) l16 65528" }
  + [8, 11, 24].flatMap { ["\(16384 + 1024 * $0 + 20) u8 58", "\(16384 + 1024 * $0 + 20) l16 65528"] }

/// Records behind the system's own that are none any more, or whose attributes are nowhere.
private let lostRecords = Set(
  (12...26).map { "\(16384 + 1024 * $0) text X" } + ["40980 u8 58", "40980 l16 65528"])

/// A file's contents do not get into a metadata copy, whatever is wrong with its record (64, at byte 81920): magic, tear,
/// base record, type, length and place of its first attribute.
private let leftBehind: [Case] = [
  ("81920", "X"), ("82430", "XX"), ("81952", "\\5"), ("81976", "\\21"), ("81980", "\\0"), ("81940", "\\70\\1"),
].map { place, bytes in
  Case(
    "sh for f in -m -ms; do ntfsclone -q $f -o o$f w.img >/dev/null 2>&1; grep -c secret-contents o$f || :; done",
    name: "contents behind damage at \(place)", fixture: NtfsVolumes.fixture,
    setup: [
      .shell(
        "cp s512-c4k.img w.img; mkdir m; ntfs-3g w.img m; echo secret-contents >m/small; umount m; rmdir m; rm s512-c4k.img; "
          + " grep -q secret-contents w.img; "
          + "printf '\(bytes)' | dd of=w.img bs=1 seek=\(place) conv=notrunc status=none")
    ], deviation: Deviation("N-13", stdout: "0\n0\n", stderr: "", status: 0, files: .unchecked))
}

private let runListPatches = [18760, 25928].flatMap { place in
  [
    // Length nibble 0, negative length, LCN −1 and −2, one cluster too many, one too few.
    "\(place) u8 0x20", "\(place + 1) u8 0xff 0xff", "\(place + 3) u8 0xff 0xff", "\(place + 3) u8 0xfe 0xff",
    "\(place + 1) u8 1", "\(place + 1) u8 0",
    // Lowest VCN 1, highest VCN 0, allocated size 0.
    "\(place - 48) u8 1", "\(place - 40) l64 0", "\(place - 24) l64 0",
  ].filter { place == 18760 || !$0.hasPrefix("\(place + 1)") && !$0.hasPrefix("\(place + 3)") }
}

private let bitmapPatches = [
  // Cluster 5 free, 2800 in use, 16 in use from 2800 on; bits behind the volume.
  "1601536 u8 0xdf", "1601886 u8 1", "1601886 u8 0xff 0xff", "1601919 u8 0x7f", "1601920 u8 0xfe",
  // Bad clusters 2048 and 2049; $LogFile over other files.
  "24936 u8 0x21 2 0 8 2 0xfd 0x0b 0", "18760 u8 0x22 0 2 0 2",
  // $AttrDef over $MFT, and over a file behind it.
  "20914 u8 4 0", "20914 u8 0x89 1",
  // $Bitmap too short and longer than its space.
  "22832 l64 8", "22832 u8 0 0 1",
]

private let wantedDifferences: [Case] = [
  // The same, forgiven: there is nothing of the run to be copied.
  Case(
    "sh ntfsclone -q --rescue --ignore-fs-check -o o v.img && cmp o v.img", name: "run beyond the volume, clipped",
    fixture: NtfsVolumes.fixture, setup: [Step(line: "patch v.img 25930 u8 0xff 0x7f")],
    deviation: Deviation(
      "N-5",
      stdout: NtfscloneTexts.overruled(NtfscloneTexts.mismatches(from: 392, 65), "18.2")
        .replacingOccurrences(
          of: "Scanning volume ...\n",
          with: "Scanning volume ...\nERROR: Corrupt runlist in inode 9 attr 80 LCN 7fff length 41\n"),
      stderr: NtfscloneTexts.banner, status: 0, files: .unchecked)),
  // A source without the backup boot sector.
  Case(
    "sh ntfsclone -q -o o v.img | tail -n 1; stat -c %s o; cmp o v.img", name: "source without backup",
    fixture: NtfsVolumes.fixture, setup: [.shell("truncate -s 12578816 v.img")],
    deviation: Deviation(
      "N-3", stdout: "Syncing ...\n12578816\n", stderr: NtfscloneTexts.banner, status: 0, files: .unchecked)),
  // More records than $MFT has room for.
  Case(
    "sh ntfsclone -q -s -o s v.img && ntfsclone -q -r -o o s >/dev/null 2>&1 && cmp o v.img",
    name: "records beyond $MFT",
    fixture: NtfsVolumes.fixture,
    setup: [Step(line: "patch v.img 16696 l64 0x10000"), Step(line: "patch v.img 6287672 l64 0x10000")],
    deviation: Deviation(
      "N-32", stdout: NtfscloneTexts.saved, stderr: NtfscloneTexts.banner, status: 0, files: .unchecked)),
  // An index bitmap of no bytes: no block counts as used.
  Case(
    "-q -m -o m v.img", name: "index bitmap too short", fixture: NtfsVolumes.fixture,
    setup: [Step(line: "patch v.img 21984 l32 0")], masks: [NtfscloneTexts.deletedMask],
    deviation: Deviation(
      "N-33", stdout: NtfscloneTexts.metadata(timestamps: 1192), stderr: NtfscloneTexts.banner, status: 0,
      files: .unchecked)),
  // A run beyond the volume.
  Case(
    commands: ["-q -s -o s v.img", "-q -m -o m v.img"], name: "run beyond the volume", fixture: NtfsVolumes.fixture,
    setup: [Step(line: "patch v.img 25930 u8 0xff 0x7f")],
    deviation: Deviation(
      "N-5",
      stdout: NtfscloneTexts.opened
        + "Scanning volume ...\nERROR: Corrupt runlist in inode 9 attr 80 LCN 7fff length 41\n", status: 1,
      files: .unchecked)
  ).only(0),
  // A directory entry of length 0 in $Extend's index root: the reference does not end. What follows it stays as it is.
  Case(
    "sh ntfsclone -q -m -o m v.img; ntfsclone -q -m -o h s512-c4k.img >/dev/null 2>&1; "
      + NtfscloneTexts.differingRecords("m", "h", isImage: false),
    name: "index entry of length 0", fixture: NtfsVolumes.fixture, setup: [Step(line: "patch v.img 27976 l16 0")],
    masks: [NtfscloneTexts.deletedMask],
    deviation: Deviation(
      "N-7", stdout: NtfscloneTexts.metadata(timestamps: 1480) + "11\n", stderr: NtfscloneTexts.banner, status: 0,
      files: .unchecked)),
  // Clusters that only $Bitmap has in use are copied in their place.
  Case(
    "sh ntfsclone -q --rescue --ignore-fs-check -s -o s v.img; ntfsclone -q -r -o o s >/dev/null 2>&1; cmp o v.img;"
      + " stat -c %s s",
    name: "extra clusters in order", fixture: NtfsVolumes.fixture, setup: [Step(line: "patch v.img 1601886 u8 1")],
    deviation: Deviation(
      "N-10",
      stdout: NtfscloneTexts.overruled(
        NtfscloneTexts.mismatches(from: 2800, 1), "20.4", "Saving NTFS to image ...\n") + "2568920\n",
      stderr: NtfscloneTexts.banner, status: 0, files: .unchecked)),
  Case(
    "sh ntfsclone -q --rescue --ignore-fs-check -o - v.img | cmp - v.img",
    name: "extra clusters in order, in a stream", fixture: NtfsVolumes.fixture,
    setup: [Step(line: "patch v.img 1601886 u8 1")],
    deviation: Deviation(
      "N-10", stdout: "",
      stderr: NtfscloneTexts.banner + NtfscloneTexts.overruled(NtfscloneTexts.mismatches(from: 2800, 1), "20.4"),
      status: 0, files: .unchecked)),
  Case(
    "sh ntfsclone --rescue --ignore-fs-check -o o v.img | tr '\\r' '\\n' | tail -n 3; cmp o v.img",
    name: "extra clusters are not counted", fixture: NtfsVolumes.fixture,
    setup: [Step(line: "patch v.img 1601886 u8 1")]),
  // A torn record in a metadata image keeps its magic; nothing else but its tear is different.
  Case(
    "sh ntfsclone -q -ms -o n v.img; ntfsclone -q -ms -o h s512-c4k.img >/dev/null 2>&1; "
      + NtfscloneTexts.differingRecords("n", "h", isImage: true)
      + "; cmp -l n.raw h.raw | wc -l",
    name: "torn record", fixture: NtfsVolumes.fixture, setup: [Step(line: "patch v.img 41470 text XX")],
    masks: [NtfscloneTexts.deletedMask],
    deviation: Deviation(
      "N-22",
      stdout: NtfscloneTexts.savesMetadata + NtfscloneTexts.statistics(used: 18, unused: 1, timestamps: 3336)
        + "24\n3\n",
      stderr: NtfscloneTexts.banner + NtfscloneTexts.torn() + NtfscloneTexts.torn() + NtfscloneTexts.torn(), status: 0,
      files: .unchecked)),
]

/// $LogFile lies over other files, and its record is not its copy in the mirror.
private func overlapping(_ command: String) -> String {
  let missing = NtfscloneTexts.mismatches(from: 512, 1024, "missing")
  if command.contains("--rescue") { return NtfscloneTexts.overruled(missing, "20.4") }
  if command.contains("-ms") {
    return NtfscloneTexts.scanned + missing + "Space in use       : 1 MB (4.3%)   \nScanning volume ...\n"
      + "Accounting clusters ...\n" + missing + NtfscloneTexts.statistics(timestamps: 3408)
  }
  let recovery = """
    ERROR(95): Opening 'i' as NTFS failed: Operation not supported
    Trying to recover...
    The file system wasn't safely closed on Windows. Fixing.
    ... Successful

    """
  return NtfscloneTexts.metadata()
    .replacingOccurrences(of: NtfscloneTexts.scanned, with: NtfscloneTexts.scanned + missing)
    .replacingOccurrences(
      of: NtfscloneTexts.used + "Syncing ...\n", with: NtfscloneTexts.used + "Syncing ...\n" + recovery)
}

private let mirrorDiffers = NtfscloneTexts.banner + "WARNING: $MFTMirr does not match $MFT (record 2).\n"

/// What a metadata clone, which has a log, says of it.
private func lostLog(_ command: String) -> String {
  let line = "Did not find any restart pages in $LogFile and it was not empty.\n"
  return command.contains("-m ") ? line + line : ""
}

extension Case {
  /// The case with its command at `index` alone.
  fileprivate func only(_ index: Int) -> Case {
    var test = self
    test.commands = [commands[index]]
    return test
  }
}
