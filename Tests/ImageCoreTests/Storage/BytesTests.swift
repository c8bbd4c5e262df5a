import Testing

@testable import Bytes

struct BytesTests {
  @Test func readsFieldsInBothOrders() {
    let bytes: [UInt8] = [0, 1, 2, 3, 4, 5, 6, 7, 8]
    do {
      let found = bytes.rawBytes.bigEndian(at: 1, as: UInt32.self)
      #expect(found == 0x0102_0304)
    }
    do {
      let found = bytes.rawBytes.littleEndian(at: 1, as: UInt64.self)
      #expect(found == 0x0807_0605_0403_0201)
    }
    do {
      let found = bytes.rawBytes[8]
      #expect(found == 8)
    }
    do {
      let found = bytes.rawBytes.array(2..<5)
      #expect(found == [2, 3, 4])
    }
    do {
      let found = bytes.rawBytes.array(3..<3).isEmpty
      #expect(found)
    }
  }

  @Test func findsZeros() {
    for count in [0, 1, 7, 8, 63, 64, 65, 511, 4096] {
      var bytes = [UInt8](repeating: 0, count: count)
      do {
        let found = bytes.rawBytes.isZero
        #expect(found)
      }
      for index in Set([0, count / 2, count - 1]) where bytes.indices.contains(index) {
        bytes[index] = 1
        do {
          let found = bytes.rawBytes.isZero
          #expect(!found)
        }
        do {
          let found = bytes.rawBytes.isZero(0..<index)
          #expect(found)
        }
        do {
          let found = bytes.rawBytes.isZero(index + 1..<count)
          #expect(found)
        }
        bytes[index] = 0
      }
    }
  }

  @Test func roundsWithoutOverflow() {
    #expect(UInt64(513).roundedUp(to: 512) == 1024)
    #expect(UInt64.max.roundedUp(to: 512) == nil)
    #expect(UInt64.max.dividedUp(by: 2) == 1 << 63)
    #expect(UInt64.max.saturatingAdd(1) == .max)
    #expect(UInt64(1023).roundedDown(to: 512) == 512)
  }

  @Test func lackOfMemoryEndsTheProcess() async {
    let result = await #expect(processExitsWith: .exitCode(1), observing: [\.standardErrorContent]) {
      _ = Buffer(1 << 60)
    }
    let words = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(words.hasSuffix(": Cannot allocate memory\n"))
  }

  @Test func buffersAreZeroedAndAligned() {
    var buffer = Buffer(10_000)
    do {
      let found = buffer.bytes.isZero
      #expect(found)
    }
    var bytes = buffer.mutableBytes
    bytes.storeBigEndian(UInt32(0x0102_0304), at: 6000)
    bytes.copy([9, 8].rawBytes, at: 9998)
    bytes.fill(0..<2, with: 7)
    do {
      let found = buffer.bytes.array(6000..<6004)
      #expect(found == [1, 2, 3, 4])
    }
    do {
      let found = buffer.bytes.array(9998..<10_000)
      #expect(found == [9, 8])
    }
    do {
      let found = buffer.bytes.array(0..<3)
      #expect(found == [7, 7, 0])
    }
    do {
      let found = buffer.bytes.slice(0..<2).elementsEqual([7, 7].rawBytes)
      #expect(found)
    }
  }
}
