import Foundation

/// Images with one thing wrong: a row of each validation table of the qcow2 specification (§14 open, §15 run time,
/// §16 check, §6 snapshots, §7 bitmaps), each looked at by every subcommand that reads.
let damageCases: [Case] =
  needlessCounts
  + (headerDamage + tableDamage + featureDamage + extensionDamage + snapshotDamage + bitmapDamage + mappingDamage
  + refcountDamage + repairs + truncations + otherContainers).withAcceptedDamage()

/// Cases over one file of the fixture: a line is what is wrong, `OFFSET TYPE VALUE`, several joined by ` & `; `commands`
/// are run on the damaged file, which they call `%`.
private func damaged(_ file: String, _ commands: [String], _ lines: String) -> [Case] {
  lines.split(separator: "\n").flatMap { line in
    let faults = line.trimmingCharacters(in: .whitespaces)
    let steps = faults.components(separatedBy: " & ").map { fault in
      fault.hasPrefix("$ ") ? Step(line: fault) : Step(line: "patch \(file) \(fault)")
    }
    return commands.map { command in
      let commands = command.components(separatedBy: " ; ").map { $0.replacingOccurrences(of: "%", with: file) }
      return Case(
        commands: commands, name: "\(file) with \(faults): \(commands.joined(separator: " ; "))", fixture: images,
        setup: steps, masks: damageMasks(faults, file, command))
    }
  }
}

private func damageMasks(_ faults: String, _ file: String, _ command: String) -> [Mask] {
  let general = damageMasks(faults, file)
  // A repair writes tables in other pieces than the reference: blocks within them may stay holes.
  return command.contains("check -r") && command.contains("info") ? general + diskSize : general
}

private func damageMasks(_ faults: String, _ file: String) -> [Mask] {
  if faults.contains("88 u64") || file == "bm.qcow2" { return [missingNewline] }
  if file == "snap.qcow2" { return [snapshotDate] }
  // A disk of no size has an empty map.
  return faults.hasPrefix("24 u64") ? [emptyMap] : []
}

/// The reference forgets a newline here.
private let missingNewline = Mask("(on the image file to fix\\.)\\n?", "$1\n", id: "QC-14")

/// Reference counts that are wrong, and that nobody needs.
private let needlessCounts =
  Case.lines(
    """
    $ cp t.qcow2 o.qcow2 => patch t.qcow2 0x10000 u64 0x20200 => compare t.qcow2 o.qcow2
    """, fixture: images, deviation: Deviation("QC-44", stderr: ""))
  + Case.lines(
    "patch t.qcow2 0x20014 u16 1 => resize --preallocation=falloc t.qcow2 8M", fixture: images,
    deviation: Deviation("QC-45", stdout: "Image resized.\n", stderr: "", status: 0, files: .unchecked))

/// What looks at an image without changing it.
private let readers = ["info % ; info --output=json % ; check % ; map --output=json % ; measure -O raw %"]
/// The same, and a copy of what can be read.
private let copiers = ["check % ; check --output=json % ; map --output=json % ; convert -O raw % out.raw"]
/// The three ways of checking, the last one on top of what the repair left behind.
private let checkers = [
  "check % ; check --output=json %", "check -r leaks % ; check %", "check -r all % ; check %",
  "check -r all --output=json %",
]

private let headerDamage =
  damaged(
    "t.qcow2", readers,
    """
    4 u32 4
    4 u32 7
    4 u32 0xffffffff
    4 u32 0
    4 u32 2
    20 u32 0
    20 u32 8
    20 u32 22
    20 u32 64
    20 u32 0xffffffff
    20 u32 9
    20 u32 12
    20 u32 17
    100 u32 0
    100 u32 72
    100 u32 103
    100 u32 104
    100 u32 120
    100 u32 65537
    100 u32 0xffffffff
    8 u64 65537
    8 u64 0xffffffffffffffff
    8 u64 65536 & 16 u32 1
    8 u64 600 & 16 u32 1024
    8 u64 600 & 16 u32 1023
    8 u64 65000 & 16 u32 600
    8 u64 600 & 16 u32 0
    8 u64 600 & 16 u32 6 & 600 text nosuch
    104 u8 2
    104 u8 255
    104 u8 1
    104 u8 1 & 72 u64 8
    72 u64 8
    96 u32 7
    96 u32 0xffffffff
    96 u32 3
    32 u32 3
    32 u32 0xffffffff
    32 u32 1
    """)
  // The reference takes a signal here; ours says what is missing.
  + [
    Case(
      "info t.qcow2", name: "LUKS without its header extension", fixture: images,
      setup: [Step(line: "patch t.qcow2 32 u32 2")],
      deviation: Deviation(
        "QC-3", stdout: "",
        stderr: "qemu-img: Could not open 't.qcow2': Missing CRYPTO header for crypt method 2\n", status: 1))
  ]
  + damaged(
    "t.qcow2", ["check % ; map %"],
    """
    32 u32 2
    """)
  + damaged(
    "t.qcow2", ["info -f qcow2 % ; check -f qcow2 %"],
    """
    0 u32 0
    0 text QFI
    0 u32 0x514649fa
    """)

private let tableDamage =
  damaged(
    "t.qcow2", readers,
    """
    56 u32 0
    56 u32 129
    56 u32 128
    56 u32 0xffffffff
    48 u64 0x10001
    48 u64 0x10200
    48 u64 0
    48 u64 0x7fffffffffff0000
    48 u64 0xffffffffffff0000
    48 u64 0x100000000
    60 u32 65537
    60 u32 0xffffffff
    60 u32 1 & 64 u64 1
    60 u32 1 & 64 u64 0x7fffffffffff0000
    60 u32 65536 & 64 u64 0x7ffffffffffe0000
    60 u32 1 & 64 u64 0x100000
    60 u32 0 & 64 u64 12345
    36 u32 4194305
    36 u32 0xffffffff
    36 u32 4194304
    36 u32 0
    36 u32 2
    40 u64 0x30001
    40 u64 0x30200
    40 u64 0
    40 u64 0x7fffffffffff0000
    40 u64 0xffffffffffff0000
    40 u64 0x100000000
    24 u64 0xffffffffffffffff
    24 u64 0x7fffffffffffffff
    24 u64 0x7ffffffffffffe00
    24 u64 0x8000000000000000
    24 u64 0x7fffffffc0000000
    24 u64 4194305
    24 u64 4194303
    24 u64 0x20000000
    24 u64 0x20000001
    24 u64 0
    24 u64 511
    """)
  + damaged(
    "small.qcow2", readers,
    """
    24 u64 0xfffffffffffffe00
    24 u64 0x7ffffffffffffe00
    72 u64 16
    """)

private let featureDamage =
  damaged(
    "t.qcow2", readers,
    """
    72 u64 0x20
    72 u64 0x8000000000000000
    72 u64 0x160
    72 u64 0xffffffffffffffe0
    72 u64 0x40 & 120 u8 0 6 & 122 text my fancy feature
    72 u64 0x140 & 120 u8 0 6 & 122 text my fancy feature
    72 u64 0xc0 & 120 u8 0 6 & 122 text first & 168 u8 0 7 & 170 text second
    72 u64 2
    72 u64 1
    72 u64 3
    72 u64 16
    72 u64 4
    80 u64 0xffffffffffffffff
    80 u64 1
    88 u64 0x80
    88 u64 1
    88 u64 2
    88 u64 0xfffffffffffffffc
    """)
  + damaged(
    "t.qcow2",
    [
      "resize % 8M ; info %", "resize % 8M ; check %", "check -r all % ; info % ; check %",
      "convert -n -O qcow2 t.qcow2 t.qcow2",
    ],
    """
    72 u64 2
    72 u64 1
    72 u64 3
    88 u64 0x80
    88 u64 1
    88 u64 2
    80 u64 0xfe
    """)
  + damaged(
    "data.qcow2", readers + copiers,
    """
    72 u64 0
    88 u64 2
    112 u32 0x12345678
    120 text nosuc
    $ rm d.raw
    $ truncate -s 100000 d.raw
    $ truncate -s 0 d.raw
    """)

/// Header extensions: where the feature table stands (112), one of each kind takes its place.
private let extensionDamage =
  damaged(
    "t.qcow2", readers,
    """
    112 u32 0xe2792aca 16
    112 u32 0xe2792aca 15
    112 u32 0xe2792aca 5 & 120 text qcow2
    112 u32 0xe2792aca 0
    112 u32 0xe2792aca 0x10000
    112 u32 0x12345678 65417
    112 u32 0x12345678 65416
    112 u32 0x12345678 65408
    112 u32 0x12345678 0xffffffff
    112 u32 0x12345678 0
    112 u32 0x12345678 7
    112 u32 0x0537be77 16
    112 u32 0x0537be77 15
    32 u32 2 & 112 u32 0x0537be77 15
    32 u32 2 & 112 u32 0x0537be77 16 & 120 u64 0x50001 0x1000
    32 u32 2 & 112 u32 0x0537be77 16 & 120 u64 0x50000 0x1000
    112 u32 0x23852875 23
    112 u32 0x23852875 24 & 120 u32 1 1 & 88 u64 1
    112 u32 0x23852875 24 & 120 u32 65536 0 & 88 u64 1
    112 u32 0x23852875 24 & 120 u32 0 0 & 88 u64 1
    112 u32 0x23852875 24 & 120 u32 1 0 & 128 u64 32 0x50001 & 88 u64 1
    112 u32 0x23852875 24 & 120 u32 1 0 & 128 u64 67107841 0x50000 & 88 u64 1
    112 u32 0x23852875 24 & 120 u32 1 0 & 128 u64 0 0x50000 & 88 u64 1
    112 u32 0x23852875 24 & 120 u32 1 0 & 128 u64 32 0x500000 & 88 u64 1
    112 u32 0x44415441 5 & 120 text d.raw
    112 u32 0x44415441 5 & 120 text d.raw & 72 u64 4
    112 u32 0x44415441 0 & 72 u64 4
    112 u32 0x6803f857 47
    112 u32 0x6803f857 0
    112 u32 0 5
    """)

private let snapshotDamage =
  damaged(
    "snap.qcow2", readers + ["check -r all % ; check % ; info %"],
    """
    60 u32 1
    60 u32 3
    60 u32 65537
    60 u32 0
    64 u64 0xb0001
    64 u64 0
    64 u64 0x7fffffffffff0000
    64 u64 0x10000000
    0xb0000 u64 0xa0001
    0xb0000 u64 0
    0xb0000 u64 0x7fffffffffff0000
    0xb0008 u32 0xffffffff
    0xb0008 u32 0
    0xb0008 u32 4194305
    0xb000c u16 0
    0xb000c u16 0xffff
    0xb000e u16 0xffff
    0xb000e u16 0
    0xb0024 u32 1025
    0xb0024 u32 1024
    0xb0024 u32 0
    0xb0024 u32 8
    0xb0024 u32 0xffffffff
    0xb0010 u32 0xffffffff 0xffffffff
    0xb0010 u32 0 0
    0xb0018 u64 0xffffffffffffffff
    0xb0018 u64 3723004005006
    0xb0020 u32 0xffffffff
    0xb0028 u64 0xffffffffffffffff
    0xb0028 u64 1234567890
    0xb0038 u64 0xffffffffffffffff
    0xb0038 u64 42
    0xb0030 u64 4194305
    0xb0040 text 7
    """)
  // The date of the second snapshot is a length that the limit of the table's size allows.
  + damaged("snap.qcow2", ["check -r all % ; check %"], "0xb0024 u32 8 & 0xb005c u32 29822000")
  + damaged(
    "snap.qcow2", ["convert -l one -O raw % out.raw", "convert -l snapshot.id=2 -O raw % out.raw"],
    """
    0xb0000 u64 0xb0000
    0xb0000 u64 0xa0001
    0xb0008 u32 4194305
    0xb0008 u32 0
    0x60000 u64 0x40001
    0xb0040 text 7
    """)

/// The directory at 0xd0000 begins with b0's table offset, size, flags, type, granularity, name size, extra size.
private let bitmapDamage =
  damaged(
    "bm.qcow2", readers + ["check -r leaks % ; info %", "resize % 8M ; info %"],
    """
    88 u64 0
    0x200 u32 1
    0x200 u32 3
    0x208 u64 0
    0x208 u64 32
    0x208 u64 72
    0x210 u64 0xd0001
    0x210 u64 0x1000000
    0xd0000 u64 0
    0xd0000 u64 0x90001
    0xd0000 u64 0x1000000
    0xd0008 u32 0
    0xd0008 u32 0x8000001
    0xd0008 u32 0x7ffffff
    0xd000c u32 1
    0xd000c u32 3
    0xd000c u32 0
    0xd000c u32 4
    0xd0010 u8 0
    0xd0010 u8 2
    0xd0011 u8 8
    0xd0011 u8 32
    0xd0011 u8 9
    0xd0012 u16 0
    0xd0012 u16 1024
    0xd0012 u16 6
    0xd0014 u32 8
    0xd0018 text \\u{1b}[
    """)
  + damaged(
    "bm.qcow2", ["check % ; convert -O qcow2 --bitmaps % out.qcow2"],
    """
    0x90000 u64 1
    0x90000 u64 2
    0x90000 u64 0x50001
    0xb0000 u64 1
    0xb0000 u64 0x100000000
    0xc0000 u64 1
    """)

/// L1 and L2 entries: what check says, and what a reader meets.
private let mappingDamage =
  damaged(
    "t.qcow2", copiers + ["check -r all % ; check %", "check -r leaks %"],
    """
    0x30000 u64 0x8000000000040001
    0x30000 u64 0xf000000000040000
    0x30000 u64 0x8000000000040200
    0x30000 u64 0x8000000001000000
    0x30000 u64 0x0000000000040000
    0x30000 u64 0x8000000000000000
    0x30000 u64 0
    0x30000 u64 0x8000000000030000
    0x30000 u64 0x80fffffffffffe00
    0x30000 u64 0x8000000000050000
    0x40000 u64 0x8000000000050002
    0x40000 u64 0xa000000000050000
    0x40000 u64 0x8000000000050200
    0x40000 u64 0x8000000000050201
    0x40000 u64 0x8000000001000000
    0x40000 u64 0x8000000000080000
    0x40000 u64 0x8000000000090000
    0x40000 u64 0x80ffffffffff0000
    0x40000 u64 0x0000000000050000
    0x40000 u64 0x8000000000060000
    0x40000 u64 0x8000000000040000
    0x40000 u64 0x8000000000000000
    0x40000 u64 0x8000000000000001
    0x40000 u64 0x0000000000050001
    0x40000 u64 0
    0x40000 u64 0x8000000000010000
    0x40180 u64 0xc000000000080000
    0x40180 u64 0x4000000000080001
    0x40180 u64 0x7fc0000000080000
    0x40180 u64 0x4000000001000000
    0x40180 u64 0x7fffffffffffffff
    0x40180 u64 0x4000000000080123
    0x40180 u64 0x4000000000000000
    0x80000 u64 0xffffffffffffffff
    0x80000 u8 0
    """)
  + damaged(
    "v2.qcow2", copiers + ["check -r all % ; check %"],
    """
    0x40000 u64 0x8000000000050001
    0x40008 u64 1
    0x40000 u64 0x8000000000050200
    """)
  + damaged(
    "ext.qcow2", copiers + ["check -r all % ; check %"],
    """
    0x40008 u64 0x00000001ffffffff
    0x40008 u64 0xffffffff00000000
    0x40008 u64 0
    0x40020 u64 0 1
    0x40020 u64 0 0x0000000100000001
    0x40000 u64 0x8000000000050001
    0x40000 u64 0x8000000000050200
    0x40010 u64 0x8000000000060200 0xffffffff00000000
    0x40308 u64 1
    """)
  + damaged(
    "data.qcow2", copiers + ["check -r all % ; check %"],
    """
    0x40000 u64 0x8000000000010000
    0x40000 u64 0
    0x40000 u64 0x4000000000050000
    0x40080 u64 0x0000000000100000
    0x40080 u64 0x8000000000110000
    0x40080 u64 0x8000000000100200
    """)
  + damaged(
    "zstd.qcow2", copiers,
    """
    0x60000 u64 0
    0x60000 u8 1
    0x60008 u64 0xffffffffffffffff
    """)

private let refcountDamage =
  damaged(
    "t.qcow2", checkers,
    """
    0x20000 u16 0
    0x20000 u16 2
    0x20002 u16 0
    0x20006 u16 3
    0x20008 u16 0
    0x20008 u16 2
    0x2000a u16 0
    0x2000a u16 2
    0x2000a u16 0xffff
    0x20010 u16 2
    0x20010 u16 0
    0x20012 u16 1
    0x20100 u16 1
    0x2fffe u16 1
    0x10000 u64 0
    0x10000 u64 0x20001
    0x10000 u64 0x20200
    0x10000 u64 0x1000000
    0x10000 u64 0x30000
    0x10008 u64 0x20000
    0x10008 u64 0x100000
    0x10008 u64 0x8000000000000000
    0x10008 u64 0x50000
    48 u64 0x30000
    48 u64 0x90000
    """)
  + damaged(
    "small.qcow2", checkers,
    """
    0x400 u16 0 0 0 0
    0x402 u16 5
    0x200 u64 0
    0x208 u64 0
    0x208 u64 0x400
    0x208 u64 0x401
    0x600 u64 0
    0x600 u64 0x8000000000000800
    """)
  + damaged(
    "bits1.qcow2", checkers,
    """
    0x2000 u8 0
    0x2000 u8 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff
    0x4008 u64 0x8000000000005000
    """)
  + damaged(
    "snap.qcow2", checkers,
    """
    0x2000a u16 1
    0x20008 u16 2
    0x20012 u16 1
    0x30000 u64 0x8000000000080000
    0x60000 u64 0x40001
    0x60000 u64 0
    0x40000 u64 0x8000000000050000
    0x40000 u64 0x50200
    """)

private let repairs =
  damaged(
    "lazy.qcow2",
    [
      "check %", "check -r leaks % ; check %", "check -r all % ; check %", "resize % 8M ; check % ; info %",
      "info % ; map --output=json %", "convert -O raw % out.raw", "convert -n -O qcow2 mixed.raw % ; check %",
    ],
    """
    104 u8 0
    """)
  + Case.lines(
    """
    check -r leaks bm.qcow2 ; check bm.qcow2
    check -r all bm.qcow2 ; info bm.qcow2
    check -r leaks snap.qcow2 ; info --output=json snap.qcow2
    check -r all snap.qcow2 ; info --output=json snap.qcow2
    check -r all -q t.qcow2
    check -r leaks --output=json t.qcow2
    patch t.qcow2 0x20012 u16 1 => check -r leaks -q t.qcow2
    patch t.qcow2 0x20012 u16 1 => check -q t.qcow2
    patch t.qcow2 0x20012 u16 1 => check -q --output=json t.qcow2
    patch t.qcow2 0x20012 u16 1 => check -r leaks --output=json t.qcow2
    check -r all t.raw
    check -r all -U t.qcow2
    check -r all -f raw hole.raw
    check -r leaks hole.raw
    """, fixture: images, masks: diskSize)

private let truncations =
  [
    0, 1, 4, 8, 60, 71, 72, 100, 104, 111, 112, 120, 511, 512, 513, 65535, 65536, 131072, 196608, 196616, 262144,
    262145, 327679, 327680, 400000, 458752, 524288, 524300,
  ].flatMap { length in
    Case.lines(
      """
      $ truncate -s \(length) t.qcow2 => info t.qcow2 ; info --output=json t.qcow2 ; check t.qcow2 ; map t.qcow2
      $ truncate -s \(length) t.qcow2 => map --output=json t.qcow2 ; convert -O raw t.qcow2 out.raw
      """, fixture: images, masks: length == 0 ? [emptyMap] : [])
  }

/// Heads that probing knows but that are something else, or nothing.
private let otherContainers = Case.lines(
  """
  $ printf 'QFI\\373\\0\\0\\0\\001' >x => info -f qcow2 x
  $ printf 'QFI\\373\\0\\0\\0\\0' >x ; truncate -s 64k x => info x
  $ printf 'QED\\0' >x ; truncate -s 64k x => info -f raw x
  info -f qcow2 base.raw
  info -f qcow2 zero.raw
  info -f nosuch base.raw
  check -f nosuch base.raw
  map -f nosuch base.raw
  compare -f nosuch base.raw base.raw
  compare -F nosuch base.raw base.raw
  convert -f nosuch base.raw out.raw
  measure -f nosuch base.raw
  resize -f nosuch base.raw 1M
  dd -f nosuch if=base.raw of=out.raw
  dd -O nosuch if=base.raw of=out.raw
  info -f raw t.qcow2 ; map -f raw --output=json t.qcow2
  """, fixture: images)
