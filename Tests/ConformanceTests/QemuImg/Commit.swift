/// `commit` (cli-2 §3). Where clusters of the base land depends on the reference's luck, so the base is compared by what
/// it shows; what is left of the image itself is compared byte by byte.
let commitCases = oneLevel + deeper + commitToProbed + commitErrors + commitNames + commitProgress + commitDeviations

private let oneLevel: [Case] = {
  var lines: [String] = []
  for base in [
    "base.raw", "mid.qcow2", "mid4k.qcow2", "v2mid.qcow2", "short.raw", "odd.raw", "long.raw", "hole.raw", "new.qcow2",
  ] {
    for options in ["cluster_size=65536", "cluster_size=4096", "extended_l2=on", "compat=0.10"] {
      lines.append(
        "\(overlay(over: base, options: options)) => commit o.qcow2 ; info o.qcow2 ; check o.qcow2 ; info \(base)")
    }
    lines.append("\(overlay(over: base, options: "cluster_size=512")) => commit -d o.qcow2 ; info \(base)")
    lines.append("\(overlay(over: base, options: "cluster_size=2M")) => commit -q o.qcow2 ; info \(base)")
  }
  return Case.lines(
    lines.joined(separator: "\n"), fixture: chains,
    files: .contentOf(["mid.qcow2", "mid4k.qcow2", "v2mid.qcow2", "new.qcow2"]), masks: diskSize)
}()

private let deeper = Case.lines(
  """
  commit deep.qcow2 ; map deep.qcow2
  commit -d deep.qcow2 ; map deep.qcow2
  commit -b mid.qcow2 deep.qcow2 ; map deep.qcow2
  commit -b base.raw deep.qcow2 ; map deep.qcow2 ; map mid.qcow2
  commit -d -b base.raw deep.qcow2
  commit mid.qcow2 ; map mid.qcow2
  \(overlay(over: "deep.qcow2")) => commit o.qcow2
  \(overlay(over: "deep.qcow2")) => commit -b mid.qcow2 o.qcow2
  \(overlay(over: "deep.qcow2")) => commit -b base.raw o.qcow2
  \(overlay(over: "deep.qcow2", size: "3M")) => commit -b base.raw o.qcow2 ; info base.raw
  \(overlay(over: "deep.qcow2", size: "512k")) => commit -b base.raw o.qcow2 ; info base.raw
  \(overlay(over: "shortmid.qcow2", size: "3M")) => commit -b long.raw o.qcow2
  \(overlay(over: "shortmid.qcow2", size: "3M")) => commit o.qcow2
  $ qemu-img create -q -f qcow2 -b base.raw -F raw o.qcow2 ; qemu-io -c 'write -q -z 128k 256k' -c 'write -q -z 600k 3k' o.qcow2 => commit o.qcow2 ; map --output=json base.raw
  $ qemu-img create -q -f qcow2 -b mid.qcow2 -F qcow2 o.qcow2 ; qemu-io -c 'write -q -z 512k 64k' -c 'write -q -z 0 64k' o.qcow2 => commit o.qcow2
  $ qemu-img create -q -f qcow2 -b base.raw -F raw o.qcow2 ; qemu-io -c 'write -q -c -P 3 128k 64k' o.qcow2 => commit o.qcow2 ; check o.qcow2
  $ qemu-img create -q -f qcow2 -b base.raw -F raw o.qcow2 ; qemu-io -c 'write -q -P 3 128k 64k' o.qcow2 ; qemu-img snapshot -c s o.qcow2 ; qemu-io -c 'write -q -P 4 256k 64k' o.qcow2 => commit o.qcow2 ; check o.qcow2
  $ qemu-img create -q -f qcow2 -b base.raw -F raw o.qcow2 ; qemu-img bitmap --add o.qcow2 b ; qemu-io -c 'write -q -P 3 128k 64k' o.qcow2 => commit o.qcow2 ; info o.qcow2
  $ qemu-img create -q -f qcow2 -b base.raw -F raw -o data_file=e.raw o.qcow2 1M ; qemu-io -c 'write -q -P 3 128k 64k' o.qcow2 => commit o.qcow2
  $ qemu-img create -q -f qcow2 -b base.raw -F raw o.qcow2 1M ; qemu-img resize -q o.qcow2 6G ; qemu-io -c 'write -q -P 3 5G 64k' o.qcow2 => commit -d o.qcow2
  $ qemu-img create -q -f qcow2 -b base.raw -F raw -o cluster_size=512 o.qcow2 1M ; qemu-img resize -q o.qcow2 4M ; qemu-io -c 'write -q -P 3 100k 2M' o.qcow2 => commit o.qcow2 ; check o.qcow2
  $ qemu-img create -q -f qcow2 -b base.raw -F raw o.qcow2 20G ; qemu-io -c 'write -q -P 3 100k 2M' o.qcow2 => commit -d o.qcow2 ; info base.raw
  $ qemu-img create -q -f qcow2 -b base.raw -F raw -o lazy_refcounts=on o.qcow2 1M ; qemu-io -c 'write -q -P 3 100k 200k' o.qcow2 => commit o.qcow2 ; check o.qcow2
  $ qemu-img create -q -f qcow2 -b base.raw -F raw -o refcount_bits=64 o.qcow2 1M ; qemu-io -c 'write -q -P 3 100k 200k' o.qcow2 => commit o.qcow2 ; check o.qcow2
  """, fixture: chains, files: .content, masks: diskSize)

/// A raw base whose format was not recorded must not come to look like something else.
private let commitToProbed = Case.lines(
  """
  $ qemu-img create -q -f qcow2 -b base.raw -F raw o.qcow2 ; printf 'QFI\\373\\0\\0\\0\\3' >head ; truncate -s 512 head ; qemu-io -c 'write -q -s head 0 512' o.qcow2 => patch o.qcow2 0x70 u32 0x12345678 => commit o.qcow2
  $ qemu-img create -q -f qcow2 -b base.raw -F raw o.qcow2 ; qemu-io -c 'write -q -P 7 0 64k' o.qcow2 => patch o.qcow2 0x70 u32 0x12345678 => commit o.qcow2
  $ qemu-img create -q -f qcow2 -b base.raw -F raw o.qcow2 ; printf 'QFI\\373\\0\\0\\0\\3' >head ; truncate -s 512 head ; qemu-io -c 'write -q -s head 0 512' o.qcow2 => commit o.qcow2
  """, fixture: chains, files: .unchecked)

private let commitErrors = Case.lines(
  """
  commit
  commit a b
  commit -z deep.qcow2
  commit -t bad deep.qcow2
  commit -r x deep.qcow2
  commit -r 16E deep.qcow2
  commit -r
  commit nosuch
  commit -f nofmt deep.qcow2
  commit -f raw base.raw
  commit base.raw
  commit -b nosuch deep.qcow2
  commit -b '' deep.qcow2
  commit -b deep.qcow2 deep.qcow2
  commit -b sub/mid.qcow2 deep.qcow2
  commit -b equal.raw deep.qcow2
  commit -f raw --image-opts driver=qcow2,file.filename=deep.qcow2
  commit --object bogus,id=a deep.qcow2
  commit -U deep.qcow2
  commit -T none deep.qcow2
  commit -F raw deep.qcow2
  commit --image-opts driver=qcow2,read-only=on,file.filename=deep.qcow2
  $ rm base.raw => commit deep.qcow2
  """, fixture: chains)

private let commitNames = Case.lines(
  """
  $ mkdir sub ; cp base.raw sub/ ; qemu-img create -q -f qcow2 -b base.raw -F raw sub/t.qcow2 ; qemu-io -c 'write -q -P 3 64k 64k' sub/t.qcow2 => commit -b base.raw sub/t.qcow2 ; sh cmp -l base.raw sub/base.raw | head -n 1
  $ mkdir sub ; cp base.raw sub/ ; qemu-img create -q -f qcow2 -b base.raw -F raw sub/t.qcow2 => commit -b sub/base.raw sub/t.qcow2
  $ mkdir sub ; cp base.raw sub/ ; qemu-img create -q -f qcow2 -b base.raw -F raw sub/t.qcow2 => commit -b ./base.raw sub/t.qcow2
  commit -b ./base.raw mid.qcow2
  $ ln -s base.raw link.raw => commit -b link.raw mid.qcow2
  commit -b file:base.raw mid.qcow2
  commit -b file:./base.raw mid.qcow2
  $ qemu-img create -q -f qcow2 -b file:base.raw -F raw o.qcow2 => commit -b file:base.raw o.qcow2
  $ qemu-img create -q -f qcow2 -b file:base.raw -F raw o.qcow2 => commit -b base.raw o.qcow2
  $ qemu-img create -q -f qcow2 -b 'json:{"driver":"raw","file":{"driver":"file","filename":"base.raw"}}' -F raw o.qcow2 ; qemu-io -c 'write -q -P 3 64k 64k' o.qcow2 => commit o.qcow2
  commit --image-opts driver=qcow2,file.filename=mid.qcow2
  commit --image-opts driver=qcow2,file.filename=mid.qcow2,backing.driver=raw,backing.file.filename=equal.raw
  commit 'json:{"driver":"qcow2","file":{"driver":"file","filename":"mid.qcow2"}}'
  commit -t none mid.qcow2
  commit -t writethrough mid.qcow2
  commit -t unsafe mid.qcow2
  commit -r 100M mid.qcow2
  commit -r 0 mid.qcow2
  commit -f qcow2 mid.qcow2
  """, fixture: chains, files: .content)

private let commitProgress = Case.lines(
  """
  commit -p mid.qcow2
  commit -p -d mid.qcow2
  commit -p -q mid.qcow2
  commit -p nosuch
  commit -p -b nosuch mid.qcow2
  commit -p -f raw base.raw
  """, fixture: chains, files: .content, masks: progressSteps)

private let commitDeviations = [
  Case(
    """
    sh mkdir m; mount -t tmpfs -o size=2m none m; trap 'umount m' EXIT; cp mid4k.qcow2 m; cp m/mid4k.qcow2 copy
    status=0; qemu-img commit o.qcow2 || status=$?; cmp -s m/mid4k.qcow2 copy && echo unchanged; exit $status
    """, fixture: chains,
    setup: [
      "qemu-img create -q -u -f qcow2 -b m/mid4k.qcow2 -F qcow2 o.qcow2 8M ; qemu-img rebase -u -b '' mid4k.qcow2",
      "qemu-img rebase -u -b '' o.qcow2 ; qemu-io -c 'write -q -P 3 0 6M' o.qcow2 ; qemu-img rebase -u -b m/mid4k.qcow2 -F qcow2 o.qcow2",
    ],
    deviation: Deviation(
      "Q-157", stdout: "unchanged\n", stderr: "qemu-img: Block job failed: No space left on device\n", status: 1,
      files: .unchecked)),
  Case(
    "commit --base=base.raw --drop deep.qcow2", fixture: chains,
    deviation: Deviation("Q-34", stdout: "Image committed.\n", stderr: "", status: 0, files: .unchecked)),
  Case(
    "sh \(holding("base.raw", "-f raw ")) qemu-img commit mid.qcow2",
    fixture: chains,
    deviation: Deviation(
      "Q-154", stdout: "",
      stderr: "qemu-img: Failed to get shared \"write\" lock\nIs another process using the image [base.raw]?\n",
      status: 1,
      files: .unchecked)),
]
