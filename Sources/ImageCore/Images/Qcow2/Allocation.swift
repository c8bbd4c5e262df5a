import Bytes
import Storage

// Where new clusters come from (qcow2-qcow-qed §11). The order of searches and counts decides which bytes end up in the
// file, so it follows the reference's exactly.

extension Refcounts {
  /// What a cluster is allocated for; the word in messages about impossible places.
  package enum Purpose: String {
    case data = "data cluster"
    case l2Table = "L2 table"
    case refcountBlock = "refcount block"
    case compressed = "compressed cluster"
    case table = "table"
  }

  /// Allocates `count` (> 0) neighbouring clusters, and returns the first one's number (§11.1).
  package func allocate(_ count: UInt64, for purpose: Purpose) throws(ImageError) -> UInt64 {
    while true {
      let start = try findFree(count, endingBefore: Qcow2Header.hostOffsetLimit)
      if try retain(start..<start + count) {
        try approve(start..<start + count, for: purpose)
        return start
      }
    }
  }

  /// Allocates at most `count` clusters that follow one another from `start` on, and returns how many there were (§11.2).
  package func allocate(at start: UInt64, upTo count: UInt64) throws(ImageError) -> UInt64 {
    let limit = Qcow2Header.hostOffsetLimit >> clusterBits
    guard start < limit else { return 0 }
    while true {
      let free = try freeRun(start..<min(start + count, limit))
      if free == 0 { return 0 }
      if try retain(start..<start + free) {
        try approve(start..<start + free, for: .data)
        return free
      }
    }
  }

  /// Allocates `length` (at most a cluster) bytes for compressed data, and returns their offset (§11.5).
  package func allocateBytes(_ length: UInt64, endingBefore limit: UInt64) throws(ImageError) -> UInt64 {
    while true {
      if byteCursor != 0, try count(byteCursor >> clusterBits) == width.limit { byteCursor = 0 }
      var offset = byteCursor
      let free = clusterSize - offset % clusterSize
      if offset == 0 || free < length {
        let next = try findFree(1, endingBefore: min(limit, Qcow2Header.hostOffsetLimit)) << clusterBits
        if offset == 0 || offset.roundedDown(to: clusterSize) + clusterSize != next { offset = next }
      }
      let clusters = offset >> clusterBits..<((offset + length - 1) >> clusterBits) + 1
      guard try retain(clusters) else {
        byteCursor = 0
        continue
      }
      try approve(clusters, for: .compressed)
      let end = offset + length
      byteCursor = end % clusterSize == 0 ? 0 : end
      return offset
    }
  }

  /// Clusters that were found free must not hold metadata: then the counts are wrong.
  private func approve(_ clusters: Range<UInt64>, for purpose: Purpose) throws(ImageError) {
    guard let kind = metadata.overlap(clusters) else { return }
    if clusters.lowerBound == 0 && (purpose == .l2Table || purpose == .compressed) {
      throw corruption.fatal("Preventing invalid allocation of \(purpose.rawValue) at offset 0")
    }
    throw overlap(kind)
  }

  /// The first of `count` neighbouring free clusters at or behind the cursor, which moves behind them. Clusters without
  /// refcount block are free.
  ///
  /// - Throws: EFBIG if they do not end before the offset `limit` in bytes.
  func findFree(_ count: UInt64, endingBefore limit: UInt64) throws(ImageError) -> UInt64 {
    var start = cursor
    var position = start
    while position - start < count {
      let index = position >> blockShift
      if index >= UInt64(table.count) { break }
      let part = part(position..<start + count)
      guard let block = try block(part.index) else {
        position = part.end
        continue
      }
      guard let used = width.firstUsed(block.words, part.range) else {
        position = part.end
        continue
      }
      let base = index << blockShift
      // A used cluster: go on behind it, at the next free one.
      let free = width.firstFree(block.words, used + 1..<Int(blockEntries)) ?? Int(blockEntries)
      start = base + UInt64(free)
      position = start
    }
    guard start + count <= limit >> clusterBits else { throw ImageError.system(27 /* EFBIG */) }
    cursor = start + count
    return start
  }

  /// Size in bytes of what lies between the cursor and the end of its refcount block, if all of that is free: within it no
  /// allocation needs a new block, and none finds a hole that would do for a shorter one.
  func orderlySpace() throws(ImageError) -> UInt64 {
    let part = part(cursor..<cursor + blockEntries)
    guard let block = try block(part.index), width.firstUsed(block.words, part.range) == nil else { return 0 }
    return UInt64(part.range.count) << clusterBits
  }

  /// Number of free clusters from the start of `range` (not empty) on, at most its length.
  private func freeRun(_ range: Range<UInt64>) throws(ImageError) -> UInt64 {
    var position = range.lowerBound
    while position < range.upperBound {
      let part = part(position..<range.upperBound)
      if let block = try block(part.index), let used = width.firstUsed(block.words, part.range) {
        position += UInt64(used - part.range.lowerBound)
        break
      }
      position = part.end
    }
    return position - range.lowerBound
  }
}
