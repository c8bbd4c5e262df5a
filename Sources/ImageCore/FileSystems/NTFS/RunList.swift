import Bytes
import Storage

/// Consecutive clusters of an attribute.
package struct Run: Sendable, Equatable {
  /// First cluster within the attribute.
  package var vcn: UInt64
  /// First cluster on the volume; nil for a hole.
  package var lcn: UInt64?
  /// Number of clusters, at least 1.
  package var count: UInt64

  package init(vcn: UInt64, lcn: UInt64?, count: UInt64) {
    self.vcn = vcn
    self.lcn = lcn
    self.count = count
  }
}

/// Decoding of mapping pairs (spec §4.1).
package enum RunList {
  /// The runs that a non-resident attribute's record holds, ascending from its lowest VCN.
  ///
  /// Positions on the volume are not compared with its size here.
  ///
  /// - Parameter log: takes the library's line about what is wrong.
  /// - Throws: `EIO`, or `EINVAL` for a part that begins before the attribute.
  package static func decode(
    _ record: RawSpan, _ attribute: AttributeRecord, clusterSize: Int, log: (String) -> Void
  ) throws(ImageError) -> [Run] {
    func corrupt(_ line: String? = nil) -> ImageError {
      if let line { log(line) }
      return .system(5)
    }
    guard attribute.lowestVCN >= 0 else { throw .system(22) }
    guard attribute.mappingPairs < attribute.end else { throw corrupt() }
    var vcn = attribute.lowestVCN
    var lcn: Int64 = 0
    var runs: [Run] = []
    var position = attribute.mappingPairs
    while true {
      guard position < attribute.end else { throw corrupt() }
      let header = Int(record[position])
      if header == 0 { break }
      let lengthBytes = header & 15
      let deltaBytes = header >> 4
      guard lengthBytes <= 8, deltaBytes <= 8, position + 1 + lengthBytes + deltaBytes <= attribute.end else {
        throw corrupt()
      }
      guard lengthBytes > 0 else { throw corrupt() }
      let count = signed(record, position + 1, lengthBytes)
      guard count >= 0 else { throw corrupt() }
      var start: UInt64?
      if deltaBytes > 0 {
        let (sum, overflow) = lcn.addingReportingOverflow(signed(record, position + 1 + lengthBytes, deltaBytes))
        guard !overflow, sum >= -1 else { throw corrupt() }
        lcn = sum
        // NTFS 1.x writes holes as cluster −1.
        start = sum >= 0 ? UInt64(sum) : nil
      }
      position += 1 + lengthBytes + deltaBytes
      if count == 0 {
        if start != nil { throw corrupt() }
        continue
      }
      let (next, overflow) = vcn.addingReportingOverflow(count)
      guard !overflow, next <= Int64.max / Int64(clusterSize) else { throw corrupt() }
      runs.append(Run(vcn: UInt64(vcn), lcn: start, count: UInt64(count)))
      vcn = next
    }
    // A highest VCN of 0 may stand for a single extent.
    if attribute.highestVCN != 0, vcn &- 1 != attribute.highestVCN { throw corrupt() }
    if attribute.lowestVCN == 0 {
      let clusters = (attribute.allocatedSize &+ Int64(clusterSize - 1)) >> Int64(clusterSize.trailingZeroBitCount)
      guard vcn <= clusters else {
        throw corrupt(
          "Corrupt attribute. vcn = 0x\(String(vcn, radix: 16)), num_clusters = 0x"
            + String(UInt64(bitPattern: clusters), radix: 16))
      }
    }
    return runs
  }

  /// A signed little-endian number of 1 to 8 bytes.
  private static func signed(_ bytes: RawSpan, _ offset: Int, _ count: Int) -> Int64 {
    var value: UInt64 = 0
    for index in 0..<count { value |= UInt64(bytes[offset + index]) << UInt64(8 * index) }
    let shift = UInt64(64 - 8 * count)
    return Int64(bitPattern: value << shift) >> Int64(shift)
  }
}

/// Reads an attribute's bytes through its run list. Holes read as zeros.
package struct RunReader: Sendable {
  package let storage: any Storage
  package let clusterSize: UInt64
  /// Ascending by VCN.
  package let runs: [Run]
  /// Bytes from here on have never been written: they read as zeros.
  package let initializedSize: UInt64

  package init(_ storage: any Storage, clusterSize: Int, runs: [Run], initializedSize: Int64 = .max) {
    self.storage = storage
    self.clusterSize = UInt64(clusterSize)
    self.runs = runs
    self.initializedSize = UInt64(max(0, initializedSize))
  }

  /// Clusters mapped.
  package var clusterCount: UInt64 { runs.last.map { $0.vcn + $0.count } ?? 0 }

  /// Fills the buffer with the attribute's bytes at `offset`.
  ///
  /// - Throws: `EIO` past the last mapped cluster, and where the volume is cut off.
  package func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    var done = 0
    while done < buffer.byteCount {
      let position = offset + UInt64(done)
      if position >= initializedSize { return buffer.fill(done..<buffer.byteCount) }
      guard let run = run(holding: position / clusterSize) else { throw .system(5) }
      let start = position - run.vcn * clusterSize
      let count = Int(
        min(UInt64(buffer.byteCount - done), run.count * clusterSize - start, initializedSize - position))
      if let lcn = run.lcn {
        let place = lcn * clusterSize + start
        guard place.saturatingAdd(UInt64(count)) <= storage.length else { throw .system(5) }
        var part = buffer.slice(done..<done + count)
        try storage.read(into: &part, at: place)
      } else {
        buffer.fill(done..<done + count)
      }
      done += count
    }
  }

  /// The run with cluster `vcn`.
  package func run(holding vcn: UInt64) -> Run? {
    var low = 0
    var high = runs.count
    while low < high {
      let middle = (low + high) / 2
      if runs[middle].vcn + runs[middle].count <= vcn { low = middle + 1 } else { high = middle }
    }
    return low < runs.count && runs[low].vcn <= vcn ? runs[low] : nil
  }
}
