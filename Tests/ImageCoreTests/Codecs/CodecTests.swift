import Bytes
import Codecs
import Testing

@Suite struct Codecs {
  /// Text-like bytes: compressible, but not constant.
  private static let sample: [UInt8] = (0..<65536).map { UInt8(truncatingIfNeeded: ($0 / 7) &* ($0 % 13)) }

  private func deflated(_ input: [UInt8]) throws -> [UInt8] {
    var output = Buffer(input.count)
    var target = output.mutableBytes
    let deflater = try Deflater(level: 5)
    let count = try #require(deflater.deflate(input.rawBytes, into: &target))
    return output.bytes.array(0..<count)
  }

  private func inflated(_ stream: [UInt8], count: Int) throws -> [UInt8]? {
    var output = Buffer(count)
    var target = output.mutableBytes
    let isWhole = try Inflater().inflate(stream.rawBytes, into: &target)
    return isWhole ? output.bytes.array(0..<count) : nil
  }

  @Test func deflateReturns() throws {
    #expect(try inflated(deflated(Self.sample), count: Self.sample.count) == Self.sample)
  }

  @Test func whatFollowsTheStreamDoesNotMatter() throws {
    let stream = try deflated(Self.sample) + [0xFF, 0, 0xAA, 0x55]
    #expect(try inflated(stream, count: Self.sample.count) == Self.sample)
  }

  @Test func streamThatGoesOnGivesItsBeginning() throws {
    #expect(try inflated(deflated(Self.sample), count: 4096) == Array(Self.sample.prefix(4096)))
  }

  @Test func streamThatEndsEarlyIsRefused() throws {
    #expect(try inflated(deflated(Self.sample), count: Self.sample.count + 1) == nil)
    #expect(try inflated([], count: 512) == nil)
    #expect(try inflated([0xFF, 0xFF, 0xFF], count: 512) == nil)
  }

  @Test func deflateSaysWhenItDoesNotFit() throws {
    var generator = SystemRandomNumberGenerator()
    let noise = (0..<4096).map { _ in UInt8.random(in: 0...255, using: &generator) }
    var output = Buffer(4095)
    var target = output.mutableBytes
    #expect(try Deflater(level: 5).deflate(noise.rawBytes, into: &target) == nil)
  }

  private func zstandard(_ input: [UInt8]) throws -> [UInt8] {
    var output = Buffer(input.count + 512)
    var target = output.mutableBytes
    let compressor = try ZstdCompressor()
    let count = try #require(compressor.compress(input.rawBytes, into: &target))
    return output.bytes.array(0..<count)
  }

  private func expanded(_ stream: [UInt8], count: Int) throws -> [UInt8]? {
    var output = Buffer(count)
    var target = output.mutableBytes
    let isWhole = try ZstdDecompressor().decompress(stream.rawBytes, into: &target)
    return isWhole ? output.bytes.array(0..<count) : nil
  }

  @Test func zstandardFrameIsAsTheReferenceWritesIt() throws {
    // Magic, single segment with two bytes of content size (65536 − 256), no checksum (qcow2-qcow-qed §12).
    #expect(Array(try zstandard(Self.sample).prefix(7)) == [0x28, 0xB5, 0x2F, 0xFD, 0x60, 0x00, 0xFF])
  }

  @Test func zstandardReturns() throws {
    let frame = try zstandard(Self.sample)
    #expect(try expanded(frame, count: Self.sample.count) == Self.sample)
    #expect(try expanded(frame + [0, 0, 0, 0, 0], count: Self.sample.count) == Self.sample)
  }

  @Test func severalZstandardFramesMakeOneCluster() throws {
    let halves = try zstandard(Array(Self.sample.prefix(30000))) + zstandard(Array(Self.sample.dropFirst(30000)))
    #expect(try expanded(halves, count: Self.sample.count) == Self.sample)
  }

  @Test func zstandardMustEndWithTheCluster() throws {
    let frame = try zstandard(Self.sample)
    #expect(try expanded(frame, count: Self.sample.count - 1) == nil)
    #expect(try expanded(frame, count: Self.sample.count + 1) == nil)
    #expect(try expanded(Array(frame.dropLast()), count: Self.sample.count) == nil)
    #expect(try expanded([0, 1, 2, 3], count: 512) == nil)
  }
}
