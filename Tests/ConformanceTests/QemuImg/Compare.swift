/// `compare` (cli-1 §12).
let compareCases: [Case] =
  Case.lines(
    """
    compare aes.qcow2 aes.qcow2
    compare luks.qcow2 luks.qcow2
    compare hole.raw aes.qcow2
    """, fixture: encryptedImages)
  + Case.lines(
    """
    compare t.qcow2 t.qcow2
    compare base.raw base.raw
    compare t.qcow2 base.raw
    compare base.raw t.qcow2
    compare hole.raw empty.qcow2
    compare empty.qcow2 hole.raw
    compare zero.raw zero.qcow2
    compare zero.raw hole.raw
    compare hole.raw zero.raw
    compare zero.raw base.raw
    compare base.raw zero.qcow2
    compare odd.raw zero.raw
    compare tiny.raw zero.raw
    compare tiny.raw odd.raw
    compare top.qcow2 mid.qcow2
    compare mid.qcow2 top.qcow2
    compare -q top.qcow2 mid.qcow2
    compare -q t.qcow2 t.qcow2
    compare -p t.qcow2 t.qcow2
    compare -p top.qcow2 mid.qcow2
    compare -p -q t.qcow2 t.qcow2
    compare -p hole.raw empty.qcow2
    compare -p mixed.raw base.raw
    compare -p zero.raw zero.raw
    compare -s t.qcow2 t.qcow2
    compare -s hole.raw empty.qcow2
    compare -s hole.raw hole.raw
    compare -s base.raw hole.raw
    compare -s -q base.raw hole.raw
    compare -s -p base.raw hole.raw
    compare -s mixed.raw mixed.raw
    compare -s zero.raw zero.qcow2
    compare -f raw t.qcow2 t.qcow2
    compare -F raw t.qcow2 t.qcow2
    compare -f raw -F raw t.qcow2 t.qcow2
    compare -f qcow2 -F qcow2 t.qcow2 t.qcow2
    compare -f qcow2 base.raw t.qcow2
    compare -F qcow2 t.qcow2 base.raw
    compare -T none t.qcow2 t.qcow2
    compare -T foo t.qcow2 t.qcow2
    compare -T writeback t.qcow2 t.qcow2
    compare -U t.qcow2 t.qcow2
    compare --force-share t.qcow2 t.qcow2
    compare nosuch t.qcow2
    compare t.qcow2 nosuch
    compare nosuch nosuch
    compare . t.qcow2
    compare --object nosuch,id=a t.qcow2 t.qcow2
    compare --object secret,id=a,data=x t.qcow2 t.qcow2
    compare --image-opts driver=qcow2,file.filename=t.qcow2 driver=qcow2,file.filename=t.qcow2
    compare --image-opts driver=raw,file.filename=base.raw driver=qcow2,file.filename=t.qcow2
    compare --image-opts -f raw driver=raw,file.filename=base.raw driver=qcow2,file.filename=t.qcow2
    compare --image-opts t.qcow2 t.qcow2
    compare 'json:{"driver":"raw","file":{"driver":"file","filename":"t.qcow2"}}' t.qcow2
    compare ext.qcow2 ext.qcow2
    compare data.qcow2 data.qcow2
    compare data.qcow2 d.raw
    compare -s data.qcow2 d.raw
    compare zstd.qcow2 zstd.qcow2
    $ qemu-img convert -O qcow2 mixed.raw m.qcow2 => compare mixed.raw m.qcow2
    $ qemu-img convert -O qcow2 mixed.raw m.qcow2 => compare -s mixed.raw m.qcow2
    $ qemu-img convert -O qcow2 mixed.raw m.qcow2 => compare -p mixed.raw m.qcow2
    $ qemu-img convert -O raw t.qcow2 m.raw => compare t.qcow2 m.raw
    $ qemu-img convert -O raw t.qcow2 m.raw => compare -s t.qcow2 m.raw
    $ qemu-img convert -c -O qcow2 mixed.raw m.qcow2 => compare m.qcow2 mixed.raw
    $ qemu-img convert -O raw top.qcow2 m.raw => compare top.qcow2 m.raw
    $ cp mixed.raw m.raw ; printf x | dd of=m.raw bs=1 seek=0 conv=notrunc status=none => compare mixed.raw m.raw
    $ cp mixed.raw m.raw ; printf x | dd of=m.raw bs=1 seek=1234567 conv=notrunc status=none => compare mixed.raw m.raw
    $ cp mixed.raw m.raw ; printf x | dd of=m.raw bs=1 seek=2999999 conv=notrunc status=none => compare mixed.raw m.raw
    $ cp mixed.raw m.raw ; printf x | dd of=m.raw bs=1 seek=3000000 conv=notrunc status=none => compare mixed.raw m.raw
    $ cp mixed.raw m.raw ; printf x | dd of=m.raw bs=1 seek=3000500 conv=notrunc status=none => compare m.raw mixed.raw
    $ cp mixed.raw m.raw ; truncate -s 9M m.raw => compare mixed.raw m.raw
    $ cp mixed.raw m.raw ; truncate -s 9M m.raw => compare -s mixed.raw m.raw
    $ cp mixed.raw m.raw ; truncate -s 9M m.raw => compare -p mixed.raw m.raw
    $ cp mixed.raw m.raw ; truncate -s 9M m.raw => compare -q -s mixed.raw m.raw
    $ cp mixed.raw m.raw ; printf x | dd of=m.raw bs=1 seek=9000000 status=none conv=notrunc => compare mixed.raw m.raw
    $ cp mixed.raw m.raw ; printf x | dd of=m.raw bs=1 seek=9000000 status=none conv=notrunc => compare m.raw mixed.raw
    $ cp mixed.raw m.raw ; printf x | dd of=m.raw bs=1 seek=9000000 status=none conv=notrunc => compare -q m.raw mixed.raw
    $ qemu-img create -q -f qcow2 -b mixed.raw -F raw o.qcow2 => compare o.qcow2 mixed.raw
    $ qemu-img create -q -f qcow2 -b mixed.raw -F raw o.qcow2 => compare -s o.qcow2 mixed.raw
    $ truncate -s 4T big.raw ; qemu-img create -q -f qcow2 big.qcow2 8T => compare big.raw big.qcow2
    patch t.qcow2 0x30000 u64 0x8000000000040200 => compare t.qcow2 base.raw
    patch t.qcow2 0x40000 u64 0x8000000000050200 => compare t.qcow2 base.raw
    patch t.qcow2 0x40000 u64 0x8000000000050200 => compare base.raw t.qcow2
    patch t.qcow2 0x80000 u64 0xffffffffffffffff => compare t.qcow2 t.qcow2
    $ qemu-img convert -O raw t.qcow2 m.raw => patch t.qcow2 0x80000 u64 0xffffffffffffffff => compare m.raw t.qcow2
    """, fixture: images)
