extension RawSpan {
  /// Whether every byte is zero. An empty span is.
  @inlinable package var isZero: Bool { firstNonZeroBlock(of: 1 << 30) == nil }

  /// Whether the bytes in `range` are all zero.
  @inlinable package func isZero(_ range: Range<Int>) -> Bool {
    var offset = range.lowerBound
    let end = range.upperBound
    // 64 bytes a step: wide enough for the compiler's vectors, short enough to leave soon after the first data.
    while end - offset >= 64 {
      // unsafeLoadUnaligned checks the bounds; integers have no invalid patterns.
      let a = unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: SIMD4<UInt64>.self)
      let b = unsafe unsafeLoadUnaligned(fromByteOffset: offset + 32, as: SIMD4<UInt64>.self)
      let all = a | b
      if (all[0] | all[1]) | (all[2] | all[3]) != 0 { return false }
      offset += 64
    }
    while end - offset >= 8 {
      if unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self) != 0 { return false }
      offset += 8
    }
    while offset < end {
      if self[offset] != 0 { return false }
      offset += 1
    }
    return true
  }

  /// Index of the first block of `size` bytes (the last one may be shorter) that holds a byte other than zero.
  @inlinable package func firstNonZeroBlock(of size: Int) -> Int? {
    var index = 0
    var offset = 0
    while offset < byteCount {
      let end = byteCount - offset <= size ? byteCount : offset + size
      if !isZero(offset..<end) { return index }
      index += 1
      offset = end
    }
    return nil
  }
}
