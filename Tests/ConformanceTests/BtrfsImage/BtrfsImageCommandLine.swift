private let fixture = btrfsFixture("empty")

/// The command line, and targets. What is made of volumes stands in other tables.
let btrfsCommandLineCases: [Case] =
  Case.lines(
    """
    --help
    --he
    -h
    -Z
    --x
    -c
    a
    -r
    -c 5x a b
    -c -1 a b
    -c 10 a b
    -c 18446744073709551615 a b
    -c 18446744073709551616 a b
    -c 99999999999999999999x a b
    -c '' a
    -c ' 3' a
    -t 33 a b
    -t -5 a b
    -t x a b
    -o a b
    -m a b
    -r -w a b
    -r -s a b
    -r -c 3 a b
    -r -m -s a b
    -r a b c
    -o
    -s
    nothing a
    . a
    '' a
    /dev/null a
    nothing missing/a
    nothing .
    - a
    $ : >void => void a
    $ printf x >tiny => tiny a
    $ truncate -s 65536 short => short a
    $ truncate -s 65537 short => short a
    $ truncate -s 70000 short => short a
    $ truncate -s 10M zeros => zeros a
    """)
  + Case.lines(
    """
    -c 011 empty.img a
    -c +1 -t 0x2 empty.img a
    -t 010 empty.img a
    -t '' -c '' empty.img a
    empty.img -w a
    -- empty.img a
    empty.img a more operands
    sh : empty.img; ln -s empty.img link; btrfs-image link a
    sh : >there; chmod 600 there; btrfs-image empty.img there; stat -c %a there
    sh umask 027; btrfs-image empty.img a; stat -c %a a
    sh btrfs-image empty.img - | cat >a
    """, fixture: fixture
  ).map { compressedAlike($0) }
  + [
    // A reader that goes away ends the dump without a word.
    Case(
      "sh (btrfs-image default.img -; echo $? >&2) | head -c 1 | wc -c", name: "closed pipe",
      fixture: btrfsFixture("default")),
    // In use as a file system, by the file and by the device.
    Case(
      """
      sh cp --sparse=always labelled.img x.1.img; mkdir m; \(btrfsFixtures)/with-devices x 'mount -r $1 m; \
      btrfs-image x.1.img a; btrfs-image $1 b 2>&1 | sed s,$1,DEVICE,; umount m'; rm x.1.img
      """,
      name: "mounted", fixture: btrfsFixture("labelled")),
  ]
  + differences.map { id, command, stdout, stderr, status in
    Case(
      "sh \(command)", name: command, fixture: fixture,
      deviation: Deviation(id, stdout: stdout, stderr: stderr, status: status, files: .unchecked))
  }

/// Compressed files are not the same: what is in them is compared in the table of volumes.
private func compressedAlike(_ line: Case) -> Case {
  var line = line
  if line.name.contains("-c 0") || line.name.contains("-c +") { line.files = .unchecked }
  return line
}

/// The row of docs/DIFFERENCES.md, commands of a shell, and what they print and return with ours.
private let differences: [(id: String, command: String, stdout: String, stderr: String, status: Int32)] = [
  (
    "B-1", "cp empty.img x; btrfs-image x x || echo $?; cmp x empty.img", "1\n",
    "ERROR: source and target are the same: x\n", 0
  ),
  (
    "B-1", "cp empty.img x; ln x y; ln -s y z; btrfs-image x z || echo $?; cmp x empty.img", "1\n",
    "ERROR: source and target are the same: z\n", 0
  ),
  (
    "B-1",
    """
    cp --sparse=always empty.img x.1.img; \(btrfsFixtures)/with-devices x \
    'btrfs-image $1 x.1.img; btrfs-image x.1.img $1' 2>&1  | sed s,/dev/loop.*,DEVICE,; cmp x.1.img empty.img
    """,
    "ERROR: source and target are the same: x.1.img\nERROR: source and target are the same: DEVICE\n", "", 0
  ),
  (
    "B-1", "cp empty.img x; btrfs-image x - 1<>x || echo $? >&2; cmp x empty.img", "",
    "ERROR: source and target are the same: -\n1\n", 0
  ),
  // A worker that gets no memory for what it compresses with.
  (
    "B-20",
    """
    for c in 3 9; do FAULT_MEMORY=300000 LD_PRELOAD=\(FaultLibrary.path) timeout 20 btrfs-image -c $c -t 2 empty.img a || \
    echo $?; ls; done
    """,
    "1\nempty.img\n1\nempty.img\n",
    String(repeating: "ERROR: Cannot allocate memory\nERROR: create failed: -12\n", count: 2), 0
  ),
  // What was there stays, though empty; a device node stays too.
  ("B-2", ": empty.img >keep; btrfs-image nothing keep 2>/dev/null || ls keep", "keep\n", "", 0),
  (
    "B-2", "mknod full c 1 7; btrfs-image empty.img full || echo $?; test -c full", "1\n",
    "ERROR: unable to write out cluster: No space left on device\nERROR: create failed: -28\n", 0
  ),
  (
    "B-12",
    """
    mkdir small; mount -t tmpfs -o size=64k none small; btrfs-image empty.img small/a || echo $?; ls small; \
    umount small
    """,
    "1\n", "ERROR: unable to write out cluster: No space left on device\nERROR: create failed: -28\n", 0
  ),
  (
    "B-15",
    """
    cp --sparse=always empty.img x.1.img; mkdir m; \(btrfsFixtures)/with-devices x \
    'mkfs.ext4 -q $1; mount $1 m; btrfs-image empty.img $1 || echo $?; umount m' 2>&1 | sed s,/dev/loop.*,DEVICE,
    """,
    "ERROR: target is mounted: DEVICE\n1\n", "", 0
  ),
  (
    "B-11", "btrfs-image -d -w empty.img a 2>&1 | head -n 1; ls a 2>&1 || :",
    "ERROR: -d conflicts with -w option\nls: cannot access 'a': No such file or directory\n", "", 0
  ),
  ("B-11", "btrfs-image -d empty.img a; dd if=a bs=8 count=1 status=none", "_DUmP_v1", "", 0),
  ("B-16", "btrfs-image --version", "", "btrfs-image, part of disk-imaging-tools 0.1.0\n", 0),
]
