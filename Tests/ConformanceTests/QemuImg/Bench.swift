/// `bench` (cli-2 §5): how long it took is masked.
let benchCases =
  Case.lines(
    """
    bench t.qcow2
    bench -c 10 t.qcow2
    bench -c 0x10 -d 1 t.qcow2
    bench -c 010 -d 2 t.qcow2
    bench -c ' 7' -d +3 t.qcow2
    bench -c 100 -S 64k t.qcow2
    bench -c 100 -s 64k t.qcow2
    bench -c 100 -s 64k -S 512 -o 1M t.qcow2
    bench -c 100 -s 100 -S 7 -o 13 t.qcow2
    bench -c 10 -o 4190208 -d 1 t.qcow2
    bench -c 10 -o 4190209 -d 1 t.qcow2
    bench -c 10 -o 4M t.qcow2
    bench -c 10 -o 5M t.qcow2
    bench -c 10 -s 5M t.qcow2
    bench -c 10 -t none t.qcow2
    bench -c 10 -t none -n t.qcow2
    bench -c 10 -t none -i native t.qcow2
    bench -c 10 -i threads t.qcow2
    bench -c 10 -i io_uring t.qcow2
    bench -c 10 -t none -s 100 -o 7 t.qcow2
    bench -c 10 -t directsync -w -f raw base.raw
    bench -c 10 -U t.qcow2
    bench -c 10 -q t.qcow2
    bench -c 10 -f raw base.raw
    bench -c 10 -f raw t.qcow2
    bench -c 10 base.raw
    bench -c 10 -w base.raw
    bench -c 10 -w --pattern=81 base.raw
    bench -c 10 --image-opts driver=qcow2,file.filename=t.qcow2
    bench -c 10 --image-opts driver=raw,offset=64k,size=128k,file.filename=base.raw
    bench -c 300 -w --pattern 7 t.qcow2
    bench -c 300 -w --pattern 0xff -S 8k -d 1 empty.qcow2
    bench -c 64 -w --pattern 7 -s 64k empty.qcow2
    bench -c 64 -w --pattern 7 -s 32k -d 1 empty.qcow2
    bench -c 64 -w --pattern 7 -s 64k -d 1 top.qcow2
    bench -c 300 -w --pattern 7 -S 8k -d 1 top.qcow2
    bench -c 300 -w --pattern 7 -S 8k -d 1 ext.qcow2
    bench -c 300 -w --pattern 7 -S 8k -d 1 snap.qcow2
    bench -c 300 -w --pattern 7 -S 1k -d 1 small.qcow2
    bench -c 300 -w --pattern 7 -d 1 data.qcow2
    bench -c 300 -w --pattern 7 -d 1 bm.qcow2
    bench -c 300 -w --pattern 7 -d 1 v2.qcow2
    bench -c 300 -w --pattern 7 -f raw hole.raw
    bench -c 100 -w --flush-interval=10 -d 10 -f raw base.raw
    bench -c 100 -w --flush-interval=10 -d 1 t.qcow2
    bench -c 100 -w --flush-interval=64 --no-drain t.qcow2
    bench -c 100 -w --flush-interval=0 t.qcow2
    """, fixture: images, files: .content,
    masks: [Mask("completed in [0-9]+\\.[0-9]{3} seconds", "completed in S.SSS seconds")])
  + Case.lines(
    """
    bench
    bench a b
    bench -z a
    bench -c x a
    bench -c '' a
    bench -c 1k a
    bench -c 08 a
    bench -c 0x a
    bench -c 2147483648 a
    bench -c -1 a
    bench -d x a
    bench -d -1 a
    bench -d 99999999999 a
    bench -o x a
    bench -o -1 a
    bench -s x a
    bench -s 2G a
    bench -S 2G a
    bench -S x a
    bench --pattern=256 a
    bench --pattern=-1 a
    bench --pattern=x a
    bench --flush-interval=x a
    bench --flush-interval=-1 a
    bench -i foo a
    bench -t foo a
    bench -t bad -i bad a
    bench --flush-interval=2 a
    bench -w --flush-interval=2 a
    bench -w --flush-interval=2 -d 3 a
    bench nosuch
    bench -n nosuch
    bench -n t.qcow2
    bench -i native -t writethrough t.qcow2
    bench -w -U t.qcow2
    bench -f nofmt t.qcow2
    bench -f raw --image-opts driver=qcow2,file.filename=t.qcow2
    $ chmod 444 t.qcow2 => bench -c 1 t.qcow2 -z
    """, fixture: images)
  + [
    benchDeviation("bench -c 0 t.qcow2", "Invalid request count specified. Must be between 1 and 2147483647."),
    benchDeviation("bench -d 0 t.qcow2", "Invalid queue depth specified. Must be between 1 and 2147483647."),
    benchDeviation("bench -s 0 t.qcow2", "Invalid buffer size specified. Must be between 1 and 2147483647."),
    Case(
      "bench -c 1 zero.qcow2", fixture: images,
      deviation: Deviation(
        "Q-155",
        stdout: "Sending 1 read requests, 4096 bytes each, 64 in parallel (starting at offset 0, step size 4096)\n",
        stderr: "qemu-img: Failed request: Input/output error\n", status: 1)),
    benchDeviation(
      "bench -d 2000000000 -s 1G t.qcow2", "Cannot allocate memory for 2000000000 requests of 1073741824 bytes"),
  ]

private func benchDeviation(_ command: String, _ message: String) -> Case {
  Case(
    command, fixture: images, deviation: Deviation("Q-155", stdout: "", stderr: "qemu-img: \(message)\n", status: 1))
}
