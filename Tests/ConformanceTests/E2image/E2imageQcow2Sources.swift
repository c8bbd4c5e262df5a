/// QCOW2 images as source (ext4-e2image §10.2), and the containers in qemu-img.
let e2imageQcow2SourceCases: [Case] =
  Case.lines(
    """
    $ e2image -Q e4.img q.qcow2 => -r q.qcow2 x
    $ e2image -Q e2.img q.qcow2 => -r q.qcow2 x
    $ e2image -Qa e2.img q.qcow2 => -r q.qcow2 x
    $ e2image -Qas e4.img q.qcow2 => -r q.qcow2 x
    $ qemu-img convert -f raw -O qcow2 -o compat=0.10,cluster_size=2048 e4.img q.qcow2 => -r q.qcow2 x
    $ e2image -Q e4.img q.qcow2 => sh e2image -r q.qcow2 - >x
    $ e2image -Q e4.img q.qcow2 => -Q q.qcow2 x
    $ e2image -Q e4.img q.qcow2 => q.qcow2 x
    $ e2image -Q e4.img q.qcow2 => -rabs q.qcow2 x
    $ e2image -Q e4.img q.qcow2 => -rafsp -b 1 -B 4096 q.qcow2 x
    $ e2image -Q e4.img q.qcow2 => sh EXT2FS_PRETEND_RW_MOUNT=1 e2image -r q.qcow2 x
    """, fixture: e2imageFixture)
  + [
    sound(
      "E-1", "the last block in use", full,
      "sh e2image -r q.qcow2 x; tail -c 1 full.img | cmp - y; tail -c 1 x | cmp - y",
      setup: "e2image -Qa full.img q.qcow2; tail -c 1 full.img >y"),
    sound(
      "E-2", "tables behind the disk's size", full, "sh e2image -r q.qcow2 x; e2image -ra full.img y; cmp x y",
      setup: "e2image -Qa full.img q.qcow2", times: 2),
    failing(
      "E-3", "cut off", "-r q.qcow2 x", setup: "e2image -Qa e4.img q.qcow2; truncate -s 600000 q.qcow2",
      "e2image: Attempt to read block from filesystem resulted in short read"
        + " while trying to convert qcow2 image (q.qcow2) into raw image (x)\n"),
    sound(
      "E-4", "compressed clusters", e2imageFixture, "sh e2image -r q.qcow2 x; cmp x e4.img",
      setup: "qemu-img convert -c -f raw -O qcow2 -o compat=0.10 e4.img q.qcow2"),
    sound(
      "E-4", "version 3", e2imageFixture, "sh e2image -r q.qcow2 x; cmp x e4.img",
      setup: "qemu-img convert -f raw -O qcow2 e4.img q.qcow2"),
    sound(
      "E-6", "a backing file", e2imageFixture, "sh e2image -r q.qcow2 x; cmp x e4.img",
      setup: "qemu-img create -q -f qcow2 -o compat=0.10 -b e4.img -F raw q.qcow2"),
    failing(
      "E-5", "encrypted", "-r q.qcow2 x",
      setup: "e2image -Q e4.img q.qcow2; printf '\\0\\0\\0\\1' | dd of=q.qcow2 "
        + "bs=1 seek=32 conv=notrunc status=none", "Image (q.qcow2) is encrypted\n"),
    failing(
      "E-5", "clusters of 256 bytes", "-r q.qcow2 x",
      setup: "e2image -Q e4.img q.qcow2; printf '\\10' | dd "
        + "of=q.qcow2 bs=1 seek=23 conv=notrunc status=none", "Image (q.qcow2) is corrupted\n"),
    failing(
      "E-5", "clusters of 2 GiB", "-r q.qcow2 x",
      setup: "e2image -Q e4.img q.qcow2; printf '\\37' | dd "
        + "of=q.qcow2 bs=1 seek=23 conv=notrunc status=none", "Image (q.qcow2) is corrupted\n"),
    failing(
      "E-5", "an L1 table that is not aligned", "-r q.qcow2 x",
      setup: "e2image -Q e4.img q.qcow2; printf '\\1' | "
        + "dd of=q.qcow2 bs=1 seek=47 conv=notrunc status=none", "Image (q.qcow2) is corrupted\n"),
    failing(
      "E-5", "an L1 table that is too large", "-r q.qcow2 x",
      setup: "e2image -Q e4.img q.qcow2; printf '\\177' | "
        + "dd of=q.qcow2 bs=1 seek=36 conv=notrunc status=none", "Image (q.qcow2) is corrupted\n"),
    sound(
      "E-7", "onto a longer file", e2imageFixture, "sh e2image -r q.qcow2 x; cmp x y",
      setup: "e2image -Q e4.img q.qcow2; e2image -r q.qcow2 y; head -c 40M /dev/urandom >x"),
    sound(
      "E-7", "to a pipe", e2imageFixture, "sh e2image -r q.qcow2 - | cmp - y",
      setup: "e2image -Q e4.img q.qcow2; e2image -r q.qcow2 y"),
    sound(
      "E-7", "to an offset", e2imageFixture, "sh e2image -r -O 1000 q.qcow2 x; tail -c +1001 x | cmp - y",
      setup: "e2image -Q e4.img q.qcow2; e2image -r q.qcow2 y"),
    sound(
      "E-7", "nothing is written", e2imageFixture, "sh e2image -rn q.qcow2 x | tail -1; [ ! -e x ]",
      setup: "e2image -Q e2.img q.qcow2", stdout: "Writing block 534\n"),
    Case(
      "-r q.qcow2 x", name: "an empty disk", setup: ["qemu-img create -q -f qcow2 -o compat=0.10 q.qcow2 0"],
      deviation: Deviation("E-7", stdout: "", stderr: e2imageBanner, status: 0, files: .unchecked)),
    Case(
      "sh e2image -Qa crowded.img x; qemu-img check -q x >y 2>&1 || [ $? = 3 ]; grep -c ERROR y; rm crowded.img x y",
      name: "more clusters than the refcount table of the counter has room for (E-32)",
      setup: [
        .shell(
          E2imageScript.make + E2imageScript.mounted + """
            make crowded.img 65000K -t ext2 -b 1024 -m 0 -I 128 -N 16
            mounted crowded.img 'head -c 70M /dev/zero | tr "\\\\0" x >f 2>/dev/null || :'
            """)
      ], deviation: Deviation("E-32", stdout: "0\n", stderr: e2imageBanner, status: 1, files: .unchecked)),
    // The counter is right as long as most of the blocks are zeros.
    Case(
      "sh e2image -Q v.img x; rm v.img", name: "few blocks that are not zeros, many L2 tables",
      setup: [.shell(E2imageScript.make + "make v.img 3000M -t ext2 -b 1024 -N 200000")]),
    // Streams, which the reference does not make.
    sound("E-21", "-Q to a pipe", e2imageFixture, "sh e2image -Q e4.img x; e2image -Q e4.img - | cmp - x", times: 2),
    sound("E-21", "-Qa to a pipe", e2imageFixture, "sh e2image -Qa e4.img x; e2image -Qa e4.img - | cmp - x", times: 2),
    sound(
      "E-21", "-Qas to a file", e2imageFixture, "sh e2image -Qas e2.img x; e2image -Qas e2.img - >y; cmp y x", times: 2),
    sound(
      "E-21", "-Qa of a full file system to a pipe", full,
      "sh e2image -Qa full.img x; e2image -Qa full.img - | cmp - x",
      times: 2),
    sound(
      "E-21", "a normal image to a pipe", e2imageFixture,
      "sh e2image e4.img x; e2image e4.img - | cat >y; cmp -i 332 y x", times: 2),
  ]
  // Containers: what qemu-img reads of them. The reference's qemu-img does not know the normal image.
  + [
    sound(
      "E-31", "qemu-img reads a normal image", e2imageFixture,
      "sh Q=$(dirname $(readlink -f $(command -v e2image)))/qemu-img; $Q info n.e2i | grep 'file format'; "
        + "$Q convert -O raw n.e2i x; $Q compare -f raw -F e2image x n.e2i; "
        + "truncate -s 32M d; e2image -I d n.e2i; cmp -i 2048 x d",
      setup: "e2image e4.img n.e2i", times: 1, stdout: "file format: e2image\nImages are identical.\n"),
    sound(
      "E-31", "qemu-img reads a QCOW2 image", e2imageFixture,
      "sh Q=$(dirname $(readlink -f $(command -v e2image)))/qemu-img; $Q convert -O raw q.qcow2 x; cmp x y",
      setup: "e2image -Q e4.img q.qcow2; e2image -r e4.img y", times: 0),
  ]

/// The line with which every run begins.
let e2imageBanner = "e2image 1.47.0 (5-Feb-2023)\n"

/// A file system with 1 KiB blocks and not one of them free.
private let full = Fixture(
  "e2image-full",
  [
    .shell(
      E2imageScript.make + E2imageScript.mounted + """
        make full.img 40M -t ext4 -b 1024 -m 0
        mounted full.img 'head -c 60M /dev/urandom | tr "\\\\0" x >f 2>/dev/null || :'
        """)
  ])

/// A case in which the reference fails, or makes something else; ours does it, and says nothing but its first line.
///
/// - Parameter times: how often the command runs the tool.
func sound(
  _ id: String, _ name: String, _ fixture: Fixture, _ command: String, setup: String? = nil, times: Int = 1,
  stdout: String = ""
) -> Case {
  Case(
    command, name: "\(name) (\(id))", fixture: fixture, setup: setup.map { [.shell($0)] } ?? [],
    deviation: Deviation(
      id, stdout: stdout, stderr: String(repeating: e2imageBanner, count: times), status: 0, files: .unchecked))
}

/// A case in which ours says this behind its first line, and returns 1.
func failing(
  _ id: String, _ name: String, _ command: String, fixture: Fixture = e2imageFixture, setup: String? = nil,
  stdout: String = "", _ stderr: String
) -> Case {
  Case(
    command, name: "\(name) (\(id))", fixture: fixture, setup: setup.map { [.shell($0)] } ?? [],
    deviation: Deviation(id, stdout: stdout, stderr: e2imageBanner + stderr, status: 1, files: .unchecked))
}
