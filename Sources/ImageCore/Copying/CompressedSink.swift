import Bytes
import Images
import Storage

/// A copy into compressed clusters: compressed by all workers, packed in order, written in large pieces.
///
/// The selection's segments must begin at cluster boundaries and hold whole clusters, but for the disk's end.
public final class CompressedSink: CopySink {
  /// What becomes of one cluster of a segment.
  public enum Cluster: Sendable {
    /// Nothing but zeros.
    case zero
    /// Compressed; the bytes are in the scratch buffer.
    case compressed(Range<Int>)
    /// Did not get smaller.
    case plain
  }

  /// A worker's compressor and the clusters that it has compressed, one behind the other.
  public struct Scratch: ~Copyable {
    let compressor: any ClusterCompressor
    var output: Buffer

    init(_ compressor: any ClusterCompressor, segmentSize: Int) {
      self.compressor = compressor
      output = Buffer(segmentSize)
    }
  }

  private let target: any WritableDiskImage
  private let compression: ClusterCompression
  private let targetIsZero: Bool
  private let findsZeros: Bool
  private let segmentSize: Int

  /// A copy into `target`.
  ///
  /// - Parameters:
  ///   - segmentSize: the longest segment in bytes.
  ///   - targetIsZero: clusters of zeros need not be written.
  ///   - findsZeros: clusters of zeros are looked for.
  public init(
    _ target: any WritableDiskImage, _ compression: ClusterCompression, segmentSize: Int, targetIsZero: Bool,
    findsZeros: Bool
  ) {
    self.target = target
    self.compression = compression
    self.segmentSize = segmentSize
    self.targetIsZero = targetIsZero
    self.findsZeros = findsZeros
  }

  public func makeScratch() throws(ImageError) -> Scratch {
    Scratch(try compression.makeCompressor(), segmentSize: segmentSize)
  }

  /// The bytes of cluster `index` of a segment.
  private func range(_ index: Int, of count: Int) -> Range<Int> {
    let start = index * compression.clusterSize
    return start..<min(start + compression.clusterSize, count)
  }

  public func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Scratch) throws(ImageError) -> [Cluster] {
    guard segment.kind == .data else { return [] }
    let size = compression.clusterSize
    let compressor = scratch.compressor
    var clusters = [Cluster]()
    var end = 0
    for index in 0..<(bytes.byteCount + size - 1) / size {
      let range = range(index, of: bytes.byteCount)
      if findsZeros && bytes.isZero(range) {
        clusters.append(.zero)
        continue
      }
      // A cluster must get smaller by a byte at least, so that the packed clusters never exceed the segment.
      let place = end..<end + size - 1
      var all = scratch.output.mutableBytes
      var output = all.slice(place)
      if let length = try compressor.compress(bytes.slice(range), paddedTo: size, into: &output) {
        clusters.append(.compressed(end..<end + length))
        end += length
      } else {
        clusters.append(.plain)
      }
    }
    return clusters
  }

  /// Where the parts of a segment go.
  public struct Placement: Sendable {
    /// Compressed bytes: a range of the scratch buffer and where it is stored.
    var compressed: [(bytes: Range<Int>, run: PlacedRun)] = []
    /// Clusters that are stored as they are.
    var plain: [PlacedRun] = []
  }

  public func place(
    _ segment: Segment, _ clusters: [Cluster], waitForPuts: () throws(ImageError) -> Void
  ) throws(ImageError) -> Placement {
    var placement = Placement()
    let end = segment.offset + segment.length
    if segment.kind == .zero && !targetIsZero {
      do throws(ImageError) {
        try target.writeZeros(segment.offset..<end, mayUnmap: true, waitForStores: waitForPuts)
      } catch {
        throw DiskImageSink.failure(error, at: segment.offset)
      }
    }
    for (index, cluster) in clusters.enumerated() {
      let start = segment.offset + UInt64(index * compression.clusterSize)
      let range = start..<min(end, start + UInt64(compression.clusterSize))
      do throws(ImageError) {
        switch cluster {
        case .zero:
          if !targetIsZero { try target.writeZeros(range, mayUnmap: true, waitForStores: waitForPuts) }
        case .compressed(let bytes):
          if let run = try target.placeCompressed(length: bytes.count, at: start, waitForStores: waitForPuts) {
            placement.append(bytes, run)
          } else {
            placement.plain += try target.place(range, waitForStores: waitForPuts)
          }
        case .plain:
          placement.plain += try target.place(range, waitForStores: waitForPuts)
        }
      } catch {
        throw DiskImageSink.failure(error, at: start)
      }
    }
    return placement
  }

  public func put(_ segment: Segment, _ bytes: RawSpan, _ placement: Placement, _ scratch: inout Scratch)
    throws(ImageError)
  {
    do throws(ImageError) {
      for part in placement.compressed { try part.run.store(scratch.output.bytes.slice(part.bytes)) }
      for run in placement.plain {
        let start = Int(run.guestOffset - segment.offset)
        try run.store(bytes.slice(start..<start + run.length))
      }
    } catch {
      throw DiskImageSink.failure(error, at: segment.offset)
    }
  }

  public func finish() {}
}

extension CompressedSink.Placement {
  /// Adds a compressed cluster; one that follows the last in memory and in the file becomes part of the same write.
  mutating func append(_ bytes: Range<Int>, _ run: PlacedRun) {
    if let last = compressed.last, last.bytes.upperBound == bytes.lowerBound, last.run.isFollowed(by: run) {
      compressed[compressed.count - 1].bytes = last.bytes.lowerBound..<bytes.upperBound
      compressed[compressed.count - 1].run.length += run.length
    } else {
      compressed.append((bytes, run))
    }
  }
}

extension ClusterCompressor {
  /// Compresses a cluster of which the disk may have only the beginning: the rest is zeros.
  ///
  /// - Parameter size: size of the cluster in bytes.
  /// - Returns: as ``ClusterCompressor/compress(_:into:)``.
  func compress(_ input: RawSpan, paddedTo size: Int, into output: inout MutableRawSpan) throws(ImageError) -> Int? {
    if input.byteCount == size { return try compress(input, into: &output) }
    var padded = Buffer(size)
    var whole = padded.mutableBytes
    whole.copy(input, at: 0)
    return try compress(padded.bytes, into: &output)
  }
}
