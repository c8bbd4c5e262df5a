import Testing

@testable import ImageCore
@testable import OCFS2

/// Checksums of metadata blocks (ocfs2-o2image §13).
@Suite struct BlockCheckTests {
  /// A block of 512 bytes that carries its check at 0x80.
  private func block() -> [UInt8] {
    var block = (0..<512).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
    for index in 0x80..<0x88 { block[index] = 0 }
    let checksum = BlockCheck.checksum(of: block.rawBytes, checkAt: 0x80)
    let parity = BlockCheck.parity(of: block.rawBytes, checkAt: 0x80)
    for index in 0..<4 { block[0x80 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * index)) }
    for index in 0..<2 { block[0x84 + index] = UInt8(truncatingIfNeeded: parity >> UInt16(8 * index)) }
    return block
  }

  @Test func positionsSkipThePowersOfTwo() {
    #expect((0..<12).map(BlockCheck.position(of:)) == [3, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 17])
  }

  @Test func theCodeIsThatOfGzip() {
    var crc = CRC32()
    crc.update(Array("123456789".utf8).rawBytes)
    #expect(crc.value == 0xCBF4_3926)
  }

  @Test func aSoundBlockIsGood() {
    let outcome = BlockCheck.verify(block().rawBytes, checkAt: 0x80)
    #expect(outcome == .good)
  }

  @Test(arguments: [0, 1, 500, 0x88 * 8, 4095]) func oneWrongBitIsFound(bit: Int) {
    var block = block()
    block[bit / 8] ^= 1 << UInt8(bit % 8)
    let outcome = BlockCheck.verify(block.rawBytes, checkAt: 0x80)
    #expect(outcome == .correctable(bit: bit))
  }

  @Test func twoWrongBitsAreBad() {
    var block = block()
    block[3] ^= 1
    block[300] ^= 0x20
    let outcome = BlockCheck.verify(block.rawBytes, checkAt: 0x80)
    #expect(outcome == .bad)
  }
}
