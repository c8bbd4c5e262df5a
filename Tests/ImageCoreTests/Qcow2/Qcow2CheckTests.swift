import ImageCore
import Testing

@Suite struct Qcow2Checking {
  private func check(_ storage: MemoryStorage, _ repair: RepairMode = .none) throws -> (CheckResult, [String]) {
    let image = try Qcow2ImageBytes.open(storage, use: repair == .none ? .read : .write, isCheck: true)
    var lines: [String] = []
    let result = try image.check(repair: repair) { lines.append($0) }
    return (result, lines)
  }

  private func storage(_ change: (inout Qcow2ImageBytes) -> Void) -> MemoryStorage {
    var bytes = Qcow2ImageBytes()
    change(&bytes)
    return MemoryStorage(bytes.bytes)
  }

  @Test func sound() throws {
    let (result, lines) = try check(storage { _ in })
    #expect(lines.isEmpty)
    #expect(result.corruptions == 0 && result.leaks == 0 && result.checkErrors == 0)
    #expect(result.totalClusters == 512 && result.allocatedClusters == 3 && result.fragmentedClusters == 0)
    #expect(result.imageEndOffset == 8 * 4096)
  }

  @Test func leaksAreGivenBack() throws {
    let file = storage { $0.put(UInt64(0), at: Qcow2ImageBytes.l2 + 16) }
    let (found, lines) = try check(file)
    #expect(found.leaks == 1 && lines == ["Leaked cluster 7 refcount=1 reference=0"])
    let (fixed, repairs) = try check(file, .leaks)
    #expect(fixed.leaksFixed == 1 && repairs.last == "Repairing cluster 7 refcount=1 reference=0")
    #expect(try check(file).1.isEmpty)
  }

  @Test func countsThatAreMissingAreRebuilt() throws {
    let file = storage { $0.put(UInt16(0), at: Qcow2ImageBytes.refcountBlock + 12) }
    let (found, _) = try check(file)
    // The count itself, and COPIED, which does not go with it.
    #expect(found.corruptions == 2)
    let (fixed, lines) = try check(file, .all)
    #expect(fixed.corruptionsFixed == 1 && fixed.corruptions == 0 && lines.contains("Rebuilding refcount structure"))
    #expect(try check(file).1.isEmpty)
  }

  @Test func aRefcountTableFullOfNonsenseIsRebuilt() throws {
    let file = storage {
      $0.put(UInt64(0x2001), at: Qcow2ImageBytes.refcountTable)
      $0.put(UInt64(0x2200), at: Qcow2ImageBytes.refcountTable + 8)
    }
    _ = try check(file, .all)
    #expect(try check(file).1.isEmpty)
    let image = try Qcow2ImageBytes.open(file)
    #expect(try image.bytes(at: 4096, count: 1) == [0x12])
  }

  @Test func whatADamagedTableMayReferToIsKept() throws {
    let file = storage { $0.put(UInt64(1) << 63 | 0x4200, at: Qcow2ImageBytes.l1) }
    let before = file.bytes
    let (result, lines) = try check(file, .leaks)
    #expect(result.leaks == 2 && result.leaksFixed == 0 && result.corruptions == 1)
    #expect(lines.contains { $0.hasPrefix("Leaked clusters are kept") })
    #expect(file.bytes == before)
  }

  /// An L1 entry that points at guest data, or at the header, must not make a repair write there.
  @Test(arguments: [UInt64(0x5000), 0x1000, 0x2000, 0x3000])
  func whatIsNoTableIsNotWrittenTo(_ wrong: UInt64) throws {
    let file = storage {
      // Two L1 entries: the second shows where the first should have pointed.
      $0.put(UInt64(4 << 20), at: 24)
      $0.put(UInt32(2), at: 36)
      $0.put(UInt64(1) << 63 | wrong, at: Qcow2ImageBytes.l1)
      $0.put(UInt64(1) << 63 | UInt64(Qcow2ImageBytes.l2), at: Qcow2ImageBytes.l1 + 8)
    }
    let before = file.bytes
    _ = try check(file, .all)
    // Header fields that say where things are, and guest data.
    let guest = 5 * 4096..<8 * 4096
    #expect(Array(file.bytes[guest]) == Array(before[guest]))
    #expect(Array(file.bytes[0..<48]) == Array(before[0..<48]))
    let image = try Qcow2ImageBytes.open(file)
    #expect(try image.bytes(at: (2 << 20) + 4096, count: 1) == [0x12])
  }

  /// The only L1 entry points at guest data: nothing refers to the right table and its clusters any more.
  @Test func guestDataTakenForATableIsKept() throws {
    let file = storage { $0.put(UInt64(1) << 63 | 0x5000, at: Qcow2ImageBytes.l1) }
    let before = file.bytes
    _ = try check(file, .all)
    #expect(Array(file.bytes[4 * 4096..<8 * 4096]) == Array(before[4 * 4096..<8 * 4096]))
    let (result, _) = try check(file)
    #expect(result.corruptions > 0)
  }

  @Test func clustersUsedTwice() throws {
    let file = storage { $0.put(UInt64(1) << 63 | 0x5000, at: Qcow2ImageBytes.l2 + 16) }
    let (found, lines) = try check(file)
    #expect(found.corruptions == 1 && found.leaks == 1)
    #expect(
      lines == ["ERROR cluster 5 refcount=1 reference=2", "Leaked cluster 7 refcount=1 reference=0"])
    let (fixed, _) = try check(file, .all)
    #expect(fixed.corruptionsFixed == 3 && fixed.leaksFixed == 1)
    #expect(try check(file).1.isEmpty)
  }

  @Test func marksAreTakenFromASoundImage() throws {
    let file = storage { $0.put(UInt64(3), at: 72) }
    _ = try check(file, .leaks)
    #expect(file.bytes[79] == 0)
  }

  /// A table that thousands of entries share must not be walked thousands of times.
  @Test(.timeLimit(.minutes(1))) func sharedTablesAreCountedOnce() throws {
    var bytes = Qcow2ImageBytes()
    bytes.put(UInt32(4_000_000), at: 36)
    bytes.put(UInt64(0x10000), at: 40)
    let file = MemoryStorage(bytes.bytes)
    let words = 100_000
    var table = [UInt8](repeating: 0, count: words * 8)
    for index in 0..<words { table[index * 8 + 6] = 0x40 }
    try file.write(table, at: 0x10000)
    let (result, _) = try check(file)
    #expect(result.corruptions > 0)
  }
}
