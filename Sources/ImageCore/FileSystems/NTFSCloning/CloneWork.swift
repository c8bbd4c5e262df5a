import Bytes
import Copying
import NtfscloneImage
import Threads

/// What becomes of clusters on their way.
enum Treatment: Sendable {
  /// Copied as they are.
  case plain
  /// Records of $MFT or its mirror are wiped; `first` is the number of the first one in the item, those from `end` on
  /// stay as they are.
  case records(first: UInt64, end: UInt64)
  /// Copies of $MFT's first records are replaced by those records, wiped; $MFT's number of them is `count`.
  case mirror(count: Int)
  /// Blocks of a directory index are wiped; `isUsed` tells by the number of the block in the item, nil means all.
  case blocks(size: Int, isUsed: [Bool]?)
}

/// Clusters that are copied together, in the order in which the target wants them.
struct CloneItem: Sendable {
  /// Runs on the volume.
  var runs: [Range<UInt64>]
  /// The cluster behind the one that was written before this item.
  var previous: UInt64
  /// Whether an image first goes back to cluster 0 from there.
  var returnsToStart = false
  var treatment = Treatment.plain
  /// Whether the clusters count as progress.
  var isCounted = true
  /// Bytes of all clusters together.
  var length: UInt64 = 0

  /// Number of clusters.
  var clusters: UInt64 { runs.reduce(0) { $0 + UInt64($1.count) } }
}

/// A line for the user that belongs to a cluster.
struct CloneNote: Sendable {
  /// Number of clusters of the item that come before it.
  var after: UInt64
  var text: String
  /// Whether it is one of the library's lines.
  var isLibrary = false
}

/// The items under way, by the offset of their segment. The copy's source is the concatenation of all items; what an
/// offset in it means stands here.
final class CloneWork: Sendable {
  private struct Entry {
    var item: CloneItem
    var notes: [CloneNote] = []
  }

  private struct State {
    var end: UInt64 = 0
    var entries: [UInt64: Entry] = [:]
  }

  let geometry: CloneGeometry
  private let state = Monitor(State())

  init(_ geometry: CloneGeometry) { self.geometry = geometry }

  /// Adds an item; its segment is handed to the engine.
  func add(_ item: CloneItem) -> Segment {
    var item = item
    item.length = item.runs.reduce(0) { $0 + geometry.length(of: $1) }
    return state.withLock { state in
      let offset = state.end
      state.end += item.length
      state.entries[offset] = Entry(item: item)
      return Segment(offset: offset, length: item.length, kind: .data)
    }
  }

  func item(_ segment: Segment) -> CloneItem? { state.withLock { $0.entries[segment.offset]?.item } }

  func item(at offset: UInt64) -> CloneItem? { state.withLock { $0.entries[offset]?.item } }

  func note(_ offset: UInt64, _ note: CloneNote) {
    state.withLock { $0.entries[offset]?.notes.append(note) }
  }

  func notes(_ segment: Segment) -> [CloneNote] { state.withLock { $0.entries[segment.offset]?.notes ?? [] } }

  func remove(_ segment: Segment) { state.withLock { $0.entries[segment.offset] = nil } }
}

/// The volume's measures, as far as copying needs them.
package struct CloneGeometry: Sendable {
  /// Size of a cluster in bytes.
  package let clusterSize: Int
  /// Whole clusters of the volume.
  package let clusterCount: UInt64
  /// Size of the source device in bytes.
  package let deviceSize: UInt64

  package init(clusterSize: Int, clusterCount: UInt64, deviceSize: UInt64) {
    self.clusterSize = clusterSize
    self.clusterCount = clusterCount
    self.deviceSize = deviceSize
  }

  /// Size of a copy buffer: about a megabyte, at least a cluster.
  package var bufferSize: Int { max(1 << 20, clusterSize) }
  /// Clusters in a full buffer.
  var clustersPerItem: UInt64 { UInt64(bufferSize / clusterSize) }
  /// The most runs in one item: each may cost a read and a write.
  static let runsPerItem = 1024

  func offset(of cluster: UInt64) -> UInt64 { cluster * UInt64(clusterSize) }

  /// Bytes of a run; the device may end within its last cluster.
  func length(of run: Range<UInt64>) -> UInt64 {
    let start = offset(of: run.lowerBound)
    let end = min(offset(of: run.upperBound), deviceSize)
    return end > start ? end - start : 0
  }

  /// Length of the raw copy: the volume and the cluster behind it, as far as the device holds it.
  package var copyLength: UInt64 { min(deviceSize, offset(of: clusterCount + 1)) }
}

/// Lines and progress that accompany a copy, called in the order of the clusters.
package struct CloneReport: Sendable {
  /// Counts a cluster that is being written.
  package var counted: @Sendable (_ clusters: UInt64) -> Void
  /// Shows a line.
  package var line: @Sendable (_ text: String) -> Void
  /// Shows a line of the library.
  package var library: @Sendable (_ text: String) -> Void

  package init(
    counted: @escaping @Sendable (_ clusters: UInt64) -> Void, line: @escaping @Sendable (_ text: String) -> Void,
    library: @escaping @Sendable (_ text: String) -> Void
  ) {
    self.counted = counted
    self.line = line
    self.library = library
  }

  /// Tells about an item whose turn it is; `skipped` clusters in front of it count as well where zeros are written.
  func announce(_ item: CloneItem, _ notes: [CloneNote], skipped: UInt64 = 0) {
    if item.isCounted, skipped > 0 { counted(skipped) }
    var done: UInt64 = 0
    for note in notes.sorted(by: { $0.after < $1.after }) {
      if item.isCounted, note.after > done { counted(note.after - done) }
      done = max(done, note.after)
      if note.isLibrary { library(note.text) } else { line(note.text) }
    }
    let all = item.clusters
    if item.isCounted, all > done { counted(all - done) }
  }
}
