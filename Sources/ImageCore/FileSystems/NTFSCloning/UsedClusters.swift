import Bytes
import Copying
import NTFS

/// The clusters in use, ascending, up to and including the one behind the volume.
final class UsedClusters: Selection {
  private let used: ClusterBitmap
  private let work: CloneWork
  /// The cluster from which on nothing has been selected yet.
  private var position: UInt64 = 0

  init(_ used: ClusterBitmap, _ work: CloneWork) {
    self.used = used
    self.work = work
  }

  func next() -> Segment? {
    let end = work.geometry.clusterCount + 1
    guard position < end else { return nil }
    var part = ClonePart(runs: [])
    let previous = position
    var left = work.geometry.clustersPerItem
    while left > 0, part.runs.count < CloneGeometry.runsPerItem, position < end,
      let run = used.nextRun(from: position)
    {
      guard run.lowerBound < end else { break }
      let last = min(run.upperBound, end, run.lowerBound + left)
      part.runs.append(run.lowerBound..<last)
      left -= last - run.lowerBound
      position = last
    }
    if part.runs.isEmpty {
      position = end
      return nil
    }
    return work.add(CloneItem(parts: [part], previous: previous))
  }
}
