import Bytes
import CDeflate
import CZlib

/// Decompresses raw deflate streams. One thread at a time; reuse it, its tables are costly to make.
@safe
package final class Inflater {
  // Owned: allocated in init, freed in deinit, never handed out.
  private let decompressor: OpaquePointer

  package init() throws(ImageError) {
    guard let decompressor = unsafe libdeflate_alloc_decompressor() else { throw .system(12 /* ENOMEM */) }
    unsafe self.decompressor = decompressor
  }

  deinit { unsafe libdeflate_free_decompressor(decompressor) }

  /// Fills all of `output` from the stream that `input` begins with; what follows the stream does not matter.
  ///
  /// - Returns: whether that many bytes could be had. A stream that would go on is good enough, as with the reference.
  package func inflate(_ input: RawSpan, into output: inout MutableRawSpan) -> Bool {
    let count = output.byteCount
    let isExact = unsafe input.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { target in
        var produced = 0
        // Both lengths are those of the spans; libdeflate stays within them.
        let result = unsafe libdeflate_deflate_decompress(
          decompressor, source.baseAddress, source.count, target.baseAddress, count, &produced)
        return result == LIBDEFLATE_SUCCESS && produced == count
      }
    }
    return isExact || inflateBeginning(input, into: &output)
  }

  /// Streams whose end is missing or lies beyond the output: zlib gives what there is.
  private func inflateBeginning(_ input: RawSpan, into output: inout MutableRawSpan) -> Bool {
    var stream = unsafe z_stream()
    // 15: the largest window, which reads streams made with any.
    guard unsafe inflateInit2_(&stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      return false
    }
    defer { unsafe inflateEnd(&stream) }
    return unsafe input.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { target in
        guard let from = source.baseAddress, let to = target.baseAddress,
          let inputCount = UInt32(exactly: source.count), let outputCount = UInt32(exactly: target.count)
        else { return false }
        // zlib does not write through next_in; its type lacks the const. Both counts are those of the buffers.
        unsafe stream.next_in = UnsafeMutablePointer(mutating: from.assumingMemoryBound(to: UInt8.self))
        unsafe stream.avail_in = inputCount
        unsafe stream.next_out = to.assumingMemoryBound(to: UInt8.self)
        unsafe stream.avail_out = outputCount
        let result = unsafe CZlib.inflate(&stream, Z_FINISH)
        return unsafe (result == Z_STREAM_END || result == Z_BUF_ERROR || result == Z_OK) && stream.avail_out == 0
      }
    }
  }
}
