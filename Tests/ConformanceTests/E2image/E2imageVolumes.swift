/// File systems of every kind, each as mke2fs makes it and with something in it: all sorts of images are the same to the
/// byte (ext4-e2image §14, 1 to 3).
let e2imageVolumeCases: [Case] =
  volumes.flatMap { volume -> [Case] in
    let make = E2imageScript.make + "make v.img \(volume.size) \(volume.options)"
    let empty = Case(
      E2imageScript.everyImage("v.img"), name: "\(volume.options), empty", setup: [.shell(make)])
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
]

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
    m=$(mktemp -d); mount -o loop w.img $m; (cd $m; mkdir d; seq -f d/%g 1 500 | xargs touch); sync -f $m
    cp --sparse=always w.img v.img; umount $m; rmdir $m; rm w.img
    """
  ),
  (
    "a journal just replayed",
    """
    make w.img 16M -t ext4 -b 1024
    m=$(mktemp -d); mount -o loop w.img $m; (cd $m; mkdir d; seq -f d/%g 1 500 | xargs touch); sync -f $m
    cp --sparse=always w.img v.img; umount $m; rmdir $m; rm w.img
    e2fsck -fy v.img >/dev/null || [ $? = 1 ]
    """
  ),
  (
    "a file removed while open",
    """
    make w.img 16M -t ext4 -b 1024
    m=$(mktemp -d); mount -o loop w.img $m; (cd $m; head -c 300000 /dev/urandom >f; exec 3<f; rm f; sync -f .; \
    cp --sparse=always ../$OLDPWD/w.img $OLDPWD/v.img 2>/dev/null || cp --sparse=always $OLDPWD/w.img $OLDPWD/v.img)
    umount $m; rmdir $m; rm w.img
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
    "full, 1 KiB blocks",
    """
    make v.img 40M -t ext4 -b 1024 -m 0
    mounted v.img 'head -c 60M /dev/urandom >f 2>/dev/null || :'
    """
  ),
]
