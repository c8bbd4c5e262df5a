import Bytes
import Codecs
import Threads

/// The compressors of one of libdeflate's last levels. Each takes 9 MB: there are few, and all workers share them.
final class ThoroughDeflaters: ZlibCompressor, Sendable {
  private static let limit = 4

  private struct State {
    var idle: [Deflater] = []
    var count = 0
  }

  private let level: Int
  private let state = Monitor(State())

  init(level: Int) { self.level = level }

  /// Compresses all of `input` into one zlib stream; waits for a compressor.
  ///
  /// - Returns: the stream's length in bytes, or nil if it does not fit `output`.
  func zlib(_ input: RawSpan, into output: inout MutableRawSpan) throws(ImageError) -> Int? {
    let deflater = try state.wait { (state) throws(ImageError) -> Deflater? in
      if let idle = state.idle.popLast() { return idle }
      guard state.count < ThoroughDeflaters.limit else { return nil }
      let deflater = try Deflater(level: level)
      state.count += 1
      return deflater
    }
    defer { state.withLock(notify: true) { $0.idle.append(deflater) } }
    return deflater.zlib(input, into: &output)
  }
}
