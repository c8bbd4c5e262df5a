import Bytes
import CZstd

/// Decompresses Zstandard frames. One thread at a time; reuse it.
@safe
package final class ZstdDecompressor {
  // Owned: allocated in init, freed in deinit, never handed out.
  private let context: OpaquePointer

  package init() throws(ImageError) {
    guard let context = unsafe ZSTD_createDCtx() else { throw .system(12 /* ENOMEM */) }
    unsafe self.context = context
  }

  deinit { unsafe ZSTD_freeDCtx(context) }

  /// Fills all of `output` from the frames that `input` begins with; what follows them does not matter.
  ///
  /// - Returns: whether one or more whole frames give exactly that many bytes.
  package func decompress(_ input: RawSpan, into output: inout MutableRawSpan) -> Bool {
    unsafe input.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { target in
        // Each call starts anew, whatever a damaged frame left behind.
        _ = unsafe ZSTD_DCtx_reset(context, ZSTD_reset_session_only)
        var from = unsafe ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
        var to = unsafe ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
        var left = 1
        // A frame ends where `left` is 0. Every turn consumes or produces something, or ends the loop.
        while unsafe to.pos < to.size || left != 0 {
          let before = unsafe (from.pos, to.pos)
          left = unsafe ZSTD_decompressStream(context, &to, &from)
          if ZSTD_isError(left) != 0 { return false }
          if unsafe from.pos == before.0 && to.pos == before.1 && left != 0 { return false }
          if unsafe from.pos == from.size && left == 0 { break }
        }
        return unsafe left == 0 && to.pos == to.size
      }
    }
  }
}

/// Compresses to single Zstandard frames. One thread at a time; reuse it.
@safe
package final class ZstdCompressor {
  // Owned: allocated in init, freed in deinit, never handed out.
  private let context: OpaquePointer

  /// Frames as the reference writes them: content size, no checksum, one segment (qcow2-qcow-qed §12).
  ///
  /// - Parameter level: 1 to 22; the library's default is 3.
  package init(level: Int = 3) throws(ImageError) {
    guard let context = unsafe ZSTD_createCCtx() else { throw .system(12 /* ENOMEM */) }
    unsafe self.context = context
    _ = unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
  }

  deinit { unsafe ZSTD_freeCCtx(context) }

  /// Compresses all of `input` into one frame.
  ///
  /// - Returns: the frame's length in bytes, or nil if it does not fit `output`.
  package func compress(_ input: RawSpan, into output: inout MutableRawSpan) -> Int? {
    let length = unsafe input.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { target in
        // Both lengths are those of the spans; the library stays within them.
        unsafe ZSTD_compress2(context, target.baseAddress, target.count, source.baseAddress, source.count)
      }
    }
    return ZSTD_isError(length) != 0 ? nil : length
  }
}
