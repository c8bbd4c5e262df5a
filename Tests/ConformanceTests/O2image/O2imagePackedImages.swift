/// Packed images damaged in one place each (ocfs2-o2image §17.1, §19): the header's fields, the bitmap at 0xe13000, the
/// superblock at 0x3000, the length. `p` is an image of a volume of 25600 blocks and holds 3602 of them.
let damagedImageCases: [Case] =
  Case.lines(
    """
    patch p 0x0 l32 0 => sh printf y | o2image -I x p
    patch p 0x8 u8 111 => sh printf y | o2image -I x p
    patch p 0x13 u8 1 => sh printf y | o2image -I x p
    patch p 0x14 l32 3735928559 => sh printf y | o2image -I x p && cmp -n 14753792 x whole && rm x
    patch p 0x18 l64 0 => sh printf y | o2image -I x p && cmp -n 14753792 x whole && rm x
    patch p 0x18 l64 2 => sh printf y | o2image -I x p
    patch p 0x20 l64 0 => sh printf y | o2image -I x p
    patch p 0x20 l64 1125899906842624 => sh printf y | o2image -I x p
    patch p 0x20 l64 9223372036854775808 => sh printf y | o2image -I x p
    patch p 0x28 l64 512 => sh printf y | o2image -I x p
    patch p 0x28 l64 1000 => sh printf y | o2image -I x p
    patch p 0x28 l64 8192 => sh printf y | o2image -I x p
    patch p 0x28 l64 4611686018427387904 => sh printf y | o2image -I x p
    patch p 0x30 l64 0 => sh printf y | o2image -I x p
    patch p 0x30 l64 3603 => sh printf y | o2image -I x p
    patch p 0x30 l64 3601 => sh printf y | o2image -I x p
    patch p 0x30 l64 1152921504606846976 => sh printf y | o2image -I x p
    patch p 0x78 l64 18446744073709551615 => sh printf y | o2image -I x p && cmp -n 14753792 x whole && rm x
    patch p 0xe13000 u8 251 => sh printf y | o2image -I x p
    patch p 0xe13000 u8 254 => sh printf y | o2image -I x p
    patch p 0xe13c80 u8 255 => sh printf y | o2image -I x p && cmp -n 14753792 x whole && rm x
    patch p 0x3000 u8 0 => sh printf y | o2image -I x p
    $ truncate -s 14757888 p => sh printf y | o2image -I x p
    $ truncate -s 14757888 p => sh printf y | o2image -I x p
    $ truncate -s 14757887 p => sh printf y | o2image -I x p
    $ truncate -s 20000 p => sh printf y | o2image -I x p
    $ truncate -s 4096 p => sh printf y | o2image -I x p
    $ truncate -s 120 p => sh printf y | o2image -I x p
    $ truncate -s 100 p => sh printf y | o2image -I x p
    $ truncate -s 0 p => sh printf y | o2image -I x p
    """, fixture: packedFixture)
  // The reference takes these as they are: it leaves parts out, reads what is not there, or writes past its memory.
  + unsound.map { step, message in
    Case(
      "sh printf y | o2image -I x p", name: step, fixture: packedFixture, setup: [Step(line: step)],
      deviation: Deviation(
        "O-17", stdout: "Install p image to x. Continue? (y/N): ", stderr: "o2image: \(message)\n", status: 1))
  }
  // What looks like an older volume is the header's padding.
  + ["patch p 0x204 l32 2", "patch p 520 text OracleCFS"].map { step in
    Case(
      "sh printf y | o2image -I x p && cmp -n 14753792 x whole", name: step, fixture: packedFixture,
      setup: [Step(line: step)],
      deviation: Deviation(
        "O-2", stdout: "Install p image to x. Continue? (y/N): ", stderr: "", status: 0, files: .unchecked))
  }

/// The damage, and what ours says.
private let unsound: [(step: String, message: String)] = [
  ("patch p 0x20 l64 25599", "The OCFS2 superblock is corrupt while trying to open \"p\""),
  ("patch p 0x20 l64 25601", "The OCFS2 superblock is corrupt while trying to open \"p\""),
  ("patch p 0x20 l64 3000", "I/O error on channel while trying to open \"p\""),
  ("patch p 0x20 l64 60000", "I/O error on channel while trying to open \"p\""),
  ("patch p 0x28 l64 0", "I/O error on channel while trying to open \"p\""),
  ("patch p 0x30 l64 18446744073709551615", "I/O error on channel while trying to open \"p\""),
  ("patch p 0x38 l64 0", "The OCFS2 superblock is corrupt while trying to open \"p\""),
  ("patch p 0x38 l64 512", "The OCFS2 superblock is corrupt while trying to open \"p\""),
  ("patch p 0x38 l64 8192", "The OCFS2 superblock is corrupt while trying to open \"p\""),
  ("patch p 0x38 l64 1125899906842624", "The OCFS2 superblock is corrupt while trying to open \"p\""),
  ("patch p 0x40 l64 7", "The OCFS2 superblock is corrupt while trying to open \"p\""),
  ("patch p 0x40 l64 1099511627776", "The OCFS2 superblock is corrupt while trying to open \"p\""),
  ("patch p 0xe13c7f u8 255", "I/O error on channel while trying to open \"p\""),
  ("patch p 0xe137d0 u8 1", "I/O error on channel while trying to open \"p\""),
  ("patch p 0x3014 l32 25599", "The OCFS2 superblock is corrupt while trying to open \"p\""),
  ("patch p 0x3100 l16 0", "The OCFS2 superblock is corrupt while trying to open \"p\""),
  ("$ truncate -s 14761983 p", "I/O error on channel while trying to open \"p\""),
]

private let packedFixture = Fixture(
  "ocfs2-packed", companions: ["p": ["whole"]],
  [
    """
    truncate -s 100M v.img
    mkfs.ocfs2 -q -F -M local -b 4096 -C 4K -N 2 v.img </dev/null >/dev/null 2>&1
    MALLOC_PERTURB_=255 o2image v.img p
    MALLOC_PERTURB_=255 o2image -r v.img whole
    """
  ])
