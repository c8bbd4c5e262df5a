import Foundation

/// `amend` (cli-2 §4, qcow2 §19.5): what is left behind is compared byte by byte.
let amendCases: [Case] =
  commandLine + changes + widths + versions + refused + locked + better

private let masks = diskSize

private let commandLine = Case.lines(
  """
  amend
  amend t.qcow2
  amend -o
  amend -o '' t.qcow2
  amend -o foo=1 t.qcow2
  amend -o foo t.qcow2
  amend -f qcow2 -o help
  amend -f qcow2 -o '?'
  amend -f qcow2 -o help nosuch.qcow2
  amend -f qcow2 -o compat=1.1,help t.qcow2
  amend -o help t.qcow2
  amend -o '?' t.qcow2
  amend -o help
  amend -o help -f raw
  amend -o help -f nofmt
  amend -f raw -o help hole.raw
  amend -f raw -o compat=1.1 hole.raw
  amend -o compat=1.1 hole.raw
  amend -o compat=1.1
  amend -o compat=1.1 t.qcow2 empty.qcow2
  amend -o compat=1.1 nosuch.qcow2
  amend -f nofmt -o compat=1.1 t.qcow2
  amend -t foo -o compat=1.1 t.qcow2
  amend -t none -o compat=1.1 t.qcow2
  amend -t unsafe -o lazy_refcounts=on t.qcow2
  amend -o ,compat=1.1 t.qcow2
  amend -o compat=1.1, t.qcow2
  amend -o compat=1.1 -o ,size=1M t.qcow2
  amend -U -o compat=1.1 t.qcow2
  amend --nosuch t.qcow2
  amend -q -o compat=1.1 t.qcow2
  amend --force -o compat=1.1 t.qcow2
  amend -o compat=1.1 --image-opts driver=qcow2,file.filename=t.qcow2
  amend -o compat=1.1 --image-opts driver=qcow2,read-only=on,file.filename=t.qcow2
  amend -o compat=1.1 --image-opts -f qcow2 driver=qcow2,file.filename=t.qcow2
  amend --object secret,id=a,data=b -o compat=1.1 t.qcow2
  $ chmod 444 t.qcow2 => amend -o compat=1.1 t.qcow2
  $ rm base.raw => amend -o compat=1.1 top.qcow2
  amend -p -o foo=1 t.qcow2
  amend -p -q -o compat=1.1 t.qcow2
  amend -p -o compat=1.1 nosuch.qcow2
  """, fixture: images, masks: masks)

private let changes = Case.lines(
  """
  amend -o compat=1.1 t.qcow2 ; info t.qcow2
  amend -o compat=v3 v2.qcow2 ; info v2.qcow2 ; check v2.qcow2
  amend -o compat=1.1 v2.qcow2 ; amend -o compat=0.10 v2.qcow2 ; info v2.qcow2 ; check v2.qcow2
  amend -o compat= t.qcow2
  amend -o lazy_refcounts=on t.qcow2 ; info t.qcow2
  amend -o lazy_refcounts=off t.qcow2 ; info t.qcow2
  amend -o lazy_refcounts t.qcow2 ; info t.qcow2
  amend -o nolazy_refcounts t.qcow2
  amend -o lazy_refcounts=on v2.qcow2
  amend -o lazy_refcounts=on,compat=1.1 v2.qcow2 ; info v2.qcow2
  amend -o lazy_refcounts=off lazy.qcow2 ; check lazy.qcow2
  amend -o size=8M t.qcow2 ; info t.qcow2 ; check t.qcow2
  amend -o size=1M t.qcow2 ; info t.qcow2 ; check t.qcow2
  amend -o size=0 t.qcow2 ; info t.qcow2
  amend -o size=4M t.qcow2
  amend -o size=100G t.qcow2 ; check t.qcow2
  amend -o size=8M small.qcow2 ; check small.qcow2
  amend -o size=8M ext.qcow2 ; check ext.qcow2
  amend -o size=8M data.qcow2 ; check data.qcow2
  amend -o size=8M bm.qcow2 ; info bm.qcow2 ; check bm.qcow2
  amend -o size=8M snap.qcow2 ; check snap.qcow2 ; snapshot -a one snap.qcow2
  amend -o size=8M top.qcow2 ; check top.qcow2
  amend -o size=8M,lazy_refcounts=on,refcount_bits=32 t.qcow2 ; info t.qcow2 ; check t.qcow2
  amend -o size=8M -o lazy_refcounts=on -o size=2M t.qcow2 ; info t.qcow2
  amend -o backing_file=mid.qcow2,backing_fmt=qcow2 top.qcow2 ; info top.qcow2
  amend -o backing_file=,backing_fmt= t.qcow2
  amend -o data_file_raw=off t.qcow2
  amend -o data_file_raw=off data.qcow2 ; info data.qcow2
  amend -o data_file=d.raw data.qcow2 ; info data.qcow2
  amend -o data_file=./d.raw data.qcow2 ; info data.qcow2 ; check data.qcow2
  $ qemu-img create -q -f qcow2 -o data_file=e.raw,data_file_raw=on o.qcow2 2M => amend -o data_file_raw=on o.qcow2 ; info o.qcow2 ; amend -o data_file_raw=off o.qcow2 ; info o.qcow2
  amend -o lazy_refcounts=on bm.qcow2 ; info bm.qcow2 ; check bm.qcow2
  amend -o lazy_refcounts=on zstd.qcow2 ; info zstd.qcow2 ; check zstd.qcow2
  """, fixture: images, files: .used, masks: masks)

/// Counts of every width into every other, on images with several blocks, snapshots and compressed clusters.
private let widths =
  [1, 2, 4, 8, 16, 32, 64].flatMap { bits in
    Case.lines(
      """
      amend -o refcount_bits=\(bits) t.qcow2 ; check t.qcow2 ; info t.qcow2
      amend -o refcount_bits=\(bits) small.qcow2 ; check small.qcow2
      amend -o refcount_bits=\(bits) bits1.qcow2 ; check bits1.qcow2
      amend -o refcount_bits=\(bits) ext.qcow2 ; check ext.qcow2
      amend -o refcount_bits=\(bits) data.qcow2 ; check data.qcow2
      """, fixture: images, files: .used, masks: masks)
      + Case.lines(
        """
        $ qemu-img create -q -f qcow2 -o cluster_size=512 a 64M ; qemu-io -c 'write -q 0 10M' -c 'write -q 30M 1M' a => amend -o refcount_bits=\(bits) a ; check a ; amend -o refcount_bits=16 a ; check a
        $ qemu-img create -q -f qcow2 -o cluster_size=512,preallocation=metadata,refcount_bits=\(bits) a 9M => amend -o refcount_bits=64 a ; check a ; amend -o refcount_bits=\(bits) a ; check a
        """, files: .used, masks: masks)
  }
  + Case.lines(
    """
    amend -o refcount_bits=2 snap.qcow2 ; check snap.qcow2
    amend -o refcount_bits=64 snap.qcow2 ; check snap.qcow2 ; snapshot -a one snap.qcow2 ; check snap.qcow2
    amend -o refcount_bits=8 bm.qcow2 ; check bm.qcow2 ; info bm.qcow2
    amend -o refcount_bits=8 zero.qcow2 ; check zero.qcow2
    amend -o refcount_bits=0x20 t.qcow2 ; info t.qcow2
    """, fixture: images, files: .used, masks: masks)

private let versions =
  ["", "-b r -F raw"].flatMap { backing in
    ["64k", "4k"].map { cluster in
      Case(
        commands: [
          "amend -o compat=0.10 a", "check a", "info a", "map --output=json a", "amend -o compat=1.1 a", "check a",
        ], name: "zero clusters become what version 2 knows: \(cluster) \(backing)",
        setup: [
          .shell(
            """
            qemu-img create -q -f raw r 4M; qemu-io -f raw -c 'write -q -P 9 0 2M' r
            qemu-img create -q -f qcow2 -o cluster_size=\(cluster) \(backing) a 4M
            qemu-io -c 'write -q -P 1 0 64k' -c 'write -q -z 64k 128k' -c 'write -q -P 1 512k 64k' \\
              -c 'write -q -z 512k 64k' -c 'write -q -P 3 1M 64k' -c 'write -q -c 2M 64k' a
            """)
        ], files: .used, masks: masks)
    }
  }
  + Case.lines(
    """
    amend -o compat=0.10 t.qcow2 ; info t.qcow2 ; check t.qcow2
    amend -o compat=0.10 empty.qcow2 ; info empty.qcow2
    amend -o compat=0.10 small.qcow2 ; check small.qcow2
    amend -o compat=0.10 top.qcow2 ; check top.qcow2 ; map --output=json top.qcow2
    amend -o compat=0.10 mid.qcow2 ; check mid.qcow2 ; map --output=json mid.qcow2
    amend -o compat=0.10 snap.qcow2 ; check snap.qcow2 ; snapshot -a one snap.qcow2 ; check snap.qcow2
    amend -o compat=0.10,refcount_bits=16 bits1.qcow2 ; check bits1.qcow2 ; info bits1.qcow2
    amend -o compat=0.10,size=8M t.qcow2 ; info t.qcow2
    amend -o compat=0.10,lazy_refcounts=off t.qcow2 ; info t.qcow2
    $ qemu-img create -q -f qcow2 -o compression_type=zstd o.qcow2 4M ; qemu-io -c 'write -q 0 64k' o.qcow2 => amend -o compat=0.10 o.qcow2 ; info o.qcow2
    $ qemu-img create -q -f qcow2 -o lazy_refcounts=on o.qcow2 4M => amend -o compat=0.10 o.qcow2 ; info o.qcow2
    $ qemu-img create -q -f qcow2 -o compat=0.10 o.qcow2 1M ; qemu-img snapshot -c s o.qcow2 => amend -o compat=1.1,size=2M o.qcow2 ; check o.qcow2 ; info o.qcow2
    $ \(short) => amend -o compat=1.1 o.qcow2 ; check o.qcow2 ; info --output=json o.qcow2
    $ \(short) => amend -o compat=1.1,refcount_bits=8,size=4M o.qcow2 ; check o.qcow2
    """, fixture: images, files: .used, masks: masks)

/// A version 2 image whose snapshot has no extra data, as old programs wrote it.
private let short =
  "qemu-img create -q -f qcow2 -o compat=0.10 o.qcow2 1M ; qemu-io -c 'write -q 0 64k' o.qcow2 ; qemu-img snapshot -c s o.qcow2 ; "
  + "printf '\\0\\0\\0\\0001s' | dd of=o.qcow2 bs=1 seek=$((0x70024)) conv=notrunc status=none"

private let refused =
  Case.lines(
    """
    amend -o compat=x t.qcow2
    amend -o compat=0.9 t.qcow2
    amend -o cluster_size=64k t.qcow2
    amend -o preallocation=off t.qcow2
    amend -o extended_l2=on t.qcow2
    amend -o compression_type=zstd t.qcow2
    amend -o cluster_size=4k,foo=1 t.qcow2
    amend -o foo=1,cluster_size=4k t.qcow2
    amend -o encryption=on t.qcow2
    amend -o encrypt.format=luks t.qcow2
    amend -o nocow=on t.qcow2
    amend -o encrypt.state=active t.qcow2
    amend -o encrypt.keyslot=1 t.qcow2
    amend -o encrypt.keyslot=x t.qcow2
    amend -o encrypt.new-secret=x,compat=x t.qcow2
    amend -o size=1000 t.qcow2
    amend -o size=x t.qcow2
    amend -o size=-1 t.qcow2
    amend -o size=16E t.qcow2
    amend -o size=8E t.qcow2
    amend -o size=7E t.qcow2
    amend -o size=3P t.qcow2
    amend -o refcount_bits=3 t.qcow2
    amend -o refcount_bits=0 t.qcow2
    amend -o refcount_bits=128 t.qcow2
    amend -o refcount_bits=x t.qcow2
    amend -o refcount_bits=8 v2.qcow2
    amend -o refcount_bits=1 snap.qcow2 ; check snap.qcow2
    amend -o compat=0.10,refcount_bits=8 t.qcow2
    amend -o compat=0.10 bits1.qcow2
    amend -o compat=0.10,lazy_refcounts=on t.qcow2
    amend -o lazy_refcounts=x t.qcow2
    amend -o data_file=x t.qcow2
    amend -o data_file_raw=on t.qcow2
    amend -o data_file_raw=on data.qcow2
    amend -o data_file_raw=x data.qcow2
    amend -o compat=0.10 data.qcow2
    amend -o compat=0.10 ext.qcow2
    amend -o compat=0.10 zstd.qcow2
    amend -o backing_file=x t.qcow2
    amend -o backing_fmt=raw t.qcow2
    amend -o backing_file=mid.qcow2 top.qcow2
    amend -o backing_fmt=qcow2 top.qcow2
    amend -o backing_file= top.qcow2
    $ qemu-img create -q -f qcow2 -o compat=0.10 o.qcow2 1M ; qemu-img snapshot -c s o.qcow2 => amend -o size=2M o.qcow2
    $ qemu-img create -q -f qcow2 o.qcow2 1M ; qemu-img snapshot -c s o.qcow2 ; qemu-img resize -q o.qcow2 2M => amend -o compat=0.10 o.qcow2
    patch snap.qcow2 0xb0028 u64 0x100000000 => amend -o compat=0.10 snap.qcow2
    patch bm.qcow2 0xd000c u32 3 & amend -o size=8M bm.qcow2
    amend -o size=8M -f raw t.qcow2
    """.replacingOccurrences(of: " & ", with: " => "), fixture: images, files: .content,
    masks: masks + [Mask("\u{0}", "", id: "QC-34")])
  + Case.lines("amend -o compat=1.1 luks.qcow2\namend -o compat=1.1 aes.qcow2", fixture: encryptedImages)

/// Images that another process has open.
private let locked = ["", "-r "].map { mode in
  Case(
    "sh \(holding("t.qcow2", mode)) qemu-img amend -o lazy_refcounts=on t.qcow2; echo $?", fixture: images, masks: masks
  )
}

/// What we do not do as the reference does it.
private let better =
  [
    ("amend -o refcount_bits=8,backing_file=foo t.qcow2", "refcount bits: 16"),
    ("amend -o size=8M,compat=0.10 snap.qcow2", "virtual size: 4 MiB (4194304 bytes)"),
    ("amend -o refcount_bits=64,size=1000 t.qcow2", "refcount bits: 16"),
  ].map { command, line in
    Case(
      command, "sh qemu-img info \(command.split(separator: " ").last ?? "") | sed -n 's/^ *\\(\(line)\\)$/\\1/p'",
      fixture: images,
      deviation: Deviation(
        "Q-59", expected: [1: .init(stdout: line + "\n", stderr: "", status: 0)], files: .unchecked))
  }
  + ["nosuch.raw", "''", "data.qcow2"].map { name in
    Case(
      "amend -o data_file=\(name) data.qcow2", "sh qemu-img info data.qcow2 | grep -c 'data file: d.raw'",
      fixture: images,
      deviation: Deviation(
        "Q-58",
        expected: [
          0: .init(stdout: "", status: 1, anyText: true), 1: .init(stdout: "1\n", stderr: "", status: 0),
        ], files: .unchecked))
  }
  + [
    Case(
      "amend -p -o compat=1.1 v2.qcow2", "amend -p -o refcount_bits=3 v2.qcow2",
      "amend -p -o refcount_bits=64 v2.qcow2",
      fixture: images,
      deviation: Deviation(
        "Q-57",
        expected: [
          0: .init(stdout: "    (0.00/100%)\r    (100.00/100%)\r\n"),
          1: .init(stdout: "    (0.00/100%)\r\n", status: 1),
          2: .init(
            stdout: "    (0.00/100%)\r    (15.00/100%)\r    (35.00/100%)\r    (50.00/100%)\r    (100.00/100%)\r\n"),
        ], files: .used)),
    Case(
      "amend -o compat=0.10 bm.qcow2", "check bm.qcow2", "info bm.qcow2", fixture: images, masks: masks,
      deviation: Deviation(
        "QC-38",
        expected: [
          0: .init(stdout: "", stderr: "", status: 0),
          1: .init(stderr: "", status: 0, anyText: true),
          2: .init(stderr: "", status: 0, anyText: true),
        ], files: .unchecked)),
    Case(
      "amend -o compat=0.10 a", "check a", "snapshot -a s a", "check a", fixture: nil,
      setup: [
        .shell(
          """
          qemu-img create -q -f raw r 4M; qemu-img create -q -f qcow2 -b r -F raw a 4M
          qemu-io -c 'write -q 0 64k' -c 'write -q -z 64k 128k' -c 'write -q 512k 64k' -c 'write -q -z 512k 64k' a
          qemu-img snapshot -c s a; qemu-io -c 'write -q -z 2M 64k' a
          """)
      ],
      deviation: Deviation(
        "QC-39",
        expected: [1: .init(stderr: "", status: 0, anyText: true), 3: .init(stderr: "", status: 0, anyText: true)],
        files: .unchecked)),
  ]
