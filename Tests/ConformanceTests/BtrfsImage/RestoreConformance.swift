import Foundation
import Testing

/// Restoring and sanitizing with our `btrfs-image`, beside the reference.
@Suite struct BtrfsRestoreConformance {
  @Test func restoring() async throws {
    try await Conformance.compare("btrfs-image", table: "btrfs-restore", restoreCases)
  }

  @Test func severalDevices() async throws {
    try await Conformance.compare("btrfs-image", table: "btrfs-restore-devices", restoreDeviceCases)
  }

  @Test func damagedDumps() async throws {
    try await Conformance.compare("btrfs-image", table: "btrfs-restore-damage", restoreDamageCases)
  }

  @Test func sanitizing() async throws {
    try await Conformance.compare("btrfs-image", table: "btrfs-sanitize", sanitizeCases)
  }

  @Test func asImages() async throws {
    try await Conformance.compare("qemu-img", table: "btrfs-image-format", metadumpImageCases)
  }
}

/// The second copy of the superblock, which the reference forgets in a file (B-110), taken away from both.
private let forgetBackup = "dd if=/dev/zero of=o bs=4096 seek=16384 count=1 conv=notrunc status=none"

/// What `look` says about a good image.
private let good = "clean\nsame\n"

let restoreCases: [Case] =
  identicalCases + logCases + checksumCases + streamCases + oldCases + targetCases + restoreCommandLineCases

private let identicalCases: [Case] =
  // The same to the byte, from every sort of dump, with any number of threads; and a sound file system.
  RestoreVolumes.single.map { volume -> Case in
    let name = volume.name
    return Case(
      commands: [
        "sh btrfs-image -r \(name).dump o; \(forgetBackup)", "sh ./look o \(name).stats",
        "sh btrfs-image -r -t 1 \(name).dump9 p; \(forgetBackup.replacingOccurrences(of: "of=o", with: "of=p"))",
        "sh btrfs-image -r -t 7 \(name).dumpw q; \(forgetBackup.replacingOccurrences(of: "of=o", with: "of=q"))",
      ], name: name, fixture: RestoreVolumes.fixture)
  }

private let logCases: [Case] =
  [
    Case("sh btrfs-image -r late.dump o; \(forgetBackup)", "sh ./look o late.stats", fixture: RestoreVolumes.fixture),
    Case("sh btrfs-image -r log.dump o; \(forgetBackup)", name: "log tree", fixture: RestoreVolumes.fixture),
    Case(
      "sh btrfs-image -r log.dump o; exec 9</dev/loop-control; flock 9; mkdir m; mount -o loop o m; stat -c %s m/logged_file; umount m; rmdir m",
      name: "log tree, mounted", fixture: RestoreVolumes.fixture, files: .unchecked),
  ]

/// Wrong checksums of the reference are made right.
private let checksumCases: [Case] =
  RestoreVolumes.checksums.map { volume -> Case in
    Case(
      "sh btrfs-image -r \(volume.name).dump o; ./look o \(volume.name).stats",
      "sh btrfs-image \(volume.name).img d; btrfs-image -r d p; cmp o p && echo equal", name: volume.name,
      fixture: RestoreVolumes.fixture,
      deviation: Deviation(
        "B-102",
        [
          0: .init(stdout: good, stderr: "", status: 0), 1: .init(stdout: "equal\n", stderr: "", status: 0),
        ], files: .unchecked))
  }

private let streamCases: [Case] =
  [
    // The chunk tree behind more bytes than its chunks' addresses.
    Case(
      "sh \(btrfsFixtures)/with-late-chunks plain.dump d; btrfs-image -r d o; btrfs-image -r plain.dump p; cmp o p; "
        + "cat d | btrfs-image -r - q; cmp p q; ./look o plain.stats",
      name: "chunk tree at the end", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-120", stdout: good, stderr: "", status: 0, files: .unchecked)),
    // All copies of the superblock, also in a file.
    Case(
      "sh btrfs-image -r plain.dump o; for copy in 0 1; do btrfs inspect-internal dump-super -s $copy o | grep -c 'match]'; done",
      fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-110", stdout: "3\n3\n", stderr: "", status: 0, files: .unchecked)),
    // Pipes; one of them with the chunk tree at its end.
    Case(
      "sh cat plain.dump | btrfs-image -r - o; ./look o plain.stats", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-107", stdout: good, stderr: "", status: 0, files: .unchecked)),
    Case(
      "sh btrfs-image -r - o <plain.dump9; ./look o plain.stats", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-107", stdout: good, stderr: "", status: 0, files: .unchecked)),
    Case(
      "sh cat late.dump | btrfs-image -r - o; ./look o late.stats", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-107", stdout: good, stderr: "", status: 0, files: .unchecked)),
    Case(
      "sh btrfs-image plain.img - | btrfs-image -r - o; ./look o plain.stats", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-107", stdout: good, stderr: "", status: 0, files: .unchecked)),
  ]

private let oldCases: [Case] =
  [
    // The old way: the same image, and a success.
    Case(
      "-r -o plain.dump o", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-108", stderr: "", status: 0, files: .bytes)),
    Case(
      "sh btrfs-image -o -r node-64k.dump9 o; btrfs-image -o -r node-64k.dump p; cmp o p && echo equal",
      fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-108", stdout: "equal\n", stderr: "", status: 0, files: .unchecked)),
    // What is there is replaced, a link followed.
    Case(
      "sh yes | head -c 200000000 >o; btrfs-image -r mixed.dump o; \(forgetBackup)", fixture: RestoreVolumes.fixture),
    // A block device, exactly as large as the source.
    Case(
      "sh exec 9</dev/loop-control; flock 9; truncate -s 140M t; l=$(losetup -f --show t); btrfs-image -r plain.dump $l; losetup -d $l; cat t | sha256sum",
      name: "to a block device", fixture: RestoreVolumes.fixture, files: .bytes),
  ]

private let targetCases: [Case] =
  [
    // Targets that must not be touched.
    Case(
      "-r plain.dump plain.dump", fixture: RestoreVolumes.fixture,
      deviation: Deviation(
        "B-113", stdout: "", stderr: "ERROR: source and target are the same file: plain.dump\n", status: 1,
        files: .bytes)),
    Case(
      "sh ln plain.dump other; btrfs-image -r plain.dump other 2>&1 | sed s/ile:.*/ile/; cmp plain.dump other",
      fixture: RestoreVolumes.fixture,
      deviation: Deviation(
        "B-113", stdout: "ERROR: source and target are the same file\n", stderr: "", status: 0, files: .unchecked)),
    Case(
      "sh exec 9</dev/loop-control; flock 9; mkdir m; mount -o loop,ro plain.img m; trap 'umount m; rmdir m' EXIT; cp plain.dump d; btrfs-image -r d plain.img 2>&1 || :; l=$(losetup -j plain.img -n -O NAME); btrfs-image -r d $l 2>&1 | sed 's/:.*:/:/; s/loop.*/loop/'",
      name: "mounted targets", fixture: RestoreVolumes.fixture,
      deviation: Deviation(
        "B-117", stdout: "ERROR: target is mounted: plain.img\nERROR: /dev/loop\n", stderr: "", status: 0,
        files: .unchecked)),
    Case(
      "sh exec 9</dev/loop-control; flock 9; truncate -s 100M t; l=$(losetup -f --show t); btrfs-image -r plain.dump $l 2>&1 | sed s/loop[0-9]*/loop/; losetup -d $l",
      name: "device too small", fixture: RestoreVolumes.fixture,
      deviation: Deviation(
        "B-118", stdout: "ERROR: device /dev/loop of 104857600 bytes is too small for 146800640 bytes\n", stderr: "",
        status: 0, files: .unchecked)),
    // Too small even for that: the kernel's words once, and a look at what there is.
    Case(
      "sh exec 9</dev/loop-control; flock 9; truncate -s 26M t; l=$(losetup -f --show t); "
        + "btrfs-image -r plain.dump $l 2>&1 | sed 's/loop[0-9]*/loop/; s/block [0-9]*/block/; s/=[0-9]*/=/g'; losetup -d $l",
      name: "device full", fixture: RestoreVolumes.fixture,
      deviation: Deviation(
        "B-118",
        stdout: "ERROR: unable to write to device: No space left on device\n"
          + "ERROR: device /dev/loop of 27262976 bytes is too small for 146800640 bytes\n"
          + "ERROR: bad tree block, bytenr mismatch, want=, have=\nERROR: open ctree failed in /dev/loop\n"
          + "ERROR: restore failed: -5\n", stderr: "", status: 0, files: .unchecked)),
  ]

private let restoreCommandLineCases: [Case] =
  Case.lines(
    """
    -r missing o
    -r plain.dump missing/o
    -r plain.dump .
    sh echo text >d; btrfs-image -r d o
    sh : >d; btrfs-image -r d o
    sh head -c 1023 plain.dump >d; btrfs-image -r d o
    """, fixture: RestoreVolumes.fixture)

let restoreDeviceCases: [Case] = profileCases + wrongTargetCases + unusualCases

private let profileCases: [Case] =
  RestoreVolumes.several.flatMap { volume -> [Case] in
    let name = volume.name
    let targets = (1...volume.count).map { "t\($0)" }.joined(separator: " ")
    let updates = (2...volume.count).map { "update disk super on t\($0) devid=\($0)\n" }.joined()
    let look = "sh btrfs-image -r \(name).dump o 2>/dev/null; ./look o \(name).stats"
    return [
      // To one device: another layout than the reference's, but a sound file system of the same size.
      volume.isRestored
        ? Case(look, name: "\(name) to one", fixture: RestoreVolumes.fixture, files: .unchecked)
        : Case(
          look, name: "\(name) to one", fixture: RestoreVolumes.fixture,
          deviation: Deviation(
            name == "dup-single" ? "B-114" : "B-103", stdout: good, stderr: "", status: 0, files: .unchecked)),
      // To all of them, and some missing afterwards.
      Case(
        "-m \(name).dump \(targets)", "sh ./look-devices \(name).stats \(volume.spare) \(targets)",
        name: "\(name) to all", fixture: RestoreVolumes.fixture,
        deviation: Deviation(
          "B-109",
          [
            0: .init(stdout: updates, stderr: "", status: 0),
            1: .init(stdout: volume.spare > 0 ? good + "same\n" : good, stderr: "", status: 0),
          ], files: .unchecked)),
    ]
  }

private let wrongTargetCases: [Case] =
  [
    Case(
      "-m raid1.dump t1 t2 t3", fixture: RestoreVolumes.fixture,
      deviation: Deviation(
        "B-109", stdout: "",
        stderr: "ERROR: it needs 2 devices but has only 3\nERROR: restore failed: -22\n", status: 1, files: .unchecked)),
    Case(
      "-m raid1.dump t1 t1", fixture: RestoreVolumes.fixture,
      setup: [.shell("truncate -s 1M t1")],
      deviation: Deviation("B-113", stdout: "", stderr: "ERROR: target given twice: t1\n", status: 1, files: .bytes)),
    Case(
      "sh cat raid6.dump | btrfs-image -m - t1 t2 t3 t4 >log; ./look-devices raid6.stats 2 t1 t2 t3 t4",
      fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-109", stdout: good + "same\n", stderr: "", status: 0, files: .unchecked)),
  ]

/// Logs, file systems with other numbers, file contents.
private let unusualCases: [Case] =
  [
    // Many leaves of the chunk and device trees, and all copies of the superblock.
    Case(
      "sh btrfs-image -r wide.dump o 2>/dev/null; ./look o wide.stats; "
        + "btrfs inspect-internal dump-super -s 2 o | grep -c 'match]'", name: "hundreds of chunks",
      fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-103", stdout: good + "3\n", stderr: "", status: 0, files: .unchecked)),
    // The device has one size: in the superblock, twice, and in the file.
    Case(
      "sh btrfs-image -r raid1c3.dump o; { btrfs inspect-internal dump-super o | sed -n 's/.*total_bytes\t*//p'; "
        + "stat -c %s o; } | uniq | wc -l", name: "one size", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-111", stdout: "1\n", stderr: "", status: 0, files: .unchecked)),
    // What was interrupted is no file system.
    Case(
      "sh { head -c 200000 plain.dump; sleep 3; } | { timeout 1 btrfs-image -r - o || echo $?; }; "
        + "btrfs inspect-internal dump-super o 2>&1 | head -n 1 | cut -c 1-31", name: "interrupted",
      fixture: RestoreVolumes.fixture,
      deviation: Deviation(
        "B-112", stdout: "124\nERROR: bad magic on superblock \n", stderr: "", status: 0, files: .unchecked)),
    // The generation stays, so the log still fits it.
    Case(
      "sh btrfs-image -r raid1-log.dump o; exec 9</dev/loop-control; flock 9; mkdir m; "
        + "mount -o loop o m; stat -c %s m/logged_file; umount m; rmdir m; exec 9<&-; ./look o raid1-log.stats",
      name: "a log tree of two devices", fixture: RestoreVolumes.fixture,
      deviation: Deviation(
        "B-115", stdout: "16\nclean\nsame\n", stderr: "", status: 0, files: .unchecked)),
    Case(
      "sh btrfstune -f -m plain.img; btrfs-image plain.img d; btrfs-image -r d o; \(forgetBackup); ./look o plain.stats",
      name: "another number", fixture: RestoreVolumes.fixture, files: .unchecked,
      masks: [Mask("[-0-9a-f]{36}")]),
    Case(
      "sh btrfstune -f -S 1 plain.img; btrfs-image plain.img d; btrfs-image -r d o; \(forgetBackup); ./look o plain.stats",
      name: "seed", fixture: RestoreVolumes.fixture),
    // Version 1, which the reference was not built for: checksums of file contents are those of the contents.
    Case(
      "sh for level in 0 6; do btrfs-image -d -c $level plain.img d; btrfs-image -r d o; ./look o plain.stats; "
        + "btrfs check --check-data-csum o >log 2>&1 || cat log; done",
      name: "file contents", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-11", stdout: good + good, stderr: "", status: 0, files: .unchecked)),
    // A device was replaced, or was being replaced: nothing waits for it on the only one.
    Case(
      "sh exec 9</dev/loop-control; flock 9; loops=; for i in 1 2 3; do truncate -s 300M v.$i; "
        + "loops=\"$loops $(losetup -f --show v.$i)\"; done; set -- $loops; mkfs.btrfs -q -f -m raid1 -d raid1 $1 $2 >log; mkdir m; "
        + "mount $1 m && btrfs replace start -B -f 1 $3 m >log 2>&1; umount m; rmdir m; btrfs-image $3 d; "
        + "btrfs device scan --forget $loops >log 2>&1 || true; losetup -d $loops; exec 9<&-; btrfs-image -r d o; btrfs check o >log 2>&1 || cat log; "
        + "btrfs inspect-internal dump-tree -t dev o | grep -c 'key (0 DEV_REPLACE' || :",
      name: "replaced", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-122", stdout: "0\n", stderr: "", status: 0, files: .unchecked)),
    // As others may write it: items of any length.
    Case(
      "sh btrfs-image -d plain.img c; for how in join join1 join9; do \(btrfsFixtures)/recode-dump c $how >d; "
        + "btrfs-image -r c o; btrfs-image -r d p; cmp o p; cat d | btrfs-image -r - p; cmp o p && qemu-img compare d o; done",
      name: "long items", fixture: RestoreVolumes.fixture,
      setup: [
        .shell(
          "exec 9</dev/loop-control; flock 9; mkdir m; mount -o loop plain.img m; head -c 3000000 /dev/zero >m/zeros; "
            + "head -c 2500000 /dev/urandom >m/large; umount m; rmdir m")
      ],
      deviation: Deviation(
        "B-11", stdout: String(repeating: "Images are identical.\n", count: 3), stderr: "", status: 0, files: .unchecked
      )),
    Case(
      "sh btrfs-image -r mixed.dump -; \(forgetBackup.replacingOccurrences(of: "of=o", with: "of=./-")); stat -c %s ./-",
      name: "a file called -", fixture: RestoreVolumes.fixture),
  ]

/// The restored device through qemu-img.
private let shownVolumes: [String] = ["plain", "v1-cache", "sha256", "raid6", "dup-single", "raid1"]

let metadumpImageCases: [Case] = shownVolumes.map { name -> Case in
  Case(
    "sh qemu-img info \(name).dump | sed -n 2p; qemu-img convert -O raw \(name).dump o; ./look o \(name).stats; "
      + "qemu-img compare \(name).dump o", name: name, fixture: RestoreVolumes.fixture,
    deviation: Deviation(
      "B-130", stdout: "file format: btrfs-image\n\(good)Images are identical.\n", stderr: "", status: 0,
      files: .unchecked))
}
