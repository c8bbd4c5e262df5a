/// Volumes damaged in one place each (ocfs2-o2image §19, §21). In `b4kc4.img` block 2 is the superblock, 4 the group and 8
/// the dinode of global_inode_alloc, 6 the system directory, 11 global_bitmap, 16 inode_alloc:0000 with its group at block
/// 2578 and a directory at 2579, 18 journal:0000.
let damagedVolumeCases: [Case] =
  Case.lines(
    """
    patch b4kc4.img 0x20fc l32 11 => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    patch b4kc4.img 0x20fc l32 21 => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    patch b4kc4.img 0x20f8 l32 0 => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    patch b4kc4.img 0x20f8 l32 9 => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    patch b4kc4.img 0x20f8 l32 40 => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    patch b4kc4.img 0x2100 l16 256 => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    patch b4kc4.img 0x20e8 l64 0 => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    patch b4kc4.img 0x20f0 l64 0 => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    patch b4kc4.img 0x2050 l64 3 => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    patch b4kc4.img 0x20e0 l32 1 => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    patch b4kc4.img 0x20e0 l32 65536 => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    patch b4kc4.img 0x20e0 l32 2 => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    patch b4kc4.img 0x20e4 l32 3840 => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    patch b4kc4.img 0x20dc l32 3843 => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    patch b4kc4.img 0x2000 u8 0 => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    patch b4kc4.img 0x4 l32 2 => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    patch b4kc4.img 8 text OracleCFS => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    patch b4kc4.img 0x60f4 u8 120 => sh MALLOC_PERTURB_=255 o2image b4kc4.img x && rm x
    """, fixture: madeFixture)
  // One line each where the reference crashes (O-6, O-22), never ends (O-7), says something else or nothing (O-8), or says
  // it and returns 0 (O-3). What can be reached is in the image.
  + damages.map { row, steps, messages in
    let lines = messages.split(separator: "\n").map { "o2image: \($0)\n" }
    return Case(
      "b4kc4.img x", name: steps, fixture: madeFixture,
      setup: steps.components(separatedBy: " => ").map(Step.init(line:)),
      deviation: Deviation(
        row, stdout: "", stderr: lines.joined(), status: lines.isEmpty ? 0 : 1, files: .unchecked))
  }

/// The row of docs/DIFFERENCES.md, the damage, and what ours says.
private let damages: [(row: String, steps: String, messages: String)] = [
  // sb firstgroup 2^40
  (
    "O-6",
    "patch b4kc4.img 0x2108 l64 1099511627776",
    "The OCFS2 superblock is corrupt while trying to open \"b4kc4.img\""
  ),
  // sb slots 0
  ("O-8", "patch b4kc4.img 0x2100 l16 0", "The OCFS2 superblock is corrupt while trying to open \"b4kc4.img\""),
  // sb slots 200
  (
    "O-3",
    "patch b4kc4.img 0x2100 l16 200",
    "Directory entry not found while reading inode for slot 2\n"
      + "Directory entry not found during o2image initialize"
  ),
  // sb iclusters 0
  (
    "O-3",
    "patch b4kc4.img 0x2014 l32 0",
    "Memory allocation failed while allocating bitmap\n"
      + "Memory allocation failed during o2image initialize"
  ),
  // sb iclusters max
  (
    "O-7",
    "patch b4kc4.img 0x2014 l32 4294967295",
    "The OCFS2 superblock is corrupt while trying to open \"b4kc4.img\""
  ),
  // sb iclusters 100
  (
    "O-8",
    "patch b4kc4.img 0x2014 l32 100",
    "Group descriptor is corrupt while scanning inode 8\n"
      + "Invalid block number while scanning inode 9\n"
      + "Invalid block number while scanning inode 10\n"
      + "Invalid block number while scanning inode 18\n"
      + "Invalid block number while scanning inode 19\n"
      + "Invalid block number while scanning inode 16"
  ),
  // sb iclusters 3000
  ("O-8", "patch b4kc4.img 0x2014 l32 3000", "Group descriptor is corrupt while scanning inode 16"),
  // sb sysdir 2^40
  (
    "O-3",
    "patch b4kc4.img 0x20f0 l64 1099511627776",
    "Invalid block number while looking for bitmap inode\n"
      + "Invalid block number during o2image initialize"
  ),
  // sb sysdir 9 (file)
  (
    "O-3",
    "patch b4kc4.img 0x20f0 l64 9",
    "OCFS2 inode is not a directory while looking for bitmap inode\n"
      + "OCFS2 inode is not a directory during o2image initialize"
  ),
  // sb sysdir 4 (group)
  (
    "O-3",
    "patch b4kc4.img 0x20f0 l64 4",
    "Bad magic number in inode while looking for bitmap inode\n"
      + "Bad magic number in inode during o2image initialize"
  ),
  // ia bpc 0
  ("O-22", "patch b4kc4.img 0x100c2 l16 0", "Chain list is corrupt while scanning inode 16"),
  // ia bpc 512
  ("O-8", "patch b4kc4.img 0x100c2 l16 512", "Chain list is corrupt while scanning inode 16"),
  // ia next 1000
  ("O-8", "patch b4kc4.img 0x100c6 l16 1000", "Chain list is corrupt while scanning inode 16"),
  // ia count 9
  ("O-8", "patch b4kc4.img 0x100c4 l16 0", "Chain list is corrupt while scanning inode 16"),
  // ia sig
  ("O-3", "patch b4kc4.img 0x10000 u8 0", "Bad magic number in inode while reading global bitmap inode 16"),
  // ia chain=4
  (
    "O-7",
    "patch b4kc4.img 0x100d8 l64 4",
    "Group descriptor is in more than one place while scanning inode 16"
  ),
  // ia chain=2^40
  ("O-6", "patch b4kc4.img 0x100d8 l64 1099511627776", "Invalid block number while scanning inode 16"),
  // ia chain=16
  ("O-3", "patch b4kc4.img 0x100d8 l64 16", "Bad magic number in group descriptor while scanning inode 16"),
  // group next self
  (
    "O-7",
    "patch b4kc4.img 0xa12018 l64 2578",
    "Group descriptor is in more than one place while scanning inode 16"
  ),
  // group next 2^40
  ("O-6", "patch b4kc4.img 0xa12018 l64 1099511627776", "Invalid block number while scanning inode 16"),
  // group bits 65535
  ("O-6", "patch b4kc4.img 0xa1200a l16 65535", "Group descriptor is corrupt while scanning inode 16"),
  // group size 65535
  ("O-8", "patch b4kc4.img 0xa12008 l16 65535", "Group descriptor is corrupt while scanning inode 16"),
  // group blkno 100
  ("O-8", "patch b4kc4.img 0xa12028 l64 100", "Group descriptor is corrupt while scanning inode 16"),
  // group sig
  ("O-3", "patch b4kc4.img 0xa12000 u8 0", "Bad magic number in group descriptor while scanning inode 16"),
  // group list 1 empty
  ("O-22", "patch b4kc4.img 0xa12144 l16 1", "Group descriptor is corrupt while scanning inode 16"),
  // group list 9999
  ("O-6", "patch b4kc4.img 0xa12144 l16 9999", "Group descriptor is corrupt while scanning inode 16"),
  // gi next 2^40
  ("O-6", "patch b4kc4.img 0x80d8 l64 1099511627776", "Invalid block number while scanning inode 8"),
  // gi sig
  ("O-8", "patch b4kc4.img 0x8000 u8 0", "Bad magic number in inode while reading global bitmap inode 8"),
  // gi flags
  ("O-8", "patch b4kc4.img 0x802c l32 17", "Chain list is corrupt while reading global bitmap inode 8"),
  // gg sig
  ("O-8", "patch b4kc4.img 0x4000 u8 0", "Bad magic number in group descriptor while scanning inode 8"),
  // gg bits
  ("O-6", "patch b4kc4.img 0x400a l16 65535", "Group descriptor is corrupt while scanning inode 8"),
  // gb sig
  ("O-3", "patch b4kc4.img 0xb000 u8 0", "Bad magic number in inode while reading global bitmap inode 11"),
  // gb chain 2^40
  ("O-6", "patch b4kc4.img 0xb0d8 l64 1099511627776", "Invalid block number while scanning inode 11"),
  // journal blk 2^24
  ("O-6", "patch b4kc4.img 0x120d8 l64 16777216", "Invalid block number while scanning inode 18"),
  // journal next 5000
  ("O-6", "patch b4kc4.img 0x120c4 l16 5000", "Extent block is corrupt while scanning inode 18"),
  // journal depth 1
  ("O-3", "patch b4kc4.img 0x120c0 l16 1", "Bad magic number in extent block while scanning inode 18"),
  // journal depth 60000
  ("O-8", "patch b4kc4.img 0x120c0 l16 60000", "Extent block is corrupt while scanning inode 18"),
  // journal sig
  ("O-3", "patch b4kc4.img 0x12000 u8 0", "Bad magic number in inode while reading global bitmap inode 18"),
  // journal extent self
  (
    "O-3",
    "patch b4kc4.img 0x120c0 l16 1 => "
      + "patch b4kc4.img 0x120d8 l64 18",
    "Bad magic number in extent block while scanning inode 18"
  ),
  // journal clusters 65535
  ("O-6", "patch b4kc4.img 0x120d4 l16 65535", "Invalid block number while scanning inode 18"),
  // sysdir entry reclen 0
  (
    "O-8",
    "patch b4kc4.img 0x60d0 l16 0",
    "OCFS2 directory corrupted while looking for bitmap inode\n"
      + "OCFS2 directory corrupted during o2image initialize"
  ),
  // sysdir reclen 0 third
  (
    "O-8",
    "patch b4kc4.img 0x60f0 l16 0",
    "OCFS2 directory corrupted while looking for bitmap inode\n"
      + "OCFS2 directory corrupted during o2image initialize"
  ),
  // sysdir not inline
  (
    "O-8",
    "patch b4kc4.img 0x6076 l16 0",
    "Extent block is corrupt while looking for bitmap inode\n"
      + "Extent block is corrupt during o2image initialize"
  ),
  // sysdir mode
  (
    "O-3",
    "patch b4kc4.img 0x6028 l16 33188",
    "OCFS2 inode is not a directory while looking for bitmap inode\n"
      + "OCFS2 inode is not a directory during o2image initialize"
  ),
  // lf dx root 2^45
  (
    "O-6",
    "patch b4kc4.img 0xa13076 l16 8 => "
      + "patch b4kc4.img 0xa13088 l64 35184372088832",
    "Invalid block number while scanning inode 2579"
  ),
  // lf dx root wrong block
  (
    "O-8",
    "patch b4kc4.img 0xa13076 l16 8 => "
      + "patch b4kc4.img 0xa13088 l64 7",
    "OCFS2 directory corrupted while scanning inode 2579"
  ),
  // lf xattr 2^40
  (
    "O-8",
    "patch b4kc4.img 0xa13076 l16 2 => "
      + "patch b4kc4.img 0xa13078 l64 1099511627776",
    "Invalid block number while scanning inode 2579"
  ),
  // lf xattr wrong
  (
    "O-8",
    "patch b4kc4.img 0xa13076 l16 2 => "
      + "patch b4kc4.img 0xa13078 l64 7",
    "Bad magic number in xattr block while scanning inode 2579"
  ),
  // lf extent not eb
  (
    "O-8",
    "patch b4kc4.img 0xa13076 l16 0 => "
      + "patch b4kc4.img 0xa130c0 l16 1 => "
      + "patch b4kc4.img 0xa130c2 l16 243 => "
      + "patch b4kc4.img 0xa130c4 l16 1 => "
      + "patch b4kc4.img 0xa130d8 l64 7",
    "Bad magic number in extent block while scanning inode 2579"
  ),
  // lf sig
  ("O-8", "patch b4kc4.img 0xa13000 u8 0", "Bad magic number in inode while reading global bitmap inode 2579"),
  // lf inline res
  ("O-8", "patch b4kc4.img 0xa130c4 l16 5", ""),
]
