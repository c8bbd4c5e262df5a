/// Indexes and attribute lists that make no sense, row by row of spec §20.1; the other rows are in `ntfscloneDamageCases`.
/// In v.img the index root of $Extend's record is at byte 27936, its first entry at 27968.
let ntfscloneHostileCases: [Case] = agreeing + differingRows + listRows

private let forms = ["-q -m -o m v.img", "-q -ms -o n v.img", "-q -s -o s v.img"]

private func patched(_ patch: String, _ command: String, _ id: String? = nil) -> Case {
  Case(
    commands: [command], name: "patch \(patch): \(command)", fixture: NtfsVolumes.fixture,
    setup: [Step(line: "patch v.img \(patch)")],
    deviation: id.map { Deviation($0, status: 0, anyText: true, files: .unchecked) })
}

/// Fields that nobody looks at, or looks at in the same way: type, block size, index length, allocated size, key length.
private let agreeing: [Case] = [
  "27936 l32 0x31", "27936 l32 0", "27944 l32 0", "27944 l32 3", "27944 l32 511", "27944 l32 0x80000000",
  "27944 l32 0xffffffff", "27956 l32 0", "27956 l32 0xffffffff", "27960 l32 0", "27960 l32 0xffffffff",
  "27978 l16 0xffff",
].flatMap { (patch: String) -> [Case] in forms.map { patched(patch, $0) } }

/// Where entries begin, how long they are, how long the value is: the reference hangs or crashes.
private let differingRows: [Case] = [
  "27952 l32 0", "27952 l32 8", "27952 l32 15", "27952 l32 1000", "27952 l32 0xffffffff", "27952 l32 0x7fffffff",
  "27976 l16 8", "27976 l16 17", "27976 l16 0xffff", "27920 l32 8", "27920 l32 0xffff", "27924 l16 0xffff",
].flatMap { (patch: String) -> [Case] in
  ["-q -m -o m v.img", "-q -ms -o n v.img"].map { patched(patch, $0, "N-7").oursAlone() }
}

/// The attribute list of a file with many names: its first entry is that of $STANDARD_INFORMATION. The list is found by
/// what it begins with: type 0x10, length 0x20, no name, at the beginning of a cluster.
private let listRows: [Case] = [
  "4 0 0", "4 8 0", "4 25 0", "4 27 0", "4 255 255", "6 255", "8 5", "22 77 0", "0 21",
].flatMap { (row: String) -> [Case] in
  let numbers = row.split(separator: " ")
  let bytes = numbers.dropFirst().map { "\\\\" + String(Int($0) ?? 0, radix: 8) }.joined()
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
      deviation: row == "0 21" && command.contains("-m")
        ? Deviation("N-13", status: 0, anyText: true, files: .unchecked) : nil)
  }
}
