import Bytes
import Qcow2
import Testing

@Suite struct Qcow2Entries {
  private func rules(clusterBits: UInt32 = 16, extended: Bool = false, dataFile: Bool = false) -> EntryRules {
    var header = Qcow2Header()
    header.clusterBits = clusterBits
    if extended { header.incompatibleFeatures.insert(.extendedL2) }
    if dataFile { header.incompatibleFeatures.insert(.externalDataFile) }
    return EntryRules(header)
  }

  @Test(arguments: [
    (UInt64(0), ClusterKind.unallocated), (1, .zeroPlain), (0x50001, .zeroAllocated), (0x50000, .normal),
    (1 << 63 | 0x50000, .normal), (1 << 63, .unallocated), (1 << 62, .compressed), (1 << 62 | 1, .compressed),
  ])
  func kinds(_ word: UInt64, _ kind: ClusterKind) {
    #expect(L2Entry(rawValue: word).kind(rules()) == kind)
  }

  @Test func bitZeroMeansNothingBesideASubclusterBitmap() {
    #expect(L2Entry(rawValue: 1).kind(rules(extended: true)) == .unallocated)
    #expect(L2Entry(rawValue: 0x50001).kind(rules(extended: true)) == .normal)
  }

  @Test func firstClusterOfADataFile() {
    #expect(L2Entry(rawValue: 1 << 63).kind(rules(dataFile: true)) == .normal)
  }

  @Test(arguments: [UInt32(9), 12, 14, 16, 21])
  func compressedDescriptorsReturn(_ bits: UInt32) {
    let rules = rules(clusterBits: bits)
    let size = UInt64(1) << UInt64(bits)
    for (offset, length) in [(UInt64(5), UInt64(1)), (size * 3 + 511, 2), (size * 7, size - 1), (size * 9 - 1, 513)] {
      let data = L2Entry(compressedAt: offset, length: length, rules).compressedData(rules)
      #expect(data.offset == offset)
      // Readable up to the end of the last sector, and not further.
      #expect(data.offset + data.length == (offset + length).roundedUp(to: 512))
    }
  }

  @Test func subclusterRuns() {
    let bitmap = SubclusterBitmap(allocated: 0b0000_1110, zero: 0xF000_0000)
    #expect(bitmap.isValid(hasCluster: true))
    #expect(!bitmap.isValid(hasCluster: false))
    #expect(bitmap[0] == .backing && bitmap.run(from: 0) == 1)
    #expect(bitmap[1] == .data && bitmap.run(from: 1) == 3)
    #expect(bitmap[4] == .backing && bitmap.run(from: 4) == 24)
    #expect(bitmap[30] == .zero && bitmap.run(from: 30) == 2)
    #expect(SubclusterBitmap.allZero.run(from: 0) == 32)
    #expect(SubclusterBitmap.allAllocated.run(from: 31) == 1)
    #expect(!SubclusterBitmap(allocated: 1, zero: 1).isValid(hasCluster: true))
  }
}
