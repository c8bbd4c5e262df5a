/// Where images go: files that exist, devices, in-place moves, installing; and what the reference loses there
/// (ext4-e2image §5.3, §7, §9.3, §11).
let e2imageTargetCases: [Case] =
  moves
  + Case.lines(
    """
    sh e2image e4.img x; dumpe2fs -i x 2>/dev/null | sha1sum; debugfs -i -R 'stat <2>' x 2>/dev/null | sha1sum; rm x
    sh e2image bigalloc.img x; dumpe2fs -i x 2>/dev/null | sha1sum; debugfs -i -R 'stat <2>' x 2>/dev/null | sha1sum; rm x
    sh e2image -r e4.img x; e2fsck -fn x >y 2>/dev/null; echo $?; debugfs -R 'ls -l /d/e' x 2>/dev/null | sha1sum
    sh e2image -r e2.img x; e2fsck -fn x >y 2>/dev/null; echo $?; dumpe2fs x 2>/dev/null | sha1sum
    sh . ./devices; e2image -ra e4.img x; enter x loop,ro; (cd $m; find . | sort; find . -type f | sort | xargs sha1sum) | sha1sum; leave; rm x
    sh e2image e4.img x; dd if=/dev/zero of=e4.img bs=1024 count=190 conv=notrunc status=none; e2image -I e4.img x; e2fsck -fy e4.img >/dev/null 2>&1 || [ $? = 1 ]; e2fsck -fn e4.img >/dev/null 2>&1; echo $?; rm x e4.img
    sh : >x; e2image -ra e2.img x
    sh : >x; e2image -Q e2.img x
    sh seq 1 1000 >x; e2image -Q e2.img x
    sh . ./devices; truncate -s 40M x; attach x; e2image -ra e2.img $d; leave
    sh . ./devices; truncate -s 40M x; attach x; e2image -r e4.img $d; leave
    sh . ./devices; truncate -s 40M x; attach x; e2image -Q e4.img $d; leave
    sh . ./devices; truncate -s 40M x; attach x; e2image -ra -O 65536 e2.img $d; leave
    sh . ./devices; attach e4.img; e2image -r $d x; leave
    sh . ./devices; head -c 40M /dev/zero | tr '\\0' q >x; attach x; e2image -r e4.img $d; leave
    sh . ./devices; head -c 32M /dev/zero | tr '\\0' q >x; attach x; e2image -ras -O 4096 e2.img $d; leave
    sh . ./devices; truncate -s 31M x; attach x; e2image -r e4.img $d || echo $?; leave
    sh . ./devices; truncate -s 31M x; attach x; e2image -ra -O 4096 e4.img $d || echo $?; leave
    sh . ./devices; truncate -s 32764K x; attach x; e2image -ra bigalloc.img $d || echo $?; leave
    sh . ./devices; truncate -s 12M x; attach x; e2image -Q e4.img $d || echo $?; leave; rm x
    sh . ./devices; cp e2.img x; attach x; e2image -ra -O 20000000 $d || echo $?; leave; cmp x e2.img
    $ (head -c 2M /dev/zero; cat e4.img; head -c 3M /dev/zero) >m.img => sh e2image -ras -o 2097152 -O 2098176 m.img; tail -c +2098177 m.img | head -c 32M >f; rm m.img
    $ (head -c 2M /dev/zero; cat e4.img; head -c 3M /dev/zero) >m.img => sh e2image -ras -o 2097152 -O 2114560 m.img; tail -c +2114561 m.img | head -c 32M >f; rm m.img
    $ (head -c 2M /dev/zero; cat e2.img; head -c 3M /dev/zero) >m.img => sh e2image -ras -o 2097152 -O 3145728 m.img; tail -c +3145729 m.img | head -c 16M >f; rm m.img
    $ (head -c 2M /dev/zero; cat bigalloc.img) >m.img => sh e2image -ras -o 2097152 -O 2080768 m.img; tail -c +2080769 m.img | head -c 32M >f; rm m.img
    sh script -qec 'stty raw -echo; e2image -r nope x; e2image nope x >/dev/null; e2image; e2image -p e4.img x' /dev/null </dev/null | od -c; rm -f x
    sh script -qec 'e2image -r nope x; e2image nope x >/dev/null; e2image; e2image -p e4.img x' /dev/null </dev/null | od -c; rm -f x
    sh . ./devices; enter e4.img loop,ro; e2image -r e4.img x; echo $?; leave
    sh . ./devices; enter e2.img; e2image -r e2.img x || echo $?; leave; rm e2.img
    sh . ./devices; enter e2.img; e2image -rf e2.img x; echo $?; rm -f x; leave; rm e2.img
    sh . ./devices; attach e2.img; enter $d rw; e2image -Q $d x || echo $?; leave; rm e2.img
    """, fixture: e2imageFixture)
  + installs
  + [
    Case(
      "sh . ./devices; attach m.img; e2image -ra -o 4096 -O 69632 $d; leave; tail -c +69633 m.img | head -c "
        + "$(stat -c %s e2.img) | tail -c 1 | od -An -tx1",
      name: "a last byte on a block device (E-11)", fixture: e2imageFixture,
      setup: [
        .shell(
          "(head -c 4096 /dev/zero; cat e2.img; head -c 1M /dev/zero) >m.img; printf '\\252' | dd of=m.img bs=1 "
            + "seek=$((4096 + $(stat -c %s e2.img) - 1 + 65536)) conv=notrunc status=none")
      ],
      deviation: Deviation("E-11", stdout: " aa\n", stderr: e2imageBanner, status: 0, files: .unchecked)),
    sound(
      "E-38", "a normal image on a device that held something", e2imageFixture,
      "sh . ./devices; attach x; e2image e2.img $d; leave; e2image e2.img y; cmp -i 332 -n $(($(stat -c %s y) - 332)) x y",
      setup: "head -c 4M /dev/zero | tr '\\0' q >x", times: 2),
    Case(
      "sh . ./devices; truncate -s 300K x; attach x; e2image -ra -O 512 e4.img $d || echo $?; leave",
      name: "half a block of room (E-39)", fixture: e2imageFixture, masks: [Mask("block [0-9]+", "block N")],
      deviation: Deviation(
        "E-39", stdout: "1\n",
        stderr: e2imageBanner + "e2image: No space left on device error writing block N\n", status: 0, files: .unchecked
      )),
    Case(
      "sh mkdir m; for size in 8k 16k; do mount -t tmpfs -o size=$size none m; e2image v.img m/x || echo $?; umount m; done; "
        + "rmdir m", name: "no room for the bitmaps of a normal image",
      setup: [.shell(E2imageScript.make + "make v.img 40M -t ext4 -b 1024")]),
    Case(
      "sh mkdir m; mount -t tmpfs -o size=4k none m; e2image v.img m/x || echo $?; umount m; rmdir m",
      name: "no room for the inode tables of a normal image (E-39)",
      setup: [.shell(E2imageScript.make + "make v.img 40M -t ext4 -b 1024")],
      deviation: Deviation(
        "E-39", stdout: "1\n",
        stderr: e2imageBanner + "e2image: No space left on device while writing inode table\n", status: 0,
        files: .unchecked)),
    Case(
      "sh . ./devices; cp e4.img x; attach x; e2image -ra -O 4096 $d || echo $?; e2image -ra -O 16777216 $d || echo $?; leave; "
        + "cmp x e4.img",
      name: "moving to where there is no room (E-37)", fixture: e2imageFixture,
      deviation: Deviation(
        "E-37", stdout: "1\n1\n",
        stderr: String(repeating: e2imageBanner + "seek_relative: Invalid argument\n", count: 2), status: 0,
        files: .unchecked)),
    Case(
      "sh e2image -I e2.img i; dumpe2fs -h e2.img 2>/dev/null | grep Lifetime", name: "lifetime writes (E-28)",
      fixture: e2imageFixture,
      setup: [.shell("debugfs -w -R 'ssv kbytes_written 1' e2.img 2>/dev/null; e2image e2.img i")],
      deviation: Deviation(
        "E-28", stdout: "Lifetime writes:          1037 kB\n", stderr: e2imageBanner, status: 0, files: .unchecked)),
  ]
  + [
    sound(
      "E-8", "stale bytes", e2imageFixture, "sh e2image -r e4.img x; cmp x y",
      setup: "e2image -r e4.img y; head -c 32M /dev/urandom >x"),
    sound(
      "E-9", "a longer target keeps its tail", e2imageFixture,
      "sh e2image -ra -O 4096 e2.img x; stat -c %s x; tail -c 1000 x | cmp - y",
      setup: "head -c 20M /dev/urandom >x; tail -c 1000 x >y", stdout: "20971520\n"),
    sound(
      "E-12", "-n leaves a file alone", e2imageFixture, "sh e2image -rn e2.img x >/dev/null; cmp x y",
      setup: "head -c 20M /dev/urandom >x; cp x y"),
    sound(
      "E-12", "-n installs nothing", e2imageFixture, "sh e2image -nI e2.img i; cmp e2.img y",
      setup: "e2image e2.img i; printf x | dd of=e2.img bs=1 seek=100000 conv=notrunc status=none; cp e2.img y"),
    sound(
      "E-12", "-n makes no file", e2imageFixture,
      "sh e2image -ran e2.img x >/dev/null; e2image -n e2.img x; e2image -Qn e2.img x >/dev/null; [ ! -e x ]", times: 3,
      stdout: "Writing block 18446744073709551615\nWriting block 18446744073709551615\n"),
    sound(
      "E-13", "-c to a new file", e2imageFixture, "sh e2image -rac e2.img x; e2image -ra e2.img y; cmp x y", times: 2,
      stdout: "0 blocks already contained the data to be copied\n"),
    sound(
      "E-13", "-c to a short file", e2imageFixture, "sh e2image -rac e2.img x >z; e2image -ra e2.img y; cmp x y",
      setup: "head -c 1000000 e2.img >x", times: 2),
    failing(
      "E-14", "-p with a normal image", "-p e4.img x", setup: "echo precious >x",
      "The -p option only supported in raw mode\n"),
    Case(
      "sh e2image -cQ e4.img x || cat x", name: "-c with a QCOW2 image (E-14)", fixture: e2imageFixture,
      setup: ["echo precious >x"],
      deviation: Deviation(
        "E-14", stdout: "precious\n",
        stderr: e2imageBanner + "The -c option only supported in raw mode\n", status: 0, files: .unchecked)),
    failing(
      "E-23", "the source as QCOW2 image", "-Q e2.img e2.img",
      "e2image: Source and destination are the same file while trying to open e2.img\n"),
    failing(
      "E-23", "the source as normal image", "e2.img e2.img",
      "e2image: Source and destination are the same file while trying to open e2.img\n"),
    sound(
      "E-23", "the source as raw image", e2imageFixture, "sh e2image -r e2.img e2.img; cmp e2.img y",
      setup: "cp e2.img y"),
    failing(
      "E-22", "a full device", "-r e4.img /dev/full",
      "e2image: No space left on device error in generic_write()\n"),
    Case(
      "sh (ulimit -f 4; trap '' XFSZ; e2image -r e4.img x) || [ ! -e x ]", name: "a file that gets too large (E-22)",
      fixture: e2imageFixture,
      deviation: Deviation("E-22", stdout: "", stderr: nil, status: 0, anyText: true, files: .unchecked)),
    Case(
      "sh . ./devices; enter e2.img; e2image e2.img x; echo $?; leave; rm -f e2.img",
      name: "a normal image of a mounted file system (E-24)", fixture: e2imageFixture,
      deviation: Deviation(
        "E-24", stdout: "0\n",
        stderr: e2imageBanner + "e2image: warning: e2.img is mounted; the image may be inconsistent\n", status: 0,
        files: .unchecked)),
    Case(
      "sh . ./devices; enter e2.img; e2image -I e2.img i || echo $?; leave; rm -f e2.img",
      name: "installing on a mounted file system (E-19)", fixture: e2imageFixture, setup: ["e2image e2.img i"],
      deviation: Deviation(
        "E-19", stdout: "1\n",
        stderr: e2imageBanner + "e2image: e2.img is mounted; use the -f option to install the image all the same\n",
        status: 0, files: .unchecked)),
    Case(
      "sh . ./devices; truncate -s 4M s; attach s; e2image -I $d i 2>&1 | sed s,$d,DEV,; leave",
      name: "installing on a small device (E-19)", fixture: e2imageFixture, setup: ["e2image e2.img i"],
      deviation: Deviation(
        "E-19", stdout: e2imageBanner + "e2image: DEV is smaller than the file system\n", stderr: "",
        status: 0, files: .unchecked)),
    sound(
      "E-19", "an image with a question mark in its name", e2imageFixture, "sh e2image -I e2.img 'i?x=1'",
      setup: "e2image e2.img 'i?x=1'"),
    failing(
      "E-19", "an image that is cut off", "-I e2.img i", setup: "e2image e2.img i; truncate -s 100000 i",
      "e2image: Attempt to read block from filesystem resulted in short read while trying to open i\n"),
    failing(
      "E-19", "an image whose header does not fit", "-I e2.img i",
      setup: "e2image e2.img i; printf '\\1' | dd of=i bs=1 seek=289 conv=notrunc status=none",
      "e2image: The ext2 superblock is corrupt while trying to open i\n"),
  ]

/// Right and left by 0.5, 1 and 17 blocks and 1 MiB, with something before and behind.
private let moves: [Case] = ["e4.img", "e2.img", "bigalloc.img"].flatMap { name in
  let block = name == "e2.img" ? 4096 : 1024
  return [block / 2, block, 17 * block, 1 << 20].flatMap { distance -> [Case] in
    [distance, -distance].map { shift in
      let target = (2 << 20) + shift
      let command =
        "sh e2image -ra -o 2097152 -O \(target) m.img; tail -c +\(target + 1) m.img | head -c $(stat -c %s \(name)) >f; "
        + "e2fsck -fn f >/dev/null 2>&1; echo $?; e2image -ra f x; cmp x y; tail -c 1048576 m.img | cmp - z"
      return Case(
        command, name: "\(name) moves by \(shift)", fixture: e2imageFixture,
        setup: [
          .shell(
            "(head -c 2M /dev/urandom; cat \(name); head -c 3M /dev/urandom) >m.img; tail -c 1M m.img >z; "
              + "e2image -ra \(name) y 2>/dev/null")
        ],
        deviation: Deviation(
          shift > 0 && shift < block ? "E-10" : "E-9", stdout: "0\n", stderr: e2imageBanner + e2imageBanner, status: 0,
          files: .unchecked))
    }
  }
}

/// What installing writes, but for the count of written kilobytes (E-28) and the superblock's checksum.
private let installs: [Case] = ["e4.img", "e2.img", "bigalloc.img", "meta.img", "uninit.img"].map { name in
  Case(
    "sh E2FSPROGS_FAKE_TIME=1700000123 e2image -I \(name) i; for o in 376 1020; do head -c 8 /dev/zero | dd of=\(name) bs=1 "
      + "seek=$((1024 + o)) count=4 conv=notrunc status=none; done",
    name: "installing on \(name)", fixture: e2imageFixture,
    setup: [
      .shell(
        "[ -e \(name) ] || { \(E2imageScript.make) make meta.img 32M -t ext4 -b 1024 -O meta_bg,^resize_inode -g 512; "
          + "make uninit.img 32M -t ext4 -b 1024 -O uninit_bg,^metadata_csum; }; e2image \(name) i; "
          + "c=$(dumpe2fs \(name) 2>/dev/null | sed -n '/meta_bg/,$s/^ *Group descriptor at //p'); "
          + "for b in 0 $c; do dd if=/dev/zero of=\(name) bs=1024 seek=$b count=1 conv=notrunc status=none; done; "
          + "dd if=/dev/zero of=\(name) bs=1024 count=90 conv=notrunc status=none")
    ])
}
