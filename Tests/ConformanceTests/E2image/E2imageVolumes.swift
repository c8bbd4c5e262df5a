/// File systems of every kind, each as mke2fs makes it and with something in it: all sorts of images are the same to the
/// byte (ext4-e2image §14, 1 to 3).
let e2imageVolumeCases: [Case] =
  volumes.flatMap { volume -> [Case] in
    let make = E2imageScript.make + "make v.img \(volume.size) \(volume.options)"
    let empty = Case(
      E2imageScript.everyImage("v.img", kinds: ["", "-ras ", "-Qa "]), name: "\(volume.options), empty",
      setup: [.shell(make)])
    let fill =
      volume.mounts
      ? make + "\n" + E2imageScript.mounted + "mounted v.img '\(E2imageScript.tree)'"
      : "mkdir t; (cd t; \(E2imageScript.tree)); \(make) -d t; rm -r t"
    let filled = Case(
      E2imageScript.everyImage("v.img"), name: "\(volume.options), filled", setup: [.shell(fill)])
    return [empty, filled]
  }
  + histories.map { name, script in
    Case(
      E2imageScript.everyImage("v.img"), name: name,
      setup: [.shell(E2imageScript.make + E2imageScript.mounted + script)])
  }

/// Those that not every kernel mounts are filled by mke2fs.
private let volumes: [(size: String, options: String, mounts: Bool)] = [
  ("8M", "-t ext2 -b 1024", true),
  ("8M", "-t ext2 -b 2048", true),
  ("16M", "-t ext2 -b 4096", true),
  ("8M", "-t ext2 -r 0 -b 1024", true),
  ("8M", "-t ext2 -O ^sparse_super,^resize_inode -b 1024 -g 1024", true),
  ("16M", "-t ext3 -b 1024", true),
  ("24M", "-t ext3 -b 4096", true),
  ("16M", "-t ext4 -b 1024", true),
  ("16M", "-t ext4 -b 2048", true),
  ("32M", "-t ext4 -b 4096", true),
  ("64M", "-t ext4 -b 65536", false),
  ("24M", "-t ext4 -b 1024 -g 2048 -O ^resize_inode", true),
  ("32M", "-t ext4 -b 1024 -O bigalloc -C 16384", true),
  ("32M", "-t ext4 -b 4096 -O bigalloc -C 16384", true),
  ("32M", "-t ext4 -b 1024 -O meta_bg,^resize_inode -g 512", true),
  ("32M", "-t ext4 -b 1024 -O 64bit,meta_bg,^resize_inode -g 256", true),
  ("32M", "-t ext4 -b 1024 -O sparse_super2,uninit_bg,^metadata_csum", true),
  ("16M", "-t ext4 -O ^64bit,^metadata_csum,uninit_bg -b 1024", true),
  ("16M", "-t ext4 -O ^64bit,^metadata_csum -b 1024 -g 1024", true),
  ("32M", "-t ext4 -O inline_data,mmp,quota,project,orphan_file", false),
  ("32M", "-t ext4 -O inline_data,mmp", true),
  ("32M", "-t ext4 -O quota,project", false),
  ("32M", "-t ext4 -O orphan_file", true),
  ("32M", "-t ext4 -O metadata_csum_seed,ea_inode,large_dir,encrypt,verity,stable_inodes", true),
  ("32M", "-t ext4 -O casefold", false),
  ("16M", "-t ext4 -O fast_commit -b 1024", true),
  ("16M", "-t ext4 -I 128 -b 1024", true),
  ("16M", "-t ext4 -I 1024 -b 4096", true),
  ("32M", "-t ext4 -O ^flex_bg -b 1024 -g 4096", true),
  ("16M", "-t ext4 -O ^has_journal", true),
  ("16M", "-t ext4 -o hurd -b 4096 -O ^has_journal,^64bit,^metadata_csum,^huge_file -I 128", false),
  ("16M", "-t ext2 -N 20000 -b 1024", true),
  ("32M", "-t ext4 -b 2048 -O sparse_super2 -E num_backup_sb=1", true),
  ("32M", "-t ext4 -b 4096 -O bigalloc,^resize_inode -C 65536", true),
  ("16M", "-t ext4 -b 1024 -E packed_meta_blocks=1", true),
  ("256M", "-t ext4 -b 65536 -O ^has_journal,inline_data", false),
]

/// Perl that gives the second argument, an empty directory of the file system mounted at the first, an encryption policy of
/// version 2: AES-256-XTS, AES-256-CTS.
private let encryption =
  "sysopen(my $m, $ARGV[0], 0) or die $!; sysopen(my $d, $ARGV[1], 0) or die $!; "
  + "my $key = pack(\"LLa32LLa32a64\", 2, 0, \"\", 64, 0, \"\", \"Z\" x 64); ioctl($m, 0xC0506617, $key) // die $!; "
  + "my $policy = pack(\"CCCCx4a16\", 2, 1, 4, 3, substr($key, 8, 16)); ioctl($d, 0x800C6613, $policy) // die $!"

/// `hashes FILE`: the SHA-256 of each 4 KiB, filled up with zeros to a block.
private let hashes = """
  hashes() { split -b 4096 --filter=sha256sum $1 | perl -ne 'print pack "H*", substr $_, 0, 64' >$1.tree; \
  truncate -s %4096 $1.tree; }

  """

/// Perl that makes of names with 40 bytes what a directory that is encrypted and folded has instead: 32 bytes of
/// ciphertext, and two hashes; and of an extended attribute `user.c` an encryption policy.
private let ciphering =
  "srand 1; sub noise { join \"\", map { chr rand 256 } 1 .. $_[0] } "
  + "s/\\x01\\x01(..\\0{4}\\x28\\0\\0\\0.{4}c)/\\x01\\x09$1/s; "
  + "s/(\\x30\\0)\\x28(.)name-\\d{35}/\"$1\\x20$2\" . noise(32) . chr(2 * int rand 128) . noise(7)/ges"

/// File systems with a past: full directories, unclean shutdowns, journals, resizing.
private let histories: [(String, String)] = [
  (
    "a directory of 20000 entries, 1 KiB blocks",
    "make v.img 64M -t ext4 -b 1024 -N 21000\nmounted v.img 'mkdir d; cd d; seq 1 20000 | xargs touch'"
  ),
  (
    "a directory of 20000 entries, indirect blocks",
    "make v.img 64M -t ext3 -b 1024 -N 21000\nmounted v.img 'mkdir d; cd d; seq 1 20000 | xargs touch'"
  ),
  (
    "a deep tree",
    """
    make v.img 16M -t ext4 -b 1024
    mounted v.img 'for i in $(seq 1 150); do mkdir directory-$i; cd directory-$i; done'
    """
  ),
  (
    "extended attributes",
    """
    make v.img 16M -t ext4 -b 1024 -O ea_inode
    mounted v.img 'mkdir d; for i in $(seq 1 20); do echo $i >d/file$i; done; ln -s short link; ln -s \
    $(printf "x%.0s" $(seq 1 180)) slow'
    head -c 600 /dev/zero | tr '\\0' y >value; head -c 5000 /dev/zero | tr '\\0' z >large
    for f in d d/file1 d/file2 link slow; do debugfs -w -R "ea_set -f value /$f user.v" v.img; done 2>/dev/null
    debugfs -w -R "ea_set -f large /d/file3 user.v" v.img 2>/dev/null
    rm value large
    """
  ),
  (
    "an extent tree of depth 2",
    """
    make v.img 64M -t ext4 -b 1024 -g 8192
    mounted v.img 'for i in $(seq 0 1500); do echo $i | dd of=f bs=1k seek=$((i * 2)) conv=notrunc status=none; done'
    """
  ),
  (
    "double and triple indirect blocks",
    """
    make v.img 64M -t ext2 -b 1024
    mounted v.img 'echo 1 | dd of=f bs=1k seek=300 status=none; echo 2 | dd of=f bs=1k seek=70000 conv=notrunc \
    status=none; for i in $(seq 0 400); do echo $i | dd of=g bs=1k seek=$((i * 3)) conv=notrunc status=none; done'
    """
  ),
  (
    "an unclean shutdown",
    """
    make w.img 16M -t ext4 -b 1024
    enter w.img; (cd $m; mkdir d; seq -f d/%g 1 500 | xargs touch); sync -f $m
    cp --sparse=always w.img v.img; leave; rm w.img
    """
  ),
  (
    "a journal just replayed",
    """
    make w.img 16M -t ext4 -b 1024
    enter w.img; (cd $m; mkdir d; seq -f d/%g 1 500 | xargs touch); sync -f $m
    cp --sparse=always w.img v.img; leave; rm w.img
    e2fsck -fy v.img >/dev/null || [ $? = 1 ]
    """
  ),
  (
    "a file removed while open",
    """
    make w.img 16M -t ext4 -b 1024
    enter w.img; (cd $m; head -c 300000 /dev/urandom >f; exec 3<f; rm f; sync -f .; \
    cp --sparse=always ../$OLDPWD/w.img $OLDPWD/v.img 2>/dev/null || cp --sparse=always $OLDPWD/w.img $OLDPWD/v.img)
    leave; rm w.img
    """
  ),
  (
    "grown",
    """
    make v.img 8M -t ext4 -b 1024
    mounted v.img 'mkdir d; seq -f d/%g 1 300 | xargs touch; head -c 500000 /dev/urandom >f'
    truncate -s 40M v.img; resize2fs -f v.img >/dev/null 2>&1
    """
  ),
  (
    "grown beyond its reserved descriptors",
    """
    make v.img 8M -t ext4 -b 1024 -g 256 -E resize=9000
    truncate -s 24M v.img; resize2fs -f v.img >/dev/null 2>&1
    """
  ),
  (
    "shrunk",
    """
    make v.img 40M -t ext4 -b 1024
    mounted v.img 'mkdir d; seq -f d/%g 1 300 | xargs touch; head -c 500000 /dev/urandom >f'
    e2fsck -fy v.img >/dev/null; resize2fs -f v.img 12M >/dev/null 2>&1
    """
  ),
  (
    "shrunk, the file longer than the file system",
    """
    make v.img 40M -t ext3 -b 4096
    mounted v.img 'head -c 500000 /dev/urandom >f'
    e2fsck -fy v.img >/dev/null; resize2fs -f v.img 16M >/dev/null 2>&1; truncate -s 20000001 v.img
    """
  ),
  (
    "converted to 64 bits",
    "make v.img 24M -t ext4 -b 1024 -O ^64bit\ne2fsck -fy v.img >/dev/null; resize2fs -b v.img >/dev/null 2>&1"
  ),
  (
    "bad blocks",
    "seq 3000 7 5000 >bad; make v.img 16M -t ext4 -b 1024 -l bad\nmounted v.img '\(E2imageScript.tree)'; rm bad"
  ),
  (
    "bad blocks, indirect",
    """
    (seq 60 64; seq 2000 2 3000) >bad; make v.img 16M -t ext2 -b 1024 -N 512 -l bad
    mounted v.img 'seq -f %g 1 300 | xargs touch'; rm bad
    """
  ),
  (
    "bad blocks, 4 KiB blocks",
    "seq 3000 3 9000 >bad; make v.img 64M -t ext3 -b 4096 -l bad\nmounted v.img '\(E2imageScript.tree)'; rm bad"
  ),
  (
    "an external journal",
    """
    truncate -s 8M j.img; mke2fs -q -F -t ext4 -b 4096 -O journal_dev -U 11111111-2222-3333-4444-555555555557 j.img
    attach j.img; make v.img 32M -t ext4 -b 4096 -J device=$d; leave; rm j.img
    """
  ),
  (
    "a journal device",
    "truncate -s 8M v.img; mke2fs -q -F -b 1024 -O journal_dev -U 11111111-2222-3333-4444-555555555557 v.img"
  ),
  // With a kernel that cannot encrypt the volume has the feature alone.
  (
    "encrypted directories, files and links",
    """
    make v.img 32M -t ext4 -b 4096 -O encrypt,stable_inodes
    enter v.img; mkdir $m/secret
    [ ! -e /sys/fs/ext4/features/encryption ] || perl -e '\(encryption)' $m $m/secret
    (cd $m/secret; \(E2imageScript.tree)); leave
    """
  ),
  (
    "an encrypted directory with a tree of hashes",
    """
    make v.img 48M -t ext4 -b 4096 -N 6000 -O encrypt,stable_inodes
    enter v.img; mkdir $m/secret
    [ ! -e /sys/fs/ext4/features/encryption ] || perl -e '\(encryption)' $m $m/secret
    (cd $m/secret; seq -f %0100g 1 3000 | xargs touch); leave
    """
  ),
  // Few kernels can fold or verify: these volumes are made without them, and e2fsck finds nothing to mend.
  (
    "a folded directory with two levels of hashes",
    """
    mkdir -p t/d/e; (cd t; \(E2imageScript.tree)); seq -f "t/d/Größe-%g" 1 5000 | xargs touch
    seq -f "t/d/NAME-ÄÖÜ-%g" 1 1500 | xargs touch
    make v.img 48M -t ext4 -b 1024 -O casefold -N 8000 -d t; rm -r t
    (echo "sif / flags 0x40080000"; echo "sif /d flags 0x40080000"; echo "sif /d/e flags 0x40080000") \
    | debugfs -w -f - v.img >/dev/null 2>&1
    e2fsck -fyD v.img >/dev/null 2>&1; e2fsck -fn v.img >/dev/null 2>&1
    debugfs -R 'htree_dump /d' v.img 2>/dev/null | grep -q 'Indirect levels: 1'
    """
  ),
  (
    "a directory that is encrypted and folded, with hashes that only the key gives",
    """
    mkdir -p t/d; seq -f t/d/name-%035g 1 1000 | xargs mkfifo
    make v.img 32M -t ext4 -b 1024 -O casefold,encrypt,stable_inodes,^metadata_csum -d t; rm -r t
    perl -e 'print pack "CCCCx4a16a16", 2, 1, 4, 3, "Z" x 16, "n" x 16' >policy
    (echo "sif /d flags 0x40080800"; echo "ea_set -f policy /d user.c") | debugfs -w -f - v.img >/dev/null 2>&1
    rm policy; perl -0777 -pi -e '\(ciphering)' v.img
    e2fsck -fyD v.img >/dev/null 2>&1; e2fsck -fn v.img >/dev/null 2>&1
    debugfs -R 'stat /d' v.img 2>/dev/null | grep -q 'Flags: 0x40081800'
    """
  ),
  (
    "a verified file: its tree of hashes behind its end",
    hashes + """
      head -c 544768 /dev/urandom >f; hashes f; hashes f.tree; root=$(sha256sum <f.tree.tree | cut -c 1-64)
      mkdir t; cp f t/hashed; dd if=f.tree.tree of=t/hashed bs=65536 seek=9 status=none
      (cat f.tree; perl -e 'print pack("CCCCx4QH64x208", 1, 1, 12, 0, 544768, $ARGV[0]), "\\0" x 3836, \
      pack("V", 256)' $root) >>t/hashed
      make v.img 32M -t ext4 -b 4096 -O verity -d t; rm -r t f*
      (echo "sif /hashed size 544768"; echo "sif /hashed flags 0x180000") | debugfs -w -f - v.img >/dev/null 2>&1
      e2fsck -fn v.img >/dev/null 2>&1
      """
  ),
  (
    "a large directory with many levels",
    """
    make v.img 96M -t ext4 -b 1024 -N 22000 -O large_dir
    mounted v.img 'mkdir d; cd d; seq -f %0200g 1 20000 | xargs touch'
    """
  ),
  (
    "a directory of 20000 entries, removed again",
    """
    make v.img 64M -t ext4 -b 4096 -N 21000
    mounted v.img 'mkdir d; cd d; seq 1 20000 | xargs touch; seq 1 2 20000 | xargs rm'
    """
  ),
  (
    "an unclean shutdown with orphans in a file, fast commits and mmp",
    """
    make w.img 32M -t ext4 -b 2048 -O orphan_file,fast_commit,mmp
    enter w.img; (cd $m; mkdir d; seq -f d/%g 1 500 | xargs touch; head -c 300000 /dev/urandom >f; exec 3<f; rm f; \
    sync -f .; cp --sparse=always $OLDPWD/w.img $OLDPWD/v.img)
    leave; rm w.img
    """
  ),
  (
    "an unclean shutdown, ext3, 4 KiB blocks",
    """
    make w.img 32M -t ext3 -b 4096
    enter w.img; (cd $m; mkdir d; seq -f d/%g 1 500 | xargs touch); sync -f $m
    cp --sparse=always w.img v.img; leave; rm w.img
    """
  ),
  (
    "grown, 64 KiB blocks",
    """
    mkdir t; (cd t; \(E2imageScript.tree)); make v.img 64M -t ext4 -b 65536 -d t; rm -r t
    truncate -s 512M v.img; resize2fs -f v.img >/dev/null 2>&1
    """
  ),
  (
    "shrunk, 64 KiB blocks",
    """
    mkdir t; (cd t; \(E2imageScript.tree)); make v.img 512M -t ext4 -b 65536 -d t; rm -r t
    resize2fs -f v.img 128M >/dev/null 2>&1
    """
  ),
  (
    "grown, descriptors in meta groups",
    """
    make v.img 8M -t ext4 -b 1024 -g 256 -O meta_bg,^resize_inode
    mounted v.img 'mkdir d; seq -f d/%g 1 300 | xargs touch; head -c 500000 /dev/urandom >f'
    truncate -s 40M v.img; resize2fs -f v.img >/dev/null 2>&1
    """
  ),
  (
    "grown, bigalloc",
    """
    make v.img 32M -t ext4 -b 1024 -O bigalloc -C 16384
    mounted v.img 'mkdir d; seq -f d/%g 1 300 | xargs touch; head -c 500000 /dev/urandom >f'
    truncate -s 300M v.img; resize2fs -f v.img >/dev/null 2>&1
    """
  ),
  (
    "shrunk, 2 KiB blocks, quota and project",
    """
    mkdir t; (cd t; \(E2imageScript.tree)); make v.img 64M -t ext4 -b 2048 -O quota,project -d t; rm -r t
    resize2fs -f v.img 24M >/dev/null 2>&1
    """
  ),
  (
    "full, 1 KiB blocks",
    """
    make v.img 40M -t ext4 -b 1024 -m 0
    mounted v.img 'head -c 60M /dev/urandom >f 2>/dev/null || :'
    """
  ),
]
