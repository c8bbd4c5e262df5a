import Bytes
import Copying
import NTFS
import NtfscloneImage
import Threads

/// Copies a volume, or its metadata, with the copy engine.
package struct VolumeCloner: Sendable {
  /// What a metadata clone tells at its end (spec §15.4).
  package struct MetadataOutcome: Sendable {
    package var usedRecords: UInt64
    package var statistics: WipeStatistics
  }

  package let volume: Volume
  package let geometry: CloneGeometry
  package let target: CloneTarget
  /// The special image's header; nil for a raw copy.
  package let header: NtfscloneHeader?
  package var rule = CloneSource.Rule()

  package init(_ volume: Volume, _ geometry: CloneGeometry, to target: CloneTarget, header: NtfscloneHeader?) {
    self.volume = volume
    self.geometry = geometry
    self.target = target
    self.header = header
  }

  private func run(_ selection: sending any Selection, _ work: CloneWork, _ source: CloneSource, _ report: CloneReport)
    throws(ImageError)
  {
    // The kernel writes to one file for one at a time.
    let isShared = source.triesSharing()
    let engine = CopyEngine(
      workers: isShared ? 1 : CopyEngine.usualWorkers,
      bufferSize: work.isImage ? geometry.imageBufferSize : geometry.bufferSize)
    if let header {
      let sink = ImageCloneSink(target, header, work, report)
      try sink.begin()
      try engine.run(selection, from: source, to: sink)
    } else {
      try engine.run(selection, from: source, to: RawCloneSink(target, work, report))
    }
  }

  /// Copies the clusters in use.
  package func copyUsed(_ survey: VolumeSurvey, report: CloneReport) throws(ImageError) {
    let work = CloneWork(geometry, isImage: header != nil)
    var rule = rule
    if header == nil, case .file(let file) = target { rule.sharing = file }
    try run(UsedClusters(survey.used, work), work, CloneSource(volume, work, rule), report)
  }

  /// Copies the metadata, wiped.
  ///
  /// - Parameters:
  ///   - progress: called with the number of each record that is gone through.
  ///   - log: takes the library's lines.
  package func copyMetadata(
    _ metadata: MetadataRule, _ survey: VolumeSurvey, wiper: Wiper, ignoresErrors: Bool, report: CloneReport,
    progress: @escaping @Sendable (UInt64) -> Void, log: @escaping @Sendable (String) -> Void
  ) throws(ImageError) -> MetadataOutcome {
    let work = CloneWork(geometry, isImage: header != nil)
    var rule = rule
    rule.wiper = wiper
    rule.tellsDamage = metadata.isImage
    let source = CloneSource(volume, work, rule)
    let voice = MetadataSelection.Voice(progress: progress, warn: report.line, log: log)
    let box = Monitor(MetadataSelection.Outcome())
    try run(
      MetadataSelection(
        volume, work, metadata, wiper, survey, ignoresErrors: ignoresErrors, voice,
        finished: { outcome in box.withLock { $0 = outcome } }),
      work, source, report)
    let outcome = box.withLock { $0 }
    var statistics = outcome.statistics
    // An image counts what is found in memory and what is written; a copy only the former.
    if metadata.isImage { statistics += source.statistics }
    return MetadataOutcome(usedRecords: outcome.usedRecords, statistics: statistics)
  }
}
