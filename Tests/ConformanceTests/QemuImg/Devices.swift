import Foundation
import Testing

extension QemuImgConformance {
  @Test func devices() async throws {
    try await Conformance.compare("qemu-img", table: "devices", deviceCases + readOnlyDeviceCases)
  }
}

/// The subcommands on block devices (cli-1 §7.7, cli-2 §7.3): loop devices with sectors of 512 and of 4096 bytes. The file
/// behind the device is compared byte by byte afterwards.
let deviceCases: [Case] =
  [512, 4096].flatMap { sector in
    cases(deviceLines, sector: sector, files: .bytes)
      // What is left of an image that did not fit is nobody's.
      + cases(tooSmallLines, sector: sector, files: .unchecked)
  }

private func cases(_ lines: String, sector: Int, files: FileComparison) -> [Case] {
  lines.split(separator: "\n").map { line in
    let (setup, command) = parts(line.trimmingCharacters(in: .whitespaces))
    return Case(
      "sh " + attaching("disk.img", sector: sector, command), name: "sectors of \(sector): \(line)", fixture: images,
      setup: [.shell("truncate -s 8M disk.img")] + setup, files: files, masks: [Mask("/dev/loop[0-9]+", "DEVICE")])
  }
}

/// `SETUP => COMMAND`, with or without the first part.
private func parts(_ line: String) -> (setup: [Step], command: String) {
  let parts = line.components(separatedBy: " => ")
  return (parts.dropLast().map { Step(line: $0) }, parts[parts.count - 1])
}

/// Devices that cannot be written.
let readOnlyDeviceCases: [Case] = [
  "qemu-img info $d", "qemu-img convert -n -O raw t.qcow2 $d", "qemu-img create -f raw $d 1M",
  "qemu-img resize -f raw $d 4M", "qemu-img convert -f raw -O qcow2 $d out.qcow2",
].map { command in
  Case(
    "sh " + attaching("disk.img", sector: 512, isReadOnly: true, command), name: "read-only: \(command)",
    fixture: images, setup: [.shell("truncate -s 8M disk.img")], masks: [Mask("/dev/loop[0-9]+", "DEVICE")])
}

/// Runs `commands` with the device of a file as `$d`, and detaches it whatever happens. The file must have been written
/// back when it is compared: detaching does not wait for that.
private func attaching(_ file: String, sector: Int, isReadOnly: Bool = false, _ commands: String) -> String {
  """
  d=$(losetup --show -f -b \(sector)\(isReadOnly ? " -r" : "") \(file)) || exit 99
  trap 'sync $d; losetup -d $d; sync \(file)' EXIT
  \(commands)
  """
}

private let deviceLines =
  """
  qemu-img info $d
  qemu-img info --output=json $d
  qemu-img info -f qcow2 $d
  qemu-img map --output=json $d
  qemu-img measure -O qcow2 $d
  qemu-img measure -O raw $d
  $ qemu-img convert -O raw mixed.raw disk.img => qemu-img measure -O qcow2 $d
  qemu-img check $d
  qemu-img create -f raw $d 8M
  qemu-img create -f raw $d 4M
  qemu-img create -f raw $d 9M
  qemu-img create -f qcow2 $d 4M ; qemu-img info $d ; qemu-img check $d
  qemu-img create -f qcow2 $d 1G ; qemu-img map $d
  qemu-img create -f qcow2 -o cluster_size=4k,preallocation=metadata $d 4M ; qemu-img check $d
  qemu-img create -f qcow2 -b mid.qcow2 -F qcow2 $d ; qemu-img check $d
  qemu-img convert -O raw t.qcow2 $d
  qemu-img convert -n -O raw t.qcow2 $d
  qemu-img convert -n -S 0 -O raw t.qcow2 $d
  qemu-img convert -n -S 64k -O raw mixed.raw $d
  qemu-img convert -n --target-is-zero -O raw mixed.raw $d
  qemu-img convert -n -W -m 4 -O raw top.qcow2 $d
  qemu-img convert -n -t none -T none -O raw top.qcow2 $d
  qemu-img convert -n -t directsync -O raw mixed.raw $d
  qemu-img convert -n -t writethrough -O raw mixed.raw $d
  qemu-img convert -p -n -O raw mixed.raw $d
  $ qemu-io -f raw -c 'write -q -P 7 0 8M' disk.img => qemu-img convert -O raw t.qcow2 $d
  $ qemu-io -f raw -c 'write -q -P 7 0 8M' disk.img => qemu-img convert -n -O raw mixed.raw $d
  $ qemu-io -f raw -c 'write -q -P 7 0 8M' disk.img => qemu-img convert -n -C -O raw mixed.raw $d
  qemu-img convert -O qcow2 t.qcow2 $d ; qemu-img check $d ; qemu-img compare t.qcow2 $d
  qemu-img convert -O qcow2 -o cluster_size=4k mixed.raw $d ; qemu-img check $d ; qemu-img compare -F raw $d mixed.raw
  qemu-img convert -O qcow2 -o preallocation=metadata mixed.raw $d ; qemu-img check $d
  $ truncate -s 9M big.raw => qemu-img convert -O raw big.raw $d
  $ truncate -s 9M big.raw => qemu-img convert -n -O raw big.raw $d
  $ qemu-io -f raw -c 'write -q -P 7 0 4M' hole.raw => qemu-img convert -O qcow2 hole.raw $d ; qemu-img check $d
  $ qemu-img convert -O raw mixed.raw disk.img => qemu-img convert -O raw $d out.raw
  $ qemu-img convert -O raw mixed.raw disk.img && truncate -s 8M disk.img => qemu-img convert -O raw $d out.raw
  $ qemu-io -f raw -c 'write -q -P 7 1M 1M' disk.img => qemu-img convert -O qcow2 $d out.qcow2
  $ qemu-io -f raw -c 'write -q -P 7 1M 1M' disk.img => qemu-img convert -T none -O qcow2 $d out.qcow2
  $ qemu-io -f raw -c 'write -q -P 7 1M 1M' disk.img => qemu-img convert -p -O raw $d t.qcow2
  $ qemu-img convert -O qcow2 t.qcow2 disk.img && truncate -s 8M disk.img => qemu-img info $d ; qemu-img check $d
  $ qemu-img convert -O qcow2 t.qcow2 disk.img && truncate -s 8M disk.img => qemu-img map --output=json $d
  $ qemu-img convert -O qcow2 t.qcow2 disk.img && truncate -s 8M disk.img => qemu-img resize $d 8M ; qemu-img check $d
  $ qemu-img convert -O qcow2 t.qcow2 disk.img && truncate -s 8M disk.img => qemu-img resize --shrink $d 1M
  $ qemu-img convert -O qcow2 t.qcow2 disk.img && truncate -s 8M disk.img => qemu-img compare $d t.qcow2
  qemu-img resize -f raw $d 16M
  qemu-img resize -f raw --shrink $d 4M
  qemu-img resize -f raw $d 8M
  qemu-img compare -f raw -F raw $d hole.raw
  qemu-img compare -s -f raw -F raw $d hole.raw
  $ qemu-io -f raw -c 'write -q -P 7 5M 4k' disk.img => qemu-img compare -f raw -F raw $d hole.raw
  qemu-img dd -O raw if=mixed.raw of=$d bs=64k
  qemu-img dd -O qcow2 if=mixed.raw of=$d bs=64k
  qemu-img dd -f raw -O raw if=$d of=out.raw bs=1M count=2
  qemu-img dd -f raw -O raw if=$d of=out.raw bs=1M skip=5
  qemu-img convert -f raw -O raw $d $d
  """

private let tooSmallLines =
  """
  qemu-img create -f qcow2 -o preallocation=falloc $d 4M
  qemu-img create -f qcow2 -o preallocation=full $d 4M
  qemu-img create -f qcow2 -o preallocation=full $d 1G
  qemu-img create -f qcow2 -o preallocation=metadata $d 100G
  $ truncate -s 10M big.raw && qemu-io -f raw -c 'write -q -P 7 0 10M' big.raw => qemu-img convert -O qcow2 big.raw $d
  """
