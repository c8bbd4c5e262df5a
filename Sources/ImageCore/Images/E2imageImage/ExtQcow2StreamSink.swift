import Bytes
import Copying
import Storage
import Synchronization

/// Finds the blocks that a QCOW2 image stores, without writing anything: the first of two passes.
package final class StoredBlocksSink: CopySink {
  private let blockSize: Int
  private let storesZeros: Bool
  private let isUnreadable: @Sendable (Range<UInt64>) -> [UInt64]
  private let found: Mutex<BlockSet>

  /// - Parameters:
  ///   - blockCount: blocks of the file system.
  ///   - storesZeros: blocks of zeros are stored too.
  ///   - isUnreadable: those of the blocks that could not be read: they are left out.
  package init(
    blockSize: Int, blockCount: UInt64, storesZeros: Bool = false,
    isUnreadable: @escaping @Sendable (Range<UInt64>) -> [UInt64]
  ) {
    self.blockSize = blockSize
    self.storesZeros = storesZeros
    self.isUnreadable = isUnreadable
    found = Mutex(BlockSet(limit: blockCount))
  }

  /// The blocks.
  package var blocks: BlockSet { found.withLock { $0 } }

  package func makeScratch() {}
  package func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Void) -> [Range<Int>] {
    storedRuns(segment, bytes, blockSize, storesZeros: storesZeros, unreadable: isUnreadable)
  }
  package func place(
    _ segment: Segment, _ prepared: [Range<Int>], waitForPuts: () throws(ImageError) -> Void
  ) {
    let first = segment.offset / UInt64(blockSize)
    found.withLock { found in
      for run in prepared {
        found.insert(first + UInt64(run.lowerBound / blockSize)..<first + UInt64(run.upperBound / blockSize))
      }
    }
  }
  package func put(_ segment: Segment, _ bytes: RawSpan, _ placement: Void, _ scratch: inout Void) {}
  package func finish() {}
}

/// Writes the QCOW2 image of a file system from its beginning to its end, tables where they belong: the second pass, when
/// it is known which blocks are stored.
package final class ExtQcow2StreamSink: CopySink {
  /// What comes next in the stream.
  package enum Piece: Sendable {
    /// Bytes of the segment: from, length.
    case data(Int, Int)
    case bytes([UInt8])
    case zeros(UInt64)

    var length: UInt64 {
      switch self {
      case .data(_, let length): UInt64(length)
      case .bytes(let bytes): UInt64(bytes.count)
      case .zeros(let length): length
      }
    }
  }

  private struct State {
    var layout: ExtQcow2Layout
    /// How much of the image has been placed.
    var position: UInt64 = 0
  }

  private let output: OutputStream
  private let blockSize: Int
  private let byteCount: UInt64
  private let stored: BlockSet
  private let final: (layout: ExtQcow2Layout, tables: [(index: UInt64, offset: UInt64)], refcountBlocks: [UInt64])
  private let state: Mutex<State>

  /// - Parameter stored: the blocks that the image holds.
  package init(_ output: OutputStream, _ layout: ExtQcow2Layout, stored: BlockSet, byteCount: UInt64) {
    self.output = output
    self.stored = stored
    self.byteCount = byteCount
    blockSize = Int(layout.clusterSize)
    state = Mutex(State(layout: layout))

    var last = layout
    var tables: [(index: UInt64, offset: UInt64)] = []
    var refcountBlocks = layout.firstRefcountBlocks
    var next: UInt64 = 0
    while let run = stored.nextRun(from: next, longest: .max) {
      for block in run {
        let step = last.place(block)
        if let offset = step.newTable { tables.append((block / (layout.clusterSize / 8), offset)) }
        refcountBlocks += step.newRefcountBlocks
      }
      next = run.upperBound
    }
    if let offset = last.end() { refcountBlocks.append(offset) }
    final = (last, tables, refcountBlocks)
  }

  /// Writes what comes before the data.
  package func begin() throws(ImageError) {
    let headers = ExtQcow2Headers(final.layout, byteCount: byteCount)
    let (start, pieces) = state.withLock { state in
      var pieces: [Piece] = []
      let start = state.position
      emit(.bytes(headers.header), at: 0, &state, &pieces)
      var next = 0
      while next < final.tables.count {
        let (offset, bytes) = headers.l1Page(final.tables, &next)
        emit(.bytes(bytes), at: offset, &state, &pieces)
      }
      emit(
        .bytes(headers.refcountTable(final.refcountBlocks)), at: final.layout.refcountTableOffset, &state, &pieces)
      if let first = final.tables.first {
        emit(.bytes(table(first.index, after: state.layout, from: 0)), at: first.offset, &state, &pieces)
      }
      for offset in state.layout.firstRefcountBlocks { emitRefcountBlock(offset, &state, &pieces) }
      return (start, pieces)
    }
    try writeTables(pieces, at: start)
  }

  package func makeScratch() {}
  package func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Void) {}

  package func place(
    _ segment: Segment, _ prepared: Void, waitForPuts: () throws(ImageError) -> Void
  ) -> (start: UInt64, pieces: [Piece]) {
    state.withLock { state in
      let start = state.position
      var pieces: [Piece] = []
      let first = segment.offset / UInt64(blockSize)
      let end = first + segment.length / UInt64(blockSize)
      var next = first
      while next < end, let run = stored.nextRun(from: next, longest: end - next), run.lowerBound < end {
        for block in run.lowerBound..<min(run.upperBound, end) {
          place(block, Int(block - first) * blockSize, segment.kind, &state, &pieces)
        }
        next = run.upperBound
      }
      return (start, pieces)
    }
  }

  private func place(
    _ block: UInt64, _ start: Int, _ kind: Segment.Kind, _ state: inout State, _ pieces: inout [Piece]
  ) {
    let step = state.layout.place(block)
    for offset in step.newRefcountBlocks where offset < step.data { emitRefcountBlock(offset, &state, &pieces) }
    if kind == .data {
      emit(.data(start, blockSize), at: step.data, &state, &pieces)
    } else {
      emit(.zeros(UInt64(blockSize)), at: step.data, &state, &pieces)
    }
    if let reserved = step.reserved, let next = tableNumber(after: block) {
      emit(.bytes(table(next, after: state.layout, from: block + 1)), at: reserved, &state, &pieces)
    }
    for offset in step.newRefcountBlocks where offset > step.data { emitRefcountBlock(offset, &state, &pieces) }
  }

  /// The number of the next L2 table after the one of `block`.
  private func tableNumber(after block: UInt64) -> UInt64? {
    let entries = UInt64(blockSize / 8)
    return stored.nextRun(from: (block / entries + 1) * entries, longest: 1).map { $0.lowerBound / entries }
  }

  /// The L2 table with this number, found by placing ahead from block `from` on.
  private func table(_ number: UInt64, after layout: ExtQcow2Layout, from: UInt64) -> [UInt8] {
    var layout = layout
    let entries = UInt64(blockSize / 8)
    var words = [UInt64](repeating: 0, count: blockSize / 8)
    var next = from
    while let run = stored.nextRun(from: next, longest: entries), run.lowerBound / entries <= number {
      for block in run where block / entries <= number {
        let step = layout.place(block)
        if block / entries == number { words[Int(block % entries)] = step.data | 1 << 63 }
      }
      next = run.upperBound
    }
    return bigEndianBytes(words)
  }

  private func emitRefcountBlock(_ offset: UInt64, _ state: inout State, _ pieces: inout [Piece]) {
    let isLast = offset == final.layout.refcountBlock
    let count = isLast ? final.layout.refcountEntries : UInt64(blockSize / 2)
    emit(.bytes(refcountBlockBytes(count, blockSize)), at: offset, &state, &pieces)
  }

  /// Appends what lies at `offset`, with zeros in between.
  private func emit(_ piece: Piece, at offset: UInt64, _ state: inout State, _ pieces: inout [Piece]) {
    if offset > state.position { pieces.append(.zeros(offset - state.position)) }
    state.position = offset + piece.length
    if case .data(let start, let length) = piece, case .data(let before, let count) = pieces.last,
      before + count == start
    {
      pieces[pieces.count - 1] = .data(before, count + length)
    } else {
      pieces.append(piece)
    }
  }

  package func put(
    _ segment: Segment, _ bytes: RawSpan, _ placement: (start: UInt64, pieces: [Piece]), _ scratch: inout Void
  ) throws(ImageError) {
    do throws(ImageError) {
      try write(placement.pieces, at: placement.start, bytes)
    } catch {
      throw ExtRawSink.failure(.system(error.errno), segment.offset, start: 0, blockSize: blockSize)
    }
  }

  private func write(_ pieces: [Piece], at start: UInt64, _ bytes: RawSpan) throws(ImageError) {
    var position = start
    for piece in pieces {
      switch piece {
      case .data(let start, let length): try output.write(bytes.slice(start..<start + length), at: position)
      case .bytes(let bytes): try output.write(bytes.rawBytes, at: position)
      case .zeros(let count): try output.writeZeros(count, at: position)
      }
      position += piece.length
    }
  }

  package func finish() throws(ImageError) {
    let (start, pieces) = state.withLock { state in
      var pieces: [Piece] = []
      let start = state.position
      if let offset = state.layout.end() { emitRefcountBlock(offset, &state, &pieces) }
      return (start, pieces)
    }
    try writeTables(pieces, at: start)
  }

  /// Writes pieces without data.
  private func writeTables(_ pieces: [Piece], at start: UInt64) throws(ImageError) {
    do throws(ImageError) {
      try write(pieces, at: start, RawSpan())
    } catch {
      throw tableFailure(error)
    }
  }
}
