/// `resize` (cli-1 §15, qcow2 §19.1): what is left behind is compared byte by byte.
let resizeCases: [Case] = {
  var lines: [String] = []
  for size in ["8M", "+4M", "4M", "1G", "+512", "100G", "5000192"] {
    for file in ["t.qcow2", "v2.qcow2", "ext.qcow2", "small.qcow2", "empty.qcow2", "data.qcow2", "top.qcow2"] {
      lines.append("resize \(file) \(size) ; info \(file) ; check \(file)")
    }
  }
  for size in ["1M", "-1M", "64k", "0", "-4M", "3M", "1049088", "512"] {
    for file in ["t.qcow2", "v2.qcow2", "ext.qcow2", "small.qcow2", "data.qcow2"] {
      lines.append("resize --shrink \(file) \(size) ; info \(file) ; check \(file)")
    }
  }
  for mode in ["off", "metadata", "falloc", "full"] {
    for file in ["t.qcow2", "ext.qcow2", "small.qcow2", "empty.qcow2", "data.qcow2", "zero.qcow2"] {
      lines.append("resize --preallocation=\(mode) \(file) 8M ; check \(file)")
    }
    lines.append("resize --preallocation=\(mode) t.qcow2 5000192 ; check t.qcow2")
    lines.append("resize --preallocation=\(mode) v2.qcow2 +1G ; check v2.qcow2")
    lines.append("resize --preallocation=\(mode) -f raw base.raw 2M")
    lines.append("resize --preallocation=\(mode) -f raw zero.raw 1M")
    lines.append("resize --preallocation=\(mode) t.qcow2 4M")
    lines.append("resize --preallocation=\(mode) --shrink t.qcow2 1M")
    lines.append("resize --preallocation=\(mode) top.qcow2 8M")
  }
  for size in ["9223372035781033984", "9223372035781033985", "9223372036854775296"] {
    lines += ["resize t.qcow2 \(size)", "amend -o size=\(size) t.qcow2", "resize -f raw base.raw \(size)"]
  }
  // Where a table is written sparsely, ours takes less space.
  return Case.lines(lines.joined(separator: "\n"), fixture: images, masks: diskSize)
    + shrunkEmpty + shrunkBitmaps + resizeOptions
    + Case.lines(
      """
      resize aes.qcow2 2M
      resize luks.qcow2 2M
      """, fixture: encryptedImages)
    + Case.lines(
      """
      resize t.qcow2 1M
      resize t.qcow2 -1M
      resize -q t.qcow2 8M
      resize -q t.qcow2 1M
      resize t.qcow2 1000
      resize t.qcow2 5000001
      resize t.qcow2 0
      resize t.qcow2 -100M
      resize t.qcow2 +0
      resize t.qcow2 -0
      resize t.qcow2 foo
      resize t.qcow2 1kb
      resize t.qcow2 ''
      resize t.qcow2 +
      resize t.qcow2 ++1M
      resize t.qcow2 +-1M
      resize t.qcow2 7E
      resize t.qcow2 16E
      resize t.qcow2 3P
      resize small.qcow2 129G
      resize small.qcow2 24M ; check small.qcow2
      resize --preallocation=metadata small.qcow2 24M ; check small.qcow2
      resize --preallocation=falloc small.qcow2 24M ; check small.qcow2
      resize --preallocation=metadata empty.qcow2 1G ; check empty.qcow2
      resize zero.qcow2 4M ; info zero.qcow2
      resize snap.qcow2 8M ; check snap.qcow2 ; info snap.qcow2
      resize --shrink snap.qcow2 64k ; check snap.qcow2
      resize bm.qcow2 8M ; check bm.qcow2 ; info bm.qcow2
      resize -f qcow2 t.qcow2 8M
      resize -f raw t.qcow2 8M
      resize nosuch 1M
      resize . 1M
      resize base.raw 2M
      resize base.raw 512k
      resize -f raw base.raw 2M
      resize -f raw base.raw 512k
      resize -f raw --shrink base.raw 512k
      resize -f raw --shrink base.raw -512k
      resize -f raw base.raw 2000001
      resize -f raw base.raw +1
      resize -f raw odd.raw 1000
      resize -f raw odd.raw 1024
      resize -f raw zero.raw 4k
      resize -f raw zero.raw 1
      resize -f raw hole.raw 8T
      resize -f raw --preallocation=metadata /dev/null 1M
      resize -f raw --preallocation=off /dev/null 1M
      resize --preallocation t.qcow2 8M
      resize --image-opts driver=qcow2,file.filename=t.qcow2 8M
      resize --image-opts driver=qcow2,read-only=on,file.filename=t.qcow2 8M
      resize --image-opts -f qcow2 driver=qcow2,file.filename=t.qcow2 8M
      resize --object secret,id=a,data=b t.qcow2 8M
      $ chmod 444 t.qcow2 => resize t.qcow2 8M
      $ qemu-img create -q -f qcow2 -o compat=0.10 o.qcow2 1M ; qemu-img snapshot -c s o.qcow2 => resize o.qcow2 2M
      $ qemu-img create -q -f qcow2 -o preallocation=full o.qcow2 3M => resize --shrink o.qcow2 1M ; check o.qcow2
      $ qemu-img create -q -f qcow2 -o preallocation=full,cluster_size=512 o.qcow2 3M => resize --shrink o.qcow2 1M ; check o.qcow2
      $ qemu-img create -q -f qcow2 -o preallocation=metadata,cluster_size=4k o.qcow2 20M => resize --shrink o.qcow2 3M ; check o.qcow2
      $ qemu-img create -q -f qcow2 -o data_file=e.raw,data_file_raw=on o.qcow2 2M => resize o.qcow2 4M ; check o.qcow2
      $ qemu-img create -q -f qcow2 -o data_file=e.raw,data_file_raw=on o.qcow2 2M => resize --shrink o.qcow2 1M ; check o.qcow2
      $ qemu-img create -q -f qcow2 -o lazy_refcounts=on o.qcow2 2M => resize --preallocation=metadata o.qcow2 4M ; check o.qcow2
      $ qemu-img create -q -f qcow2 -o refcount_bits=1 o.qcow2 2M => resize --preallocation=falloc o.qcow2 40M ; check o.qcow2
      """, fixture: images)
}()

/// Bitmaps are stored together with the new size, and once more where the shorter disk has left room.
private let shrunkBitmaps = Case.lines(
  """
  resize --shrink bm.qcow2 2M ; info bm.qcow2 ; check bm.qcow2
  resize --shrink bm.qcow2 64k ; info bm.qcow2 ; check bm.qcow2
  resize --shrink bm.qcow2 64k ; resize bm.qcow2 4M ; bitmap --merge b0 bm.qcow2 second ; check bm.qcow2
  """, fixture: images, files: .content,
  masks: diskSize + [Mask("(?m)^Image end offset: .*$", "Image end offset", id: "QC-34")])

/// The reference allocates tables to say that nothing is there.
private let shrunkEmpty = ["1M", "-1M", "64k", "0", "-4M", "3M", "1049088", "512"].map { size in
  Case(
    "resize --shrink empty.qcow2 \(size)", "info empty.qcow2", "check empty.qcow2", fixture: images,
    files: .content, masks: diskSize + [Mask("(?m)^Image end offset: .*$", "Image end offset", id: "QC-16")])
}

/// 10.2 takes options behind the operands as well.
private let resizeOptions = [
  Case(
    "sh qemu-img resize -q --shrink t.qcow2 1090560; qemu-img resize -q t.qcow2 4M; qemu-img map t.qcow2; qemu-io -r -c 'read -P 0 1090560 60000' t.qcow2 | grep -c failed",
    fixture: images,
    deviation: Deviation(
      "Q-162",
      stdout: """
        Offset          Length          Mapped to       File
        0               0x10000         0x50000         t.qcow2
        0x100000        0x10000         0x60000         t.qcow2
        0

        """, status: 1, files: .unchecked)),
  Case(
    "resize t.qcow2 1M --shrink", fixture: images,
    deviation: Deviation("Q-34", stdout: "Image resized.\n", stderr: "", status: 0, files: .unchecked)),
  Case(
    "resize t.qcow2 8M -q", fixture: images,
    deviation: Deviation("Q-34", stdout: "", stderr: "", status: 0, files: .unchecked)),
  Case(
    "resize t.qcow2 8E", fixture: images,
    deviation: Deviation(
      "Q-17", stdout: "", stderr: "qemu-img: Value '8E' is out of range for parameter 'size'\n", status: 1)),
]
