import Foundation

/// `snapshot` (cli-2 §1, qcow2 §19.2): what is left behind is compared byte by byte, but for dates and for clusters that
/// nothing refers to.
let snapshotCases: [Case] = commandLine + plain + layouts + sizes + locked + damaged + misplacedCounts + refused

/// The date of a snapshot that was just made.
let snapshotDate = Mask("20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:]{8}", "DATE")
private let dateInJSON = Mask("\"date-n?sec\": [0-9]+", "\"date\"")
private let masks = [snapshotDate, dateInJSON] + diskSize

private let commandLine =
  Case.lines(
    """
    snapshot
    snapshot -l
    snapshot -l t.qcow2
    snapshot -l snap.qcow2
    snapshot -q -l snap.qcow2
    snapshot -l -U snap.qcow2
    snapshot -l v2.qcow2
    snapshot -l hole.raw
    snapshot -l -l snap.qcow2
    snapshot -l -a x snap.qcow2
    snapshot -c x -d y snap.qcow2
    snapshot -a snap.qcow2
    snapshot -l snap.qcow2 t.qcow2
    snapshot -l nosuch.qcow2
    snapshot -z snap.qcow2
    snapshot snap.qcow2
    snapshot -c x -U snap.qcow2
    snapshot -l --image-opts driver=qcow2,file.filename=snap.qcow2
    snapshot --image-opts -c x driver=qcow2,read-only=on,file.filename=snap.qcow2
    snapshot --image-opts -c x driver=qcow2,file.filename=snap.qcow2 ; check snap.qcow2
    snapshot -l --object secret,id=a,data=b snap.qcow2
    snapshot -l --object nosuch,id=a snap.qcow2
    $ chmod 444 snap.qcow2 => snapshot -l snap.qcow2
    $ rm base.raw => snapshot -l top.qcow2
    $ rm base.raw => snapshot -c x top.qcow2
    snapshot -c x hole.raw
    snapshot -d x hole.raw
    snapshot hole.raw
    snapshot -c x data.qcow2
    snapshot -a x data.qcow2
    snapshot -d x data.qcow2
    snapshot -d nope snap.qcow2
    snapshot -a nope snap.qcow2
    snapshot -d '' snap.qcow2
    snapshot -a '' snap.qcow2
    patch snap.qcow2 0xb0010 u32 0xffffffff => snapshot -l snap.qcow2
    patch snap.qcow2 0xb0018 u64 0xffffffffffffffff => snapshot -l snap.qcow2
    patch snap.qcow2 0xb0028 u64 0xffffffffffffffff => snapshot -l snap.qcow2
    patch snap.qcow2 0xb0038 u64 0xffffffffffffffff => snapshot -l snap.qcow2
    patch snap.qcow2 0xb0038 u64 0xfffffffffffffffe => snapshot -l snap.qcow2
    """, fixture: images, files: .used, masks: masks)
  + Case.lines(
    """
    snapshot -l luks.qcow2
    snapshot -c x luks.qcow2
    snapshot -l aes.qcow2
    """, fixture: encryptedImages)

private let plain = Case.lines(
  """
  snapshot -c x t.qcow2 ; snapshot -l t.qcow2 ; check t.qcow2
  snapshot -c x t.qcow2 ; info --output=json t.qcow2
  snapshot -c '' t.qcow2 ; snapshot -l t.qcow2 ; snapshot -d '' t.qcow2 ; snapshot -l t.qcow2
  snapshot -c 5 t.qcow2 ; snapshot -c 1 t.qcow2 ; snapshot -a 1 t.qcow2 ; snapshot -a 5 t.qcow2 ; snapshot -l t.qcow2
  snapshot -c one snap.qcow2 ; snapshot -l snap.qcow2 ; snapshot -d one snap.qcow2 ; snapshot -l snap.qcow2
  snapshot -d two snap.qcow2 ; snapshot -c three snap.qcow2 ; snapshot -l snap.qcow2 ; check snap.qcow2
  snapshot -d one snap.qcow2 ; check snap.qcow2 ; snapshot -d two snap.qcow2 ; check snap.qcow2 ; map --output=json snap.qcow2
  snapshot -d two snap.qcow2 ; snapshot -d one snap.qcow2 ; check snap.qcow2
  snapshot -a one snap.qcow2 ; check snap.qcow2 ; map --output=json snap.qcow2 ; snapshot -a two snap.qcow2 ; check snap.qcow2
  snapshot -a 2 snap.qcow2 ; snapshot -a 1 snap.qcow2 ; check snap.qcow2 ; snapshot -d one snap.qcow2 ; check snap.qcow2
  snapshot -c $(printf %0255d 7) t.qcow2 ; snapshot -l t.qcow2
  sh n=$(printf %0300d 7) ; qemu-img snapshot -c $n t.qcow2 ; qemu-img snapshot -l t.qcow2
  sh for i in 1 2 3 4 5 6 7 8 9 10 11 12; do qemu-img snapshot -c s$i t.qcow2; done; for i in 3 1 12; do qemu-img snapshot -d s$i t.qcow2; done ; qemu-img snapshot -l t.qcow2 ; qemu-img check t.qcow2
  patch snap.qcow2 0xb0040 text 9 => snapshot -c new snap.qcow2 ; snapshot -l snap.qcow2
  """, fixture: images, files: .used, masks: masks)

/// Kinds of images through a life with snapshots, the guest's writes made by the reference.
private let layouts = [
  "cluster_size=64k", "extended_l2=on", "refcount_bits=8", "refcount_bits=64,cluster_size=4k", "compat=0.10",
  "cluster_size=512", "cluster_size=2M", "compression_type=zstd", "lazy_refcounts=on", "preallocation=metadata",
  "refcount_bits=4,cluster_size=1k", "refcount_bits=32,extended_l2=on,cluster_size=16k",
].map { options in
  // Compressed clusters share host clusters, whose counts a narrow count has no room for.
  let cannotCompress = options.contains("bits=4,") || options.contains("preallocation")
  let compressed = cannotCompress ? "" : "-c 'write -q -c 2M 2M'"
  return Case(
    commands: [
      "snapshot -c s1 a", "sh qemu-io -c 'write -q -P 2 64k 64k' a", "snapshot -c s2 a",
      "sh qemu-io -c 'write -q -P 3 100k 128k' -c 'write -q -z 3M 300k' a", "snapshot -a s1 a", "check a",
      "map --output=json a", "snapshot -c s3 a", "snapshot -d s1 a", "check a", "snapshot -a 2 a", "check a",
      "snapshot -d s3 a", "sh qemu-io -c 'write -q -P 5 0 1M' a", "snapshot -d s2 a", "check a", "map --output=json a",
    ], name: "a life with snapshots: \(options)",
    setup: [
      .shell(
        """
        qemu-img create -q -f qcow2 -o \(options) a 6M
        qemu-io -c 'write -q -P 1 0 128k' -c 'write -q -z 256k 64k' -c 'write -q -P 7 1M 64k' \(compressed) a
        """)
    ], files: .used, masks: masks)
}

private let sizes =
  Case.lines(
    """
    $ \(sized("1M", "1M")) => snapshot -a small a ; check a ; snapshot -d small a ; check a
    $ qemu-img create -q -f qcow2 a 0 => snapshot -c x a ; snapshot -c y a ; snapshot -a x a ; snapshot -d x a ; check a
    """, files: .used, masks: masks)
  // The reference makes tables of its own before it cuts the disk (QC-16).
  + Case.lines(
    """
    $ \(sized("64k", "256k", changing: "200k 10k")) => snapshot -a small a ; check a ; info a ; snapshot -a large a ; check a
    $ \(sized("64k", "256k", changing: "200k 10k")) => snapshot -a 1 a ; snapshot -d large a ; check a ; resize a 8M ; snapshot -c big a ; snapshot -a 1 a ; check a
    $ qemu-img create -q -f qcow2 a 0 ; qemu-img snapshot -c x a ; qemu-img resize -q a 1M => snapshot -a x a ; check a ; info a
    $ \(sized("64k", "256k")) => snapshot -a small a ; check a ; snapshot -a large a ; check a
    $ \(sized("50k", "256k")) => snapshot -a small a ; check a ; snapshot -a large a ; check a ; snapshot -d large a ; check a
    $ \(sized("1000k", "3M")) => snapshot -a small a ; check a ; snapshot -a large a ; check a
    """, files: .content, masks: masks + [Mask("(?m)^Image end offset: .*$", "Image end offset", id: "QC-16")])

/// An image with a snapshot at each of two sizes, and changes after both.
private func sized(_ small: String, _ large: String, changing range: String = "45k 20k") -> String {
  "qemu-img create -q -f qcow2 -o cluster_size=512 a \(small) ; qemu-io -c 'write -q -P 1 0 10k' a ; "
    + "qemu-img snapshot -c small a ; qemu-img resize -q a \(large) ; qemu-io -c 'write -q -P 2 \(range)' a ; "
    + "qemu-img snapshot -c large a" + (range == "45k 20k" ? " ; qemu-io -c 'write -q -P 2 10k 10k' a" : "")
}

/// Images that another process, the reference's own `qemu-io`, has open.
private let locked = ["-c x", "-d one", "-a one", "-l", "-l -U", "-c x -U", ""].flatMap { action in
  ["", "-r "].map { mode in
    Case(
      "sh \(holding("snap.qcow2", mode)) qemu-img snapshot \(action) snap.qcow2; echo $?",
      fixture: images, files: .used, masks: masks)
  }
}

private let damaged = Case.lines(
  ["-c x", "-a one", "-a two", "-l"].flatMap { action in
    [
      "60 u32 1", "0xb0024 u32 0", "0xb0024 u32 8", "0xb0030 u64 0x400200", "0xb0030 u64 0x400201",
      "0xb0030 u64 0xffffffffffffffff", "0xb0000 u64 0xa0001", "0xb0000 u64 0x1000000", "0xb0008 u32 0",
      "0xb0008 u32 4194305", "0xb0024 u32 2000", "60 u32 65537", "64 u64 1", "0x60000 u64 0x40200",
      "0x40000 u64 0x50200",
    ].map { "patch snap.qcow2 \($0) => snapshot \(action) snap.qcow2" }
  }.joined(separator: "\n"), fixture: images, files: .unchecked, masks: masks)

/// Counts in a table that is none are not written anywhere.
private let misplacedCounts = Case.lines(
  """
  patch t.qcow2 48 u64 0 => snapshot -c x t.qcow2
  patch snap.qcow2 48 u64 0 => snapshot -c x snap.qcow2
  patch snap.qcow2 0x10000 u64 0x10000000000 => snapshot -c x snap.qcow2
  """, fixture: images, masks: masks)

/// What we do not do as the reference does it.
private let refused =
  [
    Case(
      "snapshot -d 2 snap.qcow2", "snapshot -l snap.qcow2", fixture: images, masks: masks,
      deviation: Deviation(
        "Q-51",
        expected: [
          0: .init(stdout: "", stderr: "", status: 0),
          1: .init(
            stdout: """
              Snapshot list:
              ID        TAG               VM SIZE                DATE     VM CLOCK     ICOUNT
              1         one                   0 B DATE 00:00:00.000          0

              """, stderr: "", status: 0),
        ], files: .unchecked)),
    Case(
      "sh n=$(printf %0300d 7); qemu-img snapshot -c $n t.qcow2 && qemu-img snapshot -d $n t.qcow2", "check t.qcow2",
      fixture: images, deviation: Deviation("Q-52", stdout: "", stderr: "", status: 0, files: .unchecked)),
    Case(
      "snapshot -a x hole.raw", fixture: images,
      masks: [Mask("(WARNING: Image format was not(.|\n)*restrictions\\.\n)\\1", "$1", id: "Q-50")]),
    Case(
      "snapshot -c a t.qcow2", "sh qemu-img check t.qcow2 2>&1", fixture: images,
      setup: [
        "rm t.qcow2; qemu-img create -q -f qcow2 -o refcount_bits=1 t.qcow2 1M; qemu-io -c 'write 0 128k' t.qcow2"
      ],
      files: .content,
      deviation: Deviation(
        "QC-33", command: 1,
        stdout: """
          No errors were found on the image.
          2/16 = 12.50% allocated, 0.00% fragmented, 0.00% compressed clusters
          Image end offset: 458752

          """, stderr: "", status: 0)),
    Case(
      "snapshot -a a t.qcow2", "check t.qcow2", fixture: images,
      setup: [
        "rm t.qcow2; qemu-img create -q -f qcow2 -o refcount_bits=2 t.qcow2 1M; qemu-io -c 'write 0 128k' t.qcow2",
        "qemu-img snapshot -c a t.qcow2; qemu-img snapshot -c b t.qcow2",
      ], files: .content, deviation: Deviation("QC-35", stdout: "", stderr: "", status: 0)),
  ]
  // Bitmaps: the reference marks them as in use and stores them anew, whatever it was asked for.
  + Case.lines(
    """
    snapshot -a nope bm.qcow2 ; info bm.qcow2
    snapshot -d nope bm.qcow2 ; info bm.qcow2
    snapshot bm.qcow2 ; info bm.qcow2
    snapshot -c x bm.qcow2 ; info bm.qcow2 ; snapshot -a x bm.qcow2 ; snapshot -d x bm.qcow2 ; info bm.qcow2
    """, fixture: images, files: .content, masks: masks + [Mask("\u{0}", "", id: "QC-34")])
  + Case.lines(
    """
    snapshot -c x bm.qcow2 ; check bm.qcow2 ; info bm.qcow2 ; snapshot -d x bm.qcow2 ; check bm.qcow2
    """, fixture: images, files: .used, masks: masks)
  // Damage that is met in the middle: the reference stops there.
  + [
    "0xa0000 u64 0x40200 => snapshot -d two", "0x40000 u64 0x50200 => snapshot -d one",
    "0x20012 u16 0 => snapshot -d two", "0x30000 u64 0x8000000000090200 => snapshot -c x",
  ].map { text in
    let words = text.components(separatedBy: " => ")
    return Case(
      "\(words[1]) snap.qcow2", "info snap.qcow2", name: text, fixture: images,
      setup: [Step(line: "patch snap.qcow2 \(words[0])")], files: .unchecked, masks: masks,
      deviation: Deviation(
        "QC-36",
        expected: [
          0: .init(stdout: "", status: 1, anyText: true),
          1: .init(anyText: true),
        ], files: .unchecked))
  }
