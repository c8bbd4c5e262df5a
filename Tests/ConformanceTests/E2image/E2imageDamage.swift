/// File systems damaged in one place each (ext4-e2image §1.4, §4.4, §12).
let e2imageDamageCases: [Case] =
  sameDamages.map { steps in
    Case(
      "sh \(E2imageScript.image) image -r \(volume(steps)); image -Qa \(volume(steps)); image \(volume(steps))",
      name: steps,
      fixture: e2imageFixture, setup: steps.components(separatedBy: " => ").map(Step.init(line:)))
  }
  + otherDamages.map { id, steps, messages in
    let lines = messages.split(separator: "\n").map { "\($0)\n" }.joined()
    return Case(
      "-r \(volume(steps)) x", name: "\(steps) (\(id))", fixture: e2imageFixture,
      setup: steps.components(separatedBy: " => ").map(Step.init(line:)),
      masks: [Mask("inode [0-9]+", "inode N"), Mask("#[0-9]{8,}", "#N")],
      deviation: Deviation(id, stdout: "", stderr: e2imageBanner + lines, status: 1, files: .unchecked))
  } + specialDamages

/// The file that a damage is about.
private func volume(_ steps: String) -> String {
  steps.contains("e2.img") ? "e2.img" : steps.contains("bigalloc.img") ? "bigalloc.img" : "e4.img"
}

/// What both see in the same way. The superblock is at byte 1024, the descriptors of e4.img are at 2048, those of e2.img
/// at 4096; /d/e is a directory, /data has extents or an indirect block.
private let sameDamages = [
  "patch e4.img 1080 l16 0",
  "patch e4.img 1100 l32 2",
  "patch e4.img 1120 l32 1",
  "patch e4.img 1120 l32 8",
  "patch e4.img 1120 l32 0x40000",
  "patch e4.img 1048 l32 7",
  "patch e4.img 1052 l32 20",
  "patch e4.img 1052 l32 2",
  "patch e2.img 1052 l32 1",
  "patch e4.img 1396 u8 32",
  "patch e4.img 1396 u8 31",
  "patch e4.img 1374 l16 7",
  "patch e4.img 1360 l32 0x7fff",
  "patch e4.img 1360 l32 0xffffffff",
  "patch e4.img 1116 l32 0x23c => patch e4.img 1612 l64 0xffffffffffffffff",
  "patch e4.img 1112 l16 64",
  "patch e4.img 1112 l16 200",
  "patch e4.img 1112 l16 2048",
  "patch e4.img 1278 l16 32",
  "patch e4.img 1278 l16 96",
  "patch e4.img 1278 l16 2048",
  "patch e4.img 1056 l32 100",
  "patch e4.img 1064 l32 0",
  "patch e4.img 1064 l32 1000",
  "patch e4.img 1056 l32 4 => patch e4.img 1060 l32 4",
  "patch e4.img 1056 l32 65536 => patch e4.img 1060 l32 65536",
  "patch e4.img 1044 l32 99999999",
  "patch e4.img 1024 l32 1",
  "patch e4.img 1028 l32 0",
  "patch e4.img 1028 l32 30000",
  "patch e4.img 1028 l32 90000",
  "patch e4.img 1120 l32 0x2d2 => patch e4.img 1284 l32 1000",
  "patch e4.img 1120 l32 0x2d2 => patch e4.img 1284 l32 1",
  "patch e4.img 1116 l32 0 => patch e4.img 1124 l32 0",
  "patch e4.img 1120 l32 0x3c2 => patch e4.img 1384 l64 1000",
  "patch e4.img 1120 l32 0x3c2 => patch e4.img 1384 l64 0xffffffffffff",
  "patch e4.img 2048 l32 0",
  "patch e4.img 2048 l32 0xfffffff0",
  "patch e4.img 2052 l32 99999",
  "patch e4.img 2066 l16 3",
  "patch e4.img 2130 l16 7",
  "patch e4.img 2076 l16 2000",
  "patch e4.img 2080 l32 5",
  "patch e2.img 4100 l32 70000",
  "patch e2.img 4114 l16 3",
  "$ debugfs -w -R 'sif /data links_count 0' e4.img 2>/dev/null",
  "$ debugfs -w -R 'sif /d links_count 0' e4.img 2>/dev/null",
  "$ debugfs -w -R 'sif /data mode 0' e4.img 2>/dev/null",
  "$ debugfs -w -R 'sif /small file_acl 100' e4.img 2>/dev/null",
  "$ debugfs -w -R 'sif /small file_acl 100000' e4.img 2>/dev/null",
  "$ debugfs -w -R 'sif /small flags 0' e4.img 2>/dev/null",
  "$ debugfs -w -R 'sif /data block[0] 60000' e2.img 2>/dev/null",
  "$ debugfs -w -R 'sif /d/e block[0] 60000' e2.img 2>/dev/null",
  "$ debugfs -w -R 'sif /d/slow block[0] 7' e2.img 2>/dev/null",
  "$ debugfs -w -R 'sif /d mode 0100644' e4.img 2>/dev/null",
  "$ debugfs -w -R 'sif /data mode 0120777' e4.img 2>/dev/null",
  "$ debugfs -w -R 'clri /data' e4.img 2>/dev/null",
  "$ truncate -s 3000 e4.img",
  "$ truncate -s 1500 e4.img",
  "$ truncate -s 1000 e4.img",
  "$ truncate -s 2048 e4.img",
]

/// What the reference gives up at, calls a success, or never comes back from: the row of docs/DIFFERENCES.md, the damage, and
/// what ours says behind its first line.
private let otherDamages: [(id: String, steps: String, messages: String)] = [
  (
    "E-15", "$ debugfs -w -R 'sif /data block[0] 0' e4.img 2>/dev/null",
    "e2image: Corrupt extent header while iterating over inode N"
  ),
  (
    "E-15", "$ \(extentNode); dd if=/dev/zero of=e4.img bs=1024 seek=$b count=1 conv=notrunc status=none",
    "e2image: Corrupt extent header while iterating over inode N"
  ),
  (
    "E-15", "$ \(extentNode); printf '\\0\\0' | dd of=e4.img bs=1 seek=$((b * 1024 + 2)) conv=notrunc status=none",
    "e2image: No 'down' extent while iterating over inode N"
  ),
  (
    "E-15", "$ debugfs -w -R 'sif /data block[IND] 99999' e2.img 2>/dev/null",
    "Illegal block number passed to ext2fs_mark_block_bitmap #99999 for in-use block map\n"
      + "e2image: Illegal indirect block found while iterating over inode N"
  ),
  (
    "E-15", "$ debugfs -w -R 'sif /sparse block[DIND] 99999' e2.img 2>/dev/null",
    "Illegal block number passed to ext2fs_mark_block_bitmap #99999 for in-use block map\n"
      + "e2image: Illegal doubly indirect block found while iterating over inode N"
  ),
  (
    "E-15", "$ debugfs -w -R 'sif /sparse block[TIND] 99999' e2.img 2>/dev/null",
    "Illegal block number passed to ext2fs_mark_block_bitmap #99999 for in-use block map\n"
      + "e2image: Illegal triply indirect block found while iterating over inode N"
  ),
  // Of several, the last is named.
  (
    "E-15",
    "$ (echo 'sif /sparse block[IND] 99999'; echo 'sif /sparse block[TIND] 99998') | debugfs -w -f - e2.img 2>/dev/null",
    "Illegal block number passed to ext2fs_mark_block_bitmap #99999 for in-use block map\n"
      + "Illegal block number passed to ext2fs_mark_block_bitmap #99998 for in-use block map\n"
      + "e2image: Illegal triply indirect block found while iterating over inode N"
  ),
  (
    "E-15", "patch e4.img 2120 l32 0xffffff",
    "e2image: Corrupt group descriptor: bad block for inode table while getting next inode"
  ),
  (
    "E-15", "patch e4.img 2056 l32 0", "e2image: A block group is missing an inode table while getting next inode"
  ),
  (
    "E-29", "$ debugfs -w -R 'sif /data block[1] 0x00090004' e4.img 2>/dev/null",
    "Illegal block number passed to ext2fs_mark_block_bitmap #N for in-use block map\n"
      + "e2image: Attempt to read block from filesystem resulted in short read while iterating over inode N"
  ),
]

/// Finds a block that holds a node of extents: sets `b`.
private let extentNode =
  "b=$(debugfs -R 'stat /sparse' e4.img 2>/dev/null | sed -n 's/.*(ETB0):\\([0-9]*\\).*/\\1/p')"

/// Cuts e2.img off in the last block that is in use: leaves its number in `b` and in a file of that name.
private let cutOff =
  "b=$(e2image -ran e2.img - 2>/dev/null | tail -1 | cut -d' ' -f3); truncate -s $((b * 4096 + 100)) e2.img; echo $b >b"

/// Damage that calls for other commands.
private let specialDamages: [Case] = [
  Case(
    "-r e4.img x", name: "more unused inodes than a group has (E-17)", fixture: e2imageFixture,
    setup: [Step(line: "patch e4.img 2076 l16 0xffff")],
    deviation: Deviation("E-17", stdout: "", stderr: e2imageBanner, status: 0, files: .unchecked)),
  Case(
    "sh e2image -ra e2.img x || echo $?; dd if=x bs=1 skip=$(($(cat b) * 4096)) count=100 status=none | cmp - y",
    name: "blocks that are cut off (E-16)", fixture: e2imageFixture,
    setup: [
      .shell(
        cutOff
          + "; head -c 100 /dev/zero | tr '\\0' q >y; dd if=y of=e2.img bs=1 seek=$((b * 4096)) conv=notrunc status=none"
      )
    ], masks: [Mask("block [0-9]+", "block N")],
    deviation: Deviation(
      "E-16", stdout: "1\n",
      stderr: e2imageBanner
        + "e2image: Attempt to read block from filesystem resulted in short read error reading block N\n", status: 0,
      files: .unchecked)),
  Case(
    "sh e2image -Qa e2.img x || echo $?; qemu-img check -q x >/dev/null 2>&1 || [ $? = 3 ]",
    name: "blocks left out of QCOW2 (E-16)",
    fixture: e2imageFixture, setup: [.shell(cutOff)], masks: [Mask("block [0-9]+", "block N")],
    deviation: Deviation(
      "E-16", stdout: "1\n",
      stderr: e2imageBanner
        + "e2image: Attempt to read block from filesystem resulted in short read error reading block N\n", status: 0,
      files: .unchecked)),
  Case(
    "sh e2image -rs e4.img - | grep -a -c fifo || :; e2image -ras e4.img x >out; [ ! -s out ]",
    name: "names behind a damaged entry (E-20)", fixture: e2imageFixture,
    setup: [
      .shell(
        "tune2fs -O ^has_journal e4.img >/dev/null; b=$(debugfs -R 'bmap /d 0' e4.img 2>/dev/null); "
          + "printf '\\1\\1' | dd of=e4.img bs=1 seek=$((b * 1024 + 28)) conv=notrunc status=none")
    ], masks: [Mask("block [0-9]+", "block N")],
    deviation: Deviation(
      "E-20", stdout: "0\n",
      stderr: String(repeating: e2imageBanner + "Corrupt directory block N: bad rec_len (65792)\n", count: 2),
      status: 0,
      files: .unchecked)),
  // A file system of one block, which holds its inodes, all of them free; its descriptor lies behind it.
  Case(
    "sh e2image -Q v.img q; e2image -Q v.img - | cmp - q; e2image -r q x; head -c 64K /dev/zero | cmp - x; "
      + "e2image -Qn v.img y | wc -l; qemu-img check q 2>/dev/null | grep -c leaked; qemu-img map q",
    name: "nothing to store (E-36)",
    setup: [
      .shell(
        E2imageScript.make + """
          make v.img 64K -t ext2 -b 1024 -N 8 -I 128 2>/dev/null; truncate -s 65K v.img
          store() { printf "$2" | dd of=v.img bs=1 seek=$1 conv=notrunc status=none; }
          dd if=/dev/zero of=v.img bs=1024 seek=63 count=1 conv=notrunc status=none
          store 1024 '\\10'; store 1044 '\\77'; store 1064 '\\10'; store 65544 '\\77'
          """)
    ],
    deviation: Deviation(
      "E-36", stdout: "4\n1\nOffset          Length          Mapped to       File\n",
      stderr: [1, 1, 0, 1].map { lines in
        e2imageBanner
          + String(
            repeating: "Illegal block number passed to ext2fs_mark_block_bitmap #64 for in-use block map\n",
            count: lines)
      }.joined(), status: 0, files: .unchecked)),
  failing(
    "E-27", "a copy of the superblock far away", "-r -b 4294975489 -B 1024 e4.img x",
    stdout: "Couldn't find valid filesystem superblock.\n",
    "e2image: Attempt to read block from filesystem resulted in short read while trying to open e4.img\n"),
  failing(
    "E-30", "a label with an escape sequence", "-r s.img x",
    setup: "truncate -s 2M s.img; chmod 600 s.img; "
      + "mkswap -L \"$(printf 'a\\033[31m')\" s.img >/dev/null 2>&1",
    stdout: "Couldn't find valid filesystem superblock.\ns.img contains a swap file system labelled 'a\\x1B[31m'\n",
    "e2image: Bad magic number in super-block while trying to open s.img\n"),
  // §11, 21: in this century the time's high word is the reserved word that it has been made of.
  Case(
    "sh e2image e2.img x; n=$(date +%s); [ $(od -An -tu8 -j248 -N8 x) -le $n ]; od -An -v -tx1 -j252 -N32 x; rm x",
    name: "§11, 21: the time in a normal image", fixture: e2imageFixture),
  // §11, 30: there are as many descriptor blocks as hold the descriptors, not as there are groups.
  Case(
    "sh E2FSPROGS_FAKE_TIME=1700000123 e2image -I v.img i; dumpe2fs -i i 2>/dev/null | sha1sum; "
      + "debugfs -i -R 'stat <2>' i 2>/dev/null | sha1sum; dumpe2fs v.img 2>/dev/null | sha1sum; rm i",
    name: "§11, 30: 96 groups, 6 blocks of descriptors",
    setup: [
      .shell(
        E2imageScript.make + """
          make v.img 24M -t ext4 -b 1024 -g 256
          debugfs -w -R 'ssv kbytes_written 0' v.img 2>/dev/null
          e2image v.img i; dd if=/dev/zero of=v.img bs=1024 seek=1 count=12 conv=notrunc status=none
          """)
    ]),
  sound(
    "E-31", "§11, 30: qemu-img, 96 groups, 6 blocks of descriptors",
    Fixture("e2image-groups", [.shell(E2imageScript.make + "make v.img 24M -t ext4 -O ^has_journal -b 1024 -g 256")]),
    "sh Q=$(dirname $(readlink -f $(command -v e2image)))/qemu-img; e2image v.img i; $Q convert -O raw i x; "
      + "cmp -n 7168 x v.img; dumpe2fs x 2>/dev/null >a; dumpe2fs v.img 2>/dev/null | cmp - a; "
      + "[ $(wc -l <a) -gt 500 ]"
  ),
  Case(
    "sh e2image big.img x; stat -c %s x; e2image -I big.img x", name: "tables of more than 4 GiB (E-18)",
    setup: [.shell("truncate -s 300G big.img; mke2fs -q -F -t ext4 -O ^has_journal -E lazy_itable_init=1 big.img")],
    deviation: Deviation(
      "E-18", stdout: "5045616640\n",
      stderr: e2imageBanner
        + "e2image: warning: the image is larger than 4 GiB: other versions of e2image cannot find its bitmaps\n"
        + e2imageBanner, status: 0, files: .unchecked)),
  Case(
    "sh e2image -ra e4.img x; e2fsck -fn x >/dev/null 2>&1 || :; cmp x y", name: "extents that overlap (E-26)",
    fixture: e2imageFixture,
    setup: [
      .shell(
        "e2image -ra e4.img y 2>/dev/null; \(extentNode); for f in e4.img y; do printf '\\0\\0' | dd of=$f bs=1 "
          + "seek=$((b * 1024 + 36)) conv=notrunc status=none; done")
    ], deviation: Deviation("E-26", stdout: "", stderr: e2imageBanner, status: 0, files: .unchecked)),
]
