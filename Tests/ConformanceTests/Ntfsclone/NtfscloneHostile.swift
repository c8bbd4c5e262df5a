/// Indexes and attribute lists that make no sense, row by row of spec §20.1; the other rows are in `ntfscloneDamageCases`.
/// In v.img the index root of $Extend's record is at byte 27936, its first entry at 27968.
let ntfscloneHostileCases: [Case] = agreeing + differingRows + listRows + outsideValues

private let forms = ["-q -m -o m v.img", "-q -ms -o n v.img", "-q -s -o s v.img"]

private func patched(_ patch: String, _ command: String) -> Case {
  Case(
    commands: [command], name: "patch \(patch): \(command)", fixture: NtfsVolumes.fixture,
    setup: [Step(line: "patch v.img \(patch)")])
}

/// Fields that nobody looks at, or looks at in the same way: type, block size, index length, allocated size, key length.
private let agreeing: [Case] = [
  "27936 l32 0x31", "27936 l32 0", "27944 l32 0", "27944 l32 3", "27944 l32 511", "27944 l32 0x80000000",
  "27944 l32 0xffffffff", "27956 l32 0", "27956 l32 0xffffffff", "27960 l32 0", "27960 l32 0xffffffff",
  "27978 l16 0xffff",
].flatMap { (patch: String) -> [Case] in forms.map { patched(patch, $0) } }

/// Where entries begin, how long they are, how long the value is: the reference hangs or crashes. As far as the entries can
/// be followed their times are wiped; nothing but this record is different from the copy of a sound volume.
private let differingRows: [Case] = [
  ("27952 l32 0", 1512), ("27952 l32 8", 1480), ("27952 l32 15", 1480), ("27952 l32 1000", 1480),
  ("27952 l32 0xffffffff", 1480), ("27952 l32 0x7fffffff", 1480), ("27976 l16 8", 1480), ("27976 l16 17", 1480),
  ("27976 l16 0xffff", 1480), ("27920 l32 8", 1576), ("27920 l32 0xffff", 1576), ("27924 l16 0xffff", 1480),
].flatMap { (patch: String, timestamps: Int) -> [Case] in
  [false, true].map { (isImage: Bool) -> Case in
    let form = isImage ? "-ms" : "-m"
    // An image counts what it writes as well.
    let counted = isImage ? 2 * timestamps + 256 : timestamps
    return Case(
      "sh ntfsclone -q \(form) -o m v.img; ntfsclone -q \(form) -o h s512-c4k.img >/dev/null 2>&1; "
        + NtfscloneTexts.differingRecords("m", "h", isImage: isImage),
      name: "patch \(patch): \(form)", fixture: NtfsVolumes.fixture, setup: [Step(line: "patch v.img \(patch)")],
      masks: [NtfscloneTexts.deletedMask],
      deviation: Deviation(
        "N-7",
        stdout: (isImage
          ? NtfscloneTexts.metadataImage(timestamps: counted) : NtfscloneTexts.metadata(timestamps: counted)) + "11\n",
        stderr: NtfscloneTexts.banner, status: 0, files: .unchecked))
  }
}

/// The attribute list of a file with many names: its first entry is that of $STANDARD_INFORMATION. The list is found by
/// what it begins with: type 0x10, length 0x20, no name, at the beginning of a cluster.
private let listRows: [Case] = [
  "4 0 0", "4 8 0", "4 25 0", "4 27 0", "4 255 255", "6 255", "8 5", "22 77 0", "0 21",
  // The second entry, of a name: instance, type, sequence and name; the same of later ones; a record beyond the table.
  "56 77 0", "32 64", "32 80", "32 16", "32 128", "54 8", "86 8", "278 8", "38 2", "38 32", "39 255",
  "36 16 0", "68 0 2", "48 0 0 0 0 1", "54 0 0 0 77", "54 0", "24 77 0",
].flatMap { (row: String) -> [Case] in
  let numbers = row.split(separator: " ")
  let bytes = numbers.dropFirst().map { "\\" + String(Int($0) ?? 0, radix: 8) }.joined()
  return ["-q -s -o s v.img", "-q -m -o m v.img"].map { (command: String) -> Case in
    Case(
      commands: [command], name: "list \(row): \(command)", fixture: NtfsVolumes.fixture,
      setup: [
        .shell(
          """
          cp s512-c4k.img v.img; mkdir m; ntfs-3g v.img m; echo hello >m/a.txt
          i=0; while [ $i -lt 40 ]; do ln m/a.txt "m/hard link number $i"; i=$((i + 1)); done
          umount m; rmdir m; rm s512-c4k.img; place=
          for found in $(LC_ALL=C grep -aboP '\\x10\\0\\0\\0\\x20\\0\\0\\x1a' v.img | cut -d : -f 1); do
            [ $((found % 4096)) != 0 ] || place=$found
          done
          printf '\(bytes)' | dd of=v.img bs=1 seek=$((place + \(numbers[0]))) conv=notrunc status=none
          """)
      ],
      // Attributes that the list does not lead to any more are wiped with the record.
      deviation: listsThatLose.contains(row) && command.contains("-m") ? Deviation("N-13", files: .unchecked) : nil)
  }
}

/// Rows after which the list does not lead to every attribute any more.
private let listsThatLose: Set = [
  "278 8", "32 64", "32 80", "38 2", "38 32", "48 0 0 0 0 1", "54 8", "56 77 0", "68 0 2",
  "54 0 0 0 77",
]

/// A file's name whose value reaches out of its attribute, into the next one: times beyond it are left alone, here in record
/// 24, where the reference goes on writing.
private let outsideValues: [Case] = [
  Case(
    "sh ntfsclone -q -m -o m v.img; ntfsclone -q -m -o h s512-c4k.img >/dev/null 2>&1; "
      + NtfscloneTexts.differingRecords("m", "h", isImage: false) + "; tail -c +41217 m | head -c 16 | cmp - wanted",
    name: "value beyond its attribute", fixture: NtfsVolumes.fixture,
    setup: [
      Step(line: "patch v.img 41132 l16 72"), .shell("tail -c +41217 v.img | head -c 16 >wanted"),
    ],
    masks: [NtfscloneTexts.deletedMask],
    deviation: Deviation(
      "N-31", stdout: NtfscloneTexts.metadata(timestamps: 1544) + "24\n", stderr: NtfscloneTexts.banner, status: 0,
      files: .unchecked))
]
