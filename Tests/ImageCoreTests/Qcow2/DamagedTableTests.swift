import Bytes
import Images
import Qcow2
import Storage
import Testing

/// Writing to images whose tables hold what no program writes; each was found by a fuzz target.
@Suite struct DamagedTableTests {
  /// An L1 entry that names no table, but has its COPIED bit set, is skipped like an empty one.
  @Test func shrinkingOverAnEntryWithoutTable() throws {
    var creation = Qcow2Format.Creation(size: 1 << 20)
    creation.clusterSize = 1024
    let storage = MemoryStorage()
    let image = try Qcow2TestImage(creation, on: storage)
    let l1Offset: UInt64 = storage.bytes.rawBytes.bigEndian(at: 40)
    try storage.write([0x80], at: l1Offset + 8)
    let before = try image.check().result.corruptions
    let opened = try image.open()
    try opened.resize(to: 200 << 10, preallocation: .off)
    try opened.close()
    #expect(try image.open(.read).virtualSize == 200 << 10)
    #expect(try image.check().result.corruptions <= before)
  }
}
