/// File systems that the kernel fills, and the reference's dumps of them: `NAME.img`, `NAME.dump`. Of every file system
/// there is `NAME.stats`, what `find` says about its files without their names.
enum RestoreVolumes {
  /// On one device: name, options of mkfs.btrfs, of mount.
  static let single: [(name: String, make: String, mount: String)] = [
    ("plain", "-L volume_label", "noatime"),
    ("single-4k", "-m single -n 4096", "noatime"),
    ("node-64k", "-n 65536", "noatime"),
    ("mixed", "-M", "noatime"),
    ("no-skinny", "-O ^skinny-metadata -R ^free-space-tree", "noatime"),
    ("v1-cache", "-R ^free-space-tree", "space_cache=v1,clear_cache"),
    ("quota", "-R quota", "noatime"),
    ("no-holes", "-O ^no-holes", "compress-force=zstd"),
  ]

  /// Those whose tree blocks the reference gives checksums of a wrong kind: name, options of mkfs.btrfs.
  static let checksums: [(name: String, make: String)] = [
    ("xxhash", "--csum xxhash"), ("sha256", "--csum sha256"), ("blake2", "--csum blake2"),
  ]

  /// On several devices: name, number, options, how many may be missing, whether the reference restores it to one.
  static let several: [(name: String, count: Int, make: String, spare: Int, isRestored: Bool)] = [
    ("raid1", 2, "-m raid1 -d raid1", 1, true),
    ("raid1c3", 3, "-m raid1c3 -d single", 2, true),
    ("raid1c4", 4, "-m raid1c4 -d raid1", 1, true),
    ("raid0", 2, "-m raid0 -d raid0", 0, false),
    ("raid10", 4, "-m raid10 -d raid10", 1, false),
    ("raid5", 3, "-m raid5 -d raid5", 1, false),
    ("raid6", 4, "-m raid6 -d raid6", 2, false),
    ("dup-single", 2, "-m dup -d single", 0, false),
  ]

  /// Everything that uses loop devices or mounts does so one at a time: restored file systems have the number of their
  /// source, and the kernel tells them apart only if it sees one of them.
  private static let lock = "exec 9</dev/loop-control; flock 9"
  /// Detaches `$loops`, and has the kernel forget them: only these, since other tests have devices of their own.
  private static let detach =
    "for loop in $loops; do btrfs device scan --forget $loop >/dev/null 2>&1 || true; losetup -d $loop; done"

  private static let fill = """
    fill() {
      mkdir -p $1/directory_one/sub_directory $1/directory_many
      for i in $(seq 1 200); do echo "inline_contents $i" >$1/directory_many/file_number_$i; done
      ln $1/directory_many/file_number_1 $1/directory_one/hard_link_name
      for i in $(seq 1 90); do ln $1/directory_many/file_number_2 $1/directory_one/sub_directory/link_with_a_long_name_$i; done
      ln -s /some/secret_target/of_a_link $1/directory_one/symbolic_link
      dd if=/dev/urandom of=$1/big_file_name bs=64k count=4 status=none
      btrfs -q subvolume create $1/subvolume_name
      echo file_contents >$1/subvolume_name/file_in_subvolume
      setfattr -n user.secret_attribute -v secret_value $1/directory_many/file_number_3
      setfattr -n user.second_attribute -v another_value $1/directory_many/file_number_3
      setfattr -n user.abc -v value_of_abc $1/directory_many/file_number_3
      setfacl -m u:1234:rw $1/directory_one
      btrfs -q subvolume snapshot $1/subvolume_name $1/snapshot_name
      touch -d @1700000000 $1/directory_one/hard_link_name
      sync
    }
    stats() { find $1 -mindepth 1 -printf '%y %m %U %G %n %s %b %T@ %C@\\n' | sort; }
    """

  private static let tools: Step = .shell(
    """
    cat >look <<'END'
    #!/bin/sh
    # look IMAGE STATS: is it clean, does it mount, are the files those of the source?
    \(lock)
    btrfs check $1 >check.$$ 2>&1 && echo clean || { echo "check: $?"; cat check.$$; }
    mkdir mnt.$$
    mount -o loop,ro $1 mnt.$$
    find mnt.$$ -mindepth 1 -printf '%y %m %U %G %n %s %b %T@ %C@\\n' | sort | cmp - $2 && echo same
    umount mnt.$$
    rmdir mnt.$$
    rm check.$$
    END
    cat >look-devices <<'END'
    #!/bin/sh
    # look-devices STATS MISSING IMAGE...: as above, on several devices; then without the first MISSING of them
    \(lock)
    stats=$1; missing=$2; shift 2
    mkdir mnt.$$
    for turn in all some; do
      loops=
      for image in "$@"; do loops="$loops $(losetup -f --show $image)"; done
      set -- "$@"
      btrfs device scan $loops >/dev/null 2>&1
      first=${loops# }; first=${first%% *}
      if [ $turn = all ]; then btrfs check $first >check.$$ 2>&1 && echo clean || cat check.$$; fi
      mount -o ro,degraded $first mnt.$$
      find mnt.$$ -mindepth 1 -printf '%y %m %U %G %n %s %b %T@ %C@\\n' | sort | cmp - $stats && echo same
      umount mnt.$$
      \(detach)
      [ $turn = all ] && [ $missing -gt 0 ] || break
      shift $missing
    done
    rmdir mnt.$$
    rm check.$$
    END
    chmod +x look look-devices
    """)

  private static func single(_ name: String, _ make: String, _ mount: String) -> Step {
    .shell(
      """
      \(fill)
      \(lock)
      truncate -s 140M \(name).img
      mkfs.btrfs -q \(make) \(name).img
      mkdir m
      mount -o loop,\(mount) \(name).img m
      fill m
      stats m >\(name).stats
      umount m
      rmdir m
      btrfs-image \(name).img \(name).dump
      btrfs-image -c 9 \(name).img \(name).dump9
      btrfs-image -w \(name).img \(name).dumpw
      """)
  }

  private static func several(_ name: String, _ count: Int, _ make: String) -> Step {
    .shell(
      """
      \(fill)
      \(lock)
      loops=
      for i in $(seq 1 \(count)); do
        truncate -s 300M \(name).$i
        loops="$loops $(losetup -f --show \(name).$i)"
      done
      mkfs.btrfs -q -f \(make) $loops
      mkdir m
      first=${loops# }; first=${first%% *}
      mount -o noatime $first m
      fill m
      stats m >\(name).stats
      umount m
      rmdir m
      btrfs-image $first \(name).dump 2>/dev/null
      \(detach)
      rm \(name).[0-9]
      """)
  }

  private static let singleSteps: [Step] = single.map { single($0.name, $0.make, $0.mount) }
  private static let checksumSteps: [Step] = checksums.map { single($0.name, $0.make, "noatime") }
  private static let severalSteps: [Step] = several.map { several($0.name, $0.count, $0.make) }

  /// The chunk tree lies behind everything else.
  private static let late = Step.shell(
    """
    \(fill)
    \(lock)
    truncate -s 300M late.img
    mkfs.btrfs -q late.img
    mkdir m
    mount -o loop,noatime late.img m
    fill m
    btrfs -q balance start --force -s m >/dev/null
    sync
    stats m >late.stats
    umount m
    rmdir m
    btrfs-image late.img late.dump
    """)

  /// A log tree that has not been replayed.
  private static let unreplayed = Step.shell(
    """
    \(fill)
    \(lock)
    truncate -s 140M log.img
    mkfs.btrfs -q log.img
    mkdir m
    mount -o loop,noatime log.img m
    fill m
    echo logged_contents >m/logged_file
    sync m/logged_file
    cp --sparse=always log.img copy
    umount m
    rmdir m
    mv copy log.img
    btrfs-image log.img log.dump
    """)

  /// The same on two devices. What is in the log is looked at by a mount that replays it.
  private static let unreplayedPair = Step.shell(
    """
    \(fill)
    \(lock)
    loops=
    for i in 1 2; do truncate -s 300M pair.$i; loops="$loops $(losetup -f --show pair.$i)"; done
    mkfs.btrfs -q -f -m raid1 -d raid1 $loops
    mkdir m
    first=${loops# }; first=${first%% *}
    mount -o noatime $first m
    fill m
    echo logged_contents >m/logged_file
    sync m/logged_file
    cp --sparse=always pair.1 copy.1
    cp --sparse=always pair.2 copy.2
    stats m >raid1-log.stats
    umount m
    rmdir m
    \(detach)
    loops=
    for i in 1 2; do loops="$loops $(losetup -f --show copy.$i)"; done
    btrfs-image ${loops##* } raid1-log.dump 2>/dev/null
    \(detach)
    rm pair.[12] copy.[12]
    """)

  /// Hundreds of chunks, whose tree has many leaves, and which reach beyond the third copy of the superblock.
  private static let wide = Step.shell(
    """
    \(fill)
    \(lock)
    loops=
    for i in 1 2; do truncate -s 300G wide.$i; loops="$loops $(losetup -f --show wide.$i)"; done
    mkfs.btrfs -q -f -n 4096 -m raid1 -d raid0 $loops
    mkdir m
    first=${loops# }; first=${first%% *}
    mount -o noatime $first m
    fill m
    fallocate -l 560G m/large_file
    stats m >wide.stats
    umount m
    rmdir m
    btrfs-image $first wide.dump 2>/dev/null
    \(detach)
    rm wide.[12]
    """)

  /// The volumes, their dumps, and the scripts `look` and `look-devices`.
  static let fixture = Fixture(
    "btrfs-restore", [tools] + singleSteps + checksumSteps + severalSteps + [late, unreplayed, unreplayedPair, wide])
}
