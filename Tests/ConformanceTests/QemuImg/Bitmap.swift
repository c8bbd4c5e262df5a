import Foundation

/// `bitmap` (cli-2 §6, qcow2 §7): what is left behind is compared byte by byte, `info` afterwards shows names, flags and
/// granularity.
let bitmapCases: [Case] = commandLine + edits + lives + replacements + merges + failing + inconsistent + locked + better

/// The generated name of a node: a counter and two random digits.
private let node = Mask("#block[0-9]+", "#block")
private let masks = [node, snapshotDate] + diskSize
/// The reference stores all bitmaps anew although the command failed.
private let untouched = Mask("\u{0}", "", id: "QC-34")

private let commandLine = Case.lines(
  """
  bitmap
  bitmap bm.qcow2 b0
  bitmap --add
  bitmap --add bm.qcow2
  bitmap --add bm.qcow2 x y
  bitmap -q --add bm.qcow2 x
  bitmap -U --add bm.qcow2 x
  bitmap -g 64k --clear bm.qcow2 b0
  bitmap --add -F raw bm.qcow2 x
  bitmap --add -b t.qcow2 bm.qcow2 x
  bitmap --merge
  bitmap --add -g foo bm.qcow2 x
  bitmap --add -g -1 bm.qcow2 x
  bitmap --add -g 9E bm.qcow2 x
  bitmap --add -g 16E bm.qcow2 x
  bitmap --add -g 1kk bm.qcow2 x
  bitmap --add -g foo
  bitmap --add nosuch.qcow2 x
  bitmap --add -f nosuch t.qcow2 x
  bitmap --add -f raw hole.raw x
  bitmap --add -f raw hole.raw ''
  bitmap --add -f raw -g 3 hole.raw x
  bitmap --remove -f raw hole.raw x
  bitmap --clear -f raw hole.raw x
  bitmap --merge a -f raw hole.raw x
  bitmap --add hole.raw x
  bitmap --add v2.qcow2 x
  bitmap --add -g 3 v2.qcow2 x
  bitmap --remove v2.qcow2 x
  bitmap --add --image-opts driver=qcow2,file.filename=t.qcow2 x ; info t.qcow2
  bitmap --add --image-opts driver=qcow2,read-only=on,file.filename=t.qcow2 x
  bitmap --add --image-opts -f qcow2 driver=qcow2,file.filename=t.qcow2 x
  bitmap --add --object secret,id=a,data=b t.qcow2 x
  $ chmod 444 t.qcow2 => bitmap --add t.qcow2 x ; info t.qcow2
  $ rm base.raw => bitmap --add top.qcow2 x ; info top.qcow2
  """, fixture: images, masks: masks)

private let edits = Case.lines(
  """
  bitmap --add t.qcow2 x ; info t.qcow2 ; check t.qcow2
  bitmap --add t.qcow2 x ; info --output=json t.qcow2
  bitmap --add -g 512 t.qcow2 x ; info t.qcow2
  bitmap --add -g 0 t.qcow2 x ; info t.qcow2
  bitmap --add -g 2G t.qcow2 x ; info t.qcow2
  bitmap --add -g 1k -g 8k t.qcow2 x ; info t.qcow2
  bitmap --add -g 0x1000 t.qcow2 x ; info t.qcow2
  bitmap --add small.qcow2 x ; info small.qcow2 ; check small.qcow2
  bitmap --add ext.qcow2 x ; info ext.qcow2 ; check ext.qcow2
  bitmap --add bits1.qcow2 x ; info bits1.qcow2 ; check bits1.qcow2
  bitmap --add zstd.qcow2 x ; check zstd.qcow2
  bitmap --add snap.qcow2 x ; check snap.qcow2 ; snapshot -l snap.qcow2
  bitmap --add data.qcow2 x ; check data.qcow2 ; info data.qcow2
  bitmap --add empty.qcow2 x ; check empty.qcow2
  bitmap --add --disable t.qcow2 x ; info t.qcow2
  bitmap --add --remove t.qcow2 x ; info t.qcow2
  bitmap --add t.qcow2 'a b' ; info t.qcow2
  sh qemu-img bitmap --add t.qcow2 $(printf %01023d 1); qemu-img info t.qcow2
  bitmap --add bm.qcow2 third ; info bm.qcow2 ; check bm.qcow2
  bitmap --remove bm.qcow2 b0 ; info bm.qcow2 ; check bm.qcow2
  bitmap --remove bm.qcow2 second ; info bm.qcow2 ; check bm.qcow2
  bitmap --remove bm.qcow2 b0 ; bitmap --remove bm.qcow2 second ; info bm.qcow2 ; check bm.qcow2
  bitmap --clear bm.qcow2 b0 ; info bm.qcow2 ; check bm.qcow2
  bitmap --clear --clear bm.qcow2 second ; check bm.qcow2
  bitmap --disable bm.qcow2 b0 ; info bm.qcow2 ; bitmap --enable bm.qcow2 b0 ; info bm.qcow2
  bitmap --enable bm.qcow2 b0 ; info bm.qcow2
  bitmap --disable --enable --clear --disable bm.qcow2 second ; info bm.qcow2
  bitmap --merge second bm.qcow2 b0 ; info bm.qcow2 ; check bm.qcow2
  bitmap --merge b0 bm.qcow2 second ; check bm.qcow2
  bitmap --merge b0 bm.qcow2 b0 ; check bm.qcow2
  bitmap --clear --merge b0 bm.qcow2 second ; check bm.qcow2
  bitmap --merge b0 --clear bm.qcow2 second ; check bm.qcow2
  bitmap --add --merge b0 --merge second --disable -g 1M bm.qcow2 all ; info bm.qcow2 ; check bm.qcow2
  bitmap --add --merge b0 -b bm.qcow2 t.qcow2 x ; info t.qcow2 ; check t.qcow2
  bitmap --add --merge b0 -b bm.qcow2 -F qcow2 v2.qcow2 x
  bitmap --add --merge b0 -b bm.qcow2 -F nosuch t.qcow2 x
  """, fixture: images, masks: masks)

/// Bitmaps that live while the guest writes (the reference's part), over several commands.
private let lives = [
  ("cluster_size=64k", "4M"), ("cluster_size=512", "4M"), ("cluster_size=4k,refcount_bits=8", "64M"),
  ("extended_l2=on", "4M"), ("cluster_size=512", "5000192"),
].map { options, size in
  Case(
    commands: [
      "bitmap --add a x", "bitmap --add -g 4k a y",
      "sh qemu-io -c 'write -q 1M 100k' -c 'write -q -z 2M 1M' -c 'discard -q 0 1M' a",
      "bitmap --merge y a x", "bitmap --clear a y", "bitmap --disable a x", "sh qemu-io -c 'write -q 3M 200k' a",
      "bitmap --add -g 512 a z", "bitmap --merge x a z", "bitmap --merge z a y", "check a", "snapshot -c s a",
      "bitmap --remove a y", "bitmap --remove a x", "bitmap --add -g 512 a x", "bitmap --merge z a x", "resize a +1M",
      "info a",
      "bitmap --remove a z", "bitmap --remove a x", "check a", "bitmap --add a q", "check a",
    ], name: "a life with bitmaps: \(options), \(size)",
    setup: [.shell("qemu-img create -q -f qcow2 -o \(options) a \(size)")], files: .used,
    masks: masks)
}

/// A bitmap in the place of another, at one instant: the new one cannot take the other's space.
private let replacements = Case.lines(
  """
  bitmap --remove --add -g 32k bm.qcow2 b0 ; info bm.qcow2 ; check bm.qcow2
  patch bm.qcow2 0xd000c u32 1 => bitmap --remove --add bm.qcow2 b0 ; info bm.qcow2 ; check bm.qcow2
  bitmap --remove --add bm.qcow2 b0 ; info --output=json bm.qcow2 ; check bm.qcow2
  bitmap --remove --add -g 512 bm.qcow2 second ; info bm.qcow2 ; check bm.qcow2
  bitmap --remove --add --disable --merge second bm.qcow2 b0 ; info bm.qcow2 ; bitmap --merge b0 bm.qcow2 second
  """, fixture: images, masks: masks + [Mask("Image end offset: [0-9]+", "end", id: "QC-46")],
  deviation: Deviation("QC-46", expected: [:], files: .unchecked))

private let merges = Case.lines(
  """
  bitmap --merge b0 -b b a b1 ; check a
  bitmap --merge b1 -b b a b0 ; bitmap --merge b0 --merge b1 -b b -F qcow2 a b1 ; check a
  """, setup: [twoImages])

private let twoImages = Step.shell(
  """
  for i in a b; do qemu-img create -q -f qcow2 $i 4M; qemu-img bitmap --add -g 16k $i b0; done
  qemu-io -c 'write -q 1M 100k' b; qemu-img bitmap --add -g 4k b b1; qemu-io -c 'write -q 2M 4k' b
  qemu-io -c 'write -q 3M 1k' a; qemu-img bitmap --add a b1; qemu-img create -q -f raw r 4M
  qemu-img create -q -f qcow2 larger 8M; qemu-img bitmap --add larger b0
  """)

/// Refused, which changes nothing.
private let failing =
  Case.lines(
    """
    bitmap --add bm.qcow2 b0 ; info bm.qcow2
    bitmap --add -g 3 bm.qcow2 b0
    bitmap --add -g 256 bm.qcow2 x
    bitmap --add bm.qcow2 ''
    bitmap --add -g 3 bm.qcow2 ''
    bitmap --remove bm.qcow2 nope ; info bm.qcow2
    bitmap --remove bm.qcow2 ''
    bitmap --clear bm.qcow2 nope
    bitmap --enable bm.qcow2 nope
    bitmap --disable bm.qcow2 nope
    bitmap --merge nope bm.qcow2 b0
    bitmap --merge b0 bm.qcow2 nope
    bitmap --merge nope bm.qcow2 nope
    bitmap --add -g 4G bm.qcow2 x
    sh qemu-img bitmap --add bm.qcow2 $(printf %01024d 1)
    bitmap --merge b0 -b bm.qcow2 bm.qcow2 second
    bitmap --merge b0 -b nosuch.qcow2 bm.qcow2 second
    bitmap --merge b0 -b hole.raw bm.qcow2 second
    bitmap --merge b0 -b hole.raw -F raw bm.qcow2 second
    bitmap --merge b0 -b t.qcow2 bm.qcow2 second
    """, fixture: images, files: .content, masks: masks + [untouched])
  + Case.lines(
    """
    bitmap --merge b0 -b larger a b1
    bitmap --merge b0 -b r -F raw a b1
    bitmap --merge nope -b b a b1
    """, setup: [twoImages], files: .content, masks: masks + [untouched])

  + Case.lines(
    "$ qemu-img create -q -f qcow2 a 1P ; qemu-img bitmap --add -g 1G a x => bitmap --add -g 512 a y ; info a",
    files: .unchecked, masks: masks)

/// Bitmaps that were not saved.
private let inconsistent =
  [
    "--add bm.qcow2 b0", "--clear bm.qcow2 b0", "--enable bm.qcow2 b0", "--disable bm.qcow2 b0",
    "--merge second bm.qcow2 b0", "--merge b0 bm.qcow2 second",
  ].flatMap { action in
    Case.lines(
      "patch bm.qcow2 0xd000c u32 3 => bitmap \(action) ; info bm.qcow2", fixture: images, files: .content,
      masks: masks + [untouched])
  }
  + Case.lines(
    """
    patch bm.qcow2 0xd000c u32 3 => bitmap --remove bm.qcow2 b0 ; info bm.qcow2 ; check bm.qcow2
    patch bm.qcow2 0xd000c u32 3 => bitmap --clear bm.qcow2 second ; info bm.qcow2 ; check bm.qcow2
    patch bm.qcow2 0xd000c u32 3 => bitmap --add bm.qcow2 x ; info bm.qcow2 ; check bm.qcow2
    patch bm.qcow2 0xd000c u32 3 => bitmap --remove bm.qcow2 second ; info bm.qcow2 ; check bm.qcow2
    patch bm.qcow2 0xd000c u32 3 & patch bm.qcow2 0xd002c u32 3 => bitmap --add bm.qcow2 x
    """.replacingOccurrences(of: " & ", with: " => "), fixture: images, masks: masks)
  + Case.lines(
    """
    patch bm.qcow2 88 u64 0 => bitmap --add bm.qcow2 x ; info bm.qcow2
    patch bm.qcow2 88 u64 0 => bitmap --remove bm.qcow2 b0 ; info bm.qcow2
    """, fixture: images,
    masks: masks + [Mask("(on the image file to fix\\.)\\n?", "$1\n", id: "QC-14")])

/// Images that another process has open.
private let locked = ["", "-r "].map { mode in
  Case(
    "sh \(holding("t.qcow2", mode)) qemu-img bitmap --add t.qcow2 x; echo $?", fixture: images, masks: masks)
}

/// What we do not do as the reference does it.
private let better = [
  Case(
    "bitmap --add --merge nosuch t.qcow2 x", "sh qemu-img info t.qcow2 | grep -c name: || true", fixture: images,
    deviation: Deviation("Q-53", command: 1, stdout: "0\n", stderr: "", status: 0, files: .content)),
  Case(
    "bitmap --clear --merge nosuch bm.qcow2 b0", "bitmap --remove --merge nosuch bm.qcow2 b0",
    "sh qemu-img info bm.qcow2 | grep -c name: || true", fixture: images,
    deviation: Deviation(
      "Q-53", expected: [2: .init(stdout: "2\n", stderr: "", status: 0)], files: .content)),
  Case(
    "bitmap --add -g 4295032832 t.qcow2 x", fixture: images,
    deviation: Deviation(
      "Q-54", stdout: "",
      stderr: "qemu-img: Operation add on bitmap x failed: Granularity must be power of 2 and at least 512\n",
      status: 1,
      files: .content)),
  Case(
    "bitmap --add zero.qcow2 x", "info zero.qcow2", fixture: images, masks: masks,
    deviation: Deviation(
      "Q-56",
      stderr:
        "qemu-img: Operation add on bitmap x failed: Can't make bitmap 'x' persistent in '#block': Disk has no size\n",
      status: 1)),
  Case(
    "bitmap --add --merge second -b bm.qcow2 -g 512 small.qcow2 x", fixture: images, masks: masks,
    deviation: Deviation("Q-53", files: .content)),
  Case(
    // The file may not grow beyond its present length.
    "sh trap '' XFSZ; ulimit -f $(( ($(stat -c %s f) + 511) / 512 )); qemu-img bitmap --add f x",
    "sh qemu-img info f | grep -c -e name: -e in-use",
    setup: [
      """
      qemu-img create -q -f qcow2 a 4M; qemu-img bitmap --add a b0; qemu-img bitmap --add -g 4096 a second
      qemu-io -c 'write -q 1M 64k' -c 'write -q 2M 2M' a; cp --sparse=never a f; rm a
      """
    ],
    masks: masks,
    deviation: Deviation(
      "Q-55",
      expected: [
        0: .init(stdout: "", stderr: "qemu-img: Error while closing the image: File too large\n", status: 1),
        1: .init(stdout: "2\n", stderr: "", status: 0),
      ], files: .unchecked)),
]
