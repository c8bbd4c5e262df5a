/// Options, operands, messages, exit statuses (ext4-e2image §6, §7).
let e2imageCommandLineCases: [Case] =
  Case.lines(
    """
    sh e2image
    -h
    -V
    --help
    -z e4.img x
    -b
    a
    a b c
    -r
    -I
    -I a
    -o 1
    -o 1 a
    -o 1 -Q a
    -O 1 -r a
    -rr e4.img x
    -rQ e4.img x
    -QQ e4.img x
    -rI e4.img x
    -IQ x e4.img
    -a e4.img x
    -b 1 e4.img x
    -o 1 e4.img x
    -O 1 -Q e4.img x
    -aI e4.img x
    -r nope x
    -Q nope x
    nope x
    sh e2image -r "" x
    -r /nonexistent/y x
    -r / x
    -r /dev/null x
    -r e4.img /
    -Q e4.img /nonexistent/x
    e4.img /nonexistent/x
    -r -b 8193 e4.img x
    -r -b 8193 -B 1024 e4.img x
    -ra -b 8193 -B 1024 e4.img x
    -Q -b 8193 -B 1024 e4.img x
    -Qa -b 8193 -B 1024 e4.img x
    -r -b 1 -B 1024 e4.img x
    -r -b 0 -B 1024 e4.img x
    -r -B 2048 e4.img x
    -r -b 8193 -B 2048 e4.img x
    -r -b 99999999 -B 1024 e4.img x
    -rb 0x2001 -B 02000 e4.img x
    -r -b 3 -B 1024 e4.img x
    -r -b -1 -B 1024 e4.img x
    -r -B 4294968320 e4.img x
    -r -b 8193 -B 4294968320 e4.img x
    -r -B -1024 e4.img x
    -r -o -1 e4.img x
    -r -o -512 -b 8193 -B 1024 e4.img x
    -r -o 9223372036854775808 e4.img x
    -r -o 9223372036854774000 e4.img x
    -r -o 99999999 e4.img x
    sh e2image -r -O -1 e4.img x || rm -f x
    -Q e4.img /dev/full
    $ dd if=/dev/zero of=e4.img bs=1024 seek=1 count=20 conv=notrunc status=none => -r -b 8193 -B 1024 e4.img x
    $ dd if=/dev/zero of=e4.img bs=1024 seek=1 count=20 conv=notrunc status=none => -Qa -b 24577 -B 1024 e4.img x
    $ dd if=/dev/zero of=e4.img bs=1024 seek=1 count=20 conv=notrunc status=none => -r e4.img x
    -rn e4.img -
    -ran e4.img -
    -rn -o 0 e4.img -
    e4.img x -r
    -r -- e4.img x
    sh POSIXLY_CORRECT=1 e2image e4.img -r x
    sh umask 0; e2image -r e4.img x; stat -c %a x
    sh umask 0; e2image -Q e4.img x; stat -c %a x
    sh e2image -r e4.img - | sha1sum
    sh e2image -ra e4.img - | sha1sum
    sh e2image -ras e4.img - | sha1sum
    sh e2image -r e4.img - >x
    sh e2image -ra e4.img - >x
    sh e2image -r -O 5000 e4.img - | cat
    sh e2image -r -O 5000 e4.img - >x
    -r -O 12345 e4.img x
    -ra -O 1048576 e4.img x
    -ra -O 0x10000 e2.img x
    $ (head -c 12345 /dev/zero; cat e4.img) >o.img => -r -o 12345 o.img x
    $ (head -c 12345 /dev/zero; cat e4.img) >o.img => -ra -o 12345 -O 777 o.img x
    $ (head -c 1M /dev/zero; cat e4.img) >o.img => -ra -o 1048576 -b 8193 -B 1024 o.img x
    -r -o 512 e4.img x
    -rp e4.img x
    -rap e4.img x
    -rap bigalloc.img x
    patch e4.img 2048 l32 70000 => -rp e4.img x
    sh e2image -rp e4.img - >x
    -rac e4.img e4.img
    $ cp --sparse=never e4.img y.img => -rac e4.img y.img
    $ cp --sparse=never e4.img y.img; printf x | dd of=y.img bs=1 seek=2000 conv=notrunc => -rac e4.img y.img
    $ cp --sparse=never e4.img y.img; printf x | dd of=y.img bs=1 seek=2000 conv=notrunc => -rcn e4.img y.img
    $ cp --sparse=never e4.img y.img; printf x | dd of=y.img bs=1 seek=70000 conv=notrunc => -racp e4.img y.img
    $ head -c 9000000 /dev/zero >y.img => -r e4.img y.img
    -rc e4.img -
    sh e2image -s e4.img x; dd if=/dev/zero of=x bs=1 seek=240 count=12 conv=notrunc status=none
    sh e2image -f e4.img x; dd if=/dev/zero of=x bs=1 seek=240 count=12 conv=notrunc status=none
    sh e2image -sf e2.img x; dd if=/dev/zero of=x bs=1 seek=240 count=12 conv=notrunc status=none
    -p e4.img x
    -pQ e4.img x
    -c e4.img x
    -cQ e4.img x
    sh EXT2FS_PRETEND_RW_MOUNT=1 e2image -r e4.img x
    sh EXT2FS_PRETEND_RW_MOUNT=1 e2image -Q e4.img x
    sh EXT2FS_PRETEND_RW_MOUNT=1 e2image -rf e4.img x
    sh EXT2FS_PRETEND_RO_MOUNT=1 e2image -r e4.img x
    sh EXT2FS_PRETEND_RW_MOUNT=1 EXT2FS_PRETEND_ROOTFS=1 e2image -r e4.img x
    sh EXT2FS_PRETEND_RW_MOUNT=1 e2image -rI e4.img x
    -I e2.img e4.img
    -I e2.img nope
    $ e2image e4.img i => -I nope/x i
    -r ocfs2.img x
    -r swap.img x
    -r ntfs.img x
    -r blank.img x
    -r random.img x
    -r text.img x
    """, fixture: e2imageFixture, masks: [progressMask])

/// Two file systems, and files that are none; the file `devices` has ``E2imageScript/devices`` for the cases.
let e2imageFixture = Fixture(
  "e2image",
  [
    .shell(
      E2imageScript.make + "cat >devices <<'END'\n\(E2imageScript.devices)\nEND\n" + E2imageScript.mounted + """
        make e4.img 32M -t ext4 -b 1024
        mounted e4.img '\(E2imageScript.tree)'
        make e2.img 16M -t ext2 -b 4096
        mounted e2.img '\(E2imageScript.tree)'
        make bigalloc.img 32M -t ext4 -b 1024 -O bigalloc -C 16384
        mounted bigalloc.img '\(E2imageScript.tree)'
        truncate -s 64M ocfs2.img; mkfs.ocfs2 -q -F -M local -L label ocfs2.img </dev/null >/dev/null 2>&1
        truncate -s 2M swap.img; mkswap -L label swap.img >/dev/null 2>&1
        truncate -s 8M ntfs.img; mkntfs -q -F -T -L 'a label' ntfs.img >/dev/null 2>&1
        truncate -s 8M blank.img; mkntfs -q -F -T blank.img >/dev/null 2>&1
        head -c 2M /dev/urandom >random.img; seq 1 100000 >text.img
        """)
  ])
