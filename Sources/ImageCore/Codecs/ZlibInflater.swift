import Bytes
import CDeflate
import CZlib

/// Decompresses whole zlib streams (RFC 1950). One thread at a time; reuse it, its tables are costly to make.
@safe
package final class ZlibInflater {
  /// What became of a stream.
  package enum Outcome: Sendable, Equatable {
    /// It gave so many bytes.
    case complete(Int)
    /// It gives more than there is room for.
    case tooLong
    /// It is damaged, ends too early, or something follows it.
    case damaged
  }

  // Owned: allocated in init, freed in deinit, never handed out.
  private let decompressor: OpaquePointer

  package init() throws(ImageError) {
    guard let decompressor = unsafe libdeflate_alloc_decompressor() else { throw .system(12 /* ENOMEM */) }
    unsafe self.decompressor = decompressor
  }

  deinit { unsafe libdeflate_free_decompressor(decompressor) }

  /// Decompresses the stream that all of `input` is.
  @_lifetime(output: copy output)
  package func inflate(_ input: RawSpan, into output: inout MutableRawSpan) -> Outcome {
    unsafe input.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { target in
        var consumed = 0
        var produced = 0
        // Both lengths are those of the spans; libdeflate stays within them.
        let result = unsafe libdeflate_zlib_decompress_ex(
          decompressor, source.baseAddress, source.count, target.baseAddress, target.count, &consumed, &produced)
        switch result {
        case LIBDEFLATE_SUCCESS: return consumed == source.count ? .complete(produced) : .damaged
        case LIBDEFLATE_INSUFFICIENT_SPACE: return .tooLong
        default: return .damaged
        }
      }
    }
  }
}

/// Decompresses a zlib stream that is too long to be held in memory, piece by piece.
@safe
package final class ZlibStreamInflater {
  /// How far a call has come.
  package struct Step: Sendable {
    /// Bytes of the input that were used.
    package var consumed: Int
    /// Bytes of the output that were filled.
    package var produced: Int
    /// Whether the stream is at its end.
    package var isComplete: Bool
  }

  // Owned: allocated and initialised in init, ended and freed in deinit. zlib keeps a pointer to it: it must not move.
  private let stream: UnsafeMutablePointer<z_stream>

  package init() throws(ImageError) {
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    guard unsafe inflateInit2_(stream, 15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      unsafe stream.deallocate()
      throw .system(12 /* ENOMEM */)
    }
  }

  deinit {
    unsafe inflateEnd(stream)
    unsafe stream.deallocate()
  }

  /// Goes on with `input`, which follows what was consumed before, into `output` from its beginning.
  ///
  /// - Returns: nil if the stream is damaged.
  @_lifetime(output: copy output)
  package func inflate(_ input: RawSpan, into output: inout MutableRawSpan) -> Step? {
    unsafe input.withUnsafeBytes { source in
      unsafe output.withUnsafeMutableBytes { target in
        let counts = (UInt32(clamping: source.count), UInt32(clamping: target.count))
        // zlib does not write through next_in; its type lacks the const. Both counts are at most those of the buffers,
        // and neither pointer is used after the call.
        unsafe stream.pointee.next_in = source.baseAddress.map {
          unsafe UnsafeMutablePointer(mutating: $0.assumingMemoryBound(to: UInt8.self))
        }
        unsafe stream.pointee.avail_in = counts.0
        unsafe stream.pointee.next_out = target.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.avail_out = counts.1
        let result = unsafe CZlib.inflate(stream, Z_NO_FLUSH)
        guard result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR else { return nil }
        return unsafe Step(
          consumed: Int(counts.0 - stream.pointee.avail_in), produced: Int(counts.1 - stream.pointee.avail_out),
          isComplete: result == Z_STREAM_END)
      }
    }
  }
}
