/// Damaged and unusual special images (spec §14, §20.2). `special.img` is a volume of 12 MiB: commands from 56 on.
let ntfscloneImageCases: [Case] =
  Case.lines(
    """
    patch special.img 1 text X => -r -o o special.img
    patch special.img 16 u8 11 => -r -o o special.img
    patch special.img 17 u8 5 => -r -o o special.img
    patch special.img 30 l64 0 => sh ntfsclone -rn special.img | grep -v Space
    patch special.img 38 l64 0 => -r -o o special.img
    patch special.img 38 l64 5 => sh ntfsclone -q -r -o o special.img
    patch special.img 46 l32 10 => -r -o o special.img
    patch special.img 46 l32 50 => -r -o o special.img
    patch special.img 46 l32 0xffffffff => -q -r -o o special.img
    patch special.img 46 l32 0x80000032 => -q -r -o o special.img
    patch special.img 22 l64 -1 => sh ntfsclone -q -r -o o special.img >log; head -n 5 log
    patch special.img 38 l64 -1 => -q -r -o o special.img
    patch special.img 38 l64 -17 => sh ntfsclone -q -rn special.img >log; head -n 6 log
    patch special.img 38 l64 0x8f2c1f1fdfad7719 => sh ntfsclone -q -rn special.img >log; head -n 6 log
    patch special.img 38 l64 0x10000000000271 => sh ntfsclone -q -rn special.img >log; head -n 6 log
    patch special.img 56 u8 7 => -q -r -o o special.img
    patch special.img 56 u8 255 => -q -r -o o special.img
    patch special.img 56 u64 0 0 => -q -r -o o special.img
    patch special.img 56 u8 0 0 0 0 0 0 0 0 16 => -q -r -o o special.img
    patch special.img 56 u8 0 255 255 255 255 255 255 255 255 => -q -r -o o special.img
    patch special.img 4153 u8 7 => -q -r -o o special.img
    patch special.img 4153 u8 0 0 0 0 0 0 0 0 0 => -q -r -o o special.img
    patch special.img 4153 u8 0 0 0 0 0 0 0 0 16 => -q -r -o o special.img
    patch special.img 4153 u8 0 254 255 255 255 255 255 255 255 => -q -r -o o special.img
    patch special.img 4153 u8 7 => -rn special.img
    patch special.img 56 u8 7 => sh cat special.img | ntfsclone -r -o o -
    patch special.img 56 u64 0 0 => sh cat special.img | ntfsclone -r -o o -
    patch special.img 56 u8 0 0 0 0 0 0 0 0 16 => sh cat special.img | ntfsclone -r -o o -
    $ printf trailing >>special.img => -r -o o special.img
    -q -r -o - metadata.img
    sh { head -c 46 special.img | head -c 16; printf '\\3\\1'; head -c 46 special.img | tail -c 28; tail -c +57 special.img; } >old; ntfsclone -r -o o old
    sh { head -c 17 special.img; printf '\\5'; head -c 46 special.img | tail -c 28; printf '\\120\\0\\0\\0'; head -c 30 /dev/zero; tail -c +57 special.img; } >new; ntfsclone -r -o o new
    """, fixture: NtfsVolumes.fixture)
  // The image is too short: the same words wherever it ends.
  + [0, 10, 16, 45].map { size in
    truncated(size, "ERROR: \(size < 16 ? "Input file is not an image! (invalid magic)" : "Short image file...")\n")
  }
  + [46, 49, 50, 55].map { truncated($0, "ERROR: Short image file...\n") }
  + [56, 57, 100, 4152, 4153, 4154, 100_000].map { size in
    Case(
      "sh head -c \(size) special.img >cut; ntfsclone -q -r -o o cut | tail -n 1; ntfsclone -q -r -n cut",
      fixture: NtfsVolumes.fixture,
      deviation: Deviation(
        "N-11", stdout: "ERROR: Short image file...\n" + NtfscloneTexts.restoring + "ERROR: Short image file...\n",
        stderr: "ntfsclone v2022.10.3 (libntfs-3g)\nntfsclone v2022.10.3 (libntfs-3g)\n", status: 1,
        files: .unchecked))
  }
  // Fields that make no sense are refused before the output is touched.
  + [
    ("18 l32 0", "cluster size 0"), ("18 l32 3", "cluster size 3"), ("18 l32 0x80000000", "cluster size 2147483648"),
    ("30 l64 -1", "-1 clusters of 4096 bytes"),
    ("30 u8 0 0 0 0 0 0 0 16", "1152921504606846976 clusters of 4096 bytes"),
    ("22 l64 100", "device of 100 bytes, volume of 12578816"),
    ("46 l32 0x7fffffff", "offset to image data 2147483647"),
    ("46 l32 0x80000000", "offset to image data 2147483648"),
  ]
  .map { (patch: String, problem: String) in
    Case(
      commands: ["-r -o o special.img"], name: "patch \(patch)", fixture: NtfsVolumes.fixture,
      setup: [Step(line: "patch special.img \(patch)")],
      deviation: Deviation(
        "N-20", stdout: "ERROR: Corrupt image: \(problem)\n", stderr: "ntfsclone v2022.10.3 (libntfs-3g)\n", status: 1,
        files: .unchecked))
  }
  + [
    // Without the backup boot sector the file still holds the whole volume.
    Case(
      "sh size=$(stat -c %s special.img); truncate -s $((size - 4097)) special.img; ntfsclone -q -r -o o special.img >log;"
        + " stat -c %s o; tail -n 2 log", fixture: NtfsVolumes.fixture,
      deviation: Deviation(
        "N-3", stdout: "12582912\nWarning : no alternate boot sector in image\nSyncing ...\n", status: 0,
        files: .unchecked)),
    // A metadata image restored with progress ends its line.
    Case(
      "sh ntfsclone -r -o o metadata.img | tail -n 1", fixture: NtfsVolumes.fixture,
      deviation: Deviation("N-17", stdout: "Syncing ...\n", status: 0)),
  ]

private func truncated(_ size: Int, _ text: String) -> Case {
  Case(
    "sh head -c \(size) special.img >cut; ntfsclone -r -o o cut", fixture: NtfsVolumes.fixture,
    deviation: Deviation("N-11", stdout: text, stderr: NtfscloneTexts.banner, status: 1, files: .unchecked))
}
