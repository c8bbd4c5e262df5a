import Bytes
import Copying
import Storage
import Synchronization

/// Writes the QCOW2 image of a file system (ext4-e2image §10.1): a file's header comes last, so that an image that was not
/// finished is none; a stream needs to know beforehand which blocks are stored.
package final class ExtQcow2Sink: CopySink {
  /// Bytes of the image that are not a block's data.
  package struct Piece: Sendable {
    var offset: UInt64
    var bytes: [UInt8]
  }

  /// Blocks of a segment that go to one place: from a byte of the segment on.
  package struct DataRun: Sendable {
    var start: Int
    var length: Int
    var offset: UInt64
  }

  /// What is written for a segment.
  package struct Placement: Sendable {
    var runs: [DataRun] = []
    var pieces: [Piece] = []
  }

  private struct State {
    var layout: ExtQcow2Layout
    /// The present L2 table, and where it goes.
    var table: [UInt64]
    var tableOffset: UInt64 = 0
    /// The L1 table: number and place of each L2 table.
    var tables: [(index: UInt64, offset: UInt64)] = []
    var refcountBlocks: [UInt64]
  }

  private let output: FileStorage
  private let blockSize: Int
  private let byteCount: UInt64
  private let storesZeros: Bool
  private let isUnreadable: @Sendable (Range<UInt64>) -> [UInt64]
  private let state: Mutex<State>

  /// - Parameters:
  ///   - storesZeros: blocks of zeros are stored (the target is a device).
  ///   - isUnreadable: those of the blocks that could not be read: they are left out.
  package init(
    _ output: FileStorage, _ layout: ExtQcow2Layout, byteCount: UInt64, storesZeros: Bool,
    isUnreadable: @escaping @Sendable (Range<UInt64>) -> [UInt64]
  ) {
    self.output = output
    self.byteCount = byteCount
    self.storesZeros = storesZeros
    self.isUnreadable = isUnreadable
    blockSize = Int(layout.clusterSize)
    state = Mutex(
      State(
        layout: layout, table: [UInt64](repeating: 0, count: blockSize / 8),
        refcountBlocks: layout.firstRefcountBlocks))
  }

  package func makeScratch() {}

  /// - Returns: the blocks that are stored, as runs of bytes of the segment.
  package func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Void) -> [Range<Int>] {
    storedRuns(segment, bytes, blockSize, storesZeros: storesZeros, unreadable: isUnreadable)
  }

  package func place(
    _ segment: Segment, _ prepared: [Range<Int>], waitForPuts: () throws(ImageError) -> Void
  ) -> Placement {
    state.withLock { state in
      var placement = Placement()
      for run in prepared {
        for start in stride(from: run.lowerBound, to: run.upperBound, by: blockSize) {
          place((segment.offset + UInt64(start)) / UInt64(blockSize), start, &state, &placement)
        }
      }
      return placement
    }
  }

  private func place(_ block: UInt64, _ start: Int, _ state: inout State, _ placement: inout Placement) {
    let step = state.layout.place(block)
    let entries = UInt64(blockSize / 8)
    if let offset = step.newTable {
      if !state.tables.isEmpty { placement.pieces.append(tablePiece(state)) }
      for index in state.table.indices { state.table[index] = 0 }
      state.tables.append((block / entries, offset))
      state.tableOffset = offset
    }
    if !step.newRefcountBlocks.isEmpty {
      // Those that came before are full.
      placement.pieces.append(
        Piece(offset: state.refcountBlocks[state.refcountBlocks.count - 1], bytes: ones(UInt64(blockSize / 2))))
      state.refcountBlocks += step.newRefcountBlocks
    }
    state.table[Int(block % entries)] = step.data | 1 << 63
    if let last = placement.runs.last, last.start + last.length == start, last.offset + UInt64(last.length) == step.data
    {
      placement.runs[placement.runs.count - 1].length += blockSize
    } else {
      placement.runs.append(DataRun(start: start, length: blockSize, offset: step.data))
    }
  }

  private func tablePiece(_ state: State) -> Piece {
    Piece(offset: state.tableOffset, bytes: bigEndianBytes(state.table))
  }

  /// A refcount block of which the first `count` entries are 1.
  private func ones(_ count: UInt64) -> [UInt8] { refcountBlockBytes(count, blockSize) }

  package func put(
    _ segment: Segment, _ bytes: RawSpan, _ placement: Placement, _ scratch: inout Void
  ) throws(ImageError) {
    for run in placement.runs {
      do throws(ImageError) {
        // Zeros are here for a device only.
        if segment.kind == .data {
          try output.write(bytes.slice(run.start..<run.start + run.length), at: run.offset)
        } else {
          try output.zero(run.offset..<run.offset + UInt64(run.length), mayUnmap: false)
        }
      } catch {
        // What came before the place of the error was stored.
        let stored = error.offset.map { $0 > run.offset ? $0 - run.offset : 0 } ?? 0
        throw ExtRawSink.failure(
          .system(error.errno), segment.offset + UInt64(run.start) + stored, start: 0, blockSize: blockSize)
      }
    }
    for piece in placement.pieces { try write(piece) }
  }

  private func write(_ piece: Piece) throws(ImageError) {
    do throws(ImageError) {
      try output.write(piece.bytes, at: piece.offset)
    } catch {
      throw tableFailure(error)
    }
  }

  package func finish() throws(ImageError) {
    var state = state.withLock { $0 }
    if !state.tables.isEmpty { try write(tablePiece(state)) }
    if let last = state.layout.end() {
      try write(Piece(offset: state.refcountBlocks[state.refcountBlocks.count - 1], bytes: ones(UInt64(blockSize / 2))))
      state.refcountBlocks.append(last)
    }
    try write(
      Piece(offset: state.layout.refcountBlock, bytes: ones(state.layout.refcountEntries)))
    // The fixed area may need several refcount blocks: all but the last are full.
    for offset in state.layout.firstRefcountBlocks where offset != state.layout.refcountBlock {
      try write(Piece(offset: offset, bytes: ones(UInt64(blockSize / 2))))
    }
    let headers = ExtQcow2Headers(state.layout, byteCount: byteCount)
    try write(Piece(offset: state.layout.refcountTableOffset, bytes: headers.refcountTable(state.refcountBlocks)))
    var next = 0
    while next < state.tables.count {
      let (offset, bytes) = headers.l1Page(state.tables, &next)
      try write(Piece(offset: offset, bytes: bytes))
    }
    try write(Piece(offset: 0, bytes: headers.header))
  }
}
