/// Volumes on several devices, and how many those are.
private let volumes: [(name: String, devices: Int)] = [
  ("raid0x2", 2), ("raid0x3", 3), ("raid1x2", 2), ("raid1x3", 3), ("raid1c3", 3), ("raid1c4", 4), ("raid10x4", 4),
  ("raid5x2", 2), ("raid5x3", 3), ("raid6x3", 3), ("raid6x4", 4), ("singlex2", 2), ("dupx2", 2), ("mixedx2", 2),
  ("blockgroupsx2", 2), ("blockgroupsx4", 4),
]

/// Volumes of which some devices may be away, and which.
private let degraded: [(name: String, missing: [Int], devices: Int)] = [
  ("raid1x2", [1], 2), ("raid1x2", [2], 2), ("raid1c3", [1, 2], 3), ("raid1c4", [1, 2, 3], 4), ("raid10x4", [1, 3], 4),
  ("raid5x2", [1], 2), ("raid5x3", [1], 3), ("raid5x3", [2], 3), ("raid5x3", [3], 3), ("raid6x3", [1, 3], 3),
  ("raid6x4", [1], 4), ("raid6x4", [1, 2], 4), ("raid6x4", [2, 4], 4), ("raid6x4", [3, 4], 4),
]

private func files(_ name: String, _ devices: Int) -> String {
  (1...devices).map { "\(name).\($0).img" }.joined(separator: " ")
}

/// Zeros the parts of a dump's superblock that differ from device to device: checksum and dev_item.
private func maskingSuperblock(_ dump: String) -> String { zeroing(1024..<1056, 1225..<1323, in: dump) }

/// Which device's superblock a dump begins with depends on the order in which the reference finds them.
private func dumped(_ name: String, _ command: String, _ dumps: String...) -> String {
  "\(btrfsFixtures)/with-devices \(name) '\(command)' && "
    + dumps.map(maskingSuperblock).joined(separator: " && ")
}

let btrfsDeviceCases: [Case] =
  volumes.map { name, devices in
    Case(
      "sh : \(files(name, devices)); \(dumped(name, "btrfs-image $1 a && btrfs-image -w ${@: -1} b", "a", "b"))",
      "sh \(dumped(name, "btrfs-image -t 1 $2 c && btrfs-image -t 7 -w \(name).1.img d", "c", "d"))",
      name: name, fixture: btrfsFixture(name), masks: btrfsMasks)
  }
  + degraded.map { name, missing, devices in
    // A missing device is told of on stderr; the rest is the same as with all devices.
    let away = missing.map { "\(name).\($0).img" }.joined(separator: " ")
    let lines = missing.map { "warning, device \($0) is missing\n" }.joined()
    return Case(
      """
      sh : \(files(name, devices)); \(dumped(name, "btrfs-image $1 a && btrfs-image -w $1 b", "a", "b")); \
      mkdir away; mv \(away) away; \(dumped(name, "btrfs-image $1 c && btrfs-image -w $1 d", "c", "d")); \
      cmp a c && cmp b d
      """,
      name: "\(name) without \(missing)", fixture: btrfsFixture(name),
      deviation: Deviation("B-3", stdout: "", stderr: lines + lines, status: 0, files: .unchecked))
  }
  + [
    // A block group tree, on one device and on all.
    Case(
      """
      sh : blockgroupsx4.1.img blockgroupsx4.2.img blockgroupsx4.3.img blockgroupsx4.4.img; mkdir m; cat >look <<'END'
      mount -r $1 m && find m -mindepth 1 -printf '%P %y %m %U %G %n %s %b %T@ %C@\\n' | sort >$2; umount m
      END
      \(btrfsFixtures)/with-devices blockgroupsx4 'btrfs device scan $@ >log; sh look $2 source && btrfs-image $2 a; \
      btrfs device scan --forget $@' && \
      btrfs-image -r a r.1.img && btrfs-image -m a t.1.img t.2.img t.3.img t.4.img; \
      \(btrfsFixtures)/with-devices r 'btrfs check $1 >log 2>&1 && sh look $1 one' && cmp source one; \
      \(btrfsFixtures)/with-devices t 'btrfs device scan $@ >log && btrfs check $2 >log 2>&1 && sh look $1 four; \
      btrfs device scan --forget $@' && cmp source four; wc -l <four
      """,
      name: "a block group tree restored", fixture: btrfsFixture("blockgroupsx4"),
      deviation: Deviation(
        "B-103", stdout: (2...4).map { "update disk super on t.\($0).img devid=\($0)\n" }.joined() + "5060\n",
        stderr: """
          WARNING: remapping a chunk that had a super mirror inside of it, clearing space cache so we don't end up with \
          corruption

          """, status: 0, files: .unchecked)),
    // A device that was away while the file system was written to: what is restored is what the other one holds, whichever
    // of them is named, and also where they are files.
    Case(
      """
      sh : missed.1.img missed.2.img; \(btrfsFixtures)/with-devices missed 'btrfs-image $1 a; btrfs-image -w $2 b; \
      btrfs-image -c 3 -t 2 $2 c' && btrfs-image missed.2.img d && cmp a d && btrfs-image missed.1.img d && cmp a d; \
      mkdir m; \
      exec 8</dev/loop-control; flock 8; for i in a b c; do btrfs-image -r $i r && btrfs check r >log 2>&1 || cat log; \
      mount -r -o loop r m; find m | wc -l; umount m; done | uniq
      """,
      name: "missed writes", fixture: btrfsFixture("missed"),
      masks: [Mask("generation [0-9]+, not [0-9]+", "generation N, not N")],
      deviation: Deviation(
        "B-19", stdout: "5918\n",
        stderr: String(
          repeating: "WARNING: device 2 has missed writes, its superblock is of generation N, not N\n", count: 5),
        status: 0, files: .unchecked)),
    // Nothing is left of the chunk tree: its device is not there.
    Case(
      "sh mkdir away; mv raid0x2.1.img away; btrfs-image raid0x2.2.img a || echo $?; ls a 2>&1 || :",
      name: "without the chunk tree's device", fixture: btrfsFixture("raid0x2"),
      deviation: Deviation(
        "B-3", stdout: "1\nls: cannot access 'a': No such file or directory\n",
        stderr: """
          ERROR: cannot read chunk root
          warning, device 1 is missing
          ERROR: open ctree failed
          ERROR: create failed: -5

          """, status: 0, files: .unchecked)),
    // Devices that are files beside the first.
    Case(
      """
      sh : \(files("raid5x3", 3)); \(dumped("raid5x3", "btrfs-image $1 a", "a")); btrfs-image raid5x3.2.img b && \
      \(maskingSuperblock("b")); cmp a b
      """,
      name: "files beside the first", fixture: btrfsFixture("raid5x3"),
      deviation: Deviation("B-13", stdout: "", stderr: "", status: 0, files: .unchecked)),
    // A seed and the device that was added to it, each by itself and both.
    Case(
      "sh : sprout.1.img sprout.2.img; \(dumped("sprout", "btrfs-image $2 a && btrfs-image -w $2 b", "a", "b"))",
      name: "sprout", fixture: btrfsFixture("sprout"), masks: btrfsMasks),
  ]
  + [("sprout", 714), ("sproutleaves", 914)].map { name, count in
    // What is restored of both is one file system that needs no seed, on one device or two; also where the chunk tree has
    // leaves that are the seed's.
    Case(
      """
      sh : \(name).1.img \(name).2.img; mkdir m; cat >look <<'END'
      mount -r $1 m && find m -mindepth 1 -printf '%P %y %m %U %G %n %s %b %T@ %C@\\n' | sort >$2; umount m
      END
      \(btrfsFixtures)/with-devices \(name) 'btrfs device scan $@ >log; sh look $2 source && btrfs-image $2 a; \
      btrfs device scan --forget $@' && \
      btrfs-image -r a r.1.img && btrfs-image -m a t.1.img t.2.img; \
      \(btrfsFixtures)/with-devices r 'btrfs check $1 >log 2>&1 && sh look $1 one' && cmp source one; \
      \(btrfsFixtures)/with-devices t 'btrfs device scan $@ >log && btrfs check $2 >log 2>&1 && sh look $1 two; \
      btrfs device scan --forget $@' && cmp source two; wc -l <two
      """,
      name: "\(name) restored", fixture: btrfsFixture(name),
      deviation: Deviation(
        "B-119", stdout: "update disk super on t.2.img devid=2\n\(count)\n", stderr: "", status: 0, files: .unchecked))
  }
