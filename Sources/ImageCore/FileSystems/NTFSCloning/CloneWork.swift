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
  /// Blocks of a directory index are wiped; `isUsed` tells by the number of the block in the part, nil means all.
  case blocks(size: Int, isUsed: [Bool]?)
  /// What has been read already, wiped.
  case known([UInt8])
}

/// Clusters of one kind, in the order in which the target wants them.
struct ClonePart: Sendable {
  /// Runs on the volume.
  var runs: [Range<UInt64>]
  var treatment = Treatment.plain

  /// Number of clusters.
  var clusters: UInt64 { runs.reduce(0) { $0 + UInt64($1.count) } }
}

/// Clusters that are copied together.
struct CloneItem: Sendable {
  var parts: [ClonePart]
  /// The cluster behind the one that was written before this item.
  var previous: UInt64
  /// Whether an image first goes back to cluster 0 from there.
  var returnsToStart = false
  /// Whether the clusters count as progress.
  var isCounted = true

  /// Number of clusters.
  var clusters: UInt64 { parts.reduce(0) { $0 + $1.clusters } }
  /// Number of runs.
  var runCount: Int { parts.reduce(0) { $0 + $1.runs.count } }
}

/// A line for the user that belongs to a cluster.
struct CloneNote: Sendable {
  /// Number of clusters of the item that come before it.
  var after: UInt64
  var text: String
  /// Whether it is one of the library's lines.
  var isLibrary = false
}

/// The items under way, by the offset of their segment. The copy's source is the concatenation of all items as the target
/// has them, in an image with their commands; what an offset in it means stands here.
final class CloneWork: Sendable {
  private struct Entry {
    var item: CloneItem
    var notes: [CloneNote] = []
    var isStored = false
  }

  private struct State {
    var end: UInt64 = 0
    var entries: [UInt64: Entry] = [:]
    /// Items whose lines have been told.
    var told: UInt64 = 0
    var hasFailed = false
  }

  let geometry: CloneGeometry
  /// Whether the target is a special image.
  let isImage: Bool
  private let state = Monitor(State())

  init(_ geometry: CloneGeometry, isImage: Bool) {
    self.geometry = geometry
    self.isImage = isImage
  }

  /// Adds an item; its segment is handed to the engine.
  func add(_ item: CloneItem) -> Segment {
    let length = isImage ? ImageBody.length(of: item, geometry) : geometry.length(of: item.parts)
    return state.withLock { state in
      let offset = state.end
      state.end += length
      state.entries[offset] = Entry(item: item)
      return Segment(offset: offset, length: length, kind: .data)
    }
  }

  func item(_ segment: Segment) -> CloneItem? { state.withLock { $0.entries[segment.offset]?.item } }

  func item(at offset: UInt64) -> CloneItem? { state.withLock { $0.entries[offset]?.item } }

  func note(_ offset: UInt64, _ note: CloneNote) {
    state.withLock { $0.entries[offset]?.notes.append(note) }
  }

  /// Tells about an item whose turn it is.
  func announce(_ segment: Segment, _ item: CloneItem, _ report: CloneReport, skipped: UInt64 = 0) {
    let notes = state.withLock { $0.entries[segment.offset]?.notes ?? [] }
    report.announce(item, notes, skipped: skipped)
    state.withLock(notify: true) { $0.told = segment.offset + segment.length }
  }

  /// Waits until the lines of everything added so far have been told, or nothing will come of it any more.
  func awaitAnnouncements() {
    state.wait { $0.told == $0.end || $0.hasFailed ? () : nil }
  }

  /// Runs a part of the copy; an error ends all waiting.
  func failing<Result>(_ body: () throws(ImageError) -> Result) throws(ImageError) -> Result {
    do throws(ImageError) {
      return try body()
    } catch {
      state.withLock(notify: true) { $0.hasFailed = true }
      throw error
    }
  }

  /// The item at `offset` is at its place already.
  func markStored(_ offset: UInt64) { state.withLock { $0.entries[offset]?.isStored = true } }

  func isStored(_ segment: Segment) -> Bool { state.withLock { $0.entries[segment.offset]?.isStored ?? false } }

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

  /// Size of a copy buffer: half a megabyte, at least a cluster.
  package var bufferSize: Int { max(512 << 10, clusterSize) }
  /// The same with the commands that a special image has between clusters.
  var imageBufferSize: Int { bufferSize + Int(clustersPerItem) + ImageBody.gapSize * (CloneGeometry.runsPerItem + 1) }
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

  /// Bytes of all clusters of some parts.
  func length(of parts: [ClonePart]) -> UInt64 {
    parts.reduce(0) { $0 + $1.runs.reduce(0) { $0 + length(of: $1) } }
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
