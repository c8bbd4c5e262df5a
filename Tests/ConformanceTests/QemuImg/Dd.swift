/// `dd` (cli-1 §14).
let ddCases: [Case] =
  Case.lines(
    """
    dd if=mixed.raw of=o.raw
    dd -f raw -O raw if=mixed.raw of=o.raw
    dd -O qcow2 if=mixed.raw of=o.qcow2
    dd -f qcow2 -O raw if=t.qcow2 of=o.raw
    dd -O qcow2 if=t.qcow2 of=o.qcow2
    dd -f raw if=t.qcow2 of=o.raw
    dd bs=4k if=mixed.raw of=o.raw
    dd bs=1M if=mixed.raw of=o.raw
    dd bs=1000 if=mixed.raw of=o.raw
    dd bs=7 if=tiny.raw of=o.raw
    dd bs=3000000 if=mixed.raw of=o.raw
    dd bs=100M if=mixed.raw of=o.raw
    dd bs=64k count=3 if=mixed.raw of=o.raw
    dd bs=64k count=3 -O qcow2 if=mixed.raw of=o.qcow2
    dd bs=64k count=0 if=mixed.raw of=o.raw
    dd bs=64k count=10000 if=mixed.raw of=o.raw
    dd bs=64k count=9223372036854775807 if=mixed.raw of=o.raw
    dd bs=64k skip=1 if=mixed.raw of=o.raw
    dd bs=64k skip=17 if=mixed.raw of=o.raw
    dd bs=1M skip=2 -O qcow2 if=mixed.raw of=o.qcow2
    dd bs=1000 skip=3 if=odd.raw of=o.raw
    dd bs=512 skip=2 if=odd.raw of=o.raw
    dd bs=64k skip=1000 if=mixed.raw of=o.raw
    dd bs=64k skip=9223372036854775807 if=mixed.raw of=o.raw
    dd if=odd.raw of=o.raw
    dd if=tiny.raw of=o.raw
    dd if=zero.raw of=o.raw
    dd if=zero.qcow2 of=o.raw
    dd -O qcow2 if=zero.raw of=o.qcow2
    dd if=top.qcow2 of=o.raw bs=64k
    dd if=ext.qcow2 of=o.raw bs=64k
    dd if=data.qcow2 of=o.raw bs=64k
    dd if=small.qcow2 of=o.raw bs=64k
    dd if=snap.qcow2 -O qcow2 of=o.qcow2 bs=64k
    dd if=nosuch of=o.raw
    dd if=mixed.raw of=nosuch/o.raw
    dd if=mixed.raw of=.
    dd if=. of=o.raw
    dd -O bochs if=mixed.raw of=o
    dd -O dmg if=mixed.raw of=o
    dd -f qcow2 if=mixed.raw of=o.raw
    dd -U if=mixed.raw of=o.raw bs=64k
    dd --image-opts if=driver=raw,file.filename=mixed.raw of=o.raw bs=64k
    dd --image-opts -f raw if=driver=raw,file.filename=mixed.raw of=o.raw
    dd --image-opts if=mixed.raw of=o.raw
    dd if=mixed.raw if=odd.raw of=o.raw
    dd of=o.raw if=odd.raw bs=1k bs=512
    dd if=odd.raw of=o.raw count=1 count=2
    dd if=odd.raw of=o.raw bs=
    dd if= of=o.raw
    dd if=odd.raw of=
    dd if=odd.raw of=o.raw bs
    dd if=odd.raw of=o.raw =
    dd if=odd.raw of=o.raw x
    dd if=odd.raw of=o.raw seek=1
    dd if=odd.raw of=nosuch:x
    dd if=odd.raw of=json:x
    dd if=odd.raw of=null-co://
    dd if=odd.raw of=blkdebug::x
    dd -O bochs if=odd.raw of=nosuch:x
    dd -O nosuch if=odd.raw of=nosuch:x
    dd bs=64k skip=1000 if=mixed.raw of=nosuch/o.raw
    dd --object secret,id=a,data=x if=odd.raw of=o.raw
    $ printf hello >o.raw => dd if=odd.raw of=o.raw
    patch t.qcow2 0x40000 u64 0x8000000000050200 => dd if=t.qcow2 of=o.raw bs=64k
    patch t.qcow2 0x40080 u64 0x8000000000060200 => dd if=t.qcow2 of=o.raw bs=64k
    """, fixture: images)
  // The count is that of the copied blocks, as with every other dd; the reference counts from the start of the input.
  + [("bs=64k count=5 skip=2", "bs=64k count=3"), ("bs=64k count=3 skip=3", "bs=64k count=3")].map { mine, _ in
    Case(
      "dd \(mine) if=mixed.raw of=o.raw", fixture: images, deviation: Deviation("Q-1", files: .unchecked))
  }
  + [
    Case(
      "dd if=mixed.raw of=mixed.raw", fixture: images,
      deviation: Deviation(
        "Q-2",
        stderr: """
          qemu-img: mixed.raw: error while creating output image: Failed to get "write" lock
          Is another process using the image [mixed.raw]?

          """, status: 1, files: .unchecked))
  ]
