/// Names of drivers that a header may record, whether this library has them or not (qemu-img-cli-2 §2.2): an image is
/// rebased by one program and opened by another.
public enum DriverNames {
  private static let known: Set<String> = [
    "blkdebug", "blklogwrites", "blkverify", "bochs", "cloop", "compress", "copy-before-write", "copy-on-read", "dmg",
    "file", "ftp", "ftps", "gluster", "host_cdrom", "host_device", "http", "https", "iscsi", "iser", "luks", "nbd",
    "nfs",
    "null-aio", "null-co", "nvme", "parallels", "preallocate", "qcow", "qcow2", "qed", "quorum", "raw", "rbd",
    "replication", "snapshot-access", "ssh", "throttle", "vdi", "vhdx", "vmdk", "vpc", "vvfat",
  ]

  /// Whether a driver has this name.
  public static func isKnown(_ name: String) -> Bool { known.contains(name) }
}
