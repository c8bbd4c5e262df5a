import Bytes
import Copying

/// A failed write of something that has no block number.
///
/// - Parameter part: what it is called (§9.2); nil where it has no name either.
func tableFailure(_ error: ImageError, writing part: String? = nil) -> ImageError {
  error.errno == 125 /* ECANCELED */
    ? error
    : ImageError.system(error.errno).suffixed(part.map { "while writing \($0)" } ?? "error writing block \(UInt64.max)")
}

/// The blocks of a segment that an image stores, as runs of bytes.
func storedRuns(
  _ segment: Segment, _ bytes: RawSpan, _ blockSize: Int, storesZeros: Bool,
  unreadable: (Range<UInt64>) -> [UInt64]
) -> [Range<Int>] {
  if segment.kind == .zero { return storesZeros ? [0..<Int(segment.length)] : [] }
  let first = segment.offset / UInt64(blockSize)
  let lost = unreadable(first..<first + segment.length / UInt64(blockSize))
  var runs: [Range<Int>] = []
  for start in stride(from: 0, to: bytes.byteCount, by: blockSize) {
    let range = start..<start + blockSize
    if !storesZeros, bytes.isZero(range) { continue }
    if !lost.isEmpty, lost.contains(first + UInt64(start / blockSize)) { continue }
    if let last = runs.last, last.upperBound == start {
      runs[runs.count - 1] = last.lowerBound..<range.upperBound
    } else {
      runs.append(range)
    }
  }
  return runs
}

/// Words as QCOW2 stores them.
func bigEndianBytes(_ words: [UInt64]) -> [UInt8] {
  var buffer = Buffer(words.count * 8)
  var bytes = buffer.mutableBytes
  for (index, word) in words.enumerated() where word != 0 { bytes.storeBigEndian(word, at: index * 8) }
  return buffer.bytes.array(0..<words.count * 8)
}

/// A refcount block of which the first `count` entries are 1.
func refcountBlockBytes(_ count: UInt64, _ blockSize: Int) -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: blockSize)
  for index in 0..<min(Int(count), blockSize / 2) { bytes[index * 2 + 1] = 1 }
  return bytes
}

/// The parts of a QCOW2 image in front of the data.
struct ExtQcow2Headers {
  let layout: ExtQcow2Layout
  let byteCount: UInt64

  init(_ layout: ExtQcow2Layout, byteCount: UInt64) {
    self.layout = layout
    self.byteCount = byteCount
  }

  /// The header, a cluster.
  var header: [UInt8] {
    var buffer = Buffer(Int(layout.clusterSize))
    var bytes = buffer.mutableBytes
    bytes.storeBigEndian(0x5146_49FB as UInt32, at: 0)
    bytes.storeBigEndian(2 as UInt32, at: 4)
    bytes.storeBigEndian(UInt32(layout.clusterSize.trailingZeroBitCount), at: 20)
    bytes.storeBigEndian(byteCount, at: 24)
    bytes.storeBigEndian(UInt32(truncatingIfNeeded: layout.l1Count), at: 36)
    bytes.storeBigEndian(layout.l1Offset, at: 40)
    bytes.storeBigEndian(layout.refcountTableOffset, at: 48)
    bytes.storeBigEndian(UInt32(truncatingIfNeeded: layout.refcountTableClusters), at: 56)
    return buffer.bytes.array(0..<Int(layout.clusterSize))
  }

  /// The refcount table in whole clusters.
  func refcountTable(_ blocks: [UInt64]) -> [UInt8] {
    let entries = Int(layout.refcountTableClusters * layout.clusterSize / 8)
    return bigEndianBytes(blocks + [UInt64](repeating: 0, count: max(0, entries - blocks.count)))
  }

  /// A stretch of the L1 table that begins with the entry of table number `next` of the list, which is moved on.
  func l1Page(_ tables: [(index: UInt64, offset: UInt64)], _ next: inout Int) -> (offset: UInt64, bytes: [UInt8]) {
    let first = tables[next].index
    let end = min(layout.l1Count, first + 8192)
    var words = [UInt64](repeating: 0, count: Int(end - first))
    while next < tables.count, tables[next].index < end {
      words[Int(tables[next].index - first)] = tables[next].offset | 1 << 63
      next += 1
    }
    return (layout.l1Offset + first * 8, bigEndianBytes(words))
  }
}
