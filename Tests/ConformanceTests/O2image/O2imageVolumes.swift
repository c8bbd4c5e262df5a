/// Volumes that a kernel has filled.
private let kernelVolumes = [
  "b512-c4k-max-compat", "b512-c4k-default", "b1k-c8k-n4-noinline", "b1k-c4k-grown", "b1k-c128k-journal64",
  "b2k-c16k-metaecc", "b2k-c512k-datafiles", "b4k-c4k-refcount", "b4k-c4k-discontig", "b4k-c4k-cluster-slots",
  "b4k-c32k-quota", "b4k-c64k-dirty", "b4k-c256k-n32", "b4k-c1m-backup-super",
]

/// Each volume alone, so that several are made at once, and only those that are asked for.
private func kernelFixture(_ volume: String) -> Fixture {
  Fixture(
    "ocfs2-\(volume)",
    [.shell("xz -dc \(ocfs2Fixtures)/\(volume).img.xz | cp --sparse=always /dev/stdin \(volume).img")])
}

/// Volumes that mkfs.ocfs2 makes: name, size, options.
private let recipes: [(name: String, size: String, options: String)] = [
  ("b512c4", "200M", "-b 512 -C 4K -N 1"),
  ("b512c32", "100M", "-b 512 -C 32K -N 2 -J size=4M"),
  ("b512c1m", "300M", "-b 512 -C 1M -N 1 -J size=16M"),
  ("b1kc4", "80M", "-b 1024 -C 4K -N 2 -J size=4M"),
  ("b1kc8", "100M", "-b 1024 -C 8K -N 4 -J size=4M"),
  ("b1kc1m", "400M", "-b 1024 -C 1M -N 1 -J size=16M"),
  ("b2kc4", "100M", "-b 2048 -C 4K -N 2 -J size=4M"),
  ("b2kc8", "100M", "-b 2048 -C 8K -N 2 -J size=4M"),
  ("b2kc64", "150M", "-b 2048 -C 64K -N 3 -J size=4M"),
  ("b4kc4", "100M", "-b 4096 -C 4K -N 2"),
  ("b4kc8", "128M", "-b 4096 -C 8K -N 2 -J size=4M"),
  ("b4kc32", "128M", "-b 4096 -C 32K -N 2 -J size=4M"),
  ("b4kc1m", "512M", "-b 4096 -C 1M -N 1 -J size=16M"),
  // One piece of the bitmap exactly, and one block more.
  ("onepiece", "128M", "-b 4096 -C 4K -N 1 -J size=4M"),
  ("twopieces", "134221824", "-b 4096 -C 4K -N 1 -J size=4M"),
  ("nobackup", "1200M", "-b 4096 -C 4K -N 1 -J size=4M --fs-features=nobackup-super"),
  ("onebackup", "1200M", "-b 1024 -C 4K -N 1 -J size=4M"),
  ("twobackups", "5G", "-b 4096 -C 4K -N 2 -J size=4M"),
  ("maxfeatures", "200M", "-b 4096 -C 4K -N 1 --fs-feature-level=max-features -J size=4M"),
  ("maxfeatures8", "300M", "-b 2048 -C 8K -N 8 --fs-feature-level=max-features -J size=4M"),
  ("maxcompat", "100M", "-b 1024 -C 4K -N 2 --fs-feature-level=max-compat -J size=4M"),
  ("ecc512", "100M", "-b 512 -C 4K -N 2 --fs-features=metaecc -J size=4M"),
  ("nodiscontig", "100M", "-b 4096 -C 4K -N 2 --fs-features=nodiscontig-bg -J size=4M"),
  ("slots20", "200M", "-b 1024 -C 4K -N 20 -J size=4M"),
  ("quota", "100M", "-b 4096 -C 4K -N 2 --fs-features=usrquota,grpquota -J size=4M"),
  ("plaindirs", "100M", "-b 2048 -C 4K -N 2 --fs-features=noindexed-dirs,noinline-data -J size=4M"),
  ("mail", "1G", "-N 2 -T mail -J size=8M"),
]

/// Volumes that tunefs.ocfs2 has changed: name, the volume that it was, the change.
private let changes: [(name: String, from: String, change: String)] = [
  ("moreslots", "b4kc4", "tunefs.ocfs2 -y -q -N 4 moreslots.img"),
  ("fewerslots", "b1kc8", "tunefs.ocfs2 -y -q -N 2 fewerslots.img"),
  ("grown", "b1kc4", "truncate -s 160M grown.img && tunefs.ocfs2 -y -q -S grown.img"),
  ("addedecc", "b4kc8", "tunefs.ocfs2 -y -q --fs-features=metaecc addedecc.img"),
  ("addedquota", "b4kc32", "tunefs.ocfs2 -y -q --fs-features=usrquota,grpquota addedquota.img"),
  ("largerjournal", "b2kc4", "tunefs.ocfs2 -y -q -J size=8M largerjournal.img"),
]

/// How a volume is made.
private func steps(_ name: String) -> [Step] {
  if let recipe = recipes.first(where: { $0.name == name }) {
    return [
      .shell(
        """
        truncate -s \(recipe.size) \(recipe.name).img
        mkfs.ocfs2 -q -F -M local \(recipe.options) \(recipe.name).img </dev/null >/dev/null 2>&1
        """)
    ]
  }
  if let change = changes.first(where: { $0.name == name }) {
    return steps(change.from) + [
      .shell("mv \(change.from).img \(change.name).img ; \(change.change) </dev/null >/dev/null 2>&1")
    ]
  }
  return [
    """
    truncate -s 256M cluster.img
    mkfs.ocfs2 -q -F -M cluster --cluster-stack o2cb --cluster-name vol -b 4096 -C 4K -N 8 -J size=4M cluster.img \\
      </dev/null >/dev/null 2>&1 || debugfs.ocfs2 -R stats cluster.img | grep -q clusterinfo
    """
  ]
}

/// What the tables of single cases start from.
let madeFixture = Fixture(
  "ocfs2-made", ["b4kc4", "b4kc8", "ecc512", "twobackups", "nobackup"].flatMap(steps))

/// What is done with every volume: the images are the same to the byte; the packed image shows the same trees; a restored
/// volume is as clean as the source, but for the text of long symbolic links, which is data.
private func commands(_ volume: String) -> [String] {
  let image = "\(volume).img"
  return [
    "sh " + packed(image, "p"),
    "sh MALLOC_PERTURB_=255 o2image -r \(image) r",
  ]
}

/// fsck.ocfs2 fills the memory that it finds with a cache; with less of it the answer is the same.
private func restores(_ volume: String) -> [String] {
  let image = "\(volume).img"
  let list = "\(ocfs2Fixtures)/list-tree"
  return [
    "sh \(list) \(image) >a && \(list) -i p >b && cmp a b && wc -l <b && rm a b",
    """
    sh printf y | o2image -I i p && cp r q && truncate -s %4096 q \
    && printf y | MALLOC_PERTURB_=255 o2image -rI j q \
    && qemu-img compare -q -f raw -F raw i r && qemu-img compare -q -f raw -F raw j r
    """,
    """
    sh ulimit -v 150000; fsck.ocfs2 -fn i 2>&1 | sed 's/ i:/ \(image):/;s/^i /\(image) /' | grep -v LINK_SIZE >a
    """,
    "sh ulimit -v 150000; fsck.ocfs2 -fn \(image) >b 2>&1 && cmp a b && rm a b i j q",
  ]
}

let kernelVolumeCases: [Case] = kernelVolumes.map { volume in
  let all = commands(volume) + restores(volume)
  switch volume {
  case "b1k-c8k-n4-noinline":
    // A directory with an attribute block (O-4), files and symbolic links with inline attributes alone (O-5).
    return Case(
      commands: all, name: volume, fixture: kernelFixture(volume),
      deviation: Deviation("O-4", commands: Array(all.indices), status: 0, anyText: true, files: .unchecked))
  case "b2k-c16k-metaecc", "b4k-c32k-quota":
    // A symbolic link with inline attributes: a message, and nothing lost by luck.
    return Case(
      commands: all, name: volume, fixture: kernelFixture(volume),
      deviation: Deviation("O-5", commands: [0, 1, 3], stderr: "", status: 0))
  case "b2k-c512k-datafiles", "b4k-c64k-dirty":
    // Restored by the reference, the file ends behind the last metadata block, and fsck.ocfs2 says so.
    return Case(
      commands: all, name: volume, fixture: kernelFixture(volume),
      deviation: Deviation("O-12", commands: [5], stdout: "", stderr: "", status: 0, files: .unchecked))
  default:
    return Case(commands: all, name: volume, fixture: kernelFixture(volume))
  }
}

let madeVolumeCases: [Case] = (recipes.map(\.name) + changes.map(\.name) + ["cluster"]).map { volume in
  Case(commands: commands(volume) + restores(volume), name: volume, fixture: Fixture("ocfs2-\(volume)", steps(volume)))
}
