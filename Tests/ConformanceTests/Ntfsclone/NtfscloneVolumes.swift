import Foundation

/// Volumes that the tables start from: made by mkntfs, filled through ntfs-3g where /dev/fuse is there, and unpacked from
/// Tests/Fixtures/ntfs (written by the kernel's driver).
enum NtfsVolumes {
  /// A volume that mkntfs makes.
  struct Made {
    let name: String
    let sector: Int
    let cluster: Int
    let size: String
    /// Filled with files through ntfs-3g.
    var isPopulated = false
    /// Shell commands that change the finished volume, called `$v`.
    var change = ""
  }

  static let made: [Made] = [
    Made(name: "s512-c512", sector: 512, cluster: 512, size: "12M"),
    Made(name: "s512-c1k", sector: 512, cluster: 1024, size: "12M"),
    Made(name: "s512-c2k", sector: 512, cluster: 2048, size: "12M"),
    Made(name: "s512-c4k", sector: 512, cluster: 4096, size: "12M"),
    Made(name: "s512-c8k", sector: 512, cluster: 8192, size: "16M"),
    Made(name: "s512-c16k", sector: 512, cluster: 16384, size: "24M"),
    Made(name: "s512-c32k", sector: 512, cluster: 32768, size: "12M"),
    Made(name: "s512-c64k", sector: 512, cluster: 65536, size: "48M"),
    Made(name: "s512-c128k", sector: 512, cluster: 131072, size: "24M"),
    Made(name: "s512-c256k", sector: 512, cluster: 262144, size: "40M"),
    Made(name: "s512-c2m", sector: 512, cluster: 2_097_152, size: "80M"),
    Made(name: "s256-c512", sector: 256, cluster: 512, size: "12M"),
    Made(name: "s256-c4k", sector: 256, cluster: 4096, size: "12M"),
    Made(name: "s1k-c1k", sector: 1024, cluster: 1024, size: "12M"),
    Made(name: "s1k-c4k", sector: 1024, cluster: 4096, size: "12M"),
    Made(name: "s1k-c64k", sector: 1024, cluster: 65536, size: "16M"),
    Made(name: "s2k-c2k", sector: 2048, cluster: 2048, size: "12M"),
    Made(name: "s2k-c8k", sector: 2048, cluster: 8192, size: "16M"),
    Made(name: "s4k-c4k", sector: 4096, cluster: 4096, size: "16M"),
    Made(name: "s4k-c16k", sector: 4096, cluster: 16384, size: "24M"),
    Made(name: "s4k-c64k", sector: 4096, cluster: 65536, size: "16M"),
    Made(name: "full-s512-c512", sector: 512, cluster: 512, size: "20M", isPopulated: true),
    Made(name: "full-s512-c1k", sector: 512, cluster: 1024, size: "20M", isPopulated: true),
    Made(name: "full-s512-c4k", sector: 512, cluster: 4096, size: "20M", isPopulated: true),
    Made(name: "full-s512-c8k", sector: 512, cluster: 8192, size: "24M", isPopulated: true),
    Made(name: "full-s512-c64k", sector: 512, cluster: 65536, size: "48M", isPopulated: true),
    Made(name: "full-s1k-c1k", sector: 1024, cluster: 1024, size: "20M", isPopulated: true),
    Made(name: "full-s2k-c8k", sector: 2048, cluster: 8192, size: "24M", isPopulated: true),
    Made(name: "full-s4k-c4k", sector: 4096, cluster: 4096, size: "24M", isPopulated: true),
    Made(name: "full-s4k-c64k", sector: 4096, cluster: 65536, size: "48M", isPopulated: true),
    // Devices that are larger than their volume.
    Made(name: "sector-more", sector: 512, cluster: 4096, size: "12M", change: "truncate -s +512 $v"),
    Made(name: "cluster-more", sector: 512, cluster: 4096, size: "12M", change: "truncate -s +4096 $v"),
    Made(name: "much-more", sector: 512, cluster: 1024, size: "12M", change: "truncate -s +3000000 $v"),
    Made(name: "odd-size", sector: 512, cluster: 4096, size: "12584448"),
    // Flags of $Volume in $MFT and $MFTMirr (found by ntfslabel's doing: the record is the same in both).
    Made(
      name: "dirty", sector: 512, cluster: 4096, size: "12M", change: "ntfsfix $v >/dev/null"),
  ]

  static let unpacked = [
    "c1k-dirty-ntfsfix", "c2k-streams-acl", "c4k-cut-to-zero", "c4k-dirty", "c4k-mixed", "c512-fragmented",
    "c512-mft-attribute-list", "c64k-sparse", "s4096-c4k",
  ]

  private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()  // Ntfsclone
    .deletingLastPathComponent()  // ConformanceTests
    .deletingLastPathComponent().appendingPathComponent("Fixtures/ntfs").path

  /// What a populated volume holds: a large directory, streams, hard links in extension records, sparse and fragmented
  /// files, deleted ones.
  private static let population = """
    if [ -w /dev/fuse ]; then
      mkdir m
      ntfs-3g -o streams_interface=windows,compression $v m
      mkdir m/large m/compressed
      setfattr -n system.ntfs_attrib_be -v 0x00000810 m/compressed 2>/dev/null || true
      i=0; while [ $i -lt 300 ]; do : >"m/large/a file with a somewhat longer name $i"; i=$((i + 1)); done
      echo hello >m/a.txt; echo stream >m/a.txt:s1; head -c 70000 /dev/urandom >m/a.txt:large
      i=0; while [ $i -lt 40 ]; do ln m/a.txt "m/hard link number $i"; i=$((i + 1)); done
      truncate -s 3M m/sparse; printf x | dd of=m/sparse bs=1 seek=2000000 conv=notrunc status=none
      i=0; while [ $i -lt 60 ]; do head -c 3000 /dev/urandom >m/piece$i; i=$((i + 1)); done
      rm m/piece*[13579] m/large/*7
      head -c 150000 /dev/urandom >m/fragmented
      yes text | head -c 100000 >m/compressed/file
      ln -s a.txt m/link; mkfifo m/pipe; chmod 600 m/a.txt
      umount m; rmdir m
    fi
    """

  /// How a volume is made.
  private static func step(_ name: String) -> Step {
    guard let volume = made.first(where: { $0.name == name }) else {
      return .shell("xz -dc '\(fixtures)/\(name).img.xz' | cp --sparse=always /dev/stdin \(name).img")
    }
    return .shell(
      """
      v=\(volume.name).img
      truncate -s \(volume.size) $v
      mkntfs -F -q -Q -s \(volume.sector) -p 0 -H 0 -S 0 -c \(volume.cluster) -L 'a volume' $v >/dev/null 2>&1
      \(volume.isPopulated ? population : "")
      \(volume.change)
      """)
  }

  /// Each volume alone, so that several are made at once, and only those that are asked for.
  static let alone = Dictionary(uniqueKeysWithValues: names.map { ($0, Fixture("ntfs-\($0)", [step($0)])) })

  /// What the tables of single cases start from; a case gets the files that it names.
  static let fixture = Fixture(
    "ntfs-volumes",
    [
      "s512-c4k", "s512-c8k", "s512-c64k", "s4k-c16k", "full-s512-c512", "full-s512-c1k", "full-s512-c4k",
      "sector-more",
      "c512-fragmented",
    ].map(step)
      + [
        .shell("ntfsclone -q -s -o special.img s512-c4k.img >/dev/null 2>&1"),
        .shell("ntfsclone -q -m -s -o metadata.img full-s512-c4k.img >/dev/null 2>&1"),
        // What is where: $MFT at cluster 4, its records of 1 KiB; $MFTMirr at half the volume; the backup at the end.
        .shell("cp --sparse=always s512-c4k.img v.img"),
      ])

  static let names = made.map(\.name) + unpacked
}
