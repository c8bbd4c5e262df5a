import Bytes

/// One bit a cluster, in words, so that runs are set and found 64 clusters at a time.
package struct ClusterBitmap: Sendable {
  private var words: [UInt64]
  /// Number of clusters.
  package let count: UInt64

  /// All clear. `count` has been checked against the volume's size.
  package init(count: UInt64) {
    self.count = count
    words = [UInt64](repeating: 0, count: Int(count.dividedUp(by: 64)))
  }

  package subscript(_ cluster: UInt64) -> Bool {
    get { cluster < count && words[Int(cluster / 64)] >> (cluster % 64) & 1 == 1 }
    set {
      guard cluster < count else { return }
      let bit: UInt64 = 1 << (cluster % 64)
      if newValue { words[Int(cluster / 64)] |= bit } else { words[Int(cluster / 64)] &= ~bit }
    }
  }

  /// The bits of one word that belong to the run.
  private func mask(_ word: UInt64, _ range: Range<UInt64>) -> UInt64 {
    let low = max(range.lowerBound, word * 64) - word * 64
    let high = min(range.upperBound, word * 64 + 64) - word * 64
    guard high > low else { return 0 }
    return (high - low == 64 ? ~0 : (1 << (high - low)) - 1) << low
  }

  /// Sets a run's bits, and calls `conflict` with each that was set already, ascending.
  package mutating func set(
    _ range: Range<UInt64>, conflict: (UInt64) throws(ImageError) -> Void
  ) throws(ImageError) {
    guard !range.isEmpty, range.upperBound <= count else { return }
    for word in range.lowerBound / 64...(range.upperBound - 1) / 64 {
      let mask = mask(word, range)
      var twice = words[Int(word)] & mask
      words[Int(word)] |= mask
      while twice != 0 {
        try conflict(word * 64 + UInt64(twice.trailingZeroBitCount))
        twice &= twice - 1
      }
    }
  }

  /// The next run of set bits that begins at `start` or behind it.
  package func nextRun(from start: UInt64) -> Range<UInt64>? {
    guard let first = next(from: start, isSet: true) else { return nil }
    return first..<(next(from: first, isSet: false) ?? count)
  }

  private func next(from start: UInt64, isSet: Bool) -> UInt64? {
    guard start < count else { return nil }
    var word = Int(start / 64)
    var bits = (isSet ? words[word] : ~words[word]) & (~0 << (start % 64))
    while bits == 0 {
      word += 1
      guard word < words.count else { return nil }
      bits = isSet ? words[word] : ~words[word]
    }
    let found = UInt64(word) * 64 + UInt64(bits.trailingZeroBitCount)
    return found < count ? found : nil
  }

  /// The 64 bits from cluster `64 × index` on; zeros past the end.
  package func word(_ index: Int) -> UInt64 { index < words.count ? words[index] : 0 }
  package var wordCount: Int { words.count }
}
