import NTFS

/// Which clusters are metadata (spec §14.4, §15).
package struct MetadataRule: Sendable {
  /// A special image, not a sparse copy: other index blocks are wiped, and the log is written in the reference's order.
  package var isImage: Bool
  /// The whole $LogFile counts.
  package var keepsLog: Bool

  package init(isImage: Bool, keepsLog: Bool) {
    self.isImage = isImage
    self.keepsLog = keepsLog
  }

  private static let logFile: UInt64 = 2
  private static let badClusters: UInt64 = 8
  /// Bytes of $LogFile that count.
  private static let logHead: UInt64 = 16384

  /// How many clusters of a run, from its beginning, are metadata.
  func criticalLength(_ run: Run, type: UInt32, of inode: UInt64, clusterSize: UInt64) -> UInt64 {
    guard inode <= Wiper.lastSystemRecord else { return type == AttributeType.data ? 0 : run.count }
    guard type == AttributeType.data else { return run.count }
    if inode == MetadataRule.badClusters { return 0 }
    guard inode == MetadataRule.logFile, !keepsLog else { return run.count }
    let start = run.vcn * clusterSize
    return start >= MetadataRule.logHead
      ? 0 : min(run.count, (MetadataRule.logHead - start).dividedUp(by: clusterSize))
  }

  /// The clusters of $LogFile at 0, 256, 512, 1024, … bytes: where a log keeps its restart pages.
  func logSteps(_ runs: [Run], clusterSize: UInt64) -> [UInt64] {
    var steps: [UInt64] = []
    var offset: UInt64 = 0
    while offset < 1 << 62 {
      let vcn = offset / clusterSize
      guard let run = runs.first(where: { $0.vcn <= vcn && vcn - $0.vcn < $0.count }), let lcn = run.lcn else { break }
      steps.append(lcn + (vcn - run.vcn))
      offset = offset == 0 ? 256 : offset * 2
    }
    return steps
  }

  /// What an extent adds to the header's number of clusters in use, which is an estimate.
  func count(_ attribute: AttributeRecord, _ runs: [Run], of inode: UInt64, _ volume: Volume) -> UInt64 {
    let size = UInt64(volume.boot.clusterSize)
    let real = runs.filter { $0.lcn != nil }
    if inode == MetadataRule.logFile, attribute.type == AttributeType.data {
      // The library's run list of a later extent begins with the part before it, as one unmapped element.
      let first =
        attribute.lowestVCN > 0
        ? Run(vcn: 0, lcn: nil, count: UInt64(attribute.lowestVCN)) : runs.first ?? Run(vcn: 0, lcn: nil, count: 0)
      let critical = criticalLength(first, type: attribute.type, of: inode, clusterSize: size)
      return UInt64(real.count) * critical + UInt64(logSteps(runs, clusterSize: size).count)
    }
    guard inode <= Wiper.lastSystemRecord || attribute.type != AttributeType.data else { return 0 }
    return real.reduce(0) { $0 + $1.count }
  }
}
