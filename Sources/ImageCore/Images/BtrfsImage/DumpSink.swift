import Btrfs
import Bytes
import Codecs
import Copying
import Synchronization

/// Writes a metadump (btrfs-image §7): batches are read, scrubbed and compressed in parallel, clusters are laid out in
/// order. The header of a file's first cluster comes last, so that a dump that was not finished is none.
package final class DumpSink: CopySink {
  /// What a worker keeps: the bytes of a batch, and what they are compressed to.
  package struct Scratch: ~Copyable {
    var payload: Buffer
    var compressed: Buffer
    /// For the items that are not compressed thoroughly.
    let deflater: Deflater?
  }

  /// A batch that is ready to be placed.
  package struct Prepared {
    /// Bytes of each item as stored; of a part of an item, its own.
    let sizes: [Int]
    /// The stored bytes, where they are gathered.
    let bytes: [UInt8]?
    let findings: DumpReading.Findings
  }

  /// What is written of a batch, and where, in ascending order.
  package struct Placement {
    var writes: [ClusterWrite] = []
  }

  private let output: ImageOutput
  private let plan: DumpPlan
  private let batches: [DumpPlan.Batch]
  private let reading: DumpReading
  /// nil: items are stored as they are.
  private let compression: CompressionPlan?
  private let thorough: ThoroughDeflaters
  private let batchLimit: Int
  private let gathers: Bool
  private let log: DumpLog
  private let layout: Mutex<ClusterLayout>
  private let firstHeader = Mutex<[UInt8]?>(nil)

  /// - Parameters:
  ///   - level: of zlib, 1 to 9; 0 does not compress.
  ///   - batchLimit: the most bytes of a batch.
  ///   - workers: how many threads may work for the sink before it is given to an engine.
  package init(
    _ output: ImageOutput, _ volume: BtrfsVolume, _ plan: DumpPlan, batchLimit: Int, version: MetadumpVersion,
    level: Int, workers: Int, transform: (any TreeBlockTransform)?, log: DumpLog
  ) throws(ImageError) {
    self.output = output
    self.plan = plan
    self.batchLimit = batchLimit
    self.log = log
    batches = plan.batches(limit: batchLimit)
    // With file contents in the dump, those of small files are no secret.
    reading = DumpReading(
      volume: volume, transform: transform, keepsContents: version == .data && transform == nil)
    var isStream = false
    if case .stream = output { isStream = true }
    compression = level > 0 ? try CompressionPlan(level: level, plan, reading, workers: workers) : nil
    thorough = ThoroughDeflaters(level: compression?.thorough ?? 0)
    gathers = isStream && level > 0
    layout = Mutex(ClusterLayout(version: version, isCompressed: compression != nil, gathers: gathers))
    if level == 0, case .file(let file) = output {
      // Headers come on top of that.
      file.lengthen(to: plan.byteCount)
    }
  }

  /// What is copied, for the engine.
  package func selection() -> DumpSelection { DumpSelection(reading.volume, plan, batches) }

  package func makeScratch() throws(ImageError) -> Scratch {
    guard let compression else {
      return Scratch(payload: Buffer(batchLimit), compressed: Buffer(0), deflater: nil)
    }
    // Each item has its own stream: the smallest are of one tree block.
    let overhead = Deflater.zlibBound(4096) - 4096
    return Scratch(
      payload: Buffer(batchLimit),
      compressed: Buffer(Deflater.zlibBound(batchLimit) + batchLimit / 4096 * overhead),
      deflater: compression.isAllThorough ? nil : try Deflater(level: compression.quick))
  }

  package func prepare(
    _ segment: Segment, _ bytes: RawSpan, _ scratch: inout Scratch
  ) throws(ImageError) -> Prepared {
    let batch = batches[Int(segment.offset)]
    var all = scratch.payload.mutableBytes
    var payload = all.slice(0..<batch.length)
    let findings = reading.read(batch, of: plan, into: &payload)
    guard let compression else {
      let sizes = plan.items[batch.items].map { min(Int($0.length), batch.length) }
      return Prepared(sizes: sizes, bytes: nil, findings: findings)
    }
    let sizes = try compress(batch.items, scratch.payload, into: &scratch.compressed, compression, scratch.deflater)
    let end = sizes.reduce(0, +)
    return Prepared(
      sizes: sizes, bytes: gathers ? scratch.compressed.bytes.array(0..<end) : nil, findings: findings)
  }

  /// Compresses items that lie one behind the other, each by itself, and returns the streams' lengths.
  private func compress(
    _ items: Range<Int>, _ payload: borrowing Buffer, into compressed: inout Buffer, _ compression: CompressionPlan,
    _ quick: Deflater?
  ) throws(ImageError) -> [Int] {
    var sizes: [Int] = []
    var position = 0
    var end = 0
    var target = compressed.mutableBytes
    for index in items {
      let length = Int(plan.items[index].length)
      var room = target.slice(end..<target.byteCount)
      let input = payload.bytes.slice(position..<position + length)
      var size: Int?
      if !compression.isThorough(index), let quick {
        size = quick.zlib(input, into: &room)
      } else {
        size = try thorough.zlib(input, into: &room)
      }
      guard let size else { throw .system(12 /* ENOMEM */) }
      sizes.append(size)
      position += length
      end += size
    }
    return sizes
  }

  package func place(
    _ segment: Segment, _ prepared: Prepared, waitForPuts: () throws(ImageError) -> Void
  ) -> Placement {
    for report in prepared.findings.reports { log.report(report) }
    for damage in prepared.findings.damages { log.damage(damage) }
    let batch = batches[Int(segment.offset)]
    var placement = Placement()
    layout.withLock { layout in
      var position = 0
      for (index, size) in zip(batch.items, prepared.sizes) {
        let item = plan.items[index]
        if batch.skipped == 0 {
          layout.begin(
            MetadumpItem(address: item.address, storedSize: UInt32(size)),
            following: { plan.items[index...].prefix(ClusterHeader.capacity).map(\.uncompressed) }, &placement.writes)
        }
        layout.add(position..<position + size, prepared.bytes, &placement.writes)
        position += size
        if compression != nil || batch.skipped + size == Int(item.length) { layout.endItem(&placement.writes) }
      }
    }
    return placement
  }

  package func put(
    _ segment: Segment, _ bytes: RawSpan, _ placement: Placement, _ scratch: inout Scratch
  ) throws(ImageError) {
    for write in placement.writes {
      switch write {
      case .stored(let range, let offset):
        if compression != nil {
          try self.write(scratch.compressed.bytes.slice(range), at: offset)
        } else {
          try self.write(scratch.payload.bytes.slice(range), at: offset)
        }
      case .bytes(let bytes, let offset):
        try self.write(bytes, at: offset)
      }
    }
  }

  private func write(_ bytes: [UInt8], at offset: UInt64) throws(ImageError) {
    // A file begins as a dump only when it is one.
    if offset == 0, case .file = output {
      firstHeader.withLock { $0 = bytes }
    } else {
      try write(bytes.rawBytes, at: offset)
    }
  }

  private func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
    do throws(ImageError) {
      try output.write(bytes, at: offset)
    } catch {
      throw error.errno == 125 /* ECANCELED: somebody else has failed */ ? error : DumpSink.failure(error)
    }
  }

  private static func failure(_ error: ImageError) -> ImageError {
    ImageError("unable to write out cluster: \(errorText(error.errno))", errno: error.errno)
  }

  package func finish() throws(ImageError) {
    var writes: [ClusterWrite] = []
    layout.withLock { $0.close(&writes) }
    for case .bytes(let bytes, let offset) in writes { try write(bytes, at: offset) }
    if let header = firstHeader.withLock({ $0 }) { try write(header.rawBytes, at: 0) }
  }
}

extension DumpPlan.Item {
  /// The item's entry in a cluster that is not compressed.
  fileprivate var uncompressed: MetadumpItem { MetadumpItem(address: address, storedSize: length) }
}
