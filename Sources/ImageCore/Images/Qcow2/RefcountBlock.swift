import Bytes

/// How reference counts lie in a refcount block (qcow2-qcow-qed §5).
///
/// A block is held as 64-bit words loaded little-endian, whatever the width of a count: then count number i of width w
/// takes the bits i·w ..< (i+1)·w of the whole, and runs of free or used clusters can be looked for 64 bits at a time.
/// Counts below 8 bits fill a byte from its low bits, as the format has it; wider ones have their bytes in big-endian
/// order within their bits.
package struct RefcountWidth: Sendable, Hashable {
  /// The base-two logarithm of the width in bits: 0...6.
  package let order: Int

  /// Counts of 2^order bits (order 0...6, checked with the header).
  package init(order: UInt32) { self.order = Int(min(order, 6)) }

  /// Width in bits.
  @inlinable package var bits: Int { 1 << order }
  /// The largest count.
  package var limit: UInt64 { order == 6 ? .max : (1 << UInt64(bits)) - 1 }

  /// The lowest bit of every count in a word.
  private var lows: UInt64 {
    switch order {
    case 0: .max
    case 1: 0x5555_5555_5555_5555
    case 2: 0x1111_1111_1111_1111
    case 3: 0x0101_0101_0101_0101
    case 4: 0x0001_0001_0001_0001
    case 5: 0x0000_0001_0000_0001
    default: 1
    }
  }

  /// Reverses the bytes of a count that has several.
  private func swapped(_ value: UInt64) -> UInt64 {
    switch order {
    case 4: UInt64(UInt16(truncatingIfNeeded: value).byteSwapped)
    case 5: UInt64(UInt32(truncatingIfNeeded: value).byteSwapped)
    case 6: value.byteSwapped
    default: value
    }
  }

  /// Count number `index` of a block.
  package func count(_ words: [UInt64], _ index: Int) -> UInt64 {
    let bit = index << order
    return swapped(words[bit >> 6] >> UInt64(bit & 63) & limit)
  }

  /// Sets count number `index`; `value` must not be above ``limit``.
  package func setCount(_ words: inout [UInt64], _ index: Int, _ value: UInt64) {
    let bit = index << order
    let shift = UInt64(bit & 63)
    words[bit >> 6] = words[bit >> 6] & ~(limit << shift) | swapped(value) << shift
  }

  /// The first index in `range` whose count is not 0.
  package func firstUsed(_ words: [UInt64], _ range: Range<Int>) -> Int? {
    first(words, range) { $0 }
  }

  /// The first index in `range` whose count is 0.
  package func firstFree(_ words: [UInt64], _ range: Range<Int>) -> Int? {
    let lows = self.lows
    let highs = lows << UInt64(bits - 1)
    // The lowest bit of the result lies in the lowest lane that is 0; only lanes above it may be wrong.
    return first(words, range) { ($0 &- lows) & ~$0 & highs }
  }

  /// The first index in `range` for whose lane `mark` gives a bit; marks of lower lanes must be exact.
  @inline(__always)
  private func first(_ words: [UInt64], _ range: Range<Int>, _ mark: (UInt64) -> UInt64) -> Int? {
    guard !range.isEmpty else { return nil }
    let startBit = range.lowerBound << order
    let endBit = range.upperBound << order
    var index = startBit >> 6
    // Lanes below the start are taken out of the first word: as used for a search of free ones they must not borrow, so
    // the word is shifted down and the result up again.
    let skip = UInt64(startBit & 63)
    if skip != 0 {
      let marks = mark(words[index] >> skip) << skip
      if marks != 0 {
        let found = (index << 6 + marks.trailingZeroBitCount) >> order
        // Beyond the word's end the shift moved zeros in; those lanes belong to the next word.
        return found < range.upperBound ? found : nil
      }
      index += 1
    }
    let last = (endBit + 63) >> 6
    while index < last {
      let marks = mark(words[index])
      if marks != 0 {
        let found = (index << 6 + marks.trailingZeroBitCount) >> order
        return found < range.upperBound ? found : nil
      }
      index += 1
    }
    return nil
  }

  /// Sets the counts in `range`, all 0 before, to 1.
  package func setOnes(_ words: inout [UInt64], _ range: Range<Int>) {
    // 1 in every lane; the low byte of a wide count comes last.
    let pattern = order > 3 ? lows << UInt64(bits - 8) : lows
    var index = range.lowerBound
    while index < range.upperBound && (index << order) & 63 != 0 {
      setCount(&words, index, 1)
      index += 1
    }
    let perWord = 64 >> order
    while range.upperBound - index >= perWord {
      words[(index << order) >> 6] = pattern
      index += perWord
    }
    while index < range.upperBound {
      setCount(&words, index, 1)
      index += 1
    }
  }
}

/// A refcount block in memory.
package final class RefcountBlock {
  /// Index of the block's entry in the refcount table.
  package let index: Int
  /// Offset of the block in the file in bytes.
  package internal(set) var offset: UInt64
  /// The contents, see ``RefcountWidth``.
  package var words: [UInt64]
  /// Whether ``words`` differ from the file.
  package var isDirty: Bool
  /// When the block was used last, in uses of blocks.
  var lastUse = 0

  init(index: Int, offset: UInt64, words: [UInt64], isDirty: Bool) {
    self.index = index
    self.offset = offset
    self.words = words
    self.isDirty = isDirty
  }
}
