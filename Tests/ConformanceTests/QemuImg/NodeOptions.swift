/// Options of a qcow2 node (cli-2 §7.7): the node with the guest's data, caches, checks, sharing.
let nodeOptionCases: [Case] = dataFileOptions + runtimeOptions + zeroOptions + sharingOptions

private let dataFileOptions = Case.lines(
  """
  info --image-opts driver=qcow2,file.filename=data.qcow2,data-file=nosuch
  info --image-opts driver=qcow2,file.filename=data.qcow2,data-file.nosuch=1
  info --image-opts driver=qcow2,file.filename=t.qcow2,data-file.filename=d.raw
  map --image-opts driver=qcow2,file.filename=data.qcow2,data-file=nosuch
  map --image-opts driver=qcow2,file.filename=data.qcow2,data-file.filename=nosuch
  map --image-opts driver=qcow2,file.filename=data.qcow2,data-file.filename=mixed.raw
  map --output=json --image-opts driver=qcow2,file.filename=data.qcow2,data-file.filename=mixed.raw
  map --image-opts driver=qcow2,file.filename=data.qcow2,data-file.driver=file
  map --image-opts driver=qcow2,file.filename=data.qcow2,data-file.driver=file,data-file.filename=mixed.raw
  map --image-opts driver=qcow2,file.filename=data.qcow2,data-file.driver=nosuch,data-file.filename=d.raw
  map --image-opts driver=qcow2,file.filename=data.qcow2,data-file.driver=qcow2,data-file.filename=d.raw
  map --image-opts driver=qcow2,file.filename=data.qcow2,data-file.driver=raw,data-file.filename=d.raw
  map --image-opts driver=qcow2,file.filename=data.qcow2,data-file.driver=raw,data-file.file.filename=mixed.raw
  map --image-opts driver=qcow2,file.filename=data.qcow2,data-file.filename=d.raw,data-file.nosuch=1
  map --image-opts driver=qcow2,file.filename=t.qcow2,data-file.filename=d.raw
  map --image-opts driver=qcow2,file.filename=t.qcow2,data-file=d.raw
  map --image-opts driver=raw,file.filename=t.qcow2,data-file.filename=d.raw
  map 'json:{"driver":"qcow2","file.filename":"data.qcow2","data-file":{"driver":"file","filename":"mixed.raw"}}'
  map 'json:{"driver":"qcow2","file.filename":"data.qcow2","data-file":null}'
  map 'json:{"driver":"qcow2","file.filename":"data.qcow2","data-file":3}'
  info -f blkdebug t.qcow2
  compare -f blkdebug -F raw t.qcow2 t.qcow2
  map -f blkdebug blkdebug:t.qcow2
  check --image-opts driver=qcow2,file.filename=data.qcow2,data-file.filename=mixed.raw
  $ mv d.raw x.raw => map data.qcow2 ; map --image-opts driver=qcow2,file.filename=data.qcow2,data-file.filename=x.raw
  $ mv d.raw x.raw => convert -O raw --image-opts driver=qcow2,file.filename=data.qcow2,data-file.filename=x.raw o.raw
  $ mv d.raw x.raw => snapshot -c s --image-opts driver=qcow2,file.filename=data.qcow2,data-file.filename=x.raw
  $ qemu-img create -q -f qcow2 -b data.qcow2 -F qcow2 o.qcow2 ; qemu-io -f qcow2 -c 'write -q -P 7 2M 64k' o.qcow2 ; mv d.raw x.raw => commit --image-opts driver=qcow2,file.filename=o.qcow2,backing.driver=qcow2,backing.file.filename=data.qcow2,backing.data-file.filename=x.raw
  """, fixture: images, files: .used)

private let runtimeOptions = Case.lines(
  [
    "overlap-check=nosuch", "overlap-check=", "overlap-check=none", "overlap-check.template=nosuch",
    "overlap-check.template=all,overlap-check=none", "overlap-check.template=all,overlap-check=all",
    "l2-cache-entry-size=1000", "l2-cache-entry-size=256", "l2-cache-entry-size=0", "l2-cache-entry-size=4k",
    "l2-cache-entry-size=128k", "l2-cache-entry-size=256,overlap-check=nosuch",
    "cache-size=1,l2-cache-size=1,refcount-cache-size=1", "cache-size=1M,l2-cache-size=2M",
    "cache-size=1M,refcount-cache-size=2M", "cache-size=1M,l2-cache-size=2M,l2-cache-entry-size=1",
    "refcount-cache-size=1E", "refcount-cache-size=1E,cache-clean-interval=4294967296", "l2-cache-size=1E",
    "cache-size=9E", "cache-clean-interval=4294967295", "cache-clean-interval=4294967296",
    "cache-clean-interval=4294967296,overlap-check=nosuch", "encrypt.format=luks,overlap-check=nosuch",
    "data-file=nosuch,overlap-check=nosuch", "nosuch=1,overlap-check=nosuch", "backing=nosuch,overlap-check=nosuch",
    "help", "?", "nosuch", "nonosuch",
  ].map { "map --image-opts driver=qcow2,file.filename=t.qcow2,\($0)" }.joined(separator: "\n")
    + """

    info --image-opts driver=qcow2,file.filename=t.qcow2,overlap-check=nosuch
    check --image-opts driver=qcow2,file.filename=t.qcow2,l2-cache-entry-size=1000
    info --image-opts driver=qcow2,file.filename=v2.qcow2,lazy-refcounts=on
    info --image-opts driver=qcow2,file.filename=v2.qcow2,lazy-refcounts=on,overlap-check=nosuch
    info --image-opts driver=qcow2,file.filename=small.qcow2,l2-cache-entry-size=1k
    snapshot -a one --image-opts driver=qcow2,file.filename=snap.qcow2,overlap-check=nosuch
    """, fixture: images)

private let zeroOptions = Case.lines(
  """
  commit --image-opts driver=qcow2,file.filename=t.qcow2,detect-zeroes=unmap
  commit --image-opts driver=qcow2,file.filename=t.qcow2,detect-zeroes=unmap,discard=ignore
  map --image-opts driver=qcow2,file.filename=t.qcow2,detect-zeroes=unmap
  snapshot -l --image-opts driver=qcow2,file.filename=t.qcow2,detect-zeroes=unmap
  convert -n --target-image-opts empty.qcow2 driver=qcow2,file.filename=t.qcow2,detect-zeroes=unmap
  convert -n -O qcow2 empty.qcow2 'json:{"driver":"qcow2","file.filename":"t.qcow2","detect-zeroes":"unmap"}'
  rebase -b x -F raw --image-opts driver=qcow2,file.filename=mid.qcow2,backing.driver=raw,backing.file.filename=hole.raw
  """, fixture: images, files: .content)

/// What is looked at before `force-share`, and what behind it.
private let sharingOptions = Case.lines(
  """
  snapshot -U -c s nosuch
  snapshot -U -c s .
  snapshot -U -c s nosuch:x
  snapshot -U -c s null-co://,size=1M
  snapshot -U -c s null-co://
  snapshot -U -c s --image-opts t.qcow2
  snapshot -U -c s --image-opts driver=nosuch
  snapshot -U -c s --image-opts driver=qcow2,file.0=x
  snapshot -U -c s --image-opts driver=qcow2,file.driver=nosuch,file.filename=t.qcow2
  snapshot -U -c s --image-opts driver=qcow2,file.filename=t.qcow2,nosuch=1
  snapshot -U -c s --image-opts driver=qcow2,file.filename=t.qcow2,overlap-check=nosuch
  """, fixture: images)
