/// `create` (cli-1 §7; qcow2 §10): the whole image is compared, byte by byte, with the reference's.
let createCases =
  createMatrix + createPreallocated + createWithBacking + createWithDataFile + createOptionStrings + createErrors
  + createRaw + createWithoutRoom

/// Which sizes are worth trying depends on the cluster size only at its small end.
private let createMatrix: [Case] = {
  var lines: [String] = []
  for size in ["0", "1", "512", "1000", "1M", "10M", "1G", "100000000001"] {
    lines.append("create -f qcow2 t.qcow2 \(size)")
  }
  for size in ["1T", "64T", "2P", "2049T"] { lines.append("create -f qcow2 t.qcow2 \(size)") }
  for clusterSize in ["512", "1k", "2k", "4k", "8k", "16k", "32k", "128k", "256k", "512k", "1M", "2M"] {
    for size in ["1M", "1G"] {
      lines.append("create -f qcow2 -o cluster_size=\(clusterSize) t.qcow2 \(size)")
    }
    lines.append("create -f qcow2 -o compat=0.10,cluster_size=\(clusterSize) t.qcow2 100M")
  }
  lines += ["128G", "129G"].map { "create -f qcow2 -o cluster_size=512 t.qcow2 \($0)" }
  for bits in [1, 2, 4, 8, 16, 32, 64] {
    for clusterSize in ["512", "64k", "2M"] {
      lines.append("create -f qcow2 -o refcount_bits=\(bits),cluster_size=\(clusterSize) t.qcow2 1G")
    }
  }
  for compat in ["0.10", "v2", "1.1", "v3"] {
    for size in ["1M", "3G"] { lines.append("create -f qcow2 -o compat=\(compat) t.qcow2 \(size)") }
  }
  for clusterSize in ["16k", "32k", "64k", "128k", "256k", "512k", "1M", "2M"] {
    lines.append("create -f qcow2 -o extended_l2=on,cluster_size=\(clusterSize) t.qcow2 5G")
  }
  for compression in ["zlib", "zstd"] {
    for lazy in ["on", "off"] {
      for extended in ["on", "off"] {
        lines.append(
          "create -f qcow2 -o compression_type=\(compression),lazy_refcounts=\(lazy),extended_l2=\(extended) t.qcow2 2G"
        )
      }
    }
  }
  lines.append("create -q -f qcow2 t.qcow2 1M")
  lines.append("create -f qcow2 -o size=1M t.qcow2")
  lines.append("create -f qcow2 -o nocow=on t.qcow2 1M")
  lines.append("create -f qcow2 -o extent_size_hint=0 t.qcow2 1M")
  lines.append("create t.qcow2 1M -q -f qcow2")
  lines.append("create -f qcow2 -- t.qcow2 1M")
  return Case.lines(lines.joined(separator: "\n"))
}()

private let createPreallocated: [Case] = {
  var lines: [String] = []
  for mode in ["off", "metadata", "falloc", "full"] {
    for clusterSize in ["512", "4k", "64k", "2M"] {
      for size in ["0", "1000", "5M"] {
        lines.append("create -f qcow2 -o preallocation=\(mode),cluster_size=\(clusterSize) t.qcow2 \(size)")
      }
    }
    lines.append("create -f qcow2 -o preallocation=\(mode) t.qcow2 33000000")
    lines.append("create -f qcow2 -o preallocation=\(mode),cluster_size=4k t.qcow2 20M")
    lines.append("create -f qcow2 -o preallocation=\(mode),extended_l2=on t.qcow2 10M")
    lines.append("create -f qcow2 -o preallocation=\(mode),refcount_bits=64,cluster_size=4k t.qcow2 9M")
    lines.append("create -f qcow2 -o preallocation=\(mode),refcount_bits=1,cluster_size=512 t.qcow2 3M")
    lines.append("create -f qcow2 -o preallocation=\(mode),compat=0.10 t.qcow2 10M")
    lines.append("create -f qcow2 -o preallocation=\(mode),data_file=d.raw t.qcow2 4M")
  }
  lines.append("create -f qcow2 -o preallocation=metadata t.qcow2 1G")
  lines.append("create -f qcow2 -o preallocation=metadata,cluster_size=512 t.qcow2 24M")
  lines.append("create -f qcow2 -o preallocation=metadata,cluster_size=4k t.qcow2 600M")
  lines.append("create -f qcow2 -o preallocation=metadata,lazy_refcounts=on t.qcow2 10M")
  lines.append("create -f qcow2 -o preallocation=falloc,cluster_size=512 t.qcow2 24M")
  return Case.lines(lines.joined(separator: "\n"))
}()

private let createWithBacking =
  Case.lines(
    """
    create -f qcow2 -b base.raw -F raw t.qcow2
    create -f qcow2 -b base.raw -F raw t.qcow2 8M
    create -f qcow2 -b base.raw -F raw t.qcow2 1M
    create -f qcow2 -b base.qcow2 -F qcow2 t.qcow2
    create -f qcow2 -b base.qcow2 -F qcow2 -o cluster_size=4k t.qcow2
    create -f qcow2 -b base.qcow2 -F qcow2 -o cluster_size=512 t.qcow2
    create -f qcow2 -b base.qcow2 -F qcow2 -o cluster_size=2M,compat=0.10 t.qcow2
    create -f qcow2 -b base.qcow2 -F qcow2 -o extended_l2=on t.qcow2
    create -f qcow2 -b base.qcow2 -F qcow2 -o extended_l2=on,preallocation=metadata t.qcow2
    create -f qcow2 -b base.qcow2 -F qcow2 -o extended_l2=on,preallocation=full t.qcow2
    create -f qcow2 -b base.qcow2 -F qcow2 -o preallocation=metadata t.qcow2
    create -f qcow2 -b base.qcow2 -F raw t.qcow2
    create -f qcow2 -b base.qcow2 -F nosuch t.qcow2
    create -f qcow2 -b base.qcow2 -F '' t.qcow2
    create -f qcow2 -b '' t.qcow2 1M
    create -f qcow2 -b '' -F raw t.qcow2 1M
    create -f qcow2 -o backing_file=base.raw,backing_fmt=raw t.qcow2
    create -f qcow2 -o backing_file=base.raw,backing_fmt=raw t.qcow2 6M
    create -f qcow2 -o backing_file=base.raw,backing_fmt=raw -b base.qcow2 -F qcow2 t.qcow2
    create -f qcow2 -o backing_fmt=raw t.qcow2 1M
    create -f qcow2 -F raw t.qcow2 1M
    create -f qcow2 -b nosuch.raw -F raw t.qcow2
    create -f qcow2 -b nosuch.raw -F raw t.qcow2 1M
    create -f qcow2 -u -b nosuch.raw -F raw t.qcow2 1M
    create -f qcow2 -u -b nosuch.raw -F raw t.qcow2
    create -f qcow2 -u -b nosuch.raw t.qcow2 1M
    create -f qcow2 -u -b base.raw -F raw t.qcow2
    create -f qcow2 -b t.qcow2 -F qcow2 t.qcow2 1M
    create -f qcow2 -b ./base.raw -F raw t.qcow2
    create -f qcow2 -b file:base.raw -F raw t.qcow2
    create -f qcow2 -b base.raw -F raw sub/t.qcow2
    create -f qcow2 -b ../base.raw -F raw sub/t.qcow2
    create -f qcow2 -b top.qcow2 -F qcow2 t.qcow2
    $ rm base.qcow2 => create -f qcow2 -b top.qcow2 -F qcow2 t.qcow2
    create -f qcow2 -b 'json:{"driver":"raw","file":{"driver":"file","filename":"base.raw"}}' -F raw t.qcow2
    create -f qcow2 -b 'a,b.raw' -F raw t.qcow2
    create -f qcow2 -o backing_file=a,,b.raw,backing_fmt=raw t.qcow2
    create -f qcow2 -b odd.raw -F raw t.qcow2
    create -f raw -b base.raw t.raw 1M
    create -f raw -F raw t.raw 1M
    create -b base.raw -F raw t.raw 1M
    """, fixture: createBases)
  // 7.2 forgets the newline after the hint; ours prints it.
  + ["base.qcow2", "base.raw"].map { base in
    Case(
      "create -f qcow2 -b \(base) t.qcow2", fixture: createBases,
      deviation: Deviation(
        "Q-10",
        stderr: """
          qemu-img: t.qcow2: Backing file specified without backing format
          Detected format of \(base == "base.raw" ? "raw" : "qcow2").

          """))
  }

private let createBases = Fixture(
  "create-bases", companions: ["top.qcow2": ["base.qcow2"]],
  [
    """
    truncate -s 4M base.raw
    truncate -s 1000001 odd.raw
    cp base.raw a,b.raw
    qemu-img create -q -f qcow2 base.qcow2 3M
    qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2
    mkdir sub
    """
  ])

private let createWithDataFile = Case.lines(
  """
  create -f qcow2 -o data_file=d.raw t.qcow2 4M
  create -f qcow2 -o data_file=d.raw,data_file_raw=on t.qcow2 4M
  create -f qcow2 -o data_file=d.raw,data_file_raw=off t.qcow2 4M
  create -f qcow2 -o data_file=d.raw,data_file_raw=on,cluster_size=512 t.qcow2 3M
  create -f qcow2 -o data_file=d.raw,data_file_raw=on,cluster_size=2M t.qcow2 9M
  create -f qcow2 -o data_file=d.raw,data_file_raw=on,extended_l2=on t.qcow2 9M
  create -f qcow2 -o data_file=d.raw,data_file_raw=on,preallocation=metadata t.qcow2 9M
  create -f qcow2 -o data_file=d.raw,data_file_raw=on,preallocation=falloc t.qcow2 9M
  create -f qcow2 -o data_file=d.raw,data_file_raw=on,preallocation=full t.qcow2 9M
  create -f qcow2 -o data_file=d.raw,extended_l2=on,lazy_refcounts=on t.qcow2 9M
  create -f qcow2 -o data_file=d.raw,compression_type=zstd t.qcow2 1M
  create -f qcow2 -o data_file=d.raw t.qcow2 0
  create -f qcow2 -o data_file=d.raw t.qcow2 1G
  create -f qcow2 -o data_file=d.raw,compat=0.10 t.qcow2 1M
  create -f qcow2 -o data_file=nosuch/d.raw t.qcow2 1M
  create -f qcow2 -o data_file_raw=on t.qcow2 1M
  $ truncate -s 1M base.raw => create -f qcow2 -o data_file=d.raw,data_file_raw=on -b base.raw -F raw t.qcow2
  $ truncate -s 1M base.raw => create -f qcow2 -o data_file=d.raw -b base.raw -F raw t.qcow2
  $ printf hello >d.raw => create -f qcow2 -o data_file=d.raw t.qcow2 1M
  """)

private let createOptionStrings =
  Case.lines(
    """
    create -f qcow2 -o '' t.qcow2 1M
    create -f qcow2 -o ,a t.qcow2 1M
    create -f qcow2 -o a, t.qcow2 1M
    create -f qcow2 -o a,, t.qcow2 1M
    create -f qcow2 -o a,,, t.qcow2 1M
    create -f qcow2 -o , t.qcow2 1M
    create -f qcow2 -o lazy_refcounts t.qcow2 1M
    create -f qcow2 -o nolazy_refcounts t.qcow2 1M
    create -f qcow2 -o lazy_refcounts=ON t.qcow2 1M
    create -f qcow2 -o lazy_refcounts=1 t.qcow2 1M
    create -f qcow2 -o lazy_refcounts= t.qcow2 1M
    create -f qcow2 -o lazy_refcounts=true t.qcow2 1M
    create -f qcow2 -o lazy_refcounts=yes t.qcow2 1M
    create -f qcow2 -o lazy_refcounts=y t.qcow2 1M
    create -f qcow2 -o lazy_refcounts=no t.qcow2 1M
    create -f qcow2 -o lazy_refcounts=n t.qcow2 1M
    create -f qcow2 -o lazy_refcounts=false t.qcow2 1M
    create -f qcow2 -o foo=bar t.qcow2 1M
    create -f qcow2 -o foo t.qcow2 1M
    create -f qcow2 -o nofoo t.qcow2 1M
    create -f qcow2 -o cluster_size t.qcow2 1M
    create -f qcow2 -o nocluster_size t.qcow2 1M
    create -f qcow2 -o cluster_size= t.qcow2 1M
    create -f qcow2 -o cluster_size=foo t.qcow2 1M
    create -f qcow2 -o cluster_size=-1 t.qcow2 1M
    create -f qcow2 -o cluster_size=16E t.qcow2 1M
    create -f qcow2 -o cluster_size=0x1000 t.qcow2 1M
    create -f qcow2 -o cluster_size=4k,cluster_size=8k t.qcow2 1M
    create -f qcow2 -o cluster_size=4k -o cluster_size=8k t.qcow2 1M
    create -f qcow2 -o cluster_size=4k -o lazy_refcounts=on t.qcow2 1M
    create -f qcow2 -o refcount_bits=0x10 t.qcow2 1M
    create -f qcow2 -o refcount_bits=020 t.qcow2 1M
    create -f qcow2 -o refcount_bits=8k t.qcow2 1M
    create -f qcow2 -o refcount_bits= t.qcow2 1M
    create -f qcow2 -o refcount_bits=-1 t.qcow2 1M
    create -f qcow2 -o refcount_bits=99999999999999999999 t.qcow2 1M
    create -f qcow2 -o compat= t.qcow2 1M
    create -f qcow2 -o compat t.qcow2 1M
    create -f qcow2 -o size=1M t.qcow2 1M
    create -f qcow2 -o size=16E t.qcow2
    create -f qcow2 -o size=-1 t.qcow2
    create -f qcow2 -o size=1.5x t.qcow2
    create -f qcow2 -o help
    create -f qcow2 -o help t.qcow2
    create -f qcow2 -o '?' t.qcow2
    create -f qcow2 -o cluster_size=1k,help t.qcow2 1M
    create -f qcow2 -o nosuch=1,help t.qcow2 1M
    create -f qcow2 -o help=1 t.qcow2 1M
    create -f qcow2 -o help,cluster_size=1k
    create -f raw -o help
    create -f raw -o help t.raw
    create -o help t.raw
    create -f nosuch -o help
    create -f nosuch -o help t
    create -f dmg -o help
    create -f bochs -o help t
    """)
  + [
    Case(
      "create -f qcow2 -o cluster_size=0x1k t.qcow2 1M",
      deviation: Deviation(
        "Q-33", stderr: "qemu-img: warning: Using a multiplier suffix on hex numbers is deprecated: 0x1k\n"))
  ]

private let createErrors = Case.lines(
  """
  create
  create -f qcow2
  create -f qcow2 t.qcow2
  create -f qcow2 t.qcow2 1M extra
  create -f qcow2 t.qcow2 1M extra more
  create -f qcow2 t.qcow2 foo
  create -f nosuch t 1M
  create -f '' t 1M
  create -f bochs t 1M
  create -f dmg t 1M
  create -f cloop t 1M
  create -f qcow2 nosuch/t.qcow2 1M
  create -f qcow2 '' 1M
  create -f qcow2 foo:t.qcow2 1M
  create -f qcow2 . 1M
  create -f raw . 1M
  $ mkdir d => create -f qcow2 d 1M
  create -f qcow2 -o cluster_size=1000 t.qcow2 1M
  create -f qcow2 -o cluster_size=256 t.qcow2 1M
  create -f qcow2 -o cluster_size=4M t.qcow2 1M
  create -f qcow2 -o cluster_size=0 t.qcow2 1M
  create -f qcow2 -o refcount_bits=0 t.qcow2 1M
  create -f qcow2 -o refcount_bits=3 t.qcow2 1M
  create -f qcow2 -o refcount_bits=128 t.qcow2 1M
  create -f qcow2 -o compat=0.10,refcount_bits=8 t.qcow2 1M
  create -f qcow2 -o compat=0.10,refcount_bits=16 t.qcow2 1M
  create -f qcow2 -o compat=0.10,lazy_refcounts=on t.qcow2 1M
  create -f qcow2 -o compat=0.10,extended_l2=on t.qcow2 1M
  create -f qcow2 -o compat=0.10,compression_type=zstd t.qcow2 1M
  create -f qcow2 -o compat=0.10,compression_type=zlib t.qcow2 1M
  create -f qcow2 -o extended_l2=on,cluster_size=8k t.qcow2 1M
  create -f qcow2 -o extended_l2=on,cluster_size=512 t.qcow2 1M
  create -f qcow2 -o compat=0.9 t.qcow2 1M
  create -f qcow2 -o compat=1.2 t.qcow2 1M
  create -f qcow2 -o compression_type=lz4 t.qcow2 1M
  create -f qcow2 -o preallocation=xx t.qcow2 1M
  create -f qcow2 -o preallocation= t.qcow2 1M
  create -f qcow2 -o encrypt.format=foo t.qcow2 1M
  create -f qcow2 -o encryption=on t.qcow2 1M
  create -f qcow2 -o encrypt.format=aes t.qcow2 1M
  create -f qcow2 -o encrypt.format=luks t.qcow2 1M
  create -f qcow2 -o encrypt.key-secret=s t.qcow2 1M
  create -f qcow2 t.qcow2 1E
  create -f qcow2 t.qcow2 7E
  create -f qcow2 t.qcow2 7.99E
  create -f qcow2 -o cluster_size=2M t.qcow2 2E
  create -f qcow2 -o cluster_size=2M t.qcow2 3E
  create -f qcow2 -o compat=0.10,cluster_size=1000,refcount_bits=3 t.qcow2 1M
  create -f qcow2 -o refcount_bits=3,preallocation=metadata,compat=0.10,lazy_refcounts=on t.qcow2 1M
  create -f qcow2 -Z t.qcow2 1M
  create -f qcow2 --nosuch t.qcow2 1M
  create -f
  create -o
  create -b
  create -f qcow2 --object nosuch,id=a t.qcow2 1M
  create -f qcow2 --object secret,data=x t.qcow2 1M
  create -f qcow2 --object secret,id=1x,data=y t.qcow2 1M
  """)

private let createRaw = Case.lines(
  """
  create t.raw 1M
  create -f raw t.raw 0
  create -f raw t.raw 1
  create -f raw t.raw 513
  create -f raw t.raw 1000
  create -f raw t.raw 4095
  create -f raw t.raw 4097
  create -f raw t.raw 1G
  create -f raw t.raw 1T
  create -q t.raw 1M
  create -f raw -o preallocation=off t.raw 1M
  create -f raw -o preallocation=falloc t.raw 1M
  create -f raw -o preallocation=full t.raw 1M
  create -f raw -o preallocation=metadata t.raw 1M
  create -f raw -o preallocation=foo t.raw 1M
  create -f raw -o preallocation=full t.raw 1000001
  create -f raw -o nocow=on t.raw 1M
  create -f raw -o extent_size_hint=64k t.raw 1M
  create -f raw -o cluster_size=4k t.raw 1M
  create -f raw t.raw 7E
  create -f raw t.raw 9223372036854775807
  create -f raw t.raw
  create -f file t.raw 1M
  create file:t.raw 1M
  create -f raw ./a:b 1M
  create -f raw nosuch/t.raw 1M
  $ printf hello >t.raw => create -f raw t.raw 1M
  $ printf hello >t.raw => create -f raw t.raw 0
  $ printf hello >t.raw ; chmod 444 t.raw => create -f raw t.raw 1M
  """)

/// File systems without room for the first clusters, and processes that may not write a file as long as that.
private let createWithoutRoom: [Case] =
  [4, 64, 128, 192, 196].map { size in
    Case(
      "sh mkdir m; mount -t tmpfs -o size=\(size)k none m; trap 'umount m; rmdir m' EXIT; "
        + "for o in 'create -q -f qcow2 m/x 1M' 'create -q -f raw m/x 1M' 'create -q -f qcow2 -o cluster_size=4k m/x 1M' "
        + "'convert -f raw -O qcow2 x m/x' 'convert -f raw -O raw x m/x'; do qemu-img $o || echo $?; rm -f m/x; done",
      name: "no room behind \(size) KiB", setup: ["head -c 1M /dev/zero | tr '\\0' q >x"])
  }
  + Case.lines(
    """
    $ head -c 1M /dev/zero | tr '\\0' q >x => sh (ulimit -f 600; qemu-img convert -f raw -O qcow2 x y) || echo $?; rm -f y
    $ head -c 1M /dev/zero | tr '\\0' q >x => sh (ulimit -f 100; qemu-img convert -f raw -O raw x y) || echo $?; rm -f y
    sh (ulimit -f 100; qemu-img create -q -f raw y 1M) || echo $?; rm -f y
    """)
