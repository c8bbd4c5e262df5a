/// `info` (cli-1 §8).
let infoCases: [Case] = {
  let files = [
    "t.qcow2", "snap.qcow2", "bm.qcow2", "ext.qcow2", "data.qcow2", "v2.qcow2", "zstd.qcow2", "small.qcow2",
    "bits1.qcow2", "lazy.qcow2", "top.qcow2", "mid.qcow2", "extop.qcow2", "empty.qcow2", "zero.qcow2", "base.raw",
    "zero.raw", "hole.raw", "odd.raw", "tiny.raw", "mixed.raw",
  ]
  let each = files.map { "info \($0) ; info --output=json \($0)" }
  let chains = ["top.qcow2", "mid.qcow2", "t.qcow2", "base.raw", "data.qcow2"].map {
    "info --backing-chain \($0) ; info --backing-chain --output=json \($0)"
  }
  return Case.lines((each + chains).joined(separator: "\n"), fixture: images)
    + Case.lines(
      """
      info luks.qcow2 ; info --output=json luks.qcow2
      info aes.qcow2 ; info --output=json aes.qcow2
      """, fixture: encryptedImages) + infoNames + infoSizes
    + Case.lines(
      """
      info --output=human t.qcow2
      info -U t.qcow2
      info --force-share t.qcow2
      info -f qcow2 t.qcow2
      info --format qcow2 t.qcow2
      info -f raw t.qcow2
      info /proc/version
      compare /proc/version t.qcow2
      info -f raw --output=json t.qcow2
      info -f qcow2 --backing-chain top.qcow2
      info -f raw --backing-chain top.qcow2
      info -U --backing-chain top.qcow2
      $ rm base.raw => info mid.qcow2 ; info --output=json mid.qcow2
      $ mkdir sub ; cp mid.qcow2 base.raw sub/ => info sub/mid.qcow2 ; info --output=json sub/mid.qcow2
      $ mkdir sub ; cp mid.qcow2 base.raw sub/ => info --backing-chain sub/mid.qcow2 ; info --backing-chain --output=json ./sub/mid.qcow2
      $ mkdir sub ; mv mid.qcow2 base.raw sub/ ; ln -s sub/mid.qcow2 link => info link
      $ qemu-img rebase -u -b '' mid.qcow2 => info mid.qcow2
      patch mid.qcow2 112 u32 0x12345678 => info mid.qcow2 ; info --backing-chain mid.qcow2
      $ qemu-img rebase -u -F raw -b nosuch:x mid.qcow2 => info mid.qcow2 ; info --output=json mid.qcow2
      patch mid.qcow2 120 text foo => info mid.qcow2
      $ qemu-img rebase -u -F raw -b /nosuch/base.raw mid.qcow2 => info mid.qcow2 ; info --output=json mid.qcow2
      $ qemu-img rebase -u -F raw -b 'json:{"file":{"driver":"file","filename":"base.raw"}}' mid.qcow2 => info mid.qcow2
      $ qemu-img rebase -u -F raw -b file:base.raw mid.qcow2 => info mid.qcow2 ; info --backing-chain --output=json mid.qcow2
      $ qemu-img snapshot -c 'a name with blanks that is longer than its column' t.qcow2 => info t.qcow2 ; info --output=json t.qcow2
      $ qemu-img snapshot -c 'gru\\303\\251\\001"\\\\x' t.qcow2 => info --output=json t.qcow2
      $ mkdir sub ; mv data.qcow2 sub => info sub/data.qcow2 ; map sub/data.qcow2 ; sh mv d.raw sub ; map sub/data.qcow2
      $ mkfifo f => info -f nosuch f
      """, fixture: images)
    + [
      // The reference says nothing at all when one member of the chain is missing.
      Case(
        "info --backing-chain mid.qcow2", fixture: images, setup: ["rm base.raw"], masks: diskSize,
        deviation: Deviation("Q-26", stdout: middleAlone(format: "raw"))),
      Case(
        "info --backing-chain mid.qcow2", fixture: images, setup: [Step(line: "patch mid.qcow2 120 text foo")],
        masks: diskSize, deviation: Deviation("Q-26", stdout: middleAlone(format: "foo"))),
      Case(
        "info --backing-chain link/mid.qcow2", fixture: images,
        setup: ["mkdir sub ; cp mid.qcow2 sub/ ; ln -s sub link"], masks: diskSize,
        deviation: Deviation("Q-26", stdout: middleAlone(format: "raw", folder: "link/"))),
      Case(
        "info f", setup: ["mkfifo f"],
        deviation: Deviation(
          "Q-21", stdout: "",
          stderr: "qemu-img: Could not open 'f': 'file' driver requires 'f' to be a regular file\n", status: 1)),
      Case(
        "info --backing-chain a.qcow2", name: "two images that back each other", setup: [backingLoop]),
    ]
}()

/// Two images, each the other's backing file.
let backingLoop: Step = """
  qemu-img create -q -f qcow2 a.qcow2 1M
  qemu-img create -q -f qcow2 -b a.qcow2 -F qcow2 b.qcow2
  qemu-img rebase -u -b b.qcow2 -F qcow2 a.qcow2
  """

/// Depends on the file system.
let diskSize = [Mask("(?m)^disk size: .*$", "disk size: some"), Mask("\"actual-size\": [0-9]+", "\"actual-size\"")]

/// What is said of the first image of a chain whose second one is missing.
private func middleAlone(format: String, folder: String = "") -> String {
  """
  image: \(folder)mid.qcow2
  file format: qcow2
  virtual size: 3 MiB (3145728 bytes)
  disk size: some
  cluster_size: 65536
  backing file: base.raw\(folder.isEmpty ? "" : " (actual path: \(folder)base.raw)")
  backing file format: \(format)
  Format specific information:
      compat: 1.1
      compression type: zlib
      lazy refcounts: false
      refcount bits: 16
      corrupt: false
      extended l2: false

  """
}

/// What an operand may look like (cli-1 §4.8, §4.9; cli-2 §7).
private let infoNames = Case.lines(
  #"""
  info nosuch
  info ''
  info .
  info /dev/null
  info nosuch:x
  info :foo
  info foo:
  info file:
  info file:t.qcow2
  info file:nosuch
  info ./t.qcow2
  info t.qcow2/x
  info aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  $ cp t.qcow2 a:b => info a:b ; info ./a:b ; info file:a:b
  $ mkdir d => info d ; info d/
  $ cp t.qcow2 'with blank' => info 'with blank'
  $ cp hole.raw x.dmg => info -f raw x.dmg
  $ ln -s nosuch dangling => info dangling
  $ ln -s loop loop => info loop
  $ touch secret ; chmod 0 secret => info secret
  info host_device:t.qcow2
  info -f file t.qcow2
  info -f host_device t.qcow2
  info json:
  info json:{}
  info json:[]
  info json:1
  info json:{
  info json:%
  info json:a
  info 'json:{"a":1,"a":2}'
  info 'json:{"a":"\x"}'
  info 'json:{} {}'
  info 'json:{"driver":"qcow2"}'
  info 'json:{"file":{}}'
  info 'json:{"driver":"nosuch"}'
  info 'json:{"driver":"qcow2","file":{"driver":"file","filename":"t.qcow2"}}'
  info 'json:{"driver":"qcow2","file.filename":"t.qcow2"}'
  info 'json:{"file.filename":"t.qcow2"}'
  info 'json:{"file":{"filename":"t.qcow2"}}'
  info "json:{'file':{'filename':'t.qcow2'}}"
  info 'json:{"driver":"raw","file":{"driver":"file","filename":"t.qcow2"}}'
  info 'json:{"driver":"raw","size":512,"file":{"driver":"file","filename":"t.qcow2"}}'
  info 'json:{"driver":"raw","size":"512","offset":1024,"file":{"driver":"file","filename":"t.qcow2"}}'
  info 'json:{"driver":"raw","offset":100000000,"file":{"driver":"file","filename":"t.qcow2"}}'
  info 'json:{"driver":"raw","size":100000000,"file":{"driver":"file","filename":"t.qcow2"}}'
  info 'json:{"driver":"qcow2","bogus":1,"file":{"driver":"file","filename":"t.qcow2"}}'
  info 'json:{"driver":"qcow2","file":{"driver":"file","filename":"t.qcow2","bogus":1}}'
  info 'json:{"driver":"qcow2","file":{"driver":"file","filename":1}}'
  info 'json:{"driver":"file","filename":"t.qcow2"}'
  info 'json:{"driver":"qcow2","backing":null,"file":{"driver":"file","filename":"top.qcow2"}}'
  info -f raw 'json:{"driver":"qcow2","file":{"driver":"file","filename":"t.qcow2"}}'
  info 'json:{"driver":"qcow2","file":{"driver":"file","filename":"nosuch"}}'
  info --image-opts t.qcow2
  info --image-opts driver=qcow2
  info --image-opts driver=nosuch
  info --image-opts driver=help
  info --image-opts driver=qcow2,file.filename=t.qcow2
  info --image-opts driver=qcow2,file.driver=file,file.filename=t.qcow2
  info --image-opts file.filename=t.qcow2
  info --image-opts file.filename=file:t.qcow2
  info --image-opts driver=raw,file.filename=t.qcow2
  info --image-opts driver=raw,size=1024,file.filename=t.qcow2
  info --image-opts driver=raw,size=1024,offset=512,file.filename=t.qcow2 --output=json
  info --image-opts driver=raw,size=foo,file.filename=t.qcow2
  info --image-opts driver=raw,foo=bar,file.filename=t.qcow2
  info --image-opts driver=qcow2,bogus,file.filename=t.qcow2
  info --image-opts driver=qcow2,file.locking=off,file.filename=t.qcow2
  info --image-opts driver=qcow2,file.locking=bogus,file.filename=t.qcow2
  info --image-opts driver=qcow2,file.bogus=1,file.filename=t.qcow2
  info --image-opts driver=qcow2,read-only=on,file.filename=t.qcow2
  info --image-opts driver=qcow2,read-only=maybe,file.filename=t.qcow2
  info --image-opts driver=qcow2,force-share=on,file.filename=t.qcow2
  info -U --image-opts driver=qcow2,force-share=off,file.filename=t.qcow2
  info --image-opts -f qcow2 driver=qcow2,file.filename=t.qcow2
  info --image-opts driver=qcow2,node-name=1,file.filename=t.qcow2
  info --image-opts driver=qcow2,node-name=n,file.filename=t.qcow2
  info --image-opts driver=qcow2,discard=bogus,file.filename=t.qcow2
  info --image-opts driver=qcow2,detect-zeroes=foo,file.filename=t.qcow2
  info --image-opts driver=qcow2,detect-zeroes=unmap,file.filename=t.qcow2
  info --image-opts driver=qcow2,cache.direct=maybe,file.filename=t.qcow2
  info --image-opts driver=qcow2,lazy-refcounts=on,file.filename=t.qcow2
  info --image-opts driver=qcow2,backing.driver=raw,file.filename=top.qcow2
  info --image-opts driver=qcow2,backing=,file.filename=top.qcow2
  info --image-opts ''
  info --image-opts ,
  info --image-opts a,,b
  info --image-opts id=1x,file.filename=t.qcow2
  """#, fixture: images)

/// Sizes as people read them (cli-1 §1.7).
private let infoSizes: [Case] = [
  "512", "1024", "1536", "100352", "197120", "999936", "1000448", "1023488", "1024000", "1079296", "1000000000",
  "1073741824", "1099511627776", "123456789012480", "1125899906842624", "2251799813685248",
].flatMap {
  Case.lines("$ qemu-img create -q -f qcow2 s.qcow2 \($0) => info s.qcow2 ; info --output=json s.qcow2")
}
