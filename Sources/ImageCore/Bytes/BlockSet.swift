/// A set of block numbers below a limit, kept as pieces of 32768 bits; pieces without bits take no memory.
///
/// The pieces are those of o2image's packed image (ocfs2-o2image §16.1): bit b of piece p stands for block 32768 · p + b.
package struct BlockSet: Sendable {
  /// Blocks that a piece stands for.
  package static let pieceBits: UInt64 = 32768
  /// Size of a piece in bytes.
  package static let pieceSize = 4096
  private static let words = 512

  private struct Piece: Sendable {
    var words = [UInt64](repeating: 0, count: BlockSet.words)
    /// Number of bits set.
    var count = 0
  }

  /// One more than the largest number that the set can hold.
  package let limit: UInt64
  private var pieces: [UInt64: Piece] = [:]
  /// Number of blocks in the set.
  package private(set) var count: UInt64 = 0

  /// An empty set of numbers below `limit`.
  package init(limit: UInt64) { self.limit = limit }

  /// Number of pieces that cover all numbers below the limit.
  package var pieceCount: UInt64 { limit.dividedUp(by: BlockSet.pieceBits) }

  /// Adds a block; one beyond the limit is ignored.
  package mutating func insert(_ block: UInt64) {
    if block < limit { insert(block..<block + 1) }
  }

  /// Adds a run of blocks; what lies beyond the limit is ignored.
  package mutating func insert(_ blocks: Range<UInt64>) {
    let end = min(blocks.upperBound, limit)
    var block = blocks.lowerBound
    while block < end {
      let index = block / BlockSet.pieceBits
      let pieceEnd = min(end, (index + 1) * BlockSet.pieceBits)
      let start = Int(block % BlockSet.pieceBits)
      let range = start..<start + Int(pieceEnd - block)
      count += UInt64(BlockSet.set(range, &pieces[index, default: Piece()]))
      block = pieceEnd
    }
  }

  /// Sets the bits of `range` in a piece, and returns how many were clear.
  private static func set(_ range: Range<Int>, _ piece: inout Piece) -> Int {
    guard piece.count < Int(pieceBits) else { return 0 }
    var added = 0
    var bit = range.lowerBound
    while bit < range.upperBound {
      let word = bit / 64
      let end = min(range.upperBound, (word + 1) * 64)
      let mask = (UInt64.max >> UInt64(64 - (end - bit))) << UInt64(bit % 64)
      added += (mask & ~piece.words[word]).nonzeroBitCount
      piece.words[word] |= mask
      bit = end
    }
    piece.count += added
    return added
  }

  /// Whether the block is in the set.
  package func contains(_ block: UInt64) -> Bool {
    guard let piece = pieces[block / BlockSet.pieceBits] else { return false }
    let bit = Int(block % BlockSet.pieceBits)
    return piece.words[bit / 64] >> UInt64(bit % 64) & 1 != 0
  }

  /// The first run of consecutive blocks of the set that begins at or after `block`, cut to `longest` blocks.
  package func nextRun(from block: UInt64, longest: UInt64) -> Range<UInt64>? {
    guard let start = next(from: block, isMember: true, end: limit) else { return nil }
    let end = min(limit, start.saturatingAdd(longest))
    return start..<(next(from: start, isMember: false, end: end) ?? end)
  }

  /// The first number from `block` on and below `end` that is, or is not, in the set.
  private func next(from block: UInt64, isMember: Bool, end: UInt64) -> UInt64? {
    var block = block
    while block < end {
      let index = block / BlockSet.pieceBits
      if let piece = pieces[index] {
        var word = Int(block % BlockSet.pieceBits) / 64
        var skipped = block % 64
        while word < BlockSet.words {
          let bits = (isMember ? piece.words[word] : ~piece.words[word]) >> skipped
          if bits != 0 {
            let found = index * BlockSet.pieceBits + UInt64(word * 64) + skipped + UInt64(bits.trailingZeroBitCount)
            return found < end ? found : nil
          }
          word += 1
          skipped = 0
        }
      } else if !isMember {
        return block
      }
      block = (index + 1) * BlockSet.pieceBits
    }
    return nil
  }

  /// Number of blocks of the set in piece `index`.
  package func count(inPiece index: UInt64) -> Int { pieces[index]?.count ?? 0 }

  /// Number of blocks of the set in the piece of `block` and below it.
  package func rankInPiece(of block: UInt64) -> Int {
    guard let piece = pieces[block / BlockSet.pieceBits] else { return 0 }
    let bit = Int(block % BlockSet.pieceBits)
    let whole = piece.words[..<(bit / 64)].reduce(0) { $0 + $1.nonzeroBitCount }
    return whole + (piece.words[bit / 64] & ~(UInt64.max << UInt64(bit % 64))).nonzeroBitCount
  }

  /// Number of blocks of the set below `block`. Looks at all pieces: for a few questions.
  package func rank(of block: UInt64) -> UInt64 {
    let last = block / BlockSet.pieceBits
    return pieces.reduce(UInt64(rankInPiece(of: block))) { sum, piece in
      piece.key < last ? sum + UInt64(piece.value.count) : sum
    }
  }

  /// Stores piece `index`, as it is on disk, into the first 4096 bytes of `bytes`.
  package func store(piece index: UInt64, into bytes: inout MutableRawSpan) {
    guard let piece = pieces[index] else {
      bytes.fill(0..<BlockSet.pieceSize)
      return
    }
    for (number, word) in piece.words.enumerated() { bytes.storeLittleEndian(word, at: number * 8) }
  }

  /// Adds the blocks of piece `index`, as it is on disk; bits beyond the limit are ignored.
  package mutating func load(piece index: UInt64, from bytes: RawSpan) {
    let start = index * BlockSet.pieceBits
    guard start < limit, !bytes.isZero(0..<BlockSet.pieceSize) else { return }
    var piece = Piece()
    let valid = min(limit - start, BlockSet.pieceBits)
    for word in 0..<BlockSet.words {
      var bits: UInt64 = bytes.littleEndian(at: word * 8)
      let first = UInt64(word * 64)
      if first + 64 > valid { bits &= first >= valid ? 0 : UInt64.max >> (first + 64 - valid) }
      piece.words[word] = bits
      piece.count += bits.nonzeroBitCount
    }
    count = count - UInt64(pieces[index]?.count ?? 0) + UInt64(piece.count)
    pieces[index] = piece
  }
}
