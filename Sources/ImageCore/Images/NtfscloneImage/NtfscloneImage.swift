import Bytes
import Images
import Storage
import Threads

/// A special image read as a disk. Where its clusters are is known only after a pass over the whole file, which happens
/// when the first byte or extent is asked for.
public final class NtfscloneImage: DiskImage {
  public let format = NtfscloneFormat.name
  public let filename: String
  public let storage: any Storage
  package let header: NtfscloneHeader
  private let index = Monitor<ClusterIndex?>(nil)

  init(_ storage: any Storage, _ header: NtfscloneHeader, filename: String) {
    self.storage = storage
    self.header = header
    self.filename = filename
  }

  public var clusterSize: UInt64? { UInt64(header.clusterSize) }

  /// The volume and the backup of its boot sector, as far as the device held them.
  public var virtualSize: UInt64 {
    let end = (header.clusterCount + 1) * UInt64(header.clusterSize)
    return min(header.deviceSize, end).roundedUp(to: 512) ?? 0
  }

  private func clusters() throws(ImageError) -> ClusterIndex {
    try index.withLock { (index) throws(ImageError) in
      if let index { return index }
      let made = try ClusterIndex(storage, header)
      index = made
      return made
    }
  }

  public func layerExtent(at offset: UInt64, limit: UInt64) throws(ImageError) -> Extent {
    let size = UInt64(header.clusterSize)
    let run = try clusters().run(at: offset / size, limit: header.clusterCount + 1)
    let end = min(virtualSize, run.end * size)
    guard end > offset else { return Extent(length: limit, flags: .zero) }
    return Extent(length: min(limit, end - offset), flags: run.place == nil ? .zero : .data)
  }

  public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    let clusters = try clusters()
    let size = UInt64(header.clusterSize)
    var done = 0
    while done < buffer.byteCount {
      let position = offset + UInt64(done)
      let cluster = position / size
      let inside = position % size
      let count = Int(min(UInt64(buffer.byteCount - done), size - inside))
      let run = clusters.run(at: cluster, limit: header.clusterCount + 1)
      let held = max(0, header.length(of: cluster) - Int(inside))
      if let place = run.place, cluster <= header.clusterCount, held > 0 {
        var part = buffer.slice(done..<done + min(count, held))
        try storage.read(into: &part, at: place + inside)
        buffer.fill(done + min(count, held)..<done + count)
      } else {
        buffer.fill(done..<done + count)
      }
      done += count
    }
  }

  public func information() -> ImageInformation { ImageInformation() }
}

/// Where the clusters of a special image are.
struct ClusterIndex: Sendable {
  /// Clusters that follow one another on the volume and in the image, each behind its command byte.
  private struct Run {
    var first: UInt64
    var count: UInt64
    /// Position in the image of the first one's bytes.
    var place: UInt64
  }

  private var runs: [Run] = []
  private let stride: UInt64
  private static let pieceSize = 1 << 20

  /// Reads the image from the body's beginning to its end.
  init(_ storage: any Storage, _ header: NtfscloneHeader) throws(ImageError) {
    stride = UInt64(header.clusterSize) + 1
    var parser = BodyParser(header, isSeekable: true, isStrictlyAscending: false)
    var found: [Run] = []
    var offset = header.bodyOffset
    var buffer = Buffer(ClusterIndex.pieceSize)
    let size = UInt64(header.clusterSize)
    do throws(ImageError) {
      while !parser.isAtEnd {
        let count = Int(min(UInt64(ClusterIndex.pieceSize), storage.length > offset ? storage.length - offset : 0))
        if count == 0 {
          guard parser.lacksOnlyBackup else { throw NtfscloneHeader.short }
          break
        }
        var bytes = buffer.mutableBytes
        var part = bytes.slice(0..<count)
        try storage.read(into: &part, at: offset)
        for payload in try parser.parse(buffer.bytes.slice(0..<count)).payloads where payload.offset % size == 0 {
          let cluster = payload.offset / size
          let place = offset + UInt64(payload.bytes.lowerBound)
          if let last = found.last, last.first + last.count == cluster, last.place + last.count * stride == place {
            found[found.count - 1].count += 1
          } else {
            found.append(Run(first: cluster, count: 1, place: place))
          }
        }
        offset += UInt64(count)
      }
    } catch {
      throw error.errno == 0 ? ImageError(error.message, errno: 5) : error
    }
    runs = ClusterIndex.flattened(found, stride: stride)
  }

  /// Sorted and without overlaps; of a cluster that is stored twice (a metadata image's log) the later one counts.
  private static func flattened(_ found: [Run], stride: UInt64) -> [Run] {
    var isAscending = true
    for index in found.indices.dropFirst() where found[index].first < found[index - 1].first + found[index - 1].count {
      isAscending = false
      break
    }
    if isAscending { return found }
    // Boundaries of all runs cut each into parts that are either the same or apart.
    let cuts = Set(found.flatMap { [$0.first, $0.first + $0.count] }).sorted()
    var latest: [UInt64: Run] = [:]
    for run in found {
      var low = cuts.partitioningIndex { $0 >= run.first }
      while low + 1 < cuts.count, cuts[low] < run.first + run.count {
        latest[cuts[low]] = Run(
          first: cuts[low], count: cuts[low + 1] - cuts[low], place: run.place + (cuts[low] - run.first) * stride)
        low += 1
      }
    }
    return latest.values.sorted { $0.first < $1.first }
  }

  /// The run that holds `cluster`: its end, and where the cluster's bytes are; nil place for clusters left out.
  func run(at cluster: UInt64, limit: UInt64) -> (end: UInt64, place: UInt64?) {
    let next = runs.partitioningIndex { $0.first > cluster }
    if next > 0, case let run = runs[next - 1], cluster < run.first + run.count {
      return (run.first + run.count, run.place + (cluster - run.first) * stride)
    }
    return (next < runs.count ? runs[next].first : limit, nil)
  }
}

extension Array {
  /// The first index whose element satisfies `belongs`, which holds for all behind it as well.
  fileprivate func partitioningIndex(_ belongs: (Element) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if belongs(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
