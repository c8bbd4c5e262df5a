/// Layers for rebase and commit. Nothing in the raw ones is zero, so that what is copied is data and lies where the
/// reference puts it; sizes that are no multiples of a cluster, shorter and longer ones, holes.
let chains = Fixture(
  "chains",
  companions: [
    "mid.qcow2": ["base.raw"], "mid4k.qcow2": ["base.raw"], "shortmid.qcow2": ["long.raw"],
    "deep.qcow2": ["mid.qcow2", "base.raw"],
    "v2mid.qcow2": ["base.raw"],
  ],
  [
    """
    qemu-img create -q -f raw base.raw 1M
    qemu-io -f raw -c 'write -q -P 9 0 1M' base.raw
    cp base.raw equal.raw
    cp base.raw other.raw
    qemu-io -f raw -c 'write -q -P 3 0 512' -c 'write -q -P 4 130k 1k' -c 'write -q -P 5 512k 200k' other.raw
    cp base.raw short.raw
    truncate -s 300032 short.raw
    cp base.raw odd.raw
    truncate -s 100352 odd.raw
    qemu-img create -q -f raw long.raw 3M
    qemu-io -f raw -c 'write -q -P 9 0 1M' -c 'write -q -P 8 1M 2M' long.raw
    truncate -s 2M hole.raw
    qemu-io -f raw -c 'write -q -P 7 64k 4k' -c 'write -q -P 6 1M 100k' hole.raw
    """,
    """
    qemu-img create -q -f qcow2 -b base.raw -F raw mid.qcow2 2M
    qemu-io -f qcow2 -c 'write -q -P 8 512k 64k' -c 'write -q -P 7 1M 64k' mid.qcow2
    qemu-img create -q -f qcow2 -o cluster_size=4k -b base.raw -F raw mid4k.qcow2 2M
    qemu-io -f qcow2 -c 'write -q -P 8 516k 4k' -c 'write -q -P 7 1M 8k' -c 'write -q -z 64k 64k' mid4k.qcow2
    qemu-img create -q -f qcow2 -o compat=0.10 -b base.raw -F raw v2mid.qcow2 2M
    qemu-io -f qcow2 -c 'write -q -P 8 512k 64k' v2mid.qcow2
    qemu-img create -q -f qcow2 -b mid.qcow2 -F qcow2 deep.qcow2 2M
    qemu-io -f qcow2 -c 'write -q -P 3 768k 64k' deep.qcow2
    qemu-img create -q -f qcow2 -b long.raw -F raw shortmid.qcow2 1M
    qemu-img create -q -f qcow2 new.qcow2 2M
    qemu-io -f qcow2 -c 'write -q -P 9 0 64k' -c 'write -q -P 2 1M 100k' -c 'write -q -z 128k 64k' new.qcow2
    """,
  ])

/// The format of a file of the fixtures, by its name.
func formatOf(_ name: String) -> String { name.hasSuffix(".raw") ? "raw" : "qcow2" }

/// A step that makes `o.qcow2`: an overlay with data and zeros of its own, whole and partial clusters.
func overlay(over base: String?, options: String = "cluster_size=65536", size: String = "2M", name: String = "o.qcow2")
  -> String
{
  let backing = base.map { "-b \($0) -F \(formatOf($0)) " } ?? ""
  return
    "$ qemu-img create -q -f qcow2 -o \(options) \(backing)\(name) \(size) ; qemu-io -f qcow2 -c 'write -q -P 6 70k 3k' -c 'write -q -P 5 192k 64k' \(name)"
}

/// How far the work is depends on what is skipped.
let progressSteps = [Mask("( +\\([0-9.]+/100%\\)\\r)+", "PROGRESS", id: "Q-152")]

private let rebaseMatrix: [Case] = {
  var lines: [String] = []
  let olds: [String?] = [nil, "base.raw", "mid.qcow2", "deep.qcow2", "short.raw", "long.raw", "odd.raw", "hole.raw"]
  let news: [String?] = [
    nil, "base.raw", "equal.raw", "other.raw", "short.raw", "long.raw", "odd.raw", "hole.raw", "new.qcow2",
    "mid4k.qcow2",
  ]
  let layouts = [
    "cluster_size=65536", "cluster_size=4096", "extended_l2=on", "cluster_size=512", "cluster_size=2M", "compat=0.10",
  ]
  var turn = 0
  for old in olds {
    for new in news where new != old {
      let to = new.map { "-b \($0) -F \(formatOf($0))" } ?? "-b ''"
      lines.append(
        "\(overlay(over: old, options: layouts[turn % layouts.count])) => rebase \(to) o.qcow2 ; info o.qcow2")
      turn += 1
    }
  }
  return Case.lines(lines.joined(separator: "\n"), fixture: chains, files: .content, masks: diskSize)
}()

/// What is copied is data, and the reference's places for it are ours.
private let rebaseLayout = Case.lines(
  """
  \(overlay(over: "other.raw")) => rebase -b base.raw -F raw o.qcow2 ; check o.qcow2
  \(overlay(over: "base.raw")) => rebase -b other.raw -F raw o.qcow2 ; check o.qcow2
  \(overlay(over: "base.raw", options: "cluster_size=4k")) => rebase -b other.raw -F raw o.qcow2 ; check o.qcow2
  \(overlay(over: "base.raw", options: "cluster_size=512")) => rebase -b other.raw -F raw o.qcow2 ; check o.qcow2
  \(overlay(over: "base.raw", options: "extended_l2=on")) => rebase -b other.raw -F raw o.qcow2 ; check o.qcow2
  \(overlay(over: "base.raw", options: "cluster_size=2M")) => rebase -b equal.raw -F raw o.qcow2 ; check o.qcow2
  \(overlay(over: "base.raw", options: "compat=0.10", size: "1M")) => rebase -b '' o.qcow2 ; check o.qcow2
  \(overlay(over: "base.raw", size: "1M")) => rebase -b '' o.qcow2 ; check o.qcow2
  \(overlay(over: "base.raw", options: "cluster_size=512", size: "1M")) => rebase -b '' o.qcow2 ; check o.qcow2
  \(overlay(over: "mid.qcow2")) => rebase -b base.raw -F raw o.qcow2 ; check o.qcow2
  \(overlay(over: "deep.qcow2")) => rebase -b base.raw -F raw o.qcow2 ; check o.qcow2
  \(overlay(over: "deep.qcow2")) => rebase -b mid.qcow2 -F qcow2 o.qcow2 ; check o.qcow2
  \(overlay(over: "base.raw")) => rebase -b equal.raw -F raw o.qcow2 ; check o.qcow2
  \(overlay(over: "base.raw")) => rebase -b base.raw -F raw o.qcow2 ; check o.qcow2
  \(overlay(over: "base.raw")) => rebase -b new.qcow2 -F qcow2 o.qcow2 ; check o.qcow2
  \(overlay(over: nil)) => rebase -b base.raw -F raw o.qcow2 ; check o.qcow2
  \(overlay(over: nil, options: "cluster_size=4k")) => rebase -b hole.raw -F raw o.qcow2 ; check o.qcow2
  \(overlay(over: nil, options: "extended_l2=on")) => rebase -b hole.raw -F raw o.qcow2 ; check o.qcow2
  \(overlay(over: "base.raw", options: "refcount_bits=1,cluster_size=4k")) => rebase -b other.raw -F raw o.qcow2 ; check o.qcow2
  \(overlay(over: "base.raw", options: "compression_type=zstd")) => rebase -b other.raw -F raw o.qcow2 ; check o.qcow2
  $ qemu-img create -q -f qcow2 -b base.raw -F raw o.qcow2 20G ; qemu-io -f qcow2 -c 'write -q -P 1 19G 64k' o.qcow2 => rebase -b other.raw -F raw o.qcow2 ; check o.qcow2
  $ qemu-img create -q -f qcow2 -b base.raw -F raw o.qcow2 ; qemu-img snapshot -c s o.qcow2 => rebase -b other.raw -F raw o.qcow2 ; check o.qcow2
  """, fixture: chains)

private let unsafeRebase = Case.lines(
  """
  rebase -u -b base.raw -F raw deep.qcow2 ; info deep.qcow2
  rebase -u -b '' deep.qcow2 ; info deep.qcow2
  rebase -u deep.qcow2 ; info deep.qcow2
  rebase -u -F raw deep.qcow2 ; info deep.qcow2
  rebase -u -b nosuch -F raw deep.qcow2 ; info deep.qcow2 ; map deep.qcow2
  rebase -u -b /nonexistent/x -F vmdk deep.qcow2 ; info deep.qcow2
  rebase -u -b nbd:localhost:10809 -F raw deep.qcow2 ; info deep.qcow2
  rebase -u -b 'json:{"driver":"null-co"}' -F raw deep.qcow2 ; info deep.qcow2
  rebase -u -b sub/./base.raw -F raw deep.qcow2 ; info deep.qcow2
  rebase -u -b base.raw -F raw v2mid.qcow2 ; info v2mid.qcow2
  rebase -u -b '' v2mid.qcow2 ; info v2mid.qcow2
  rebase -u -b base.raw -F raw -U deep.qcow2
  rebase -u -b base.raw -F raw -q -p deep.qcow2
  rebase -u -b base.raw -F raw -t none deep.qcow2
  rebase -u -b base.raw -F raw -t writethrough -T directsync deep.qcow2
  rebase -u -b base.raw -F raw -f qcow2 deep.qcow2
  rebase -u -b base.raw -F raw --image-opts driver=qcow2,file.filename=deep.qcow2 ; info deep.qcow2
  rebase -u -b base.raw -F raw 'json:{"driver":"qcow2","file":{"driver":"file","filename":"deep.qcow2"}}' ; info deep.qcow2
  rebase -u -b base.raw -F raw --image-opts driver=qcow2,file.filename=deep.qcow2,backing.driver=raw
  rebase -u -b base.raw -F file deep.qcow2 ; info deep.qcow2
  rebase -u -b base.raw -F host_device deep.qcow2
  rebase -u -b base.raw -F nbd deep.qcow2
  rebase -u -b base.raw -F luks deep.qcow2 ; info deep.qcow2
  rebase -u -b base.raw -F throttle deep.qcow2
  rebase -u -b base.raw -F nofmt deep.qcow2
  rebase -u -b base.raw -F '' deep.qcow2
  rebase -u -b base.raw -F RAW deep.qcow2
  rebase -u -b base.raw deep.qcow2
  rebase -u -b \(String(repeating: "n", count: 1023)) -F raw deep.qcow2 ; info deep.qcow2
  rebase -u -b \(String(repeating: "n", count: 1024)) -F raw deep.qcow2 ; info deep.qcow2
  $ qemu-img create -q -f qcow2 -o cluster_size=512 o.qcow2 1M => rebase -u -b \(String(repeating: "n", count: 300)) -F raw o.qcow2 ; info o.qcow2
  $ qemu-img create -q -f qcow2 -o cluster_size=512 o.qcow2 1M => rebase -u -b \(String(repeating: "n", count: 500)) -F raw o.qcow2 ; info o.qcow2
  $ qemu-img create -q -f qcow2 -o data_file=e.raw,data_file_raw=on o.qcow2 1M => rebase -u -b base.raw -F raw o.qcow2
  $ qemu-img create -q -f qcow2 -o data_file=e.raw,data_file_raw=on o.qcow2 1M => rebase -u -b '' o.qcow2
  $ qemu-img create -q -f qcow2 -o data_file=e.raw o.qcow2 1M => rebase -u -b base.raw -F raw o.qcow2 ; info o.qcow2
  $ qemu-img create -q -f qcow2 -b 'ünïcode name' -F raw -u o.qcow2 1M => rebase -u -b 'größer als zuvor' -F raw o.qcow2 ; info o.qcow2
  """, fixture: chains, masks: diskSize)

private let rebaseErrors = Case.lines(
  """
  rebase
  rebase a b -b c
  rebase deep.qcow2
  rebase -b x
  rebase -z -b x deep.qcow2
  rebase -b
  rebase -b x -t bad deep.qcow2
  rebase -b x -T bad deep.qcow2
  rebase -b x -t bad -T worse deep.qcow2
  rebase -b x -F nofmt -t bad deep.qcow2
  rebase -b base.raw nosuch
  rebase -b nosuch -F raw deep.qcow2
  rebase -b nosuch deep.qcow2
  rebase -b nosuch -F nofmt deep.qcow2
  rebase -b base.raw -F nofmt deep.qcow2
  rebase -b x:y -F raw deep.qcow2
  rebase -b ./x:y -F raw deep.qcow2
  rebase -b . -F raw deep.qcow2
  rebase -b deep.qcow2 -F qcow2 mid.qcow2
  rebase -b mid.qcow2 -F qcow2 mid.qcow2
  rebase -f raw -b '' base.raw
  rebase -f raw -b equal.raw -F raw base.raw
  rebase -f raw -u -b equal.raw -F raw base.raw
  rebase -f raw -b equal.raw base.raw
  rebase -b equal.raw -F raw base.raw
  rebase -f nofmt -b equal.raw -F raw deep.qcow2
  rebase -f raw -b equal.raw -F raw --image-opts driver=qcow2,file.filename=deep.qcow2
  rebase -b base.raw -F raw --image-opts driver=qcow2,file.filename=nosuch
  rebase -b base.raw -F raw --object bogus,id=a deep.qcow2
  $ rm base.raw => rebase -b '' deep.qcow2
  $ chmod 444 deep.qcow2 => rebase -u -b '' deep.qcow2
  """, fixture: chains)

private let rebaseNames = Case.lines(
  """
  $ mkdir sub ; cp base.raw sub/ ; qemu-img create -q -f qcow2 -b base.raw -F raw sub/m.qcow2 ; qemu-img create -q -f qcow2 -b m.qcow2 -F qcow2 sub/t.qcow2 ; qemu-io -c 'write -q -P 3 64k 64k' sub/m.qcow2 => rebase -b base.raw -F raw sub/t.qcow2 ; info sub/t.qcow2 ; map sub/t.qcow2
  $ mkdir sub ; cp base.raw sub/ ; qemu-img create -q -f qcow2 -b base.raw -F raw sub/m.qcow2 ; qemu-img create -q -f qcow2 -b m.qcow2 -F qcow2 sub/t.qcow2 ; qemu-io -c 'write -q -P 3 64k 64k' sub/m.qcow2 => rebase -b sub/base.raw -F raw sub/t.qcow2
  rebase -b ./base.raw -F raw deep.qcow2 ; info deep.qcow2
  rebase -b file:base.raw -F raw deep.qcow2 ; info deep.qcow2 ; map deep.qcow2
  rebase -b 'json:{"driver":"raw","file":{"driver":"file","filename":"base.raw"}}' -F raw deep.qcow2 ; info deep.qcow2
  $ ln -s base.raw link.raw => rebase -b link.raw -F raw deep.qcow2 ; info deep.qcow2
  rebase -b base.raw -F raw --image-opts driver=qcow2,file.filename=deep.qcow2 ; info deep.qcow2
  rebase -b base.raw -F raw 'json:{"driver":"qcow2","file":{"driver":"file","filename":"deep.qcow2"}}' ; info deep.qcow2
  rebase -b equal.raw -F raw --image-opts driver=qcow2,file.filename=deep.qcow2,backing.driver=raw,backing.file.filename=base.raw
  $ cp base.raw a:b => rebase -b a:b -F raw deep.qcow2
  $ cp base.raw a:b => rebase -b ./a:b -F raw deep.qcow2 ; info deep.qcow2
  $ cp base.raw 'with space' => rebase -b 'with space' -F raw deep.qcow2 ; info deep.qcow2
  rebase -b base.raw -F raw -t none deep.qcow2
  rebase -b equal.raw -F raw -T none deep.qcow2
  rebase -b equal.raw -F raw -q deep.qcow2
  \(overlay(over: "base.raw", size: "1000448")) => rebase -b '' o.qcow2 ; check o.qcow2
  """, fixture: chains, files: .content, masks: diskSize)

private let rebaseProgress = Case.lines(
  """
  rebase -p -b base.raw -F raw deep.qcow2
  rebase -p -b other.raw -F raw deep.qcow2
  rebase -p -q -b other.raw -F raw deep.qcow2
  rebase -p -b '' deep.qcow2
  rebase -p -u -b '' deep.qcow2
  rebase -p -t bad -b '' deep.qcow2
  rebase -p -b '' nosuch
  rebase -p -b nosuch -F raw deep.qcow2
  """, fixture: chains, files: .content, masks: progressSteps)

/// The reference would make an image that cannot be opened, or notices too late what was wrong from the beginning.
private let rebaseDeviations = [
  Case(
    "rebase -b base.raw other.qcow2", fixture: chains,
    setup: ["qemu-img create -q -f qcow2 -b other.raw -F raw other.qcow2"],
    deviation: Deviation(
      "Q-150",
      stderr: "qemu-img: Could not change the backing file to 'base.raw': backing format must be specified\n",
      status: 1,
      files: .content)),
  Case(
    "rebase -b base.raw -F qcow2 deep.qcow2", "map deep.qcow2", fixture: chains,
    deviation: Deviation(
      "Q-151",
      expected: [
        0: .init(
          stdout: "",
          stderr: "qemu-img: Could not open new backing file 'base.raw': Image is not in qcow2 format\n", status: 1),
        1: .init(status: 0, anyText: true),
      ], files: .unchecked)),
  Case(
    "rebase -u -b deep.qcow2 -F qcow2 mid.qcow2", fixture: chains,
    deviation: Deviation(
      "Q-153", stdout: "",
      stderr:
        "qemu-img: Could not change the backing file to 'deep.qcow2': Backing file 'deep.qcow2' creates an infinite loop.\n",
      status: 1, files: .unchecked)),
  Case(
    "rebase -b deep.qcow2 -F qcow2 -U mid.qcow2", fixture: chains,
    deviation: Deviation(
      "Q-153", stdout: "",
      stderr:
        "qemu-img: Could not change the backing file to 'deep.qcow2': Backing file 'deep.qcow2' creates an infinite loop.\n",
      status: 1, files: .unchecked)),
  Case(
    "rebase -u -b ./mid.qcow2 -F qcow2 mid.qcow2", fixture: chains,
    deviation: Deviation(
      "Q-153", stdout: "",
      stderr:
        "qemu-img: Could not change the backing file to './mid.qcow2': Backing file './mid.qcow2' creates an infinite loop.\n",
      status: 1, files: .unchecked)),
  Case(
    "rebase -c -b '' o.qcow2", "check o.qcow2", fixture: chains,
    setup: ["qemu-img create -q -f qcow2 -b base.raw -F raw o.qcow2"],
    deviation: Deviation(
      "Q-34",
      expected: [
        0: .init(stdout: "", stderr: "", status: 0),
        1: .init(
          stdout:
            "No errors were found on the image.\n16/16 = 100.00% allocated, 100.00% fragmented, 100.00% compressed clusters\nImage end offset: 393216\n",
          stderr: "", status: 0),
      ], files: .unchecked)),
  Case(
    "rebase -b full.raw -F raw o.qcow2", "map --output=json o.qcow2", "check o.qcow2", "compare o.qcow2 holes.raw",
    setup: [
      "qemu-img create -q -f raw full.raw 4M ; qemu-io -f raw -c 'write -q -P 5 0 4M' full.raw",
      "qemu-img create -q -f raw holes.raw 4M ; qemu-io -f raw -c 'write -q -P 1 0 64k' holes.raw",
      "qemu-img create -q -f qcow2 -b holes.raw -F raw o.qcow2",
    ],
    deviation: Deviation(
      "Q-156",
      expected: [
        1: .init(
          stdout: """
            [{ "start": 0, "length": 65536, "depth": 0, "present": true, "zero": false, "data": true, "offset": 327680},
            { "start": 65536, "length": 4128768, "depth": 0, "present": true, "zero": true, "data": false}]

            """, stderr: "", status: 0),
        2: .init(
          stdout: """
            No errors were found on the image.
            1/64 = 1.56% allocated, 0.00% fragmented, 0.00% compressed clusters
            Image end offset: 393216

            """, stderr: "", status: 0),
      ], files: .content)),
  Case(
    "rebase --backing=base.raw --backing-format raw deep.qcow2", "info deep.qcow2", fixture: chains,
    deviation: Deviation(
      "Q-34",
      expected: [0: .init(stdout: "", stderr: "", status: 0), 1: .init(status: 0, anyText: true)], files: .unchecked)),
]

/// `rebase` (cli-2 §2).
let rebaseCases =
  rebaseMatrix + rebaseLayout + unsafeRebase + rebaseErrors + rebaseNames + rebaseProgress + rebaseDeviations
