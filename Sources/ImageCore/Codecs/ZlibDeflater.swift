import Bytes
import CZlib

/// What makes a zlib stream (RFC 1950) of all the bytes it is given.
package protocol ZlibCompressor {
  /// - Returns: the stream's length in bytes, or nil if it does not fit `output`.
  func zlib(_ input: RawSpan, into output: inout MutableRawSpan) throws(ImageError) -> Int?
}

extension Deflater: ZlibCompressor {}

/// Compresses as zlib itself does, for whoever has to know how long its streams are; ``Deflater`` is quicker.
package struct ZlibDeflater: ZlibCompressor {
  private let level: Int32

  /// - Parameter level: 1 (fast) to 9 (small).
  package init(level: Int) { self.level = Int32(level) }

  package func zlib(_ input: RawSpan, into output: inout MutableRawSpan) -> Int? {
    unsafe input.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { target in
        // Both lengths are those of the spans; zlib stays within them.
        var length = uLongf(target.count)
        let result = unsafe compress2(
          target.baseAddress?.assumingMemoryBound(to: Bytef.self), &length,
          source.baseAddress?.assumingMemoryBound(to: Bytef.self), uLong(source.count), level)
        return result == Z_OK ? Int(length) : nil
      }
    }
  }
}
