import Foundation

/// Damaged images of which ours says or repairs something else, on purpose: the row of docs/DIFFERENCES.md, what is
/// expected of each command, and the case. `.` is what the reference does, a number is our exit status, `=` is the
/// reference's exit status; with the last two the text is ours.
private let accepted = #"""
  QC-23 | . . 2 . | $ truncate -s 262145 t.qcow2 => info t.qcow2 ; info --output=json t.qcow2 ; check t.qcow2 ; map t.qcow2
  QC-23 | . . = . . | data.qcow2 with 72 u64 0: info data.qcow2 ; info --output=json data.qcow2 ; check data.qcow2 ; map --output=json data.qcow2 ; measure -O raw data.qcow2
  QC-23 | . . = . . | t.qcow2 with 36 u32 4194304: info t.qcow2 ; info --output=json t.qcow2 ; check t.qcow2 ; map --output=json t.qcow2 ; measure -O raw t.qcow2
  QC-23 | 0 0 | t.qcow2 with 0x30000 u64 0x8000000000000000: check -r all t.qcow2 ; check t.qcow2
  QC-23 | 2 2 . . | t.qcow2 with 0x40000 u64 0x8000000000000000: check t.qcow2 ; check --output=json t.qcow2 ; map --output=json t.qcow2 ; convert -O raw t.qcow2 out.raw
  QC-23 | 2 | t.qcow2 with 0x40000 u64 0x8000000000000000: check -r leaks t.qcow2
  QC-23 | = . | t.qcow2 with 0x40000 u64 0x8000000000000000: check -r all t.qcow2 ; check t.qcow2
  QC-23 | = = . . | data.qcow2 with 72 u64 0: check data.qcow2 ; check --output=json data.qcow2 ; map --output=json data.qcow2 ; convert -O raw data.qcow2 out.raw
  QC-23 | = = . . | t.qcow2 with 0x30000 u64 0x8000000000000000: check t.qcow2 ; check --output=json t.qcow2 ; map --output=json t.qcow2 ; convert -O raw t.qcow2 out.raw
  QC-23 | = | t.qcow2 with 0x30000 u64 0x8000000000000000: check -r leaks t.qcow2
  QC-24 | . . 2 = . | t.qcow2 with 4 u32 2: info t.qcow2 ; info --output=json t.qcow2 ; check t.qcow2 ; map --output=json t.qcow2 ; measure -O raw t.qcow2
  QC-24 | 2 2 . . | v2.qcow2 with 0x40000 u64 0x8000000000050001: check v2.qcow2 ; check --output=json v2.qcow2 ; map --output=json v2.qcow2 ; convert -O raw v2.qcow2 out.raw
  QC-24 | 2 2 . . | v2.qcow2 with 0x40008 u64 1: check v2.qcow2 ; check --output=json v2.qcow2 ; map --output=json v2.qcow2 ; convert -O raw v2.qcow2 out.raw
  QC-24 | 2 2 | v2.qcow2 with 0x40000 u64 0x8000000000050001: check -r all v2.qcow2 ; check v2.qcow2
  QC-24 | 2 2 | v2.qcow2 with 0x40008 u64 1: check -r all v2.qcow2 ; check v2.qcow2
  QC-25 | 0 0 | snap.qcow2 with 0x60000 u64 0x40001: check -r all snap.qcow2 ; check snap.qcow2
  QC-25 | 0 0 | t.qcow2 with 0x30000 u64 0x8000000000040001: check -r all t.qcow2 ; check t.qcow2
  QC-25 | 0 0 | t.qcow2 with 0x30000 u64 0xf000000000040000: check -r all t.qcow2 ; check t.qcow2
  QC-25 | 0 0 | t.qcow2 with 0x40000 u64 0x8000000000050002: check -r all t.qcow2 ; check t.qcow2
  QC-25 | 0 0 | t.qcow2 with 0x40000 u64 0xa000000000050000: check -r all t.qcow2 ; check t.qcow2
  QC-25 | 0 0 | t.qcow2 with 0x40180 u64 0xc000000000080000: check -r all t.qcow2 ; check t.qcow2
  QC-25 | 0 | snap.qcow2 with 0x60000 u64 0x40001: check -r all --output=json snap.qcow2
  QC-30 | = = . . | t.qcow2 with 0x30000 u64 0x8000000000040200: check t.qcow2 ; check --output=json t.qcow2 ; map --output=json t.qcow2 ; convert -O raw t.qcow2 out.raw
  QC-30 | = = | t.qcow2 with 0x30000 u64 0x8000000000040200: check -r all t.qcow2 ; check t.qcow2
  QC-30 | = | t.qcow2 with 0x30000 u64 0x8000000000040200: check -r leaks t.qcow2
  QC-32 | . . | bm.qcow2 with 0xd000c u32 0: check -r leaks bm.qcow2 ; info bm.qcow2
  QC-32 | . . | bm.qcow2 with 0xd0011 u8 9: check -r leaks bm.qcow2 ; info bm.qcow2
  QC-32 | . . | bm.qcow2 with 0xd0012 u16 6: check -r leaks bm.qcow2 ; info bm.qcow2
  QC-32 | . . | bm.qcow2 with 0xd0018 text \u{1b}[: check -r leaks bm.qcow2 ; info bm.qcow2
  QC-32 | . . | check -r all bm.qcow2 ; info bm.qcow2
  QC-32 | . = | check -r leaks bm.qcow2 ; check bm.qcow2
  QC-32 | = = | bm.qcow2 with 0xd0000 u64 0x1000000: check -r leaks bm.qcow2 ; info bm.qcow2
  QC-34 | . . | bm.qcow2 with 0xd000c u32 1: resize bm.qcow2 8M ; info bm.qcow2
  QC-34 | . . | bm.qcow2 with 0xd000c u32 3: resize bm.qcow2 8M ; info bm.qcow2
  QC-34 | . . | bm.qcow2 with 0xd000c u32 1: check -r leaks bm.qcow2 ; info bm.qcow2
  QC-34 | . . | bm.qcow2 with 0xd000c u32 3: check -r leaks bm.qcow2 ; info bm.qcow2
  QC-40 | = . | bm.qcow2 with 0xd0000 u64 0x1000000: resize bm.qcow2 8M ; info bm.qcow2
  QC-8 | . = | t.qcow2 with 72 u64 3: resize t.qcow2 8M ; check t.qcow2
  QC-6 | = = = | snap.qcow2 with 0xb0000 u64 0: check -r all snap.qcow2 ; check snap.qcow2 ; info snap.qcow2
  QC-6 | = = = | snap.qcow2 with 64 u64 0: check -r all snap.qcow2 ; check snap.qcow2 ; info snap.qcow2
  QC-6 | 3 3 = | snap.qcow2 with 64 u64 0x10000000: check -r all snap.qcow2 ; check snap.qcow2 ; info snap.qcow2
  QC-6 | = | t.qcow2 with 0x30000 u64 0x8000000000050000: check -r leaks t.qcow2
  QC-6 | = = | t.qcow2 with 0x30000 u64 0x8000000000050000: check -r all t.qcow2 ; check t.qcow2
  QC-25 | 2 2 | t.qcow2 with 0x30000 u64 0x8000000000030000: check -r all t.qcow2 ; check t.qcow2
  QC-25 | 2 2 | t.qcow2 with 0x40000 u64 0x8000000000040000: check -r all t.qcow2 ; check t.qcow2
  QC-41 | = . | t.qcow2 with 0x10000 u64 0x1000000: check -r all t.qcow2 ; check t.qcow2
  QC-41 | = | t.qcow2 with 0x10000 u64 0x1000000: check -r all --output=json t.qcow2
  QC-42 | 0 0 = | snap.qcow2 with 60 u32 65537: check -r all snap.qcow2 ; check snap.qcow2 ; info snap.qcow2
  QC-42 | 0 0 = | snap.qcow2 with 0xb0024 u32 8: check -r all snap.qcow2 ; check snap.qcow2 ; info snap.qcow2
  QC-43 | 2 2 | t.qcow2 with 48 u64 0x30000: check t.qcow2 ; check --output=json t.qcow2
  QC-43 | = = | t.qcow2 with 48 u64 0x30000: check -r all t.qcow2 ; check t.qcow2
  QC-43 | = | t.qcow2 with 48 u64 0x30000: check -r all --output=json t.qcow2
  QC-5 | 0 0 | t.qcow2 with 0x10000 u64 0x20001: check -r all t.qcow2 ; check t.qcow2
  QC-5 | 0 0 | t.qcow2 with 0x10000 u64 0x20200: check -r all t.qcow2 ; check t.qcow2
  QC-5 | 0 | t.qcow2 with 0x10000 u64 0x20001: check -r all --output=json t.qcow2
  QC-5 | 0 | t.qcow2 with 0x10000 u64 0x20200: check -r all --output=json t.qcow2
  QC-5 | = . | t.qcow2 with 0x10008 u64 0x8000000000000000: check -r all t.qcow2 ; check t.qcow2
  QC-5 | = = | small.qcow2 with 0x208 u64 0x401: check -r all small.qcow2 ; check small.qcow2
  QC-5 | = | small.qcow2 with 0x208 u64 0x401: check -r all --output=json small.qcow2
  QC-5 | = | t.qcow2 with 0x10008 u64 0x8000000000000000: check -r all --output=json t.qcow2
  QC-6 | = = = | snap.qcow2 with 0xb0000 u64 0xa0001: check -r all snap.qcow2 ; check snap.qcow2 ; info snap.qcow2
  QC-6 | = = = | snap.qcow2 with 0xb0008 u32 0xffffffff: check -r all snap.qcow2 ; check snap.qcow2 ; info snap.qcow2
  QC-6 | = = = | snap.qcow2 with 0xb0008 u32 4194305: check -r all snap.qcow2 ; check snap.qcow2 ; info snap.qcow2
  QC-6 | = = | t.qcow2 with 0x30000 u64 0x8000000001000000: check -r all t.qcow2 ; check t.qcow2
  QC-6 | = = | t.qcow2 with 0x30000 u64 0x80fffffffffffe00: check -r all t.qcow2 ; check t.qcow2
  QC-6 | = | t.qcow2 with 0x30000 u64 0x8000000001000000: check -r leaks t.qcow2
  QC-6 | = | t.qcow2 with 0x30000 u64 0x80fffffffffffe00: check -r leaks t.qcow2
  QC-7 | 2 . | bits1.qcow2 with 0x2000 u8 0: check -r leaks bits1.qcow2 ; check bits1.qcow2
  QC-7 | 2 . | small.qcow2 with 0x200 u64 0: check -r leaks small.qcow2 ; check small.qcow2
  QC-7 | 2 . | small.qcow2 with 0x208 u64 0: check -r leaks small.qcow2 ; check small.qcow2
  QC-7 | 2 . | small.qcow2 with 0x208 u64 0x401: check -r leaks small.qcow2 ; check small.qcow2
  QC-7 | 2 . | small.qcow2 with 0x400 u16 0 0 0 0: check -r leaks small.qcow2 ; check small.qcow2
  QC-7 | 2 . | t.qcow2 with 0x10000 u64 0: check -r leaks t.qcow2 ; check t.qcow2
  QC-7 | 2 . | t.qcow2 with 0x10000 u64 0x1000000: check -r leaks t.qcow2 ; check t.qcow2
  QC-7 | 2 . | t.qcow2 with 0x10000 u64 0x20001: check -r leaks t.qcow2 ; check t.qcow2
  QC-7 | 2 . | t.qcow2 with 0x10008 u64 0x20000: check -r leaks t.qcow2 ; check t.qcow2
  QC-7 | 2 . | t.qcow2 with 0x10008 u64 0x50000: check -r leaks t.qcow2 ; check t.qcow2
  QC-7 | 2 . | t.qcow2 with 0x20000 u16 0: check -r leaks t.qcow2 ; check t.qcow2
  QC-7 | 2 . | t.qcow2 with 0x20002 u16 0: check -r leaks t.qcow2 ; check t.qcow2
  QC-7 | 2 . | t.qcow2 with 0x20008 u16 0: check -r leaks t.qcow2 ; check t.qcow2
  QC-7 | 2 . | t.qcow2 with 0x2000a u16 0: check -r leaks t.qcow2 ; check t.qcow2
  QC-7 | 2 . | t.qcow2 with 0x20010 u16 0: check -r leaks t.qcow2 ; check t.qcow2
  QC-7 | 2 . | t.qcow2 with 48 u64 0x90000: check -r leaks t.qcow2 ; check t.qcow2
  QC-7 | 2 2 | t.qcow2 with 48 u64 0x30000: check -r leaks t.qcow2 ; check t.qcow2
  QC-7 | 2 = | small.qcow2 with 0x208 u64 0x400: check -r leaks small.qcow2 ; check small.qcow2
  QC-7 | 2 = | t.qcow2 with 0x10000 u64 0x30000: check -r leaks t.qcow2 ; check t.qcow2
  QC-7 | = . | t.qcow2 with 0x10000 u64 0x20200: check -r leaks t.qcow2 ; check t.qcow2
  QC-8 | . . = . . | t.qcow2 with 72 u64 1: info t.qcow2 ; info --output=json t.qcow2 ; check t.qcow2 ; map --output=json t.qcow2 ; measure -O raw t.qcow2
  QC-8 | . . = . . | t.qcow2 with 72 u64 3: info t.qcow2 ; info --output=json t.qcow2 ; check t.qcow2 ; map --output=json t.qcow2 ; measure -O raw t.qcow2
  QC-8 | 2 = | lazy.qcow2 with 104 u8 0: check -r leaks lazy.qcow2 ; check lazy.qcow2
  QC-8 | = . . | t.qcow2 with 72 u64 1: check -r all t.qcow2 ; info t.qcow2 ; check t.qcow2
  QC-8 | = . . | t.qcow2 with 72 u64 3: check -r all t.qcow2 ; info t.qcow2 ; check t.qcow2
  QC-8 | = . | lazy.qcow2 with 104 u8 0: check -r all lazy.qcow2 ; check lazy.qcow2
  QC-8 | = | lazy.qcow2 with 104 u8 0: check lazy.qcow2
  """#

extension [Case] {
  /// The same cases, those that are listed with their deviation. A listed case that does not exist is a case that fails.
  func withAcceptedDamage() -> [Case] {
    var listed: [String: Deviation] = [:]
    for line in accepted.split(separator: "\n") {
      let cells = line.components(separatedBy: " | ").map { $0.trimmingCharacters(in: .whitespaces) }
      var expected: [Int: Deviation.Expectation] = [:]
      for (index, mark) in cells[1].split(separator: " ").enumerated() where mark != "." {
        expected[index] = Deviation.Expectation(status: Int32(mark), anyText: true)
      }
      let repairs = cells[2].contains("check -r") || ["QC-34", "QC-40"].contains(cells[0])
      listed[cells[2]] = Deviation(cells[0], expected: expected, files: repairs ? .unchecked : nil)
    }
    var cases = self
    for index in cases.indices {
      if let deviation = listed.removeValue(forKey: cases[index].name) { cases[index].deviation = deviation }
    }
    return cases
      + listed.keys.map { name in
        Case(commands: [], name: name, setup: [.problem("listed in AcceptedDamage.swift, but there is no such case")])
      }
  }
}
