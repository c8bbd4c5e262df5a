/// What the specification calls hostile input (ext4-e2image §12), row by row, with the rows of §1.4 and §4.4 that it rests
/// on. Each name begins with its row. Rows that the older tables have are not repeated: see E2imageDamage.swift.
let e2imageHostileCases: [Case] =
  sameRows.map { row, steps in
    let name = hostileVolume(steps)
    return Case(
      "sh \(E2imageScript.image) image -r \(name); image -Q \(name); image -ras \(name); image \(name)",
      name: "\(row): \(steps)", fixture: e2imageFixture, setup: hostileSetup(steps))
  }
  + otherRows.map { row, id, steps, messages in
    let name = hostileVolume(steps)
    let lines = messages.split(separator: "\n").map { "\($0)\n" }.joined()
    let ours = Deviation.Expectation(stdout: "", stderr: e2imageBanner + lines, status: lines.isEmpty ? 0 : 1)
    // Tables and trees are not looked at for a normal image.
    return Case(
      commands: ["-ra \(name) x", "-Q \(name) y", "sh \(E2imageScript.image) image \(name)"],
      name: "\(row): \(steps) (\(id))", fixture: e2imageFixture, setup: hostileSetup(steps),
      masks: [Mask("inode [0-9]+", "inode N"), Mask("#[0-9]{7,}", "#N")],
      deviation: Deviation(id, expected: [0: ours, 1: ours], files: .unchecked))
  } + hostileSpecials + badSectors + qcow2Rows + installationRows

private func hostileVolume(_ steps: String) -> String {
  ["e2.img", "bigalloc.img", "v.img"].first { steps.contains($0) } ?? "e4.img"
}

private func hostileSetup(_ steps: String) -> [Step] {
  steps.components(separatedBy: " => ").map { step in
    step.hasPrefix("$ ") ? .shell(damageFunctions + step.dropFirst(2)) : Step(line: step)
  }
}

/// `node FILE [IMAGE]`: the block with the first node below the root of a tree of extents. `store IMAGE BYTE TEXT`: stores
/// what printf makes of a text. `number BLOCK`: a block's number as it stands in a block of them, for printf. `small`:
/// makes v.img, an ext2 file system with blocks of 1 KiB and a file, and sets b to a block of the file.
private let damageFunctions = """
  node() { debugfs -R "stat $1" ${2:-e4.img} 2>/dev/null | sed -n 's/.*(ETB0):\\([0-9]*\\).*/\\1/p'; }
  store() { printf "$3" | dd of=$1 bs=1 seek=$2 conv=notrunc status=none; }
  number() { printf '\\\\%o\\\\%o\\\\0\\\\0' $(($1 & 255)) $(($1 >> 8)); }
  edit() { debugfs -w -R "$2" $1 >/dev/null 2>&1; }
  \(E2imageScript.make)
  small() { make v.img 8M -t ext2 -b 1024; head -c 600000 /dev/zero | tr '\\0' q >f; edit v.img 'write f data'; \
  edit v.img 'mkdir d'; rm f; b=$(debugfs -R 'bmap /data 300' v.img 2>/dev/null); }

  """

/// Both do the same: -r, -Q, -ras and the normal image.
private let sameRows: [(row: String, steps: String)] = [
  // Superblock.
  ("§1.4, 4, no checksum counts: superblock", "patch e4.img 2044 l32 0x12345678"),
  ("§1.4, 4: group descriptor", "patch e4.img 2078 l16 0x1234"),
  ("§1.4, 4: bitmaps", "patch e4.img 2072 l32 0x12345678"),
  ("§1.4, 4: inode", "$ edit e4.img 'sif /data checksum 0x1234'"),
  ("§1.4, 4: extents", "$ store e4.img $(($(node /sparse) * 1024 + 1020)) '\\1\\2\\3\\4'"),
  ("§1.4, 4: directory", "$ store e4.img $(($(debugfs -R 'bmap /d 0' e4.img) * 1024 + 1020)) '\\1\\2\\3\\4'"),
  ("§1.4, 7: a feature that is not supported", "patch e4.img 1120 l32 0x12c2"),
  ("§1.4, 8: clusters of 1 GiB", "patch bigalloc.img 1052 l32 20"),
  ("§1.4, 15: the first block behind the last", "patch e4.img 1044 l32 32768"),
  ("§1.4, 15: inode tables too long", "patch e4.img 1064 l32 262144 => patch e4.img 1024 l32 1048576"),
  ("§1.4, 16: 2^32 groups", "patch e4.img 1056 l32 8 8 => patch e4.img 1360 l32 0xff"),
  ("§1.4, 19: an unknown encoding", "patch e4.img 1120 l32 0x202c2 => patch e4.img 1660 l16 77"),
  (
    "§12, s_blocks_count: 2^48 blocks, consistent",
    "patch e4.img 1028 l32 0 => patch e4.img 1360 l32 0xfff0 => patch e4.img 1056 l32 65528 65528 => "
      + "patch e4.img 1064 l32 1 => patch e4.img 1024 l32 0xfff7ffc0"
  ),
  (
    "§12, s_blocks_count: 2^36 blocks, consistent",
    "patch e4.img 1028 l32 1 => patch e4.img 1360 l32 0x10 => patch e4.img 1064 l32 1 => patch e4.img 1024 l32 0x800000"
  ),
  ("§12, s_desc_size: without 64bit", "patch e2.img 1278 l16 32"),
  ("§12, s_desc_size: nonsense without 64bit", "patch e2.img 1278 l16 7777"),
  ("§12, s_backup_bgs", "patch e4.img 1116 l32 0x23c => patch e4.img 1612 l64 0x200000001"),
  ("§12, cpg/8 > bs", "patch e4.img 1056 l32 16384 16384 => patch e4.img 1024 l32 4096"),
  ("§12, ipg/8 > bs", "patch e4.img 1064 l32 8200 => patch e4.img 1024 l32 32800"),
  // Group descriptors.
  ("§12, bg_itable_unused: one more than ipg", "patch e4.img 2076 l16 2049"),
  ("§12, bg_block_bitmap near 2^64", "patch e4.img 2048 l32 0xffffffff => patch e4.img 2080 l32 0xffffffff"),
  ("§12, bg_inode_bitmap near 2^64", "patch e4.img 2052 l32 0xffffffff => patch e4.img 2084 l32 0xffffffff"),
  ("§9.2, a table in front of the one before it", "patch e4.img 2248 l32 266"),
  ("§9.2, a table behind the others", "patch e4.img 2056 l32 20000"),
  // Extents.
  ("§12, extent depth: a child's disagrees", "$ store e4.img $(($(node /sparse) * 1024 + 6)) '\\5\\0'"),
  ("§12, extent capacity: eh_max one less", "$ store e4.img $(($(node /sparse) * 1024 + 4)) '\\123\\0'"),
  ("§12, extent capacity: eh_max two less", "$ store e4.img $(($(node /sparse) * 1024 + 4)) '\\122\\0'"),
  ("§12, extent capacity: a root for two", "$ edit e4.img 'sif /data block[1] 2'"),
  ("§12, extent ranges: a file's behind the end", "$ edit e4.img 'sif /data block[5] 99999'"),
  ("§12, extent ranges: a directory's behind the end", "$ edit e4.img 'sif /d block[5] 99999'"),
  (
    "§12, extent ranges: a directory's over the end",
    "$ edit e4.img 'sif /d block[5] 32760'; edit e4.img 'sif /d block[4] 16'"
  ),
  (
    "§12, extent ranges: the largest numbers",
    "$ edit e4.img 'sif /d block[5] 0xffffffff'; edit e4.img 'sif /d block[4] 0xffff0800'"
  ),
  ("§12, extent ranges: no length", "$ edit e4.img 'sif /d block[4] 0'"),
  ("§12, extent ranges: block 0", "$ edit e4.img 'sif /d block[5] 0'"),
  ("§12, extent ranges: the journal's behind the end", "$ edit e4.img 'sif <8> block[5] 40000'"),
  // Indirect blocks.
  (
    "§12, indirect cycles: a triply indirect block of itself alone",
    "$ small; for i in $(seq 256); do printf \"$(number $b)\"; done | dd of=v.img bs=1024 seek=$b conv=notrunc "
      + "status=none; edit v.img \"sif /data block[TIND] $b\""
  ),
  ("§12, indirect cycles: the superblock", "$ small; edit v.img 'sif /data block[IND] 1'"),
  ("§12, indirect cycles: a block of a file", "$ small; edit v.img \"sif /data block[IND] $b\""),
  // Extended attributes.
  ("§12, i_file_acl: the last block", "$ edit e4.img 'sif /small file_acl 32767'"),
  ("§12, i_file_acl: behind the last block", "$ edit e4.img 'sif /small file_acl 32768'"),
  ("§12, i_file_acl: high half", "$ edit e4.img 'sif /small file_acl 0x100000000064'"),
  // Directories.
  ("§12, rec_len: 0", "$ store e4.img $(($(debugfs -R 'bmap /d 0' e4.img) * 1024 + 4)) '\\0\\0'"),
  ("§12, rec_len: 65535", "$ store e4.img $(($(debugfs -R 'bmap /d 0' e4.img) * 1024 + 4)) '\\377\\377'"),
  (
    "§12, rec_len: the last 8 bytes are no entry",
    "$ small; d=$(debugfs -R 'bmap /d 0' v.img); store v.img $((d * 1024 + 4)) '\\370\\3\\1\\2'; "
      + "store v.img $((d * 1024 + 1016)) '\\377\\377\\377\\377\\377\\377\\377\\377'"
  ),
  ("§12, name_len: 0", "$ store e4.img $(($(debugfs -R 'bmap /d 0' e4.img) * 1024 + 30)) '\\0'"),
  // §11, 28: what looks like a slow symbolic link is one.
  (
    "§11, 28: a fast link with zeros", "$ edit e4.img 'sif /d/fast block[1] 0'; edit e4.img 'sif /d/fast file_acl 5000'"
  ),
  ("§11, 28: a fast link of 60 bytes", "$ edit e4.img 'sif /d/fast size 60'; edit e4.img 'sif /d/fast file_acl 5000'"),
  (
    "§11, 28: a fast link without extents",
    "$ small; edit v.img 'symlink l short'; edit v.img 'sif /l block[1] 0'; edit v.img 'sif /l file_acl 5000'"
  ),
  ("§11, 23: no links", "$ edit e4.img 'sif /d links_count 0'; edit e4.img 'sif /sparse links_count 0'"),
]

/// What ours says, the same for -ra and -Q, where the reference gives up, is silent, or does not end; the normal image is as
/// the reference's.
private let otherRows: [(row: String, id: String, steps: String, messages: String)] = [
  ("§12, bg_itable_unused: the largest number", "E-17", "patch e4.img 2076 l16 0xffff", ""),
  (
    "§12, extent capacity: entries > max", "E-15", "$ store e4.img $(($(node /sparse) * 1024 + 2)) '\\377\\0'",
    "e2image: Corrupt extent header while iterating over inode N"
  ),
  (
    "§12, extent capacity: eh_max > capacity", "E-15", "$ store e4.img $(($(node /sparse) * 1024 + 4)) '\\125\\0'",
    "e2image: Corrupt extent header while iterating over inode N"
  ),
  (
    "§12, extent capacity: eh_max three less", "E-15", "$ store e4.img $(($(node /sparse) * 1024 + 4)) '\\121\\0'",
    "e2image: Corrupt extent header while iterating over inode N"
  ),
  (
    "§12, extent capacity: a root for five", "E-15", "$ edit e4.img 'sif /data block[1] 5'",
    "e2image: Corrupt extent header while iterating over inode N"
  ),
  (
    "§12, extent capacity: five entries in a root", "E-15", "$ edit e4.img 'sif /data block[0] 0x5f30a'",
    "e2image: Corrupt extent header while iterating over inode N"
  ),
  (
    "§4.4, a child at block 0", "E-15", "$ edit e4.img 'sif /sparse block[4] 0'",
    "Illegal block number passed to ext2fs_mark_block_bitmap #0 for in-use block map\n"
      + "e2image: Corrupt extent header while iterating over inode N"
  ),
  (
    "§4.4, a child behind the end", "E-15", "$ edit e4.img 'sif /sparse block[4] 99999'",
    "Illegal block number passed to ext2fs_mark_block_bitmap #99999 for in-use block map\n"
      + "e2image: Attempt to read block from filesystem resulted in short read while iterating over inode N"
  ),
  // A root of depth 3; its child names itself.
  (
    "§4.4, a child that is its own", "E-15",
    "$ b=$(node /sparse); edit e4.img 'sif /sparse block[1] 0x30004'; n=$(number $b); store e4.img $((b * 1024)) "
      + "\"\\012\\363\\1\\0\\124\\0\\2\\0\\0\\0\\0\\0\\0\\0\\0\\0$n\\0\\0\\0\\0\"",
    "e2image: Found cyclic loop in extent tree while iterating over inode N"
  ),
  // Each of eight blocks names the next: the limit comes before the depth that the root says.
  (
    "§12, extent depth: 65535", "E-29",
    "$ p=$(node /sparse); edit e4.img 'sif /sparse block[1] 0xffff0004'; for b in $(seq 30000 30007); do "
      + "n=$(number $b); store e4.img $((p * 1024)) "
      + "\"\\012\\363\\1\\0\\124\\0\\2\\0\\0\\0\\0\\0\\0\\0\\0\\0$n\\0\\0\\0\\0\"; p=$b; done",
    "e2image: Corrupt extent header while iterating over inode N"
  ),
  // 2^30 steps for the reference; nothing for ours, and other inodes are not affected.
  (
    "§12, indirect cycles: a triply indirect block of itself alone, 4 KiB blocks", "E-29",
    "$ b=$(debugfs -R 'bmap /data 100' e2.img 2>/dev/null); i=0; while [ $i -lt 1024 ]; do printf \"$(number $b)\"; "
      + "i=$((i + 1)); done | dd of=e2.img bs=4096 seek=$b conv=notrunc status=none; "
      + "edit e2.img \"sif /data block[TIND] $b\"", ""
  ),
]

/// Rows that call for other commands.
private let hostileSpecials: [Case] =
  [
    Case(
      "e4.img x", name: "§12, cpg not a multiple of 8 (E-34)", fixture: e2imageFixture,
      setup: hostileSetup("patch e4.img 1056 l32 8196 8196"),
      deviation: Deviation(
        "E-34", stdout: "",
        stderr: e2imageBanner + "e2image: The ext2 superblock is corrupt while writing block bitmap\n", status: 1,
        files: .unchecked)),
    Case(
      "e4.img x", name: "§12, ipg not a multiple of 8 (E-34)", fixture: e2imageFixture,
      setup: hostileSetup("patch e4.img 1064 l32 2044 => patch e4.img 1024 l32 8176"),
      deviation: Deviation(
        "E-34", stdout: "",
        stderr: e2imageBanner + "e2image: The ext2 superblock is corrupt while writing block bitmap\n", status: 1,
        files: .unchecked)),
    Case(
      "sh \(E2imageScript.image) for f in e4.img e5.img; do image -r $f; image -Q $f; done",
      name: "§12, cpg and ipg not multiples of 8: raw and QCOW2", fixture: e2imageFixture,
      setup: hostileSetup(
        "$ cp --sparse=always e4.img e5.img => patch e4.img 1056 l32 8196 8196 => patch e5.img 1064 l32 2044 => "
          + "patch e5.img 1024 l32 8176")),
  ]
  + ["-r", "-Q"].flatMap { kind in
    [
      Case(
        "\(kind) e4.img x", name: "§12, bg_inode_table near 2^64, \(kind) (E-35)", fixture: e2imageFixture,
        setup: hostileSetup("patch e4.img 2056 l32 0xfffffffe => patch e4.img 2088 l32 0xffffffff"),
        deviation: Deviation(
          "E-35", stdout: "",
          stderr: e2imageBanner
            + [UInt64.max - 1, .max].map {
              "Illegal block number passed to ext2fs_mark_block_bitmap #\($0) for in-use block map\n"
            }.joined()
            + "e2image: Corrupt group descriptor: bad block for inode table while opening inode scan\n", status: 1,
          files: .unchecked)),
      // The reference ends here with the same lines; ours goes on (E-15).
      Case(
        "sh e2image \(kind) e4.img x >/dev/null 2>y; echo $?; sort y | uniq -c | sort -rn | head -3; wc -l <y; rm -f x y",
        name: "§4.4, the first group's table outside, \(kind)", fixture: e2imageFixture,
        setup: hostileSetup("patch e4.img 2056 l32 40000")),
      Case(
        "sh e2image \(kind) e4.img x >/dev/null 2>y; echo $?; cat y; rm -f x y",
        name: "§4.4, the first group's table over the end, \(kind)", fixture: e2imageFixture,
        setup: hostileSetup("patch e4.img 2056 l32 32300")),
      Case(
        "sh e2image \(kind) e4.img x >/dev/null 2>y; echo $?; grep getting y; rm -f x y",
        name: "§4.4, a table that is cut off, \(kind)", fixture: e2imageFixture,
        setup: hostileSetup("$ truncate -s 264700 e4.img")),
    ]
  }
  + [
    // Normal images: what they need of damaged descriptors and of what is cut off.
    "patch e4.img 2056 l32 40000", "patch e4.img 2056 l32 32300", "patch e4.img 2056 l32 0",
    "patch e4.img 2120 l32 0xffffff", "patch e4.img 2056 l32 0xfffffe00 => patch e4.img 2088 l32 0xffffffff",
    "$ truncate -s 500000 e4.img", "$ truncate -s 264700 e4.img", "$ truncate -s 1500000 e4.img",
    "patch e4.img 2048 l32 32767 => $ truncate -s 33553500 e4.img",
    "patch e4.img 2052 l32 32767 => $ truncate -s 33553500 e4.img",
  ].map { steps in
    Case("e4.img x", name: "§9.2, a normal image: \(steps)", fixture: e2imageFixture, setup: hostileSetup(steps))
  }
  + ["\\4\\0", "\\0\\4", "\\377\\377"].map { length in
    Case(
      "sh e2image -rs e4.img - | grep -a -c fifo || :", name: "§12, rec_len: \(length) in an entry (E-20)",
      fixture: e2imageFixture,
      setup: hostileSetup(
        "$ tune2fs -O ^has_journal e4.img >/dev/null; "
          + "store e4.img $(($(debugfs -R 'bmap /d 0' e4.img) * 1024 + 28)) '\(length)'"),
      masks: [Mask("block [0-9]+", "block N"), Mask("rec_len \\([0-9]+\\)", "rec_len (N)")],
      deviation: Deviation(
        "E-20", stdout: "0\n", stderr: e2imageBanner + "Corrupt directory block N: bad rec_len (N)\n", status: 0,
        files: .unchecked))
  }
  + [
    Case(
      "sh e2image -Qs e4.img x; echo $?; rm x", name: "§12, name_len: 255 in an entry of 16 bytes (E-20)",
      fixture: e2imageFixture,
      setup: hostileSetup("$ store e4.img $(($(debugfs -R 'bmap /d 0' e4.img) * 1024 + 30)) '\\377'"),
      masks: [Mask("block [0-9]+", "block N")],
      deviation: Deviation(
        "E-20", stdout: "0\n", stderr: e2imageBanner + "Corrupt directory block N: bad name_len (255)\n", status: 0,
        files: .unchecked)),
    Case(
      "sh E2FSPROGS_FAKE_TIME=1700000123 e2image -sfcpI e2.img i", name: "§11, 27: -I with options that mean nothing",
      fixture: e2imageFixture,
      setup: [.shell("debugfs -w -R 'ssv kbytes_written 0' e2.img 2>/dev/null; e2image e2.img i")]),
  ]

// MARK: Bad sectors (§4.4, §11, 16)

/// A sector of `where` (a command that prints its byte) in e4.img that cannot be read; what ours says behind its first line.
private func badSector(_ name: String, _ place: String, _ options: String, _ lines: String, then: String = ":") -> Case
{
  Case(
    "sh FAULT_READ=e4.img:$(cat place):512 LD_PRELOAD=\(FaultLibrary.path) e2image \(options) e4.img x >/dev/null || echo $?; \(then)",
    name: "§11, 16: \(name), \(options) (E-16)", fixture: e2imageFixture, setup: hostileSetup("$ echo \(place) >place"),
    masks: [Mask("block [0-9]+", "block N"), Mask("inode [0-9]+", "inode N")],
    deviation: Deviation("E-16", stdout: "1\n", stderr: e2imageBanner + lines, status: 0, files: .unchecked))
}

private let badSectors: [Case] = ["-r", "-Q", "-ras", "-Qn"].flatMap { options in
  [
    // The other half of the block is kept, but for a QCOW2 image.
    badSector(
      "half a directory block", "$(($(debugfs -R 'bmap /d 0' e4.img) * 1024 + 512))", options,
      (options == "-ras" ? "Corrupt directory block N: bad rec_len (1024)\n" : "")
        + "e2image: Input/output error error reading block N\n",
      then: options == "-r"
        ? "p=$(($(cat place) - 512)); cmp -n 512 -i $p x e4.img; cmp -n 512 -i $((p + 1024)) x e4.img" : ":"),
    badSector(
      "an inode table", "$((270 * 1024))", options,
      "e2image: Can't read next inode while getting next inode\ne2image: Input/output error error reading block N\n"),
    badSector(
      "a node of extents", "$(($(node /sparse) * 1024))", options,
      "e2image: Input/output error while iterating over inode N\n"
        + "e2image: Input/output error error reading block N\n"),
  ]
}

// MARK: QCOW2 sources

/// An image of e4.img: the L1 table is at 1024, the first L2 table at 5120.
private func qcow2Setup(_ steps: String) -> [Step] { [.shell("e2image -Q e4.img q.qcow2")] + hostileSetup(steps) }

private let qcow2Rows: [Case] =
  [
    ("snapshots", "patch q.qcow2 60 u32 5"),
    ("snapshots, nonsense", "patch q.qcow2 60 u32 0xffffffff => patch q.qcow2 64 u64 0x123456789"),
    ("no refcount table", "patch q.qcow2 56 u32 0"),
    ("refcount table anywhere", "patch q.qcow2 48 u64 0x7777777777777777"),
    ("refcount table of 4 TiB", "patch q.qcow2 56 u32 0xffffffff"),
    ("L1 entry twice", "$ dd if=q.qcow2 of=q.qcow2 bs=1 skip=1024 seek=1032 count=8 conv=notrunc status=none"),
    ("L1 entry without its flag", "patch q.qcow2 1024 u64 0x1400"),
    ("L2 entry without its flag", "patch q.qcow2 5128 u64 0x1800"),
    ("L2 entry that names the header", "patch q.qcow2 5128 u64 0x8000000000000000"),
  ].map { row, steps in
    Case("-r q.qcow2 x", name: "§12, QCOW2: \(row)", fixture: e2imageFixture, setup: qcow2Setup(steps))
  }
  + [
    ("E-3", "L1 table behind the end", "patch q.qcow2 40 u64 0x40000000", shortRead),
    ("E-3", "L2 table behind the end", "patch q.qcow2 1024 u64 0x8000000001000000", shortRead),
    ("E-3", "L2 table of 2^55", "patch q.qcow2 1024 u64 0x8080000000000000", shortRead),
    ("E-3", "data behind the end", "patch q.qcow2 5128 u64 0x8000000001000000", shortRead),
    ("E-3", "data at 2^55", "patch q.qcow2 5128 u64 0x8080000000000000", shortRead),
    ("E-3", "cut off in the last cluster", "$ truncate -s -512 q.qcow2", shortRead),
    ("E-5", "l1_size of 2^31", "patch q.qcow2 36 u32 0x80000000", "Image (q.qcow2) is corrupted\n"),
    ("E-5", "clusters of 4 MiB", "patch q.qcow2 20 u32 22", "Image (q.qcow2) is corrupted\n"),
    ("E-5", "cluster_bits of 32", "patch q.qcow2 20 u32 32", "Image (q.qcow2) is corrupted\n"),
    ("E-5", "size, no multiple of 512", "patch q.qcow2 24 u64 33554431", "Image (q.qcow2) is corrupted\n"),
    ("E-33", "size of 2^63", "patch q.qcow2 24 u64 0x8000000000000000", refused("Image is too big")),
    ("E-33", "size of 2^40", "patch q.qcow2 24 u64 0x10000000000", refused("L1 table is too small")),
    ("E-33", "l1_size of 0", "patch q.qcow2 36 u32 0", refused("L1 table is too small")),
    ("E-33", "l1_size of 100", "patch q.qcow2 36 u32 100", refused("L1 table is too small")),
    ("E-33", "L1 table at 2^63", "patch q.qcow2 40 u64 0x8000000000000000", refused("Active L1 table offset invalid")),
    (
      "E-33", "L2 table that is not aligned", "patch q.qcow2 1024 u64 0x8000000000001a00",
      corruption("L2 table offset 0x1a00 unaligned (L1 index: 0)")
    ),
    (
      "E-33", "data that is not aligned", "patch q.qcow2 5128 u64 0x8000000000001a00",
      corruption("Cluster allocation offset 0x1a00 unaligned (L2 offset: 0x1400, L2 index: 0x1)")
    ),
  ].map { id, row, steps, lines in
    Case(
      "-r q.qcow2 x", name: "§12, QCOW2: \(row) (\(id))", fixture: e2imageFixture, setup: qcow2Setup(steps),
      deviation: Deviation(id, stdout: "", stderr: e2imageBanner + lines, status: 1, files: .unchecked))
  }

private func refused(_ text: String) -> String {
  "e2image: \(text) while trying to convert qcow2 image (q.qcow2) into raw image (x)\n"
}

private let shortRead = refused("Attempt to read block from filesystem resulted in short read")

private func corruption(_ text: String) -> String {
  "qcow2: Image is corrupt: \(text); further non-fatal corruption events will be suppressed\n"
    + refused("Input/output error")
}

// MARK: Installing

private let installationRows: [Case] =
  [
    "patch i 204 l32 0", "patch i 204 l32 2048", "patch i 204 l32 1", "patch i 0 l32 1", "patch i 1080 l16 0",
    "$ truncate -s 300 i", "$ truncate -s 0 i", "$ truncate -s 1500 i", "patch i 2048 l32 0",
    "patch i 2048 l32 0x7ffffff", "patch i 2052 l32 1", "patch i 1120 l32 0x2d2 => patch i 1284 l32 1",
    "patch i 1120 l32 0x2d2 => patch i 1284 l32 0",
    // A bitmap without a place still has a checksum.
    "$ store e4.img 2048 '\\160\\21\\1\\0'; e2image e4.img i", "$ store e4.img 2052 '\\0\\0\\0\\0'; e2image e4.img i",
    // Neither name need end in a NUL.
    "$ for o in 20 124; do head -c 64 /dev/zero | tr '\\0' n | dd of=i bs=1 seek=$o conv=notrunc status=none; done",
  ].map { steps in
    Case(
      "sh E2FSPROGS_FAKE_TIME=1700000123 e2image -I e4.img i; echo $?; for o in 376 1020; do head -c 4 /dev/zero | dd "
        + "of=e4.img bs=1 seek=$((1024 + o)) conv=notrunc status=none; done",
      name: "§12, normal image: \(steps)", fixture: e2imageFixture,
      setup: [.shell("e2image e4.img i")] + hostileSetup(steps))
  }
  + [284, 288, 292, 296].flatMap { field in
    [0, 3073, 0xFFFF_FFFF].map { value in
      refusedInstallation(
        "patch i \(field) l32 \(value)", "e2image: The ext2 superblock is corrupt while trying to open i\n")
    }
  }
  + [
    // What is not durable is not installed: of the last three calls that can fail one makes everything else durable, one
    // writes the superblock, and one makes that durable.
    Case(
      "sh export E2FSPROGS_FAKE_TIME=1700000123 LD_PRELOAD=\(FaultLibrary.path); FAULT_COUNT=n e2image -I c i; read a b <n; "
        + "for k in 0 1 2; do cp d e2.img; FAULT_AT=$((a - k)) FAULT_ERRNO=5 e2image -I e2.img i || echo $?; "
        + "cmp -s -n 64 -i 4096 e2.img c && echo descriptors; od -An -td4 -j1072 -N4 e2.img | grep 1700000123 || :; done",
      name: "§11, 19: a flush that fails (E-19)", fixture: e2imageFixture,
      setup: [
        .shell(
          "e2image e2.img i; cp e2.img c; cp e2.img d; dd if=/dev/zero of=d bs=4096 seek=1 count=1 conv=notrunc status=none"
        )
      ],
      deviation: Deviation(
        "E-19", stdout: "1\ndescriptors\n  1700000123\n1\ndescriptors\n1\ndescriptors\n",
        stderr: e2imageBanner
          + String(repeating: e2imageBanner + "e2image: Input/output error while installing i\n", count: 3), status: 0,
        files: .unchecked)),
    refusedInstallation(
      "patch i 1064 l32 2044 => patch i 1024 l32 8176",
      "e2image: The ext2 superblock is corrupt while trying to open i\n"),
    refusedInstallation("patch i 2056 l32 0", "e2image: A block group is missing an inode table while installing i\n"),
    refusedInstallation(
      "patch i 2056 l32 0xffffff", "e2image: Corrupt group descriptor: bad block for inode table while installing i\n"),
    refusedInstallation(
      "$ truncate -s 2105000 i",
      "e2image: Attempt to read block from filesystem resulted in short read while trying to open i\n"),
    sound(
      "E-31", "§12, normal image: names without NUL in qemu-img info", e2imageFixture,
      "sh Q=$(dirname $(readlink -f $(command -v e2image)))/qemu-img; $Q info i | grep -c -E ': (n{64}|l{16})$'",
      setup:
        "e2image e4.img i; for o in 20 124; do head -c 64 /dev/zero | tr '\\0' n | dd of=i bs=1 seek=$o conv=notrunc "
        + "status=none; done; head -c 16 /dev/zero | tr '\\0' l | dd of=i bs=1 seek=1144 conv=notrunc status=none",
      times: 0, stdout: "3\n"),
  ]

/// An image that the reference installs as far as it goes.
private func refusedInstallation(_ steps: String, _ lines: String) -> Case {
  Case(
    "-I e4.img i", name: "§12, normal image: \(steps) (E-19)", fixture: e2imageFixture,
    setup: [.shell("e2image e4.img i")] + hostileSetup(steps),
    deviation: Deviation("E-19", stdout: "", stderr: e2imageBanner + lines, status: 1, files: .unchecked))
}
