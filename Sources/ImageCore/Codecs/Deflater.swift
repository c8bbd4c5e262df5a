import Bytes
import CDeflate

/// Compresses to raw deflate streams. One thread at a time; reuse it, its tables are costly to make.
@safe
package final class Deflater {
  // Owned: allocated in init, freed in deinit, never handed out.
  private let compressor: OpaquePointer

  /// - Parameter level: 1 (fast) to 12 (small).
  package init(level: Int) throws(ImageError) {
    guard let compressor = unsafe libdeflate_alloc_compressor(Int32(level)) else { throw .system(12 /* ENOMEM */) }
    unsafe self.compressor = compressor
  }

  deinit { unsafe libdeflate_free_compressor(compressor) }

  /// Compresses all of `input` into one stream.
  ///
  /// - Returns: the stream's length in bytes, or nil if it does not fit `output`.
  package func deflate(_ input: RawSpan, into output: inout MutableRawSpan) -> Int? {
    let length = unsafe input.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { target in
        // Both lengths are those of the spans; libdeflate stays within them.
        unsafe libdeflate_deflate_compress(
          compressor, source.baseAddress, source.count, target.baseAddress, target.count)
      }
    }
    return length == 0 ? nil : length
  }

  /// Compresses all of `input` into one zlib stream (RFC 1950).
  ///
  /// - Returns: the stream's length in bytes, or nil if it does not fit `output`; ``zlibBound(_:)`` bytes always do.
  package func zlib(_ input: RawSpan, into output: inout MutableRawSpan) -> Int? {
    let length = unsafe input.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { target in
        // Both lengths are those of the spans; libdeflate stays within them.
        unsafe libdeflate_zlib_compress(compressor, source.baseAddress, source.count, target.baseAddress, target.count)
      }
    }
    return length == 0 ? nil : length
  }

  /// The longest zlib stream that `count` bytes can become with any level, in bytes.
  package static func zlibBound(_ count: Int) -> Int { libdeflate_zlib_compress_bound(nil, count) }
}
