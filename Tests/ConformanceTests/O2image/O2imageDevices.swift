/// Block devices, mounted ones, full disks, pipes that end (ocfs2-o2image §14.2, §18: D8, D10, D12, D15).
let o2imageDeviceCases: [Case] =
  sourceCases + targetCases + refusedCases + ["rw", "ro"].flatMap(mountedCases) + otherCases

/// A volume on a device: the same images as from the file.
private let sourceCases: [Case] = [
  Case(
    commands: [
      "sh cp --sparse=always b4kc4.img o; \(loop); \(packed("$d", "p")); MALLOC_PERTURB_=255 o2image -r $d r;"
        + " MALLOC_PERTURB_=255 o2image -r $d - | cmp - r"
    ], name: "source on a device", fixture: madeFixture),
  Case(
    commands: [
      "sh cp --sparse=always ecc512.img o; \(loop); \(packed("$d", "p")); MALLOC_PERTURB_=255 o2image -r $d r"
    ],
    name: "source on a device, blocks of 512 bytes", fixture: madeFixture),
]

/// A device as the target: what is not in the image keeps its contents.
private let targetCases: [Case] = [104_857_600, 109_051_904].flatMap { (size: Int) -> [Case] in
  [
    "MALLOC_PERTURB_=255 o2image b4kc4.img p; printf y | o2image -I $d p >/dev/null",
    "MALLOC_PERTURB_=255 o2image -r b4kc4.img r; truncate -s %4096 r; printf y | o2image -rI $d r >/dev/null",
    "MALLOC_PERTURB_=255 o2image -r b4kc4.img $d",
  ].map { (command: String) -> Case in
    Case(
      commands: ["sh head -c \(size) /dev/zero | tr '\\0' x >o; \(loop); \(command); rm -f p r"],
      name: "device of \(size) bytes: \(command)", fixture: madeFixture)
  }
}

private let refusedCases: [Case] = [
  // Smaller than the volume by a block: nothing is written.
  differing(
    "O-12",
    "head -c 104853504 /dev/zero | tr '\\0' x >o; cp o before; MALLOC_PERTURB_=255 o2image b4kc4.img p; \(loop);"
      + " printf y | o2image -I $d p 2>&1 >/dev/null | sed s,$d,DEVICE,; cmp o before",
    stdout: "o2image: Device is smaller than the volume while trying to open \"DEVICE\"\n"),
  differing(
    "O-12",
    "head -c 104853504 /dev/zero | tr '\\0' x >o; cp o before; \(loop);"
      + " o2image -r b4kc4.img $d 2>&1 | sed s,$d,DEVICE,; cmp o before",
    stdout: "o2image: Device is smaller than the volume while trying to open \"DEVICE\"\n"),
  // A packed image does not fit: found out by writing.
  Case(
    "sh truncate -s 1M o; \(loop); o2image b4kc4.img $d", fixture: madeFixture,
    deviation: Deviation("O-15", status: 1, anyText: true, files: .unchecked)),
]

/// A mounted target is refused.
private func mountedCases(_ mode: String) -> [Case] {
  [
    "MALLOC_PERTURB_=255 o2image b4kc4.img p; printf y | o2image -I $d p >/dev/null", "o2image -r b4kc4.img $d",
    "o2image b4kc4.img $d",
  ].map { (command: String) -> Case in
    differing(
      "O-10",
      "truncate -s 100M o; mkfs.ext2 -q o; mkdir m; \(loop); mount -o \(mode) $d m; { \(command); } 2>log || echo $?;"
        + " umount m; sed s,$d,DEVICE, log; e2fsck -fn o >log 2>&1 && echo sound",
      stdout: "1\no2image: Device is mounted while trying to open \"DEVICE\"\nsound\n")
  }
}

private let otherCases: [Case] = [
  // A mounted source. No kernel here knows OCFS2: the volume is laid over a file system that is mounted.
  differing(
    "O-10",
    "truncate -s 100M o; mkfs.ext2 -q o; mkdir m; \(loop); mount -o ro $d m; dd if=b4kc4.img of=$d bs=1M status=none;"
      + " o2image $d p 2>log; sed s,$d,DEVICE, log; stat -c %s p",
    stdout: "o2image: warning: DEVICE is mounted; the image may be inconsistent\n14761984\n"),
  // The source by way of a loop device, and as standard output.
  differing(
    "O-11",
    "cp b4kc4.img o; \(loop); for r in '' -r; do o2image $r $d o && exit 9; o2image $r o $d && exit 9; "
      + "o2image $r o - 1<>o && exit 9; done 2>&1 | sed s,$d,DEVICE,; cmp o b4kc4.img",
    stdout: String(
      repeating: ["o", "DEVICE", "-"].map {
        "o2image: Source and destination are the same file while trying to open \"\($0)\"\n"
      }.joined(), count: 2)),
  // A checksum that is wrong: the image is the same, with a warning.
  Case(
    commands: [
      "sh place=$(grep -abo INODE01 ecc512.img | sed -n 6p | cut -d : -f 1);"
        + " printf X | dd of=ecc512.img bs=1 seek=$((place + 0x48)) conv=notrunc status=none; { \(packed("ecc512.img", "p")); } 2>log;"
        + " sed 's/block [0-9]*/block N/' log; rm log"
    ], name: "wrong checksum", fixture: madeFixture,
    deviation: Deviation("O-18", stdout: "o2image: warning: Bad CRC32 in block N\n", status: 0)),
  Case(
    "sh printf n | o2image -i b4kc4.img /nonexistent/x", fixture: madeFixture,
    deviation: Deviation(
      "O-20",
      stdout: "Image file expected to be 14412K, Available free space 0K. Continue ? (y/N): Aborting image creation.\n",
      status: 0)),
  // Full disks.
  differing("O-15", "\(smallDisk); o2image b4kc4.img t/o", status: 1),
  differing("O-15", "\(smallDisk); o2image -r b4kc4.img t/o", status: 1),
  differing("O-15", "\(smallDisk); o2image b4kc4.img p; printf y | o2image -I t/o p", status: 1),
  // Pipes that end too early.
  differing(
    "O-15", "{ o2image b4kc4.img - 2>/dev/null || echo $? >status; } | head -c 100 >/dev/null; cat status",
    stdout: "1\n"),
  differing(
    "O-15", "{ o2image -r b4kc4.img - 2>/dev/null || echo $? >status; } | head -c 100 >/dev/null; cat status",
    stdout: "1\n"),
]

/// A loop device over `o`, as `$d`.
private let loop = "d=$(losetup -f --show o); trap 'umount m 2>/dev/null || :; losetup -d $d' EXIT"

private let smallDisk = "mkdir t; mount -t tmpfs -o size=64k none t; trap 'umount t' EXIT"

private func differing(_ id: String, _ command: String, stdout: String? = nil, status: Int32 = 0) -> Case {
  Case(
    "sh \(command)", fixture: madeFixture,
    deviation: Deviation(
      id, stdout: stdout, status: status, anyText: stdout == nil, files: .unchecked))
}
