/// The naming of images (cli-2 §7, §8): what a name or a list of options becomes.
let nameCases =
  secretObjects + plainNames + nullNames + debugNames + injectedErrors + nestedNodes + backingNames + nameDeviations

private let plainNames = Case.lines(
  """
  info file:t.qcow2
  map file:t.qcow2
  info file:./t.qcow2
  info file://t.qcow2
  info file:
  info ''
  info :t.qcow2
  info t.qcow2:
  info foo:
  info nosuchprotocol:t.qcow2
  info raw:base.raw
  info qcow2:t.qcow2
  info luks:x
  info vvfat:x
  info quorum:x
  info throttle:x
  info FILE:t.qcow2
  info host_device:base.raw
  info host_cdrom:base.raw
  info file:/dev/null
  info -f file t.qcow2
  info -f host_device t.qcow2
  info -f nosuch t.qcow2
  info ./t.qcow2
  info .//t.qcow2
  info t.qcow2/
  $ cp t.qcow2 x:y => info x:y
  $ cp t.qcow2 x:y => info ./x:y
  $ cp t.qcow2 x:y => info file:x:y
  $ cp t.qcow2 'json:x' => info ./json:x
  $ cp t.qcow2 file:z => info file:file:z
  $ cp t.qcow2 'a,b' => info a,b
  $ cp t.qcow2 'a,b' => info --image-opts driver=qcow2,,b,file.filename=a
  $ cp t.qcow2 'a%20b' => info file:a%20b
  $ mkdir x ; cp t.qcow2 'x/y:z' => info x/y:z
  $ mkdir d => info d
  $ mkdir d => info file:d
  $ ln -s t.qcow2 link => info link
  $ ln -s nosuch link => info link
  info \(String(repeating: "n", count: 256))
  info 'json:{"driver":"qcow2","file":{"driver":"file","filename":"t.qcow2"}}'
  info 'json:{"file":{"filename":"t.qcow2"}}'
  info 'json:{"file.filename":"t.qcow2","driver":"qcow2"}'
  info 'json:{"driver":"raw","file.driver":"file","file":{"filename":"t.qcow2"}}'
  info -f raw 'json:{"driver":"qcow2","file":{"filename":"t.qcow2"}}'
  info 'json:  {"driver":"qcow2","file":{"filename":"t.qcow2"}}'
  info "json:{'driver':'qcow2','file':{'filename':'t.qcow2'}}"
  info 'json:{"driver":"raw","size":512,"file":{"filename":"base.raw"}}'
  info 'json:{"driver":"raw","size":"512","offset":"64k","file":{"filename":"base.raw"}}'
  info 'json:{"driver":"qcow2","lazy-refcounts":true,"file":{"filename":"t.qcow2"}}'
  info 'json:{"driver":"qcow2","lazy-refcounts":"on","file":{"filename":"t.qcow2"}}'
  info 'json:{"driver":"qcow2","bogus":1,"file":{"filename":"t.qcow2"}}'
  info 'json:{"driver":"qcow2","file":{"filename":"t.qcow2","bogus":1}}'
  info 'json:{"driver":"qcow2","file":"t.qcow2"}'
  info 'json:{"driver":"qcow2"}'
  info 'json:{}'
  info 'json:'
  info 'json:[]'
  info 'json:{"driver":'
  info 'json:{driver:1}'
  info 'json:{"a":1,"a":2}'
  info 'json:{"driver":"qcow2"} x'
  info 'json:{"file":{"filename":7}}'
  info 'json:{"driver":7,"file":{"filename":"t.qcow2"}}'
  info 'json:{"file":{"filename":"file:t.qcow2"}}'
  map 'json:{"driver":"qcow2","backing":null,"file":{"filename":"mid.qcow2"}}'
  map 'json:{"driver":"qcow2","backing":"","file":{"filename":"mid.qcow2"}}'
  map 'json:{"driver":"qcow2","backing":"x","file":{"filename":"mid.qcow2"}}'
  map 'json:{"driver":"qcow2","backing":{"driver":"raw","file":{"filename":"hole.raw"}},"file":{"filename":"mid.qcow2"}}'
  map 'json:{"driver":"qcow2","backing.driver":"raw","file":{"filename":"mid.qcow2"}}'
  map 'json:{"driver":"qcow2","backing":{"driver":"qcow2","backing":null,"file":{"filename":"mid.qcow2"}},"file":{"filename":"top.qcow2"}}'
  map --image-opts driver=qcow2,backing.driver=raw,backing.file.filename=hole.raw,file.filename=mid.qcow2
  map --image-opts driver=qcow2,backing.driver=raw,file.filename=mid.qcow2
  map --image-opts driver=qcow2,backing=,file.filename=mid.qcow2
  map --image-opts driver=qcow2,backing=nosuch,file.filename=mid.qcow2
  info --image-opts driver=qcow2,file.driver=file,file.filename=t.qcow2
  info --image-opts file.filename=t.qcow2
  info --image-opts file.filename=t.qcow2,file.filename=base.raw
  info --image-opts t.qcow2
  info --image-opts file=t.qcow2
  info --image-opts driver=help
  info --image-opts driver=qcow2
  info --image-opts driver=nosuch,file.filename=t.qcow2
  info --image-opts driver=qcow2,file.driver=nosuch,file.filename=t.qcow2
  info --image-opts driver=qcow2,file.driver=qcow2,file.filename=t.qcow2
  info --image-opts driver=qcow2,lazy-refcounts,file.filename=t.qcow2
  info --image-opts driver=qcow2,nolazy-refcounts,file.filename=t.qcow2
  info --image-opts driver=qcow2,lazy-refcounts=maybe,file.filename=t.qcow2
  info --image-opts driver=qcow2,bogus=1,file.filename=t.qcow2
  info --image-opts driver=qcow2,cache.writeback=on,file.filename=t.qcow2
  info --image-opts driver=qcow2,discard=bogus,file.filename=t.qcow2
  info --image-opts driver=qcow2,detect-zeroes=bogus,file.filename=t.qcow2
  info --image-opts driver=qcow2,detect-zeroes=unmap,file.filename=t.qcow2
  info --image-opts driver=qcow2,detect-zeroes=unmap,discard=unmap,file.filename=t.qcow2
  info --image-opts driver=qcow2,node-name=n1,file.node-name=n1,file.filename=t.qcow2
  info --image-opts driver=qcow2,node-name=1,file.filename=t.qcow2
  info --image-opts driver=qcow2,id=1,file.filename=t.qcow2
  info --image-opts driver=qcow2,id=a,file.filename=t.qcow2
  info --image-opts driver=qcow2,file.locking=bogus,file.filename=t.qcow2
  info --image-opts driver=qcow2,file.aio=bogus,file.filename=t.qcow2
  info --image-opts driver=qcow2,file.locking=off,file.aio=threads,file.filename=t.qcow2
  info --image-opts driver=raw,offset=2M,file.filename=base.raw
  info --image-opts driver=raw,size=100M,file.filename=base.raw
  info --image-opts driver=raw,size=1000,file.filename=base.raw
  info --image-opts driver=raw,offset=512,file.filename=base.raw
  """, fixture: images, masks: diskSize)

private let nullNames = Case.lines(
  """
  info null-co://
  info null-aio://
  info null-co:
  info null-co:foo
  info -f null-co null-co://
  info -f null-co x
  info -f raw null-co://
  info --image-opts driver=null-co
  info --image-opts driver=null-co,size=1M
  info --image-opts driver=null-co,size=1000
  info --image-opts driver=null-co,read-zeroes=on
  info --image-opts driver=null-co,latency-ns=5
  info --image-opts driver=null-co,latency-ns=-1
  info --image-opts driver=null-co,bogus=1
  info --image-opts driver=null-co,filename=null-co://
  info --image-opts driver=raw,file.driver=null-co,file.size=1M
  info 'json:{"driver":"raw","file":{"driver":"null-co","size":65536}}'
  map --output=json --image-opts driver=null-co,size=1M,read-zeroes=on
  compare --image-opts driver=null-co,size=4M,read-zeroes=on driver=raw,file.filename=hole.raw
  convert -n -O raw base.raw null-co://
  bench -c 10 null-co://
  bench -w -c 10 -f raw null-co://
  check null-co://
  create -f qcow2 -b null-co:// -F raw o.qcow2 ; info --backing-chain o.qcow2
  create -f qcow2 -b 'json:{"driver":"null-co","size":65536}' -F null-co o.qcow2 ; info o.qcow2 ; map o.qcow2
  """, fixture: images, masks: diskSize + [Mask("completed in [0-9.]+", "completed in …")])

private let debugNames = Case.lines(
  """
  info blkdebug::base.raw
  info blkdebug::t.qcow2
  info -f raw blkdebug::t.qcow2
  map blkdebug::t.qcow2
  map blkdebug::top.qcow2
  map --output=json blkdebug::base.raw
  info blkdebug:base.raw
  info blkdebug:
  info blkdebug::
  info blkdebug::nosuch
  info blkdebug:nosuch:base.raw
  info --image-opts driver=raw,file.driver=blkdebug,file.image.driver=file,file.image.filename=base.raw
  info --image-opts driver=raw,file.driver=blkdebug,file.image.filename=base.raw,file.inject-error.0.event=none
  info --image-opts driver=blkdebug,image.filename=base.raw
  info --image-opts driver=blkdebug
  info --image-opts driver=raw,file.driver=blkdebug,file.image.filename=base.raw,file.inject-error.0.errno=5
  info --image-opts driver=raw,file.driver=blkdebug,file.image.filename=base.raw,file.inject-error.0.event=bogus
  info --image-opts driver=raw,file.driver=blkdebug,file.image.filename=base.raw,file.inject-error.0.event=none,file.inject-error.0.errno=x
  info --image-opts driver=raw,file.driver=blkdebug,file.image.filename=base.raw,file.inject-error.0.event=none,file.inject-error.0.bogus=x
  info --image-opts driver=raw,file.driver=blkdebug,file.image.filename=base.raw,file.inject-error.1.event=none
  info --image-opts driver=raw,file.driver=blkdebug,file.image.filename=base.raw,file.inject-error.0.event=none,file.inject-error.0.iotype=foo
  info --image-opts driver=raw,file.driver=blkdebug,file.image.filename=base.raw,file.align=3
  info --image-opts driver=raw,file.driver=blkdebug,file.image.filename=base.raw,file.align=4096
  info --image-opts driver=raw,file.driver=blkdebug,file.image.filename=base.raw,file.bogus=1
  info --image-opts driver=raw,file.driver=blkdebug,file.image.filename=base.raw,file.set-state.0.event=read_aio,file.set-state.0.new_state=x
  info --image-opts driver=raw,file.driver=blkdebug,file.image.filename=base.raw,file.set-state.0.event=read_aio
  $ printf '[inject-error]\\nevent = "read_aio"\\n' >cfg => info blkdebug:cfg:base.raw
  $ printf '[inject-error]\\nevent = "read_aio"\\n' >cfg => info --image-opts driver=qcow2,file.driver=blkdebug,file.config=cfg,file.image.filename=t.qcow2
  $ printf '# rules\\n\\n[inject-error]\\n  event = "read_aio"\\n' >cfg => info blkdebug:cfg:base.raw
  $ printf '[bogus]\\nx = "1"\\n' >cfg => info blkdebug:cfg:base.raw
  $ printf '[inject-error]\\nevent = "bogus"\\n' >cfg => info blkdebug:cfg:base.raw
  $ printf '[inject-error]\\nerrno = "5"\\n' >cfg => info blkdebug:cfg:base.raw
  $ printf '[inject-error]\\nevent = "read_aio"\\nerrno = "x"\\n' >cfg => info blkdebug:cfg:base.raw
  $ printf '[inject-error]\\nbogus = "5"\\n' >cfg => info blkdebug:cfg:base.raw
  $ printf 'garbage\\n' >cfg => info blkdebug:cfg:base.raw
  $ mkdir sub ; cp base.raw sub/ ; qemu-img create -q -f qcow2 -b base.raw -F raw sub/o.qcow2 => map blkdebug::sub/o.qcow2
  """, fixture: images, masks: diskSize)

private let injectedErrors: [Case] = {
  let node = "driver=raw,file.driver=blkdebug,file.image.driver=file,file.image.filename=base.raw"
  var lines: [String] = []
  for event in ["none", "read_aio", "write_aio", "pwritev", "pwritev_done", "l1_update"] {
    lines.append("bench -c 1 --image-opts \(node),file.inject-error.0.event=\(event)")
    lines.append("bench -w -c 1 --image-opts \(node),file.inject-error.0.event=\(event)")
  }
  for rule in [
    "iotype=read", "iotype=write", "iotype=discard", "iotype=write-zeroes", "iotype=block-status", "sector=0",
    "sector=8",
    "sector=100", "once=on", "errno=28", "errno=0", "state=2", "immediately=on",
  ] {
    let options = "\(node),file.inject-error.0.event=none,file.inject-error.0.\(rule)"
    lines.append("bench -w -c 2 -d 1 --flush-interval=1 --image-opts \(options)")
    lines.append("bench -c 2 -d 1 --image-opts \(options)")
  }
  lines += [
    "convert -O raw --image-opts \(node),file.inject-error.0.event=read_aio,file.inject-error.0.errno=28 o.raw",
    "convert -O raw --image-opts \(node),file.inject-error.0.event=read_aio,file.inject-error.0.sector=1000 o.raw",
    "compare --image-opts \(node),file.inject-error.0.event=read_aio driver=raw,file.filename=base.raw",
    "dd --image-opts if=\(node),,x of=o.raw",
    "$ qemu-img rebase -u -b '' mid.qcow2 => commit --image-opts driver=qcow2,backing.driver=raw,backing.file.driver=blkdebug,backing.file.image.filename=base.raw,backing.file.inject-error.0.event=pwritev,backing.file.inject-error.0.errno=28,file.filename=mid.qcow2",
    "$ qemu-img rebase -u -b '' mid.qcow2 => rebase -b '' --image-opts driver=qcow2,backing.driver=raw,backing.file.driver=blkdebug,backing.file.image.filename=base.raw,backing.file.inject-error.0.event=read_aio,file.filename=mid.qcow2",
  ]
  return Case.lines(
    lines.joined(separator: "\n"), fixture: images, files: .content,
    masks: [Mask("completed in [0-9.]+", "completed in …")])
}()

/// Formats that stand on other formats.
private let nestedNodes = Case.lines(
  """
  info --image-opts driver=raw,file.driver=qcow2,file.file.filename=t.qcow2
  map --image-opts driver=raw,file.driver=qcow2,file.file.filename=t.qcow2
  map --image-opts driver=raw,offset=1M,size=1M,file.driver=qcow2,file.file.filename=t.qcow2
  map 'json:{"driver":"raw","offset":1048576,"file":{"driver":"qcow2","file":{"driver":"file","filename":"top.qcow2"}}}'
  compare --image-opts driver=raw,file.driver=qcow2,file.file.filename=t.qcow2 driver=qcow2,file.filename=t.qcow2
  $ cat t.qcow2 t.qcow2 >two => map --image-opts driver=qcow2,file.driver=raw,file.size=589824,file.file.filename=two
  $ cat t.qcow2 t.qcow2 >two => convert -O raw --image-opts driver=qcow2,file.driver=raw,file.size=589824,file.file.filename=two o.raw
  rebase -u -b '' 'json:{"driver":"qcow2","file":{"driver":"raw","offset":0,"file":{"driver":"file","filename":"mid.qcow2"}}}' ; info mid.qcow2
  bench -w -c 5 -d 1 --image-opts driver=raw,file.driver=qcow2,file.file.filename=t.qcow2
  """, fixture: images, files: .content, masks: diskSize + [Mask("completed in [0-9.]+", "completed in …")])

private let backingNames = Case.lines(
  """
  $ mkdir sub ; cp base.raw sub/b ; qemu-img create -q -f qcow2 -b b -F raw sub/o => info --backing-chain sub/o ; map sub/o
  $ mkdir sub ; cp base.raw b ; qemu-img create -q -f qcow2 -b ../b -F raw sub/o => info --backing-chain sub/o ; map sub/o
  $ mkdir sub ; cp base.raw sub/b ; qemu-img create -q -f qcow2 -b ./b -F raw sub/o => info --backing-chain sub/o ; map sub/o
  $ mkdir sub d ; cp base.raw sub/b ; qemu-img create -q -f qcow2 -b b -F raw sub/o ; ln -s ../sub/o d/link => map d/link
  $ mkdir sub d ; cp base.raw d/b ; qemu-img create -q -u -f qcow2 -b b -F raw sub/o 1M ; ln -s ../sub/o d/link => map d/link
  $ mkdir sub ; cp base.raw b ; qemu-img create -q -u -f qcow2 -b file:b -F raw sub/o 1M => info --backing-chain sub/o ; map sub/o
  $ mkdir sub ; cp base.raw b ; qemu-img create -q -u -f qcow2 -b 'json:{"file":{"filename":"b"}}' -F raw sub/o 1M => info --backing-chain sub/o ; map sub/o
  $ cp base.raw a:b ; qemu-img create -q -u -f qcow2 -b a:b -F raw o 1M => info o ; map o
  $ cp base.raw a:b ; qemu-img create -q -u -f qcow2 -b ./a:b -F raw o 1M => info o ; map o
  $ qemu-img create -q -u -f qcow2 -b '~/x' -F raw o 1M => map o
  $ qemu-img create -q -u -f qcow2 -b '$HOME' -F raw o 1M => map o
  $ qemu-img create -q -u -f qcow2 -b nosuch -F raw o 1M => map o ; info o
  $ qemu-img create -q -u -f qcow2 -b base.raw -F file o 1M => map o
  $ qemu-img create -q -u -f qcow2 -b t.qcow2 -F file o 1M => map o
  $ qemu-img create -q -u -f qcow2 -b t.qcow2 -F raw o 1M => map o
  $ qemu-img create -q -f qcow2 -b t.qcow2 -F qcow2 o ; rm t.qcow2 => map o ; check o ; info o ; rebase -u -b '' o
  $ mkdir sub ; cp base.raw sub/b ; qemu-img create -q -f qcow2 -b b -F raw sub/o => map --image-opts driver=qcow2,file.filename=sub/o
  $ mkdir sub ; cp base.raw sub/b ; qemu-img create -q -f qcow2 -b b -F raw sub/o => map 'json:{"driver":"qcow2","file":{"driver":"raw","file":{"driver":"file","filename":"sub/o"}}}'
  $ cp base.raw l0 ; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do qemu-img create -q -u -f qcow2 -b l$((i-1)) -F $([ $i = 1 ] && echo raw || echo qcow2) l$i 1M; done => map l12 ; info --backing-chain l12 ; check l12
  $ for i in 1 2 3 4 5 6 7 8 9 10 11 12; do qemu-img create -q -u -f qcow2 -b l$((i-1)) -F $([ $i = 1 ] && echo raw || echo qcow2) l$i 1M; done => map l12
  $ cp base.raw l0 ; for i in $(seq 60); do qemu-img create -q -u -f qcow2 -b l$((i-1)) -F $([ $i = 1 ] && echo raw || echo qcow2) l$i 1M; done => map l60 ; convert -O raw l60 o.raw
  """, fixture: images, files: .unchecked, masks: diskSize)

private let nameDeviations = [
  // Beyond our limit the reference goes on as long as it has descriptors.
  Case(
    "map l210", fixture: images,
    setup: [
      "for i in $(seq 210); do qemu-img create -q -u -f qcow2 -b l$((i-1)) -F qcow2 l$i 1M; done; cp empty.qcow2 l0"
    ],
    deviation: Deviation(
      "Q-158", stdout: "", status: 1, anyText: true, files: .unchecked)),
  Case(
    "map --output=json null-co://", fixture: images,
    deviation: Deviation(
      "Q-159",
      stdout:
        "[{ \"start\": 0, \"length\": 1073741824, \"depth\": 0, \"present\": true, \"zero\": true, \"data\": false, \"offset\": 0}]\n",
      stderr: "", status: 0)),
]

/// `--object` in every form (cli-2 §9).
private let secretObjects: [Case] = {
  let key = "--object secret,id=m,data=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,format=base64 --object"
  let vector = "iv=ABEiM0RVZneImaq7zN3u/w=="
  let text = "data=r/2pWIyjLdcIOY8NynxZDQ==,format=base64"
  return Case.lines(
    """
    info --object secret,id=s,data=pw zero.raw
    info --object secret,id=s,data=cHc=,format=base64 zero.raw
    info --object secret,id=s,data=c*Hc,format=base64 zero.raw
    info --object secret,id=s,data=,format=base64 zero.raw
    info --object secret,id=s,data= zero.raw
    info --object secret,id=s zero.raw
    info --object secret,id=s,data=a,file=b zero.raw
    info --object secret,id=s,file=nofile zero.raw
    info --object secret,id=s,file=. zero.raw
    info --object secret,id=s,data zero.raw
    info --object secret,id=s,data=pw,loaded=on zero.raw
    info --object secret,id=s,data=pw,bogus=1 zero.raw
    info --object secret,id=s,data=pw,format=bogus zero.raw
    info --object secret,id=1,data=pw zero.raw
    info --object secret,data=pw zero.raw
    info --object secret zero.raw
    info --object nosuch,id=s zero.raw
    info --object iothread,id=s zero.raw
    info --object secret,? zero.raw
    info --object help,qom-type=secret zero.raw
    info --object nosuch,id=s,help zero.raw
    info --object id=s,help zero.raw
    info --object secret,help=on zero.raw
    info --object throttle-group,id=s,nosuch=1 zero.raw
    info --object authz-list,help zero.raw
    info --object authz-list-file,help zero.raw
    info --object authz-simple,help zero.raw
    info --object main-loop,help zero.raw
    info --object pr-manager-helper,help zero.raw
    info --object secret_keyring,help zero.raw
    info --object thread-context,help zero.raw
    info --object throttle-group,help zero.raw
    info --object tls-cipher-suites,help zero.raw
    info --object tls-creds-anon,help zero.raw
    info --object tls-creds-psk,help zero.raw
    info --object tls-creds-x509,help zero.raw
    info --object iothread,help zero.raw
    info --object nosuch,help zero.raw
    info --object '' zero.raw
    info --object '{"qom-type":"secret","id":"s","data":"pw"}' zero.raw
    info --object "{'qom-type':'secret','id':'s','data':'pw'}" zero.raw
    info --object '{"qom-type":"secret","id":"s"' zero.raw
    info --object '{"qom-type":"secret","id":"s","data":7}' zero.raw
    info --object '{"qom-type":"secret"}' zero.raw
    info --object '{}' zero.raw
    info --object qom-type=secret,id=s,data=pw zero.raw
    info --object secret,id=s,data=pw --object secret,id=s,data=pw zero.raw
    info --object secret,id=s,data=abc,keyid=m zero.raw
    info --object secret,id=s,data=abc,iv=AAAA zero.raw
    info \(key) secret,id=s,\(text),keyid=m,\(vector) zero.raw
    info \(key) secret,id=s,\(text),keyid=m zero.raw
    info \(key) secret,id=s,\(text),keyid=m,iv=AAAA zero.raw
    info \(key) secret,id=s,\(text),keyid=m,iv=!! zero.raw
    info \(key) secret,id=s,data=abc,keyid=m,\(vector) zero.raw
    info \(key) secret,id=s,data=MDEyMzQ1Njc4OWFiY2RlZg==,format=base64,keyid=m,\(vector) zero.raw
    info \(key) secret,id=s,data=,keyid=m,\(vector) zero.raw
    info --object secret,id=m,data=short --object secret,id=s,\(text),keyid=m,\(vector) zero.raw
    info --object secret_keyring,id=s,serial=1 zero.raw
    info --object secret_keyring,id=s zero.raw
    info --object authz-list,id=a zero.raw
    $ printf 'pw\\n' >f => info --object secret,id=s,file=f zero.raw
    $ printf 'cHc=\\n' >f => info --object secret,id=s,file=f,format=base64 zero.raw
    """, fixture: images, masks: diskSize)
    + ["c=Hc", "cHc", "cHc==", "c"].map { data in
      Case(
        "info --object secret,id=s,data=\(data),format=base64 zero.raw", fixture: images,
        deviation: Deviation(
          "Q-161", stdout: "", stderr: "qemu-img: Base64 data contains invalid characters\n", status: 1))
    }
}()
