import Glibc

// Bounds-checked fields of on-disk structures. The span checks every offset; parsers check sizes first and throw, so
// the trap behind an offset is a programming error, never an answer to an image.

extension RawSpan {
  /// A big-endian integer of the type's size at byte `offset`.
  @inlinable package func bigEndian<T: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: T.Type = T.self)
    -> T
  {
    // Bounds are checked by the span; an integer has no invalid bit patterns.
    T(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: T.self))
  }

  /// A little-endian integer of the type's size at byte `offset`.
  @inlinable package func littleEndian<T: FixedWidthInteger & BitwiseCopyable>(
    at offset: Int, as type: T.Type = T.self
  ) -> T {
    T(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: T.self))
  }

  /// The byte at `offset`.
  @inlinable package subscript(_ offset: Int) -> UInt8 {
    unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }

  /// The bytes in `range` (within the span), as a view.
  @inlinable @_lifetime(copy self)
  package func slice(_ range: Range<Int>) -> RawSpan { extracting(range) }

  /// A copy of the bytes in `range`.
  package func array(_ range: Range<Int>) -> [UInt8] {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
    if range.isEmpty { return [] }
    // Source and destination are both range.count bytes, checked above.
    return unsafe withUnsafeBytes { source in
      unsafe [UInt8](UnsafeRawBufferPointer(rebasing: source[range]))
    }
  }

  /// Whether the bytes are the same; spans of different length are not.
  @inlinable package func elementsEqual(_ other: RawSpan) -> Bool {
    guard byteCount == other.byteCount else { return false }
    if byteCount == 0 { return true }
    return unsafe withUnsafeBytes { a in
      unsafe other.withUnsafeBytes { b in
        // Both hold byteCount > 0 bytes.
        guard let left = a.baseAddress, let right = b.baseAddress else { return true }
        return unsafe memcmp(left, right, a.count) == 0
      }
    }
  }
}

extension MutableRawSpan {
  /// Stores a big-endian integer at byte `offset`.
  @inlinable @_lifetime(self: copy self)
  package mutating func storeBigEndian<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
    storeBytes(of: value.bigEndian, toByteOffset: offset, as: T.self)
  }

  /// Stores a little-endian integer at byte `offset`.
  @inlinable @_lifetime(self: copy self)
  package mutating func storeLittleEndian<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
    storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
  }

  /// Fills `range` with `value`.
  @_lifetime(self: copy self)
  package mutating func fill(_ range: Range<Int>, with value: UInt8 = 0) {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
    if range.isEmpty { return }
    // The range was checked against the span.
    unsafe withUnsafeMutableBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      unsafe memset(base + range.lowerBound, Int32(value), range.count)
    }
  }

  /// Copies all of `source` to byte `offset`; it must fit.
  @_lifetime(self: copy self)
  package mutating func copy(_ source: RawSpan, at offset: Int) {
    precondition(offset >= 0 && source.byteCount <= byteCount - offset)
    if source.byteCount == 0 { return }
    // Both ranges were checked; memmove allows overlap.
    unsafe withUnsafeMutableBytes { bytes in
      unsafe source.withUnsafeBytes { from in
        guard let target = bytes.baseAddress, let start = from.baseAddress else { return }
        unsafe memmove(target + offset, start, from.count)
      }
    }
  }

  /// The bytes in `range` (within the span), to write.
  @inlinable @_lifetime(&self)
  package mutating func slice(_ range: Range<Int>) -> MutableRawSpan { _mutatingExtracting(range) }
}

extension [UInt8] {
  /// The elements as raw bytes.
  @inlinable package var rawBytes: RawSpan {
    @_lifetime(borrow self) get {
      // UInt8 has no padding: every byte of the span is initialised.
      unsafe span.bytes
    }
  }
}
