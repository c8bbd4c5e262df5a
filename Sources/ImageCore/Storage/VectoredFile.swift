import Bytes
import CLinux
import Glibc

// Stretches of a file whose bytes lie in several places of the memory: formats that put something between the blocks
// need not copy them once more.
extension FileStorage {
  /// The most places in one system call (IOV_MAX).
  private static let placesLimit = 1024

  /// Fills the places of `buffer`, in the order given, with the file's bytes from `offset` on; zeros past the end.
  package func read(into buffer: inout MutableRawSpan, places: [Range<Int>], at offset: UInt64) throws(ImageError) {
    guard requestAlignment == 1, offset <= UInt64(Int64.max) else {
      var position = offset
      for place in places {
        var part = buffer.slice(place)
        try read(into: &part, at: position)
        position = position.addingReportingOverflow(UInt64(place.count)).partialValue
      }
      return
    }
    var rest = VectorProgress(places, in: buffer.byteCount)
    while let next = rest.next(limit: FileStorage.placesLimit) {
      let result = unsafe buffer.withUnsafeMutableBytes { bytes -> Int in
        guard let base = bytes.baseAddress else { return 0 }
        // Every place has been compared with the span's size.
        let vectors = unsafe next.map { unsafe iovec(iov_base: base + $0.lowerBound, iov_len: $0.count) }
        return unsafe preadv(number, vectors, Int32(vectors.count), off_t(offset) + off_t(rest.done))
      }
      if result < 0 {
        let code = errno
        if code == EINTR { continue }
        throw failure(code, offset + UInt64(rest.done))
      }
      if result == 0 {
        try checkNotCut(at: offset + UInt64(rest.done))
        for place in next { buffer.fill(place) }
        rest.advance(next.reduce(0) { $0 + $1.count })
      } else {
        rest.advance(result)
      }
    }
  }

  /// Stores the places of `bytes`, in the order given, one behind the other from `offset` on.
  package func write(_ bytes: RawSpan, places: [Range<Int>], at offset: UInt64) throws(ImageError) {
    let count = places.reduce(0) { $0 + $1.count }
    guard let start = off_t(exactly: offset), start <= off_t.max - off_t(count) else { throw failure(EFBIG, offset) }
    guard requestAlignment == 1 else {
      var position = offset
      for place in places {
        try write(bytes.slice(place), at: position)
        position += UInt64(place.count)
      }
      return
    }
    var rest = VectorProgress(places, in: bytes.byteCount)
    while let next = rest.next(limit: FileStorage.placesLimit) {
      let result = unsafe bytes.withUnsafeBytes { source -> Int in
        guard let base = source.baseAddress else { return 0 }
        // Every place has been compared with the span's size; pwritev only reads.
        let vectors = unsafe next.map {
          unsafe iovec(iov_base: UnsafeMutableRawPointer(mutating: base + $0.lowerBound), iov_len: $0.count)
        }
        return unsafe pwritev(number, vectors, Int32(vectors.count), start + off_t(rest.done))
      }
      if result < 0 {
        let code = errno
        if code == EINTR { continue }
        throw failure(code, offset + UInt64(rest.done))
      }
      // A write that stores nothing and reports nothing: a full device that does not say so.
      if result == 0 { throw failure(ENOSPC, offset + UInt64(rest.done)) }
      rest.advance(result)
    }
    grow(to: offset + UInt64(count))
    try wrote()
  }
}

/// Places of a buffer that are worked through in order; a system call may stop in the middle of one.
private struct VectorProgress {
  private let places: [Range<Int>]
  private var index = 0
  /// Bytes of `places[index]` that are done.
  private var inside = 0
  /// Bytes done altogether.
  private(set) var done = 0

  init(_ places: [Range<Int>], in size: Int) {
    for place in places { precondition(place.lowerBound >= 0 && place.upperBound <= size) }
    self.places = places.filter { !$0.isEmpty }
  }

  /// What comes next; nil when all is done.
  func next(limit: Int) -> [Range<Int>]? {
    guard index < places.count else { return nil }
    var part = Array(places[index..<min(places.count, index + limit)])
    part[0] = part[0].lowerBound + inside..<part[0].upperBound
    return part
  }

  mutating func advance(_ count: Int) {
    done += count
    var count = count + inside
    while index < places.count, count >= places[index].count {
      count -= places[index].count
      index += 1
    }
    inside = count
  }
}
