import Testing

extension QemuImgConformance {
  @Test func blockSharing() async throws {
    try await Conformance.compare("qemu-img", table: "block sharing", blockSharingCases)
  }
}

/// Raw disks on file systems that let files share blocks (XFS, btrfs): the images are the reference's to the byte,
/// although ours reads next to nothing.
let blockSharingCases: [Case] = ["mkfs.xfs -q fs", "mkfs.btrfs -q fs"].flatMap { format in
  [
    "convert -O qcow2 s.raw o", "convert -O qcow2 -o cluster_size=4k s.raw o",
    "convert -O qcow2 -o cluster_size=512 s.raw o", "convert -O qcow2 -o cluster_size=2M s.raw o",
    "convert -O qcow2 -o extended_l2=on s.raw o", "convert -O qcow2 -o compat=0.10 -m 1 s.raw o",
    "convert -O qcow2 -S 0 s.raw o", "convert -O qcow2 -S 64k s.raw o", "convert -O qcow2 -S 12k s.raw o",
    "convert -O qcow2 -o preallocation=metadata s.raw o", "convert -O raw s.raw o", "convert -O raw -S 64k s.raw o",
    "convert -n -O qcow2 s.raw present", "convert -O qcow2 -o cluster_size=4k -B base.raw -F raw s.raw o",
    // btrfs has no such hint, XFS only in blocks.
    "create -f raw -o extent_size_hint=64k o 1M", "create -f raw -o extent_size_hint=1000 o 1M",
    "convert -O qcow2 -o extent_size_hint=1000 base.raw o",
  ].map { command in
    Case(
      "sh " + shell(format: format, command), name: "\(format.prefix { $0 != " " }): \(command)",
      masks: [Mask("in [0-9.]+ s", "in TIME")])
  }
}

private func shell(format: String, _ command: String) -> String {
  """
  truncate -s 400M fs; \(format); mkdir m; mount -o loop fs m; trap 'cd ..; umount m; rmdir m; rm fs' EXIT; cd m
  # Runs of some blocks and of many, with zeros between and within, a beginning off the clusters, and a last partial one.
  truncate -s 75000320 s.raw; truncate -s 70M base.raw
  store() { seq 1000000 $((1000000 + $2 * 500)) | head -c $(($2 * 4096)) | dd of=s.raw bs=4096 seek=$1 conv=notrunc status=none; }
  store 7 300; store 1000 1; store 1010 5; store 2000 9000; store 16000 2000
  dd if=/dev/zero of=s.raw bs=4096 seek=3000 count=700 conv=notrunc status=none
  head -c 100000 s.raw | tail -c 3000 | dd of=s.raw bs=1 seek=47000100 conv=notrunc status=none
  qemu-img create -q -f qcow2 -o cluster_size=4k present 75000320; sync
  qemu-img \(command)
  for file in o present; do [ ! -e $file ] || sha256sum $file; done
  [ ! -e o ] || qemu-img compare s.raw o
  """
}
