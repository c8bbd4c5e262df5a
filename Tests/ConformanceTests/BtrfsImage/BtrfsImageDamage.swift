private let poke = btrfsFixtures + "/poke"

/// Superblocks with one wrong field each and a right checksum (btrfs-image §18): where the field is, its bytes.
private let superblockFields: [(offset: String, bytes: String)] = [
  ("198", "08"), ("199", "ff"), ("200", "09"), ("80", "01"), ("88", "01"), ("96", "01"), ("148", "00080000"),
  ("148", "01400000"), ("151", "8f"), ("144", "00080000"), ("112", "0000000000000000"), ("120", "0000000000000000"),
  ("156", "01000000"), ("283", "0000"), ("136", "0000000000000000"), ("160", "00090000"), ("160", "60000000"),
  ("60", "08"), ("60", "10"), ("190", "10"), ("196", "07"), ("64", "21"), ("48", "01"), ("64", "0000000000000000"),
  // The system chunk array: an item that is no chunk; no stripes; length, stripe length, type and number of stripes.
  ("819", "00"), ("872", "0000"), ("828", "0000000000000000"), ("828", "0100000000000000"), ("844", "01"),
  ("852", "04"), ("852", "00"), ("853", "80"), ("160", "62000000"),
]

/// Where both look at the same volume, every number has to be the same.
private let literalMasks = btrfsMasks.filter { $0.id != nil }

let btrfsSuperblockCases: [Case] =
  superblockFields.map { offset, bytes in
    Case(
      "empty.img a", "-w empty.img a", name: "\(bytes) at \(offset)", fixture: btrfsFixture("empty"),
      setup: [.shell("\(poke) empty.img super 1 \(offset) \(bytes) fix")], masks: literalMasks)
  }
  + [
    Case(
      "empty.img a", name: "wrong checksum", fixture: btrfsFixture("empty"),
      setup: [.shell("\(poke) empty.img super 1 100 01")]),
    // A magic that is nobody's, with a right checksum: the reference reads on.
    Case(
      "empty.img a", fixture: btrfsFixture("empty"), setup: [.shell("\(poke) empty.img super 1 64 58 fix")],
      deviation: Deviation(
        "B-18", stdout: "",
        stderr: String(repeating: "ERROR: superblock magic doesn't match\n", count: 2)
          + "No valid Btrfs found on empty.img\nERROR: open ctree failed\nERROR: create failed: -5\n", status: 1)),
    // Features that came later.
    Case(
      "empty.img a", fixture: btrfsFixture("empty"), setup: [.shell("\(poke) empty.img super 1 189 23 fix")],
      deviation: Deviation(
        "B-10", stdout: "",
        stderr: """
          couldn't open because of unsupported option features (2000).
          ERROR: extent-tree-v2 is not supported
          ERROR: open ctree failed
          ERROR: create failed: -5

          """, status: 1)),
    Case(
      "empty.img a", fixture: btrfsFixture("empty"), setup: [.shell("\(poke) empty.img super 1 189 43 fix")],
      deviation: Deviation("B-9", stdout: "", stderr: "", status: 0, files: .unchecked)),
    Case(
      "empty.img a", fixture: btrfsFixture("empty"), setup: [.shell("\(poke) empty.img super 1 190 01 fix")],
      deviation: Deviation("B-9", stdout: "", stderr: "", status: 0, files: .unchecked)),
  ]
  + otherDevices.flatMap { bytes, volume, warning, error in
    // Both ways, and what is restored: no kernel mounts that, and nobody says that all is well.
    ["", "-w"].map { option in
      Case(
        """
        sh btrfs-image \(option) \(volume).img a 2>log || echo $?; sed 's/^checksum.*/checksum/' log; \
        btrfs-image -r a r 2>&1 || echo $?
        """,
        name: "\(bytes) in \(volume) \(option)", fixture: btrfsFixture(volume),
        setup: [.shell("\(poke) \(volume).img super 1 \(bytes) fix")], masks: btrfsMasks,
        deviation: Deviation(
          "B-21", stdout: "1\n\(warning)\(error)1\n", stderr: "", status: 0, files: .unchecked))
    }
  }
  + ["default", "snapshots4k"].flatMap { volume in
    // Root items of the format's first version; and shorter ones, which lead nowhere.
    [
      Case(
        "\(volume).img a", "-w \(volume).img b", name: "\(volume), old root items", fixture: btrfsFixture(volume),
        setup: [.shell("\(btrfsFixtures)/shorten-root-items \(volume).img 239")], masks: btrfsMasks),
      Case(
        """
        sh for n in 238 176 160 10; do command -p btrfs-image -w \(volume).img a; cp \(volume).img v; \
        \(btrfsFixtures)/shorten-root-items v $n; for o in '' -w; do btrfs-image $o v b 2>log || echo $?; \
        test $(stat -c %s b) -ge $(stat -c %s a) && echo whole; done; done
        """,
        name: "\(volume), root items cut", fixture: btrfsFixture(volume),
        deviation: Deviation(
          "B-7", stdout: String(repeating: "1\nwhole\n", count: 8), stderr: "", status: 0, files: .unchecked)),
    ]
  }

/// Superblocks of which a number or UUID is that of another device, or whose system chunks lie elsewhere: where and what,
/// and what is said of it by a dump and by a restore of that.
private let otherDevices: [(bytes: String, volume: String, warning: String, error: String)] = {
  let device = (
    "WARNING: device 1 has another number or UUID in its superblock than in the chunk tree\n",
    "ERROR: the chunk tree does not know the device of the superblock\n"
  )
  let chunks = (
    "WARNING: the superblock has other system chunks than the chunk tree\n",
    "ERROR: the superblock has other system chunks than the chunk tree\n"
  )
  return [
    ("201 02", "default", device.0, device.1), ("267 0011223344556677", "default", device.0, device.1),
    ("267 0011223344556677", "single4k", device.0, device.1), ("892 0011223344556677", "single4k", chunks.0, chunks.1),
    // The first copy's device, UUID and place; the second copy's.
    ("876 02", "default", chunks.0, chunks.1), ("892 0011223344556677", "default", chunks.0, chunks.1),
    ("885 01", "default", "checksum\n" + chunks.0, chunks.1), ("908 02", "default", chunks.0, chunks.1),
    ("924 0011223344556677", "default", chunks.0, chunks.1),
  ]
}()

/// What is said of a block both of whose copies are wrong.
private let badChecksum =
  String(repeating: "checksum verify failed on N wanted CHECKSUM found CHECKSUM\n", count: 3) + "Csum didn't match\n"
private let stored = "WARNING: tree block N is damaged, it is stored with a wrong checksum\n"
private let zeros = "WARNING: tree block N cannot be read, zeros are stored\n"
private let extents = "WARNING: the extent tree is damaged, all trees are walked as with -w\n"
private let logs =
  "WARNING: the log tree cannot be followed to its end, all metadata chunks are searched for its blocks\n"
private let warning = "WARNING: tree block N is malformed, only what its items hold is stored\n"
private let itemEnd = "corrupt leaf: root=5 block=N slot=0, unexpected item end, have N expect 16283\n"
private let leafOrder = "corrupt leaf: root=5 block=N slot=1, bad key order, prev KEY current KEY\n"
private let nodeOrder = "corrupt node: root=5 block=N slot=1, bad key order, current KEY next KEY\n"
private let extentOrder = "corrupt leaf: root=2 block=N slot=2, bad key order, prev KEY current KEY\n"
private let unaligned = "corrupt node: root=5 block=N slot=1, unaligned pointer, have 1 should be aligned to 4096\n"
private let wrongLevel = "ERROR: root [5 0] level 2 does not match 1\n\n"
private let noPointer = "corrupt node: root=5 block=N slot=1, invalid NULL node pointer\n"

/// What is said of both copies, and again of the one that is taken.
private func threeTimes(_ line: String) -> String { String(repeating: line, count: 3) }
private func malformed(_ line: String) -> String { threeTimes(line) + warning }

private let searched = "WARNING: trees cannot be followed to their ends, all metadata chunks are searched for blocks\n"

/// The row of docs/DIFFERENCES.md, the damage to both copies of a block (`poke`), and what is said in the extent tree's
/// mode (nothing where it is not met) and with `-w`.
private let damages: [(row: String, damage: String, byExtents: String?, byWalking: String)] = [
  // Contents, in a block of every tree.
  ("B-6", "fs:leaf:1 12 5000 ff00ff", badChecksum + stored, badChecksum + stored),
  ("B-6", "fs:node:0 12 5000 ff00ff", badChecksum + stored, badChecksum + searched + stored),
  ("B-6", "csum:leaf:0 12 3000 ff00ff", badChecksum + stored, badChecksum + searched + stored),
  ("B-6", "dev:leaf:0 12 3000 ff00ff", badChecksum + stored, badChecksum + searched + stored),
  ("B-6", "uuid:leaf:0 12 3000 ff00ff", badChecksum + stored, badChecksum + searched + stored),
  ("B-6", "10:leaf:0 12 3000 ff00ff", badChecksum + stored, badChecksum + searched + stored),
  ("B-7", "extent:leaf:0 12 3000 ff00ff", badChecksum + extents + searched + stored, badChecksum + searched + stored),
  (
    "B-7", "root:leaf:0 12 3000 ff00ff",
    badChecksum + "ERROR: extent root not found: -2\n" + extents + searched + stored,
    badChecksum + searched + stored
  ),
  (
    "B-7", "chunk:leaf:0 12 3000 ff00ff", badChecksum + "ERROR: cannot read chunk root\n" + stored,
    badChecksum + "ERROR: cannot read chunk root\n" + searched + stored
  ),
  // A root tree that is sound but for the item of a tree.
  (
    "B-7", "root:leaf:0 12 284 0000000000000000 fix", "ERROR: could not setup csum tree\n",
    "ERROR: could not setup csum tree\n" + searched
  ),
  // An empty leaf: older ones are looked for.
  ("B-7", "chunk:leaf:0 12 96 00000000 fix", "Couldn't read chunk tree\n", "Couldn't read chunk tree\n"),
  // A chunk that overlaps the next one.
  (
    "B-7", "chunk:leaf:0 12 16206 00000002 fix",
    "ERROR: chunk N overlaps chunk N\nERROR: Metadata checksums match, but it has an invalid chunk, \n",
    "ERROR: chunk N overlaps chunk N\nERROR: Metadata checksums match, but it has an invalid chunk, \n"
  ),
  // Headers, with a right checksum.
  (
    "B-6", "fs:leaf:1 12 48 0000 fix", "bad tree block N, bytenr mismatch, want=N, have=N\n" + zeros,
    "bad tree block N, bytenr mismatch, want=N, have=N\n" + zeros
  ),
  (
    "B-6", "fs:leaf:1 12 32 0000 fix", "bad tree block N, fsid mismatch, want=UUID, have=UUID\n" + zeros,
    "bad tree block N, fsid mismatch, want=UUID, have=UUID\n" + zeros
  ),
  (
    "B-6", "fs:leaf:1 12 100 09 fix", "bad tree block N, bad level, 9 > 8\n" + zeros,
    "bad tree block N, bad level, 9 > 8\n" + zeros
  ),
  (
    "B-6", "fs:leaf:1 12 96 ffff0000 fix", "bad tree block N, invalid nr_items: 65535\n" + zeros,
    "bad tree block N, invalid nr_items: 65535\n" + zeros
  ),
  // Items that lie beyond the block, overlap, or are out of order.
  ("B-8", "fs:leaf:1 12 118 ffffffff fix", malformed(itemEnd), malformed(itemEnd)),
  ("B-8", "fs:leaf:1 12 122 ffffff7f fix", malformed(itemEnd), malformed(itemEnd)),
  ("B-8", "fs:leaf:1 12 101 ffffffffffffffff fix", malformed(leafOrder), malformed(leafOrder)),
  // A root that is not on the level that its item says.
  ("B-7", "fs:node:0 12 100 02 fix", wrongLevel, wrongLevel + searched),
  // Data that reaches into the headers of items.
  ("B-8", "fs:leaf:1 12 118 0a00000091 fix", malformed(itemEnd), malformed(itemEnd)),
  // Keys and pointers of a node.
  ("B-8", "fs:node:0 12 134 ffffffffffffffff fix", malformed(nodeOrder), malformed(nodeOrder)),
  (
    "B-8", "fs:node:0 12 151 0100000000000000 fix", malformed(unaligned),
    threeTimes(unaligned) + "ERROR: tree block bytenr 1 is not aligned to sectorsize 4096\n" + searched + warning
  ),
  (
    "B-8", "fs:node:0 12 151 0000000000000000 fix", malformed(noPointer),
    threeTimes(noPointer) + "ERROR: tree block bytenr 0 is not aligned to sectorsize 4096\n" + searched + warning
  ),
  // A key that hides the extents behind it: they are found all the same.
  (
    "B-7", "extent:leaf:0 12 126 0000ffffffff0000 fix", threeTimes(extentOrder) + extents + warning,
    threeTimes(extentOrder) + warning
  ),
  // A node that leads nowhere, and one that leads to itself.
  ("B-6", "fs:node:0 12 118 0000000000000070 fix", nil, "Couldn't map the block N\n" + searched),
]

/// One copy that is wrong costs a line at most, and the dump is the same.
private let mended = [
  "fs:leaf:1 1 5000 ff00ff", "fs:leaf:1 2 5000 ff00ff", "fs:node:0 1 5000 ff00ff", "fs:leaf:1 1 48 0000 fix",
  "root:leaf:0 1 3000 ff00ff", "chunk:leaf:0 1 3000 ff00ff", "extent:leaf:0 1 3000 ff00ff",
  "csum:leaf:0 1 3000 ff00ff", "fs:leaf:1 1 32 0000 fix", "fs:leaf:1 1 96 ffff0000 fix",
  "fs:leaf:1 1 118 ffffff7f fix", "fs:leaf:1 2 118 ffffff7f fix",
  "fs:leaf:1 1 118 ffffffffffffffff fix", "fs:leaf:1 1 122 05000000 fix",
  "fs:leaf:1 1 101 ffffffffffffffff fix", "fs:leaf:1 1 130 00 fix", "fs:node:0 1 134 ffffffffffffffff fix",
  "fs:node:0 1 151 0100000000000000 fix", "fs:node:0 1 151 0000000000000000 fix", "csum:leaf:0 1 118 ffffff7f fix",
  "extent:leaf:0 1 126 0000ffffffff0000 fix", "root:leaf:0 1 126 ffffffffffffffff fix",
  "chunk:leaf:0 1 126 ffffffffffffffff fix",
  // Other generations than the ones that lead there.
  "csum:leaf:0 1 80 02 fix", "extent:leaf:0 1 80 02 fix", "fs:node:0 1 80 02 fix", "fs:node:0 2 80 02 fix",
  "root:leaf:0 1 80 02 fix", "chunk:leaf:0 1 80 02 fix", "dev:leaf:0 1 80 02 fix", "uuid:leaf:0 1 80 02 fix",
  "csum:leaf:0 1 80 07 fix", "csum:leaf:0 12 80 07 fix", "root:leaf:0 12 80 07 fix", "chunk:leaf:0 12 80 07 fix",
  "dev:leaf:0 12 80 07 fix", "uuid:leaf:0 12 80 07 fix", "10:leaf:0 12 80 07 fix", "fs:node:0 12 80 03 fix",
]

/// Other generations of blocks below the roots, and of roots that only some volumes have: said as often as the reference
/// passes them.
private let generations = [
  ("dup4k", "extent:leaf:0 12 80 03 fix"), ("dup4k", "extent:leaf:3 12 80 03 fix"),
  ("dup4k", "extent:leaf:10 12 80 e8 fix"), ("dup4k", "extent:leaf:0 1 80 03 fix"),
  ("dup4k", "extent:leaf:10 2 80 03 fix"), ("snapshots4k", "root:leaf:0 12 80 03 fix"),
  ("snapshots4k", "root:leaf:1 12 80 03 fix"), ("snapshots4k", "root:leaf:1 1 80 03 fix"),
  ("snapshots4k", "root:node:0 12 80 03 fix"), ("snapshots4k", "257:leaf:0 12 80 03 fix"),
  ("quotas", "quota:leaf:0 12 80 03 fix"), ("quotas", "quota:leaf:0 1 80 03 fix"),
  ("blockgroups4k", "root:leaf:0 12 80 03 fix"), ("blockgroups4k", "11:leaf:0 12 80 03 fix"),
  ("seed", "chunk:leaf:0 1 3000 ff00ff"), ("seed", "chunk:leaf:0 2 80 02 fix"), ("seed", "chunk:leaf:0 12 80 02 fix"),
  ("logtree4k", "TREE_LOG:leaf:0 1 80 03 fix"), ("logtree4k", "extent:leaf:1 1 80 03 fix"),
]

/// A copy that an old transaction wrote, where the reference does not look for that: the dump is that of the sound volume.
private let staleCopies = [
  ("default", "fs:leaf:1 1 80 02 fix"), ("default", "fs:leaf:1 2 80 02 fix"), ("dup4k", "fs:node:3 1 80 02 fix"),
  ("dup4k", "extent:leaf:3 1 80 02 fix"), ("snapshots4k", "257:leaf:0 1 80 02 fix"),
]

/// Blocks of trees that only some volumes have.
private let damagedVolumes: [(row: String, volume: String, damage: String, byExtents: String, byWalking: String)] = [
  ("B-6", "quotas", "quota:leaf:0 12 3000 ff00ff", badChecksum + stored, badChecksum + searched + stored),
  ("B-6", "snapshots", "257:leaf:0 12 3000 ff00ff", badChecksum + stored, badChecksum + stored),
  (
    "B-6", "default", "DATA_RELOC_TREE:leaf:0 12 3000 ff00ff", badChecksum + stored, badChecksum + searched + stored
  ),
  // The log's root, and a log.
  ("B-7", "logtree", "TREE_LOG:leaf:0 12 3000 ff00ff", badChecksum + logs + stored, badChecksum + logs + stored),
  ("B-7", "logtree", "TREE_LOG:leaf:1 12 3000 ff00ff", badChecksum + logs + stored, badChecksum + logs + stored),
]

let btrfsDamageCases: [Case] =
  damagedVolumes.flatMap { row, volume, damage, byExtents, byWalking in
    [("", byExtents), ("-w", byWalking)].map { damagedCase(row, volume, damage, option: $0, stderr: $1) }
  }
  + mended.map { damage in
    Case(
      "default.img a", "-w default.img b", name: damage, fixture: btrfsFixture("default"),
      setup: [.shell("\(poke) default.img \(damage)")], masks: literalMasks)
  }
  + generations.map { volume, damage in
    Case(
      "\(volume).img a", "-w \(volume).img b", name: "\(volume) \(damage)", fixture: btrfsFixture(volume),
      setup: [.shell("\(poke) \(volume).img \(damage)")], masks: literalMasks)
  }
  + staleCopies.map { volume, damage in
    Case(
      """
      sh command -p btrfs-image \(volume).img a; command -p btrfs-image -w \(volume).img b; \
      \(poke) \(volume).img \(damage); btrfs-image \(volume).img c && cmp a c; btrfs-image -w \(volume).img d && cmp b d
      """,
      name: "\(volume) \(damage), as if sound", fixture: btrfsFixture(volume), masks: btrfsMasks,
      deviation: Deviation("B-19", stdout: "", stderr: staleLines(damage), status: 0, files: .unchecked))
  }
  + [
    // Every tree, in leaves and nodes.
    Case(
      "sh \(btrfsFixtures)/damage-every-block everything.img", fixture: btrfsFixture("everything"),
      deviation: Deviation("B-8", stdout: "", stderr: "", status: 0, files: .unchecked))
  ]
  + ["0080000000000000", "0030000000000000"].map { length in
    // The extent of a tree block (the chunk tree's) that is longer, or shorter, than one.
    Case(
      """
      sh command -p btrfs-image nonskinny.img a; \(poke) nonskinny.img extent:leaf:0 12 185 \(length) fix; \
      btrfs-image nonskinny.img b || echo $?; cmp -n $(stat -c %s a) a b | grep -c differ; \
      test $(stat -c %s b) -ge $(stat -c %s a) && echo whole; btrfs-image -r b r && \
      btrfs inspect-internal dump-tree nonskinny.img >x; btrfs inspect-internal dump-tree r | cmp x -; command -p btrfs-image -w nonskinny.img a && btrfs-image -w nonskinny.img b && cmp a b
      """,
      name: "a tree block's extent of length \(length)", fixture: btrfsFixture("nonskinny"), masks: btrfsMasks,
      deviation: Deviation(
        "B-7", stdout: "1\n1\nwhole\n", stderr: lengthError(length) + extents, status: 0, files: .unchecked))
  }
  + damages.flatMap { row, damage, byExtents, byWalking in
    [("", byExtents), ("-w", byWalking)].compactMap { option, stderr in
      guard let stderr else { return nil }
      return damagedCase(row, "default", damage, option: option, stderr: stderr)
    }
  }

private func lengthError(_ bytes: String) -> String {
  "ERROR: extent length \(bytes == "0080000000000000" ? 32768 : 12288) of the tree block N is not 16384\n"
}

/// What is said of a stale copy that a search passes.
private func staleLines(_ damage: String) -> String {
  damage.hasPrefix("extent") ? "parent transid verify failed on N wanted 7 found 2\n" : ""
}

/// Keys, and ends of items.
private let contentsMasks = [
  Mask(#"\((N|[0-9]+) [0-9]+ (N|[0-9]+)\)"#, "KEY"), Mask("have [0-9]+ expect", "have N expect"),
]

/// The dump of the damaged volume holds no less than that of the sound one.
private func damagedCase(_ row: String, _ volume: String, _ damage: String, option: String, stderr: String) -> Case {
  Case(
    """
    sh command -p btrfs-image \(option) \(volume).img a; \(poke) \(volume).img \(damage); \
    btrfs-image \(option) \(volume).img b || echo $?; test $(stat -c %s b) -ge $(stat -c %s a) && echo whole
    """,
    name: "\(volume) \(damage) \(option)", fixture: btrfsFixture(volume), masks: btrfsMasks + contentsMasks,
    deviation: Deviation(row, stdout: "1\nwhole\n", stderr: stderr, status: 0, files: .unchecked))
}
