import Bytes
import Images
import Qcow2
import Raw
import Storage
import Testing

@Suite struct Qcow2Measuring {
  private func measure(_ options: [(String, OptionValue)], _ size: UInt64, _ source: (any DiskImage)? = nil)
    throws(ImageError) -> [UInt64]
  {
    var values = OptionValues(Qcow2Format.creationOptions)
    for (name, value) in options { values[name] = value }
    let measure = try Qcow2Format.measure(values, size: size, source: source)
    return [measure.required, measure.fullyAllocated]
  }

  private static func size(_ bytes: UInt64) -> OptionValue { OptionValue(text: "\(bytes)", parsed: .number(bytes)) }

  /// What 7.2 printed (qemu-img-cli-1 §13.7).
  @Test func observed() throws {
    let gibibyte: UInt64 = 1 << 30
    #expect(try measure([], gibibyte) == [393216, 1_074_135_040])
    #expect(try measure([("cluster_size", Self.size(512))], gibibyte) == [21_385_216, 1_095_127_040])
    #expect(try measure([("cluster_size", Self.size(2 << 20))], gibibyte) == [10_485_760, 1_084_227_584])
    #expect(try measure([("refcount_bits", Self.size(64))], gibibyte) == [524288, 1_074_266_112])
    #expect(
      try measure([("extended_l2", OptionValue(text: "on", parsed: .boolean(true)))], gibibyte)
        == [524288, 1_074_266_112])
    #expect(
      try measure([("preallocation", OptionValue(text: "falloc"))], gibibyte) == [1_074_135_040, 1_074_135_040])
    #expect(try measure([], 0) == [196608, 196608])
    #expect(try measure([], 1 << 20) == [327680, 1_376_256])
    #expect(try measure([], 1 << 50) == [171_825_102_848, 1_126_071_731_945_472])
    #expect(
      try measure([("cluster_size", Self.size(2 << 20))], 1 << 50) == [5_377_097_728, 1_125_905_283_940_352])
  }

  @Test func dataOfASource() throws {
    let storage = MemoryStorage([UInt8](repeating: 1, count: 1000))
    let image = RawImage(storage, filename: "a")
    #expect(try measure([], 1024, image) == [393216, 393216])
  }

  @Test(arguments: [UInt64(1) << 63, UInt64.max & ~511, UInt64(1) << 62])
  func tooLarge(_ size: UInt64) {
    #expect(throws: ImageError.self) { try measure([], size) }
  }
}
