/// Damaged dumps (btrfs-image §16): each ends within a second with status 1 and a line that says why; what can be restored
/// is restored.
let restoreDamageCases: [Case] = patchCases + elsewhereCases + cutCases + changedByteCases + fieldCases

/// Every field of the superblock, of clusters, of items, of chunks and of the first leaf of each tree (btrfs-image §16), with
/// right checksums.
private let fieldCases: [Case] = [("plain.dump", 1), ("raid1.dump", 2)].map { dump, targets in
  Case(
    "sh \(btrfsFixtures)/damage-dump \(dump) \(targets)", name: "fields of \(dump)", fixture: RestoreVolumes.fixture,
    deviation: Deviation("B-116", stdout: "", stderr: "", status: 0, files: .unchecked))
}

private let patches: [(String, String)] =
  [
    // Headers of clusters.
    (
      "0 u8 0",
      "ERROR: unrecognized header format\nERROR: failed to initialize metadata restore state: -22\nERROR: restore failed: -22\n"
    ),
    ("8 u8 1", badHeader), ("16 l32 0", badHeader), ("16 l32 84", badHeader), ("16 l32 255", badHeader),
    ("16 l32 0x7fffffff", badHeader), ("20 u8 2", badHeader),
    // The superblock's item.
    ("20 u8 1", unbuildable("item at #, offset # of the dump: decompression failed with -3")),
    ("29 l32 0", unbuildable("item at #, offset # of the dump: is empty")),
    ("29 l32 10", unbuildable("item at #, offset # of the dump: holds # bytes, which are no whole sectors")),
    ("29 l32 0xffffffff", unbuildable("unable to read buffer: the dump ends too early, at or behind offset #")),
    // Contents of the superblock.
    ("1024 u8 1", unbuildable("superblock checksum mismatch\nERROR: invalid superblock")),
    ("1088 u8 1", unbuildable("superblock checksum mismatch\nERROR: invalid superblock")),
    ("1220 l16 9", unbuildable("unsupported checksum algorithm #\nERROR: invalid superblock")),
    ("1835 u8 1", unbuildable("superblock checksum mismatch\nERROR: invalid superblock")),
  ]

private let patchCases: [Case] =
  patches.map { patch, text -> Case in
    damaged("patch \(patch)", setup: [Step(line: "patch plain.dump \(patch)")], "-r plain.dump o", text)
  }

private let elsewhereCases: [Case] =
  [
    damaged(
      "superblock elsewhere", setup: [Step(line: "patch plain.dump 21 u8 1")], "-r plain.dump o",
      "ERROR: did not find superblock at #\nERROR: failed to build chunk tree\nERROR: restore failed: -22\n")
  ]

/// Cut anywhere: an error, never a success.
private let cutCases: [Case] =
  ["plain.dump", "plain.dump9"].map { dump -> Case in
    survives(
      "\(dump) cut",
      "size=$(stat -c %s \(dump)); for n in $(seq 1024 16384 $size) $((size - 1)) $((size - 1024)); do "
        + "[ $n -ge $size ] || { head -c $n \(dump) >d; try 1; }; done")
  }

/// Bytes changed anywhere: an end, whatever it is.
private let changedByteCases: [Case] =
  [
    survives(
      "bytes of a compressed dump",
      "size=$(stat -c %s plain.dump9); for n in $(seq 6000 1013 $size); do "
        + "cp plain.dump9 d; printf '\\252\\125' | dd of=d bs=1 seek=$n conv=notrunc status=none; try any; done"),
    survives(
      "bytes of a dump",
      "size=$(stat -c %s raid1.dump); for n in $(seq 1032 4099 $size); do "
        + "cp raid1.dump d; printf '\\252\\125' | dd of=d bs=1 seek=$n conv=notrunc status=none; try any; done"),
    survives(
      "bytes of the chunk tree",
      "for n in $(seq 5120 13 6400); do cp raid0.dump d; printf '\\252' | dd of=d bs=1 seek=$n conv=notrunc status=none;"
        + " try any; done"),
    survives(
      "bytes of headers",
      "for n in $(seq 0 1 80); do cp plain.dump9 d; printf '\\252' | dd of=d bs=1 seek=$n conv=notrunc status=none;"
        + " try any; cat d | timeout 10 btrfs-image -r - o >/dev/null 2>&1; s=$?; [ $s -le 1 ] || echo pipe $n $s; done"
    ),
    // Streams that end within their item or go on, contents of any length but the right one: no item is taken for good.
    survives(
      "streams",
      "for c in cut unchecked trail twice more less block none; do i=0; "
        + "while \(btrfsFixtures)/recode-dump plain.dump9 $c $i >d; do n=$c-$i; try 1; i=$((i + 1)); done; "
        + "[ $i -gt 5 ] || echo $c: $i items; done"),
    // Everything but the last item is there.
    Case(
      "sh size=$(stat -c %s plain.dump); truncate -s $((size - 1024)) plain.dump; "
        + "btrfs-image -r plain.dump o 2>log || echo $?; grep -c 'ends too early' log; "
        + "stat -c %s o",
      name: "a truncated dump is restored as far as it goes", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-104", stdout: "1\n1\n146800640\n", stderr: "", status: 0, files: .unchecked)),
    // A byte of a tree block has changed: it is restored as it is.
    Case(
      "sh cp plain.dump d; printf '\\252' | dd of=d bs=1 seek=$(($(stat -c %s d) / 2)) conv=notrunc status=none; "
        + "btrfs-image -r d o 2>log || echo $?; sed 's/[0-9][0-9]*/N/' log; "
        + "cat d | btrfs-image -r - p 2>/dev/null || cmp o p",
      name: "a damaged tree block is named", fixture: RestoreVolumes.fixture,
      deviation: Deviation(
        "B-104", stdout: "1\nERROR: tree block N of the dump is damaged\n", stderr: "", status: 0, files: .unchecked)),
    // The address of an item has changed: what is there is not what should be.
    Case(
      "sh cp plain.dump d; printf '\\252' | dd of=d bs=1 seek=$((21 + 12 * 5 + 1)) conv=notrunc status=none; "
        + "btrfs-image -r d o 2>log || echo $?; grep -c 'of the dump is damaged' log | grep -q -v '^0' && echo named",
      name: "an item at another address is named", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-104", stdout: "1\nnamed\n", stderr: "", status: 0, files: .unchecked)),
    // One item of a compressed dump is lost, the others are there.
    Case(
      "sh cp plain.dump9 d; printf '\\377' | dd of=d bs=1 seek=$(($(stat -c %s d) / 2)) conv=notrunc status=none; "
        + "btrfs-image -r d o 2>log || echo $?; grep -c 'decompression failed' log",
      name: "a damaged item is named", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-104", stdout: "1\n1\n", stderr: "", status: 0, files: .unchecked)),
  ]

private let badHeader =
  "ERROR: bad header in metadump image\nERROR: failed to build chunk tree\nERROR: restore failed: -5\n"

private func unbuildable(_ text: String) -> String {
  "ERROR: \(text)\nERROR: failed to build chunk tree\nERROR: restore failed: -5\n"
}

/// A command that ends with status 1 and these lines; numbers of more than a digit are `#`.
private func damaged(_ name: String, setup: [Step], _ command: String, _ text: String) -> Case {
  Case(
    commands: [command], name: name, fixture: RestoreVolumes.fixture, setup: setup,
    masks: [Mask("(?<![-0-9])[0-9]{2,}|(?<=algorithm )[0-9]+", "#")],
    deviation: Deviation("B-116", stdout: "", stderr: text, status: 1, files: .unchecked))
}

/// A script that calls `try STATUS` for the dump `d`: restoring it ends in time, not by a signal, and with that status.
private func survives(_ name: String, _ script: String) -> Case {
  Case(
    commands: [
      "sh try() { timeout 10 btrfs-image -r d o >/dev/null 2>&1; s=$?; "
        + "if [ $s -gt 1 ] || { [ $1 != any ] && [ $s -ne $1 ]; }; then echo \"$n: $s\"; fi; }; set +e; \(script); true"
    ], name: name, fixture: RestoreVolumes.fixture,
    deviation: Deviation("B-116", stdout: "", stderr: "", status: 0, files: .unchecked))
}
