/// An empty range: the reference prints one entry of length 0 in place of an empty list.
let emptyMap = Mask(#"\[\{ "start": \d+, "length": 0, [^}]*\}\]"#, "[]", id: "Q-12")

/// `map` (cli-1 §10).
let mapCases: [Case] = {
  let files = [
    "t.qcow2", "snap.qcow2", "bm.qcow2", "ext.qcow2", "data.qcow2", "v2.qcow2", "zstd.qcow2", "small.qcow2",
    "bits1.qcow2", "lazy.qcow2", "top.qcow2", "mid.qcow2", "extop.qcow2", "empty.qcow2", "zero.qcow2", "base.raw",
    "hole.raw", "odd.raw", "tiny.raw", "mixed.raw",
  ]
  let each = files.map { "map \($0) ; map --output=json \($0)" }
  let ranges = [
    "-s 0", "-s 64k", "-s 100000 -l 5", "-s 1M -l 1M", "-l 1", "-s 4194303", "-s 2M", "--start-offset=3M",
    "--max-length=65537", "-s 65535 -l 2", "-s 3000000 -l 9999999",
  ].flatMap { range in
    ["t.qcow2", "top.qcow2", "mixed.raw"].map { "map \(range) \($0) ; map --output=json \(range) \($0)" }
  }
  return Case.lines((each + ranges).joined(separator: "\n"), fixture: images, masks: [emptyMap])
    + Case.lines(
      """
      map luks.qcow2 ; map --output=json luks.qcow2
      map aes.qcow2 ; map --output=json aes.qcow2
      convert luks.qcow2 o.raw
      convert aes.qcow2 o.raw
      """, fixture: encryptedImages)
    + Case.lines(
      """
      map --output=json zero.raw
      map --output=json -l 0 t.qcow2
      map --output=json -s 4M t.qcow2
      """, fixture: images, masks: [emptyMap])
    + Case.lines(
      """
      map zero.raw
      map -l 0 t.qcow2
      map -s 4M t.qcow2
      map -s 5M t.qcow2
      map -s 9223372036854775807 t.qcow2
      map -f qcow2 t.qcow2
      map -f raw t.qcow2
      map -U t.qcow2
      map --output=human t.qcow2
      map nosuch
      map .
      map /dev/null
      map --image-opts driver=qcow2,file.filename=t.qcow2 --output=json
      map --image-opts driver=raw,offset=65536,size=65536,file.filename=mixed.raw --output=json
      map --image-opts driver=qcow2,backing.driver=raw,backing.file.filename=hole.raw,file.filename=mid.qcow2 --output=json
      map 'json:{"driver":"qcow2","backing":null,"file":{"driver":"file","filename":"top.qcow2"}}' --output=json
      $ rm base.raw => map mid.qcow2 ; map --output=json mid.qcow2
      $ rm base.raw => map top.qcow2
      $ truncate -s 0 base.raw => map --output=json mid.qcow2
      $ truncate -s 8M base.raw => map --output=json mid.qcow2
      patch mid.qcow2 120 text foo => map mid.qcow2
      $ qemu-img rebase -u -F qcow2 -b base.raw mid.qcow2 => map mid.qcow2
      $ qemu-img resize -q mid.qcow2 100k --shrink || qemu-img resize -q --shrink mid.qcow2 102400 => map --output=json mid.qcow2
      $ qemu-img create -q -f qcow2 -o preallocation=metadata p.qcow2 1M => map p.qcow2 ; map --output=json p.qcow2
      $ qemu-img create -q -f qcow2 -o preallocation=falloc p.qcow2 1M => map p.qcow2 ; map --output=json p.qcow2
      $ qemu-img create -q -f qcow2 -o preallocation=full p.qcow2 1M => map p.qcow2 ; map --output=json p.qcow2
      $ qemu-img create -q -f qcow2 big.qcow2 8T => map big.qcow2 ; map --output=json big.qcow2
      $ truncate -s 8T big.raw => map big.raw ; map --output=json big.raw
      $ qemu-img create -q -f raw r.raw 3000 => map r.raw ; map --output=json r.raw
      """, fixture: images)
    + [
      Case(
        "map a.qcow2", name: "map of two images that back each other", setup: [backingLoop],
        deviation: Deviation(
          "Q-3", stdout: "",
          stderr: "qemu-img: Could not open 'a.qcow2': Backing file 'a.qcow2' creates an infinite loop.\n", status: 1))
    ]
}()
