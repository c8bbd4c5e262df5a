/// `convert` (cli-1 §11): raw to qcow2 is compared byte by byte, every other direction by what it holds.
let convertCases =
  convertIdentical + convertSparse + convertContent + convertCompressed + convertBacking + convertOnto + convertOptions
  + convertErrors + convertSnapshots + convertBitmaps

/// Inputs of every texture; the same bytes on every machine.
private let inputs = Fixture(
  "inputs",
  companions: [
    "over.qcow2": ["under.qcow2", "sparse.raw"], "under.qcow2": ["sparse.raw"], "external.qcow2": ["e.raw"],
  ],
  [
    """
    truncate -s 20M sparse.raw
    qemu-io -f raw -c 'write -q -P 1 0 512' -c 'write -q -P 2 1M 64k' -c 'write -q -P 3 5000k 3k' \\
      -c 'write -q -P 4 12M 1M' -c 'write -q -P 5 20971008 512' sparse.raw
    seq 1 2000000 | head -c 5242880 >text.raw
    seq 1 4000000 | gzip -1 -n | head -c 5243393 >random.raw
    seq 1 9000000 | head -c 25165824 >dense.raw
    """,
    // Runs of data and of stored zeros, from 512 bytes to 128 KiB.
    """
    head -c 6M /dev/zero >pattern.raw
    set --
    for i in $(seq 0 60); do set -- "$@" -c "write -q -P 7 $((i * 8))k 4k" -c "write -q -P 8 $((1024 + i * 3))k 512"; done
    for i in $(seq 0 7); do set -- "$@" -c "write -q -P 9 $((2048 + i * 256))k 128k" -c "write -q -P 6 $((4160 + i * 128))k 64k"; done
    qemu-io -f raw "$@" pattern.raw
    """,
    // The table of cli-1 §11.9: sectors 0 4 16 24 100 105 300-319 1000 hold data.
    """
    head -c 1M /dev/zero >rule.raw
    set --
    for i in 0 4 16 24 100 105 1000; do set -- "$@" -c "write -q -P 1 $((i * 512)) 512"; done
    qemu-io -f raw "$@" -c 'write -q -P 2 153600 10240' rule.raw
    """,
    // Long enough for requests to be copied in shorter pieces, but not where a refcount block begins among them.
    """
    truncate -s 72M long.raw
    set --
    for i in $(seq 0 17); do set -- "$@" -c "write -q -P $((i + 1)) $((i * 4096 + i % 5 * 36))k $((3400 - i * 76))k"; done
    qemu-io -f raw "$@" long.raw
    """,
    "truncate -s 3M holes.raw ; truncate -s 0 nothing.raw ; truncate -s 1000 odd.raw ; printf 'hello world' >tiny.raw",
    "qemu-img convert -O qcow2 text.raw text.qcow2 ; qemu-img convert -O qcow2 pattern.raw pattern.qcow2",
    "qemu-img convert -c -O qcow2 text.raw deflated.qcow2",
    "qemu-img convert -c -O qcow2 -o compression_type=zstd text.raw zstd.qcow2",
    "qemu-img convert -O qcow2 -o extended_l2=on sparse.raw extended.qcow2",
    "qemu-img convert -O qcow2 -o compat=0.10,cluster_size=4k pattern.raw old.qcow2",
    "qemu-img convert -O qcow2 -o data_file=e.raw sparse.raw external.qcow2",
    """
    qemu-img create -q -f qcow2 -b sparse.raw -F raw under.qcow2 22M
    qemu-io -f qcow2 -c 'write -q -P 21 2M 100k' -c 'write -q -z 1M 64k' under.qcow2
    qemu-img create -q -f qcow2 -b under.qcow2 -F qcow2 over.qcow2 24M
    qemu-io -f qcow2 -c 'write -q -P 31 3M 70k' -c 'write -q -z 12M 256k' -c 'write -q -P 32 23M 4k' over.qcow2
    """,
    """
    qemu-img create -q -f qcow2 snap.qcow2 4M
    qemu-io -f qcow2 -c 'write -q -P 1 0 256k' snap.qcow2
    qemu-img snapshot -c one snap.qcow2
    qemu-io -f qcow2 -c 'write -q -P 2 64k 64k' -c 'write -q -z 128k 64k' snap.qcow2
    qemu-img snapshot -c two snap.qcow2
    qemu-io -f qcow2 -c 'write -q -P 3 1M 64k' snap.qcow2
    """,
    """
    qemu-img create -q -f qcow2 bitmaps.qcow2 4M
    qemu-img bitmap --add bitmaps.qcow2 b0
    qemu-img bitmap --add -g 4096 bitmaps.qcow2 fine
    qemu-io -f qcow2 -c 'write -q -P 1 1M 64k' bitmaps.qcow2
    qemu-img bitmap --add --disable bitmaps.qcow2 off
    """,
  ])

private let raws = [
  "sparse.raw", "text.raw", "random.raw", "pattern.raw", "rule.raw", "holes.raw", "nothing.raw", "odd.raw", "tiny.raw",
]

private let convertIdentical: [Case] = {
  var lines: [String] = []
  for file in raws {
    for clusterSize in ["512", "4k", "64k", "256k", "2M"] {
      lines.append("convert -O qcow2 -o cluster_size=\(clusterSize) \(file) o.qcow2")
    }
    lines.append("convert -m 1 -O qcow2 \(file) o.qcow2")
    lines.append("convert -m 16 -O qcow2 -o cluster_size=4k \(file) o.qcow2")
    lines.append("convert -O qcow2 -o compat=0.10 \(file) o.qcow2")
    lines.append("convert -O qcow2 -o extended_l2=on \(file) o.qcow2")
    lines.append("convert -O qcow2 -o refcount_bits=1,cluster_size=4k \(file) o.qcow2")
    lines.append("convert -O qcow2 -o refcount_bits=64,cluster_size=512 \(file) o.qcow2")
    lines.append("convert -O qcow2 -o lazy_refcounts=on \(file) o.qcow2")
    lines.append("convert -O qcow2 -o preallocation=metadata \(file) o.qcow2")
    lines.append("convert -O qcow2 -o preallocation=falloc \(file) o.qcow2")
    lines.append("convert -O qcow2 -o preallocation=full,cluster_size=4k \(file) o.qcow2")
    lines.append("convert -O qcow2 -o data_file=d.raw \(file) o.qcow2")
    lines.append("convert -O qcow2 -o data_file=d.raw,data_file_raw=on \(file) o.qcow2")
    lines.append("convert -f raw -O raw \(file) o.raw")
  }
  lines += [
    "convert -O qcow2 -o cluster_size=16k,refcount_bits=64 long.raw o.qcow2",
    "convert -m 1 -O qcow2 -o cluster_size=16k,refcount_bits=64,extended_l2=on long.raw o.qcow2",
    "convert -O qcow2 -o cluster_size=16k,refcount_bits=64,preallocation=metadata long.raw o.qcow2",
    "convert -O qcow2 -S 64k -o cluster_size=32k long.raw o.qcow2", "convert -O qcow2 -S 0 long.raw o.qcow2",
    "convert -O qcow2 -o cluster_size=512 dense.raw o.qcow2", "convert -O qcow2 -o cluster_size=1k dense.raw o.qcow2",
    "convert -O qcow2 -o cluster_size=512,refcount_bits=64 dense.raw o.qcow2",
    "convert -O qcow2 -o cluster_size=512,preallocation=metadata dense.raw o.qcow2",
    "convert -O qcow2 dense.raw o.qcow2", "convert -O qcow2 text.qcow2 o.qcow2",
    "convert -O qcow2 pattern.qcow2 o.qcow2", "convert -O qcow2 over.qcow2 o.qcow2",
    "convert -O qcow2 -o cluster_size=4k over.qcow2 o.qcow2", "convert -O qcow2 external.qcow2 o.qcow2",
    "convert -O qcow2 extended.qcow2 o.qcow2", "convert -O qcow2 old.qcow2 o.qcow2",
    "convert -O qcow2 deflated.qcow2 o.qcow2", "convert -O qcow2 zstd.qcow2 o.qcow2",
    "convert -O qcow2 text.raw odd.raw tiny.raw rule.raw o.qcow2", "convert -O raw text.raw odd.raw tiny.raw o.raw",
    "convert -O qcow2 odd.raw odd.raw o.qcow2", "convert -O qcow2 text.qcow2 rule.raw pattern.qcow2 o.qcow2",
    "convert -O qcow2 nothing.raw odd.raw o.qcow2",
  ]
  return Case.lines(lines.joined(separator: "\n"), fixture: inputs)
}()

private let convertSparse: [Case] = {
  var lines: [String] = []
  for sparse in ["0", "512", "1k", "1536", "2k", "3k", "4k", "64k", "1M", "16M"] {
    lines.append("convert -S \(sparse) -O qcow2 -o cluster_size=512 rule.raw o.qcow2")
    lines.append("convert -S \(sparse) -O qcow2 -o cluster_size=4k pattern.raw o.qcow2")
    lines.append("convert -S \(sparse) -O qcow2 pattern.raw o.qcow2")
    lines.append("convert -S \(sparse) pattern.raw o.raw ; map --output=json o.raw")
    lines.append("convert -S \(sparse) rule.raw o.raw ; map --output=json o.raw")
  }
  return Case.lines(lines.joined(separator: "\n"), fixture: inputs)
    + Case.lines(
      """
      convert sparse.raw o.raw ; map --output=json o.raw ; sh stat -c '%s %b' o.raw
      convert holes.raw o.raw ; map --output=json o.raw ; sh stat -c '%s %b' o.raw
      convert text.qcow2 o.raw ; map --output=json o.raw ; sh stat -c '%s %b' o.raw
      convert -S 0 holes.raw o.raw ; map --output=json o.raw ; sh stat -c '%s %b' o.raw
      convert -S 0 -O qcow2 holes.raw o.qcow2
      convert over.qcow2 o.raw ; map --output=json o.raw
      convert -o preallocation=falloc sparse.raw o.raw ; sh stat -c '%s %b' o.raw
      convert -o preallocation=full sparse.raw o.raw ; sh stat -c '%s %b' o.raw
      convert -O qcow2 sparse.raw o.qcow2
      convert -O qcow2 over.qcow2 o.qcow2
      """, fixture: inputs)
}()

private let convertContent: [Case] = {
  var lines: [String] = []
  let qcow2s = [
    "text.qcow2", "pattern.qcow2", "deflated.qcow2", "zstd.qcow2", "extended.qcow2", "old.qcow2", "external.qcow2",
    "over.qcow2", "under.qcow2", "snap.qcow2", "bitmaps.qcow2",
  ]
  for file in qcow2s {
    lines.append("convert \(file) o.raw")
    lines.append("convert -O qcow2 -o cluster_size=16k,extended_l2=on \(file) o.qcow2")
    lines.append("convert -O qcow2 -o compat=0.10,cluster_size=512 \(file) o.qcow2")
    lines.append("convert -W -O qcow2 \(file) o.qcow2")
    lines.append("convert -O qcow2 -o data_file=d.raw,data_file_raw=on \(file) o.qcow2")
  }
  for file in raws {
    lines.append("convert -W -O qcow2 \(file) o.qcow2")
    lines.append("convert -W -m 16 -O qcow2 -o cluster_size=4k \(file) o.qcow2")
    lines.append("convert -W \(file) o.raw")
    lines.append("convert -C \(file) o.raw")
    lines.append("convert -C -O qcow2 \(file) o.qcow2")
  }
  return Case.lines(lines.joined(separator: "\n"), fixture: inputs, files: .content)
}()

private let convertCompressed: [Case] = {
  var lines: [String] = []
  for file in raws + ["deflated.qcow2", "zstd.qcow2", "over.qcow2", "text.qcow2"] {
    lines.append("convert -c -O qcow2 \(file) o.qcow2")
    lines.append("convert -c -O qcow2 -o compression_type=zstd \(file) o.qcow2")
    lines.append("convert -c -O qcow2 -o cluster_size=4k \(file) o.qcow2")
    lines.append("convert -c -O qcow2 -o cluster_size=2M \(file) o.qcow2")
    lines.append("convert -c -W -m 4 -O qcow2 \(file) o.qcow2")
  }
  lines.append("convert -S 0 -c -O qcow2 holes.raw o.qcow2")
  lines.append("convert -c -O qcow2 -o preallocation=off rule.raw o.qcow2")
  lines.append("convert -c -O qcow2 -o compat=0.10 text.raw o.qcow2")
  lines.append("convert -c -O qcow2 -o extended_l2=on text.raw o.qcow2")
  lines.append("convert -c -O qcow2 -o cluster_size=512 text.raw o.qcow2")
  lines.append("convert -c -O qcow2 -o refcount_bits=1 text.raw o.qcow2")
  lines.append("convert -c -O qcow2 -o lazy_refcounts=on text.raw o.qcow2")
  lines.append("convert -c -O qcow2 text.raw odd.raw pattern.raw o.qcow2")
  return Case.lines(lines.joined(separator: "\n"), fixture: inputs, files: .contentOf(["o.qcow2"]))
}()

/// -B: only what the source's top layer holds is copied.
private let convertBacking =
  Case.lines(
    """
    convert -O qcow2 -B under.qcow2 -F qcow2 over.qcow2 o.qcow2
    convert -O qcow2 -o backing_file=under.qcow2,backing_fmt=qcow2 over.qcow2 o.qcow2
    convert -O qcow2 -B sparse.raw -F raw under.qcow2 o.qcow2
    convert -O qcow2 -B sparse.raw -F raw sparse.raw o.qcow2
    convert -O qcow2 -B holes.raw -F raw over.qcow2 o.qcow2
    convert -O qcow2 -B holes.raw -F raw -o cluster_size=4k over.qcow2 o.qcow2
    convert -O qcow2 -B holes.raw -F raw -o extended_l2=on over.qcow2 o.qcow2
    convert -O qcow2 -B holes.raw -F raw pattern.raw o.qcow2
    convert -O qcow2 -B holes.raw -F raw -S 0 pattern.raw o.qcow2
    convert -O qcow2 -B holes.raw -F raw -o compat=0.10 over.qcow2 o.qcow2
    convert -O qcow2 -B holes.raw over.qcow2 o.qcow2
    convert -O qcow2 -F raw over.qcow2 o.qcow2
    convert -O qcow2 -B nosuch -F raw over.qcow2 o.qcow2
    convert -O qcow2 -B holes.raw -F nosuch over.qcow2 o.qcow2
    convert -O qcow2 -B holes.raw -F qcow2 over.qcow2 o.qcow2
    convert -O raw -B holes.raw -F raw over.qcow2 o.raw
    convert -O raw -F raw over.qcow2 o.raw
    convert -O qcow2 -B holes.raw -F raw text.raw odd.raw o.qcow2
    convert -O qcow2 -o backing_file=holes.raw over.qcow2 o.qcow2
    convert -O qcow2 -o preallocation=metadata -B holes.raw -F raw over.qcow2 o.qcow2
    convert -O qcow2 -o preallocation=metadata,extended_l2=on -B holes.raw -F raw over.qcow2 o.qcow2
    """, fixture: inputs)
  + Case.lines(
    """
    convert -c -O qcow2 -B under.qcow2 -F qcow2 over.qcow2 o.qcow2
    convert -W -O qcow2 -B under.qcow2 -F qcow2 over.qcow2 o.qcow2
    """, fixture: inputs, files: .contentOf(["o.qcow2"]))

/// -n: a target that exists.
private let convertOnto =
  Case.lines(
    """
    $ qemu-img create -q -f qcow2 o.qcow2 20M => convert -n -O qcow2 sparse.raw o.qcow2
    $ qemu-img create -q -f qcow2 o.qcow2 30M => convert -n -O qcow2 sparse.raw o.qcow2
    $ qemu-img create -q -f qcow2 o.qcow2 30M ; qemu-io -f qcow2 -c 'write -q -P 77 0 30M' o.qcow2 => convert -n -S 0 -O qcow2 sparse.raw o.qcow2
    $ qemu-img create -q -f qcow2 o.qcow2 1M => convert -n -O qcow2 sparse.raw o.qcow2
    $ truncate -s 30M o.raw => convert -n -O raw sparse.raw o.raw
    $ head -c 30M /dev/zero | tr '\\0' x >o.raw => convert -n -O raw sparse.raw o.raw
    $ head -c 30M /dev/zero | tr '\\0' x >o.raw => convert -n sparse.raw o.raw
    $ head -c 30M /dev/zero | tr '\\0' x >o.raw => convert -n over.qcow2 o.raw
    $ truncate -s 1M o.raw => convert -n -O raw sparse.raw o.raw
    convert -n -O raw sparse.raw nosuch
    convert -n -O qcow2 sparse.raw nosuch
    $ truncate -s 30M o.raw => convert -n -O raw --target-is-zero sparse.raw o.raw
    $ truncate -s 30M o.raw => convert -n --target-is-zero -S 0 sparse.raw o.raw
    $ qemu-img create -q -f qcow2 o.qcow2 20M => convert -n --target-is-zero -O qcow2 sparse.raw o.qcow2
    $ qemu-img create -q -f qcow2 o.qcow2 20M => convert -n --target-image-opts sparse.raw driver=qcow2,file.filename=o.qcow2
    $ qemu-img create -q -f qcow2 o.qcow2 20M => convert -n --target-image-opts sparse.raw file.filename=o.qcow2
    $ qemu-img create -q -f qcow2 o.qcow2 20M => convert -n --target-image-opts -O qcow2 sparse.raw file.filename=o.qcow2
    $ qemu-img create -q -f qcow2 o.qcow2 20M => convert -n --target-image-opts sparse.raw o.qcow2
    $ truncate -s 20M o.raw => convert -n --target-image-opts sparse.raw driver=raw,file.filename=o.raw
    $ truncate -s 20M o.raw => convert -n --target-image-opts sparse.raw file.filename=o.raw
    $ truncate -s 20M o.raw => convert -n --target-image-opts sparse.raw driver=raw,offset=65536,file.filename=o.raw
    $ truncate -s 40M o.raw => convert -n --target-image-opts sparse.raw driver=raw,offset=65536,size=25M,file.filename=o.raw
    $ qemu-img create -q -f qcow2 -b holes.raw -F raw o.qcow2 20M => convert -n -O qcow2 sparse.raw o.qcow2
    $ qemu-img create -q -f qcow2 -b holes.raw -F raw o.qcow2 20M => convert -n -B holes.raw -O qcow2 sparse.raw o.qcow2
    $ qemu-img create -q -f qcow2 -o data_file=d.raw o.qcow2 20M => convert -n -O qcow2 sparse.raw o.qcow2
    $ qemu-img create -q -f qcow2 o.qcow2 20M ; qemu-img snapshot -c s o.qcow2 => convert -n -O qcow2 rule.raw o.qcow2 ; check o.qcow2
    $ qemu-img create -q -f qcow2 o.qcow2 20M ; qemu-img bitmap --add o.qcow2 b => convert -n -O qcow2 rule.raw o.qcow2 ; check o.qcow2 ; info --output=json o.qcow2
    $ cp pattern.raw o.raw => convert -n pattern.raw o.raw
    $ cp rule.raw o.raw => convert -n pattern.raw o.raw
    $ qemu-img create -q -f qcow2 o.qcow2 30M ; qemu-io -f qcow2 -c 'write -q -P 77 0 30M' o.qcow2 => convert -n -O qcow2 sparse.raw o.qcow2
    $ qemu-img create -q -f qcow2 -o compat=0.10 o.qcow2 20M ; qemu-io -f qcow2 -c 'write -q -P 77 0 20M' o.qcow2 => convert -n -O qcow2 sparse.raw o.qcow2
    $ qemu-img create -q -f qcow2 -o extended_l2=on o.qcow2 20M ; qemu-io -f qcow2 -c 'write -q -P 77 0 20M' o.qcow2 => convert -n -O qcow2 sparse.raw o.qcow2
    """, fixture: inputs, masks: diskSize)
  + Case.lines(
    // The reference keeps the bitmaps that came before the one that it refuses.
    "$ qemu-img create -q -f qcow2 o.qcow2 4M ; qemu-img bitmap --add o.qcow2 b0 => convert -n --bitmaps -O qcow2 bitmaps.qcow2 o.qcow2",
    fixture: inputs, masks: diskSize, deviation: Deviation("Q-53", expected: [:], files: .unchecked))
  + Case.lines(
    """
    $ qemu-img create -q -f qcow2 o.qcow2 20M => convert -n -c -O qcow2 text.raw o.qcow2
    """, fixture: inputs, files: .contentOf(["o.qcow2"]))

private let convertOptions = Case.lines(
  """
  convert -p rule.raw o.raw
  convert -p -O qcow2 nothing.raw o.qcow2
  convert -p holes.raw o.raw
  convert -p -q rule.raw o.raw
  convert -q rule.raw o.raw
  convert -t none rule.raw o.raw
  convert -t writethrough rule.raw o.raw
  convert -t directsync -O qcow2 rule.raw o.qcow2
  convert -t writeback rule.raw o.raw
  convert -t unsafe rule.raw o.raw
  convert -t off rule.raw o.raw
  convert -T none rule.raw o.raw
  convert -T none -t none -O qcow2 text.raw o.qcow2
  convert -T none odd.raw o.raw
  convert -T off rule.raw o.raw
  convert -T directsync rule.raw o.raw
  convert -T foo rule.raw o.raw
  convert -U rule.raw o.raw
  convert --force-share rule.raw o.raw
  convert -m 0 rule.raw o.raw
  convert -m 17 rule.raw o.raw
  convert -m 0x10 rule.raw o.raw
  convert -m 010 rule.raw o.raw
  convert -m foo rule.raw o.raw
  convert -m -1 rule.raw o.raw
  convert -m 1k rule.raw o.raw
  convert -r 100M rule.raw o.raw
  convert -r foo rule.raw o.raw
  convert -r -1 rule.raw o.raw
  convert -r 0 rule.raw o.raw
  convert -S 513 rule.raw o.raw
  convert -S 17M rule.raw o.raw
  convert -S 32M rule.raw o.raw
  convert -S foo rule.raw o.raw
  convert -o help -O qcow2 rule.raw o.qcow2
  convert -o help -O qcow2
  convert -o help
  convert -o help rule.raw o.raw
  convert -o help -O nosuch
  convert -o help -O bochs rule.raw o
  convert --image-opts -O qcow2 driver=raw,file.filename=rule.raw o.qcow2
  convert --image-opts -O raw driver=raw,size=65536,file.filename=rule.raw o.raw
  convert --image-opts -f raw driver=raw,file.filename=rule.raw o.raw
  convert --image-opts rule.raw o.raw
  convert 'json:{"driver":"raw","size":65536,"file":{"driver":"file","filename":"rule.raw"}}' o.raw
  convert --salvage rule.raw o.raw
  convert --salvage -q -p rule.raw o.raw
  convert -f qcow2 -O raw text.qcow2 o.raw
  convert -f raw -O raw text.qcow2 o.raw
  convert -O qcow2 rule.raw ./o.qcow2
  convert -O qcow2 rule.raw file:o.qcow2
  convert rule.raw -O qcow2 o.qcow2
  convert -Oqcow2 rule.raw o.qcow2
  convert -O qcow2 -o cluster_size=4k -o lazy_refcounts=on rule.raw o.qcow2
  convert -O qcow2 -o nocow=on rule.raw o.qcow2
  $ printf x >o.raw => convert rule.raw o.raw
  $ ln -s real o.raw => convert rule.raw o.raw
  """, fixture: inputs)

/// In the order in which they are looked at (cli-1 §11.3).
private let convertErrors =
  Case.lines(
    """
    convert
    convert rule.raw
    convert --skip-broken-bitmaps rule.raw o.raw
    convert --skip-broken-bitmaps -c -C rule.raw o.raw
    convert -C -c rule.raw o.raw
    convert -C -S 4k rule.raw o.raw
    convert -C -S 4k -c rule.raw o.raw
    convert -C --salvage rule.raw o.raw
    convert --target-image-opts rule.raw driver=raw,file.filename=o.raw
    convert --target-image-opts --target-is-zero rule.raw driver=raw,file.filename=o.raw
    convert -n -o cluster_size=4k rule.raw o.raw
    convert --target-is-zero rule.raw o.raw
    convert --target-is-zero -n -o a=b rule.raw o.raw
    convert -T foo nosuch o.raw
    convert -T foo nosuch
    convert nosuch o.raw
    convert nosuch rule.raw o.raw
    convert rule.raw nosuch o.raw
    convert . o.raw
    convert '' o.raw
    convert rule.raw ''
    convert rule.raw .
    convert rule.raw nosuch/o.raw
    convert rule.raw foo:o.raw
    convert -O nosuch rule.raw o.raw
    convert -O '' rule.raw o.raw
    convert -O bochs rule.raw o.raw
    convert -O dmg rule.raw o.raw
    convert -f nosuch rule.raw o.raw
    convert -f qcow2 rule.raw o.raw
    convert -O qcow2 -o foo=bar rule.raw o.qcow2
    convert -O qcow2 -o '' rule.raw o.qcow2
    convert -O qcow2 -o cluster_size=1000 rule.raw o.qcow2
    convert -O qcow2 -o cluster_size=foo rule.raw o.qcow2
    convert -O qcow2 -o preallocation=foo rule.raw o.qcow2
    convert -o preallocation=metadata rule.raw o.raw
    convert -l one rule.raw o.raw
    convert -l one text.qcow2 o.raw
    convert -l one text.qcow2 pattern.qcow2 o.raw
    convert -l '' text.qcow2 o.raw
    convert -l snapshot.foo=1 text.qcow2 o.raw
    convert -l snapshot. text.qcow2 o.raw
    convert -c rule.raw o.raw
    convert -c -O raw rule.raw o.raw
    convert -c -O qcow2 -o preallocation=metadata rule.raw o.qcow2
    convert -c -O qcow2 -o encryption=on rule.raw o.qcow2
    convert -c -O qcow2 -o data_file=d.raw text.raw o.qcow2
    convert --bitmaps rule.raw o.raw
    convert --bitmaps rule.raw odd.raw o.raw
    convert --bitmaps -O qcow2 rule.raw o.qcow2
    convert rule.raw rule.raw
    convert -O qcow2 text.qcow2 text.qcow2
    convert text.qcow2 text.qcow2
    convert rule.raw ./rule.raw
    $ ln rule.raw hard => convert rule.raw hard
    $ ln -s rule.raw soft => convert rule.raw soft
    $ mkdir d => convert rule.raw d
    $ touch o.raw ; chmod 444 o.raw => convert rule.raw o.raw
    $ truncate -s 200G huge.raw => convert -O qcow2 -o cluster_size=512 huge.raw o.qcow2
    convert --object nosuch,id=a rule.raw o.raw
    """, fixture: inputs)
  + [
    Case(
      "convert -o size=1M -O qcow2 rule.raw o.qcow2", fixture: inputs,
      deviation: Deviation(
        "Q-31", stderr: "qemu-img: warning: the option 'size' is ignored: the target has the size of the source\n")),
    // A typo in -t must not cost the target its contents.
    Case(
      "convert -t foo rule.raw o.raw", fixture: inputs, setup: ["printf precious >o.raw"],
      deviation: Deviation("Q-11", stderr: "qemu-img: Invalid cache option: foo\n", status: 1, files: .unchecked)),
    Case(
      "convert -n --target-is-zero -B holes.raw -O qcow2 sparse.raw o.qcow2", fixture: inputs,
      setup: ["qemu-img create -q -f qcow2 o.qcow2 20M"],
      deviation: Deviation(
        "Q-4", stderr: "qemu-img: Cannot use --target-is-zero when the destination image has a backing file\n",
        status: 1)),
    Case(
      "convert -l snapshot.id=1 snap.qcow2 snap.qcow2 o.raw", fixture: inputs,
      deviation: Deviation(
        "Q-7", stderr: "qemu-img: No support for concatenating multiple snapshot\n", status: 1, files: .unchecked)),
    Case(
      "convert a.qcow2 o.raw", name: "convert of two images that back each other", setup: [backingLoop],
      deviation: Deviation(
        "Q-3", stdout: "",
        stderr: "qemu-img: Could not open 'a.qcow2': Backing file 'a.qcow2' creates an infinite loop.\n", status: 1)),
  ]

private let convertSnapshots =
  Case.lines(
    """
    convert -l one snap.qcow2 o.raw
    convert -l two snap.qcow2 o.raw
    convert -l 1 snap.qcow2 o.raw
    convert -l 2 snap.qcow2 o.raw
    convert -l snapshot.id=1 snap.qcow2 o.raw
    convert -l snapshot.name=two snap.qcow2 o.raw
    convert -l snapshot.id=1,snapshot.name=one snap.qcow2 o.raw
    convert -l snapshot.id=1,snapshot.name=two snap.qcow2 o.raw
    convert -l nosuch snap.qcow2 o.raw
    convert -l 3 snap.qcow2 o.raw
    convert -l snapshot.name=one -l two snap.qcow2 o.raw
    convert -l snapshot.name=one -l snapshot.id=2 snap.qcow2 o.raw
    convert -l one -l two snap.qcow2 o.raw
    convert -l snapshot.nosuch=1 -m 99 nosuch o.raw
    convert -l snapshot.id nosuch o.raw
    measure -l snapshot.name=one -l nosuch snap.qcow2
    measure -l nosuch -l snapshot.name=one snap.qcow2
    convert -l one -O qcow2 snap.qcow2 o.qcow2
    convert -l one -O qcow2 -o cluster_size=4k snap.qcow2 o.qcow2
    $ qemu-img resize -q snap.qcow2 6M => convert -O qcow2 snap.qcow2 o.qcow2
    """, fixture: inputs)
  + [
    // The snapshot's own size counts, not that of the disk today.
    Case(
      "convert -l one snap.qcow2 o.raw", "info o.raw", fixture: inputs, setup: ["qemu-img resize -q snap.qcow2 6M"],
      masks: diskSize,
      deviation: Deviation(
        "Q-5", command: 1,
        stdout: "image: o.raw\nfile format: raw\nvirtual size: 4 MiB (4194304 bytes)\ndisk size: some\n",
        files: .unchecked))
  ]

private let convertBitmaps =
  Case.lines(
    """
    convert --bitmaps -O qcow2 bitmaps.qcow2 o.qcow2 ; info --output=json o.qcow2 ; check o.qcow2
    convert --bitmaps --skip-broken-bitmaps -O qcow2 bitmaps.qcow2 o.qcow2 ; info --output=json o.qcow2
    convert --bitmaps -O qcow2 -o cluster_size=4k bitmaps.qcow2 o.qcow2 ; check o.qcow2
    convert --bitmaps -O qcow2 text.qcow2 o.qcow2
    convert --bitmaps bitmaps.qcow2 bitmaps.qcow2 -O qcow2 -B nosuch o.qcow2
    convert --bitmaps bitmaps.qcow2 bitmaps.qcow2 -c -O raw o.raw
    convert --bitmaps bitmaps.qcow2 bitmaps.qcow2 -o nosuch=1 o.raw
    convert --bitmaps bitmaps.qcow2 bitmaps.qcow2 -O raw o.raw
    convert --bitmaps bitmaps.qcow2 null-co://
    convert bitmaps.qcow2 blkdebug::x
    convert -T none /dev/full o.raw
    convert --bitmaps -O raw bitmaps.qcow2 o.raw
    convert --bitmaps -O qcow2 -o compat=0.10 bitmaps.qcow2 o.qcow2
    convert -O qcow2 bitmaps.qcow2 o.qcow2 ; info --output=json o.qcow2
    patch bitmaps.qcow2 0xd000c u32 3 => convert --bitmaps -O qcow2 bitmaps.qcow2 o.qcow2
    $ qemu-img create -q -f qcow2 o.qcow2 4M => convert -n --bitmaps -O qcow2 bitmaps.qcow2 o.qcow2 ; info --output=json o.qcow2
    """, fixture: inputs, masks: diskSize)
  + Case.lines(
    // The reference keeps the bitmaps that came before the one that it refuses.
    "$ qemu-img create -q -f qcow2 o.qcow2 4M ; qemu-img bitmap --add o.qcow2 b0 => convert -n --bitmaps -O qcow2 bitmaps.qcow2 o.qcow2",
    fixture: inputs, masks: diskSize, deviation: Deviation("Q-53", expected: [:], files: .unchecked))
