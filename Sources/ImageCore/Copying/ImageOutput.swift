import Bytes
import Storage

/// What an image is written to.
package enum ImageOutput: Sendable {
  /// A regular file that has been emptied, or a block device.
  case file(FileStorage)
  /// Anything that takes its bytes one after the other.
  case stream(OutputStream)

  /// Stores all of `bytes` at `offset`.
  package func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
    switch self {
    case .stream(let stream): try stream.write(bytes, at: offset)
    case .file(let file): try file.write(bytes, at: offset)
    }
  }

  /// Stores `bytes` at `offset`; a file's zeros are left to its holes.
  package func write(_ bytes: RawSpan, at offset: UInt64, blockSize: Int) throws(ImageError) {
    switch self {
    case .stream(let stream):
      try stream.write(bytes, at: offset)
    case .file(let file):
      var start = 0
      while start < bytes.byteCount {
        let isZero = bytes.isZero(start..<start + blockSize)
        var end = start + blockSize
        while end < bytes.byteCount, bytes.isZero(end..<end + blockSize) == isZero { end += blockSize }
        if isZero {
          try zero(UInt64(end - start), at: offset + UInt64(start))
        } else {
          try file.write(bytes.slice(start..<end), at: offset + UInt64(start))
        }
        start = end
      }
    }
  }

  /// Makes `count` bytes at `offset` zeros.
  package func zero(_ count: UInt64, at offset: UInt64) throws(ImageError) {
    switch self {
    case .stream(let stream): try stream.writeZeros(count, at: offset)
    case .file(let file): if !file.growsWithZeros { try file.zero(offset..<offset + count, mayUnmap: true) }
    }
  }

  /// Stores a segment at `offset`: its bytes, or zeros.
  package func store(_ segment: Segment, _ bytes: RawSpan, at offset: UInt64, blockSize: Int) throws(ImageError) {
    switch segment.kind {
    case .zero: try zero(segment.length, at: offset)
    case .data: try write(bytes, at: offset, blockSize: blockSize)
    }
  }
}
