import ImageCore

/// Clones a volume: whole or metadata only, to a sparse file, a device, a stream or a special image (spec §10 to §15).
struct SaveVolume {
  private let options: Options
  private let voice: Voice
  private let volume: Volume
  private let geometry: CloneGeometry

  static func run(_ options: Options, _ voice: Voice) throws(Stop) {
    let source = try OpenedVolume(options, voice)
    let save = SaveVolume(
      options: options, voice: voice, volume: source.volume,
      geometry: CloneGeometry(
        clusterSize: source.volume.boot.clusterSize, clusterCount: source.volume.boot.clusterCount,
        deviceSize: source.deviceSize))
    try save.run()
  }

  private var metadataRule: MetadataRule? {
    options.isMetadata ? MetadataRule(isImage: options.savesImage, keepsLog: options.keepsLog) : nil
  }

  private func run() throws(Stop) {
    let volumeSize = volume.boot.volumeSize
    let output =
      options.savesImage
      ? try OutputFile.forImage(options, volumeSize: volumeSize)
      : try OutputFile.forCopy(options, volumeSize: volumeSize, voice)
    var survey = try surveyed()
    // A metadata copy has written the backup boot sector by now, and counts it.
    let counted = survey.inUse + (options.isMetadata && !options.savesImage ? 1 : 0)
    let usedBytes = counted * UInt64(geometry.clusterSize)
    let share = volumeSize == 0 ? 0 : 100.0 * Double(Float(usedBytes) / Float(volumeSize))
    voice.line("Space in use       : \(megabytes(usedBytes)) MB (\(fixed(share, digits: 1))%)   ")
    if !options.isMetadata { try output.checkSpace(usedBytes) }
    let bad = try stopping { () throws(ImageError) in try survey.excludeBadClusters(log: voice.library) }
    if bad > 0 { voice.line("WARNING: The disk has \(bad) or more bad sectors (hardware faults).") }
    if options.isMetadata {
      try copyMetadata(survey, to: output)
    } else {
      try copyClusters(&survey, to: output)
    }
  }

  private var scanProgress: PercentLine {
    PercentLine(voice, stop: volume.recordCount &- 1, isShown: !options.isQuiet)
  }

  /// Scans the volume and compares what is found with $Bitmap.
  private func surveyed() throws(Stop) -> VolumeSurvey {
    voice.line("Scanning volume ...")
    var rule = VolumeSurvey.Rule()
    rule.ignoresErrors = options.ignoresCheck
    rule.metadata = options.savesImage ? metadataRule : nil
    var survey = VolumeSurvey(volume)
    let progress = scanProgress
    try stopping { () throws(ImageError) in
      try survey.scan(rule, progress: progress.show, warn: voice.line, log: voice.library)
    }
    voice.line("Accounting clusters ...")
    try account(&survey)
    return survey
  }

  private func account(_ survey: inout VolumeSurvey) throws(Stop) {
    let mismatches = try stopping { () throws(ImageError) in try survey.account(warn: voice.line) }
    guard mismatches > 0 else { return }
    SurveyText.summary(mismatches, isOverruled: options.ignoresCheck).forEach(voice.line)
    guard options.ignoresCheck else {
      throw .failed(
        """
        Filesystem check failed! Windows wasn't shutdown properly or inconsistent
        filesystem. Please run chkdsk /f on Windows then reboot it TWICE.
        """)
    }
  }

  private func cloner(_ output: OutputFile, inUse: UInt64) -> VolumeCloner {
    let header =
      options.savesImage
      ? NtfscloneHeader(
        clusterSize: geometry.clusterSize, deviceSize: geometry.deviceSize, clusterCount: geometry.clusterCount,
        clustersInUse: inUse) : nil
    var cloner = VolumeCloner(volume, geometry, to: output.target, header: header)
    cloner.rule.rescues = options.rescues
    cloner.rule.serial = options.serial
    return cloner
  }

  // MARK: All clusters in use

  private func copyClusters(_ survey: inout VolumeSurvey, to output: OutputFile) throws(Stop) {
    voice.line(options.savesImage ? "Saving NTFS to image ..." : "Cloning NTFS ...")
    let inUse = survey.inUse
    if options.ignoresCheck, !survey.extra.isEmpty {
      voice.line("Accounting clusters ...")
      try account(&survey)
      survey.adoptExtra()
    }
    let streamsAll = !options.savesImage && options.writesToStandardOutput
    // What only $Bitmap has in use is copied as well, but not counted.
    let progress = PercentLine(
      voice, stop: (streamsAll ? geometry.clusterCount : inUse) + 1, isShown: !options.isQuiet, endsAtStop: true)
    let report = CloneReport(counted: progress.advance, line: voice.line, library: voice.library)
    let cloner = cloner(output, inUse: inUse)
    let copied = survey
    try stopping { () throws(ImageError) in try cloner.copyUsed(copied, report: report) }
    if !options.savesImage { try output.extend(to: copyLength) }
    try synchronize(output)
  }

  /// Length of a raw copy: what the reference writes, and where the device ends with the volume the first sector behind
  /// it as well.
  private var copyLength: UInt64 {
    max(geometry.copyLength, volume.boot.volumeSize)
  }

  // MARK: Metadata

  private func copyMetadata(_ survey: VolumeSurvey, to output: OutputFile) throws(Stop) {
    guard let rule = metadataRule else { return }
    var log: ClonedLog?
    if !rule.isImage {
      voice.line("Syncing ...")
      log = try ClonedLog.examine(volume, options, output.name, voice)
      voice.line("NTFS volume version: \(volume.majorVersion).\(volume.minorVersion)")
      voice.line("Cluster size       : \(geometry.clusterSize) bytes")
      let size = volume.boot.volumeSize
      voice.line("Current volume size: \(size) bytes (\(megabytes(size)) MB)")
    }
    voice.line("Scanning volume ...")
    let progress = scanProgress
    let report = CloneReport(counted: { _ in }, line: voice.line, library: voice.library)
    let cloner = cloner(output, inUse: survey.inUse)
    let outcome = try stopping { () throws(ImageError) in
      try cloner.copyMetadata(
        rule, survey, wiper: Wiper(keepsTimes: options.keepsTimes), ignoresErrors: options.ignoresCheck,
        report: report, progress: progress.show, log: voice.library)
    }
    if !rule.isImage {
      try stopping { () throws(ImageError) in try log?.clear(in: output.target) }
      try output.extend(to: copyLength)
    }
    tell(outcome)
    if rule.isImage {
      try stopping { () throws(ImageError) in try output.target.synchronize() }
    } else {
      try synchronize(output)
    }
  }

  private func tell(_ outcome: VolumeCloner.MetadataOutcome) {
    let wiped = outcome.statistics
    let total = wiped.unused + wiped.deleted + wiped.resident + wiped.timestamps
    for (label, number) in [
      ("Num of MFT records       =", volume.recordCount), ("Num of used MFT records  =", outcome.usedRecords),
      ("Wiped unused MFT data    =", wiped.unused), ("Wiped deleted MFT data   =", wiped.deleted),
      ("Wiped resident user data =", wiped.resident), ("Wiped timestamp data     =", wiped.timestamps),
      ("Wiped totally            =", total),
    ] { voice.line("\(label) \(rightAligned(String(number), to: 10))") }
  }

  private func synchronize(_ output: OutputFile) throws(Stop) {
    voice.line("Syncing ...")
    try stopping { () throws(ImageError) in try output.target.synchronize() }
  }
}
