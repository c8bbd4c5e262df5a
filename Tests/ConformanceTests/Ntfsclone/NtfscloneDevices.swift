/// Block devices, mounted ones, file systems that are full (spec §10, §12, §19.4, §19.19).
let ntfscloneDeviceCases: [Case] =
  targetSizeCases + sourceDeviceCases + cutSources + scarceDeviceCases + ["rw", "ro"].flatMap(mountedTargets)
  + ["rw", "ro"].flatMap(mountedSources)
  + fullDisks + clonezillaCases

/// Devices with old contents, which free clusters keep: exactly the volume and its backup, more, a sector less, far less.
private let targetSizeCases: [Case] = [12_582_912, 16_777_216, 12_578_304, 4096].flatMap { (size: Int) -> [Case] in
  ["-q -O $d v.img", "-q -r -O $d special.img", "-q -m -f -O $d v.img", "-q --rescue -O $d v.img"].map {
    onDevice(size, $0)
  }
}

/// Volumes that end before what opening them reads.
private let cutSources: [Case] = [0, 511, 1000, 17000, 20000, 70000, 6_000_000, 7_000_000, 12_000_000].map {
  Case(
    "sh head -c \($0) v.img >e; ntfsclone -q -s -o o e || echo $?; ntfsclone -q -m -o p e || echo $?",
    fixture: NtfsVolumes.fixture, files: .unchecked)
}

private let sourceDeviceCases: [Case] = [
  Case(
    "sh chmod 0 v.img; setpriv --bounding-set -dac_override,-dac_read_search ntfsclone -q -o p v.img",
    fixture: NtfsVolumes.fixture, files: .unchecked),
  onDevice(12_582_912, "-q -s -O $d v.img"), onDevice(12_582_912, "-q -m -s -f -O $d v.img"),
  onDevice(25_000_000, "-O $d full-s512-c1k.img"),
  Case(
    "sh cp v.img o; \(loop); ntfsclone -q -o p $d | sed s,$d,DEVICE,; ntfsclone -q -s -o q $d | sed s,$d,DEVICE,;"
      + " cmp p v.img", fixture: NtfsVolumes.fixture),
  // Two partitions of one disk, each a loop device, are two volumes.
  Case(
    "sh cp v.img o; truncate -s 40M o; d=$(losetup -f --show --sizelimit 20M o); e=$(losetup -f --show -o 20M o);"
      + " trap 'losetup -d $d; losetup -d $e' EXIT; ntfsclone -q -O $e $d | sed s,$e,DEVICE,; cmp -i 0:20M v.img o",
    fixture: NtfsVolumes.fixture),
  differing(
    "N-1", "cp v.img o; \(loop); ntfsclone -q -O $d $d >log 2>&1 && exit 9; cmp o v.img; sed s,$d,DEVICE,g log",
    stdout: NtfscloneTexts.banner + "ERROR: Source 'DEVICE' and output 'DEVICE' are the same!\n", stderr: "", status: 0),
  differing(
    "N-1",
    "cp v.img o; \(loop); (ntfsclone -q -O $d o || ntfsclone -q -s -O o $d || ntfsclone -q -s -O $d o || :) 2>&1 | sed s,$d,DEVICE,; "
      + "cmp o v.img",
    stdout: [("o", "DEVICE"), ("DEVICE", "o"), ("o", "DEVICE")].map {
      NtfscloneTexts.banner + "ERROR: Source '\($0)' and output '\($1)' are the same!\n"
    }.joined(), stderr: "", status: 0),
  differing(
    "N-1", "cp v.img o; ntfsclone -q -s -O - o 1<>o && exit 9; ntfsclone -q -O - o 1<>o && exit 9; cmp o v.img",
    stdout: "",
    stderr: String(
      repeating: NtfscloneTexts.banner + "ERROR: Source 'o' and output '-' are the same!\n", count: 2), status: 0),
  differing(
    "N-1", "cp special.img o; ntfsclone -q -r -O o - <o && exit 9; cmp o special.img", stdout: "",
    stderr: NtfscloneTexts.banner + "ERROR: Source '-' and output 'o' are the same!\n", status: 0),
  differing(
    "N-34", "ntfsclone -r -O o special.img <&- >&- 2>&-; cmp o v.img", stdout: "", stderr: "", status: 0),
]

private let scarceDeviceCases: [Case] = [
  // Room for the backup boot sector, but not for its whole cluster.
  differing(
    "N-19", "truncate -s 12579328 o; \(loop); ntfsclone -q -O $d v.img; cmp -n 12579328 $d v.img",
    stdout: NtfscloneTexts.cloned, status: 0),
  differing(
    "N-19", "truncate -s 12579328 o; \(loop); ntfsclone -q -r -O $d special.img; cmp -n 12579328 $d v.img",
    stdout: NtfscloneTexts.restoring + "Syncing ...\n", status: 0),
  // A device's room for a special image is found out by writing.
  differing(
    "N-4", "truncate -s 1M o; \(loop); ntfsclone -q -s -O $d v.img",
    stdout: NtfscloneTexts.scanned + NtfscloneTexts.used
      + "Saving NTFS to image ...\nERROR(28): Write failed: No space left on device\n", status: 1),
  Case(
    "sh truncate -s 12M o; \(loop); ntfsclone -q -m -O $d v.img", fixture: NtfsVolumes.fixture,
    deviation: Deviation("N-24", stdout: "", stderr: refusal, status: 1, files: .unchecked)),
]

private let refusal = """
  ntfsclone v2022.10.3 (libntfs-3g)
  ERROR: Cloning only metadata to a block device does not usually make sense, aborting...
  If you were instructed to do this by a developer and/or are sure that this is what you want to do, run this utility \
  again but this time add the force option, i.e. add '--force' to the command line arguments.

  """

/// A mounted target is refused.
private func mountedTargets(_ mode: String) -> [Case] {
  let mounted = "truncate -s 16M o; mkfs.ext2 -q o; mkdir m; \(loop); mount -o \(mode) $d m"
  let same = ["-q -O $d v.img", "-q -r -O $d special.img", "-q -m -f -O $d v.img"].map { (command: String) -> Case in
    Case(
      "sh \(mounted); ntfsclone \(command) >log 2>&1 || echo $?; sed s,$d,DEVICE, log; \(unmount); e2fsck -fn o >log 2>&1"
        + " && echo sound", fixture: NtfsVolumes.fixture, files: .unchecked)
  }
  let different = ["-q -s -O $d v.img", "-q -m -s -f -O $d v.img"].map { (command: String) -> Case in
    differing(
      "N-4",
      "\(mounted); ntfsclone \(command) >log && exit 9; \(unmount); e2fsck -fn o >/dev/null 2>&1; sed s,$d,DEVICE, log",
      stdout: NtfscloneTexts.opened + "ERROR: Device 'DEVICE' is mounted\(mode == "rw" ? " read-write" : ""). "
        + "You must 'umount' it first.\n", status: 0)
  }
  return same + different
}

/// A mounted source is refused when it may be written.
private func mountedSources(_ mode: String) -> [Case] {
  [
    Case(
      "sh mkdir m; cp v.img o; ntfs-3g -o \(mode) o m; ntfsclone -q -o p o || echo $?; ntfsclone -q -s -o q o || echo $?;"
        + " \(unmount)", fixture: NtfsVolumes.fixture, files: .unchecked),
    Case(
      "sh mkdir m; cp v.img o; \(loop); ntfs-3g -o \(mode) $d m; ntfsclone -q -o p $d >log || echo $?; \(unmount);"
        + " sed s,$d,DEVICE, log", fixture: NtfsVolumes.fixture, files: .unchecked),
  ]
}

/// Full disks: refused before anything is written where that is known, else reported when it happens.
private let fullDisks: [Case] =
  Case.lines(
    // Room that is kept for the administrator counts.
    """
    sh truncate -s 1M f; mkfs.ext4 -q -F f; mkdir t; mount -o loop f t; trap 'umount t' EXIT; head -c 2M /dev/zero >t/full 2>/dev/null || :; ntfsclone -q -s -o t/o v.img || echo $?
    """, fixture: NtfsVolumes.fixture, files: .unchecked)
  + ["-q -o t/o v.img", "-q -s -o t/o v.img", "-q -r -o t/o special.img"].map { (command: String) -> Case in
    Case("sh \(smallDisk("2m")); ntfsclone \(command) || echo $?", fixture: NtfsVolumes.fixture, files: .unchecked)
  } + [
    differing(
      "N-27", "\(smallDisk("400k")); ntfsclone -q -m -o t/o full-s512-c4k.img >log || echo $?; tail -n 2 log",
      stdout: "1\nScanning volume ...\n" + diskFull, status: 0),
    differing(
      "N-2", "\(smallDisk("400k")); ntfsclone -q -m -s -o t/o full-s512-c4k.img >log || echo $?; tail -n 2 log",
      stdout: "1\nScanning volume ...\n" + diskFull, status: 0),
  ]

/// What Clonezilla does: images through compressors and split files, from and to devices, with everything that is said.
private let clonezillaCases: [Case] = [
  "\(source); ntfsclone --force --save-image --overwrite - $d 2>err | gzip -c --fast | split -a 2 -b 1M - part.; "
    + "sed s,$d,DEVICE, err; cat part.* | gunzip -c | sha1sum; rm part.* err",
  "\(source); ntfsclone --force --rescue --save-image -O - $d 2>err | gzip -c | gunzip -c | sha1sum; "
    + "sed s,$d,DEVICE, err; rm err",
  "\(source); ntfsclone -f --rescue -O - $d 2>err | sha1sum; sed s,$d,DEVICE, err; rm err",
  "\(image); head -c 20971520 /dev/zero | tr '\\0' x >o; \(loop); cat part.* | gunzip -c | "
    + "ntfsclone --restore-image --overwrite $d - >log 2>err || echo $?; sed s,$d,DEVICE, log err; rm part.* log err",
  "\(image); truncate -s 1M o; \(loop); cat part.* | gunzip -c | ntfsclone --restore-image --overwrite $d - >log 2>err "
    + "|| echo $?; sed s,$d,DEVICE, log err; rm part.* log err",
  "\(image); cat part.* | gunzip -c | ntfsclone --restore-image --no-action - || echo $?; rm part.*",
  "\(image); cat part.* | gunzip -c | ntfsclone --restore-image -O o -; rm part.*",
].map { Case("sh \($0)", fixture: NtfsVolumes.fixture) }

private let source = "cp --sparse=always full-s512-c4k.img o; \(loop)"
private let image =
  "ntfsclone -q -s -o - full-s512-c4k.img 2>/dev/null | gzip -c --fast | split -a 2 -b 1M - part."

/// A loop device over `o`, as `$d`.
private let loop =
  "d=$(losetup -f --show o); trap 'umount m 2>/dev/null || :; losetup -d $d' EXIT; trap 'exit 143' TERM"

/// What looks at new devices can keep a file system busy for a while.
private let unmount = "until umount m 2>/dev/null; do sleep 0.2; done"

private func smallDisk(_ size: String) -> String {
  "mkdir t; mount -t tmpfs -o size=\(size) none t; trap 'umount t' EXIT"
}

private func onDevice(_ size: Int, _ command: String) -> Case {
  Case(
    "sh head -c \(size) /dev/zero | tr '\\0' x >o; \(loop); ntfsclone \(command) >log || echo $?; sed s,$d,DEVICE, log; rm log",
    fixture: NtfsVolumes.fixture)
}

private func differing(
  _ id: String, _ command: String, stdout: String, stderr: String = NtfscloneTexts.banner, status: Int32
) -> Case {
  Case(
    "sh \(command)", fixture: NtfsVolumes.fixture,
    deviation: Deviation(id, stdout: stdout, stderr: stderr, status: status, files: .unchecked))
}

private let diskFull = "ERROR(28): Write failed: No space left on device\n"
