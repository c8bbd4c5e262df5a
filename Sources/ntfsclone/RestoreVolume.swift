import ImageCore

/// Restores a volume from a special image, or only reads the image to see that it can be (spec §14.5).
enum RestoreVolume {
  static func run(_ options: Options, _ voice: Voice) throws(Stop) {
    let input: InputStream
    if options.readsStandardInput {
      input = .standardInput()
    } else {
      do throws(ImageError) {
        input = try InputStream(path: options.source ?? "")
      } catch {
        throw .failed("failed to open image", error.errno)
      }
    }
    let header = try stopping { () throws(ImageError) in
      try NtfscloneHeader { (count) throws(ImageError) in
        var buffer = Buffer(count)
        var bytes = buffer.mutableBytes
        var part = bytes.slice(0..<count)
        do throws(ImageError) {
          let filled = try input.fill(&part)
          return buffer.bytes.array(0..<filled)
        } catch {
          throw ImageError("read_all: \(errorText(error.errno))", errno: error.errno)
        }
      }
    }
    let volumeSize = header.clusterCount * UInt64(header.clusterSize)
    let output = options.isTest ? nil : try OutputFile.forCopy(options, volumeSize: volumeSize, voice)
    tell(header, voice)

    let streamsAll = output != nil && options.writesToStandardOutput
    let stop = streamsAll ? header.clusterCount : header.clustersInUse
    let progress = PercentLine(voice, stop: stop &+ 1, isShown: !options.isQuiet && stop != .max)
    let report = CloneReport(counted: progress.advance, line: voice.line, library: voice.library)
    var restorer = VolumeRestorer(header, to: output?.target)
    restorer.serial = options.serial
    restorer.rescues = options.rescues
    let hasBackup = try stopping { () throws(ImageError) in try restorer.restore(input, report: report) }
    progress.end()
    if !hasBackup { voice.line("Warning : no alternate boot sector in image") }
    guard let output else { return }
    // Without the backup boot sector the file must hold the volume, and room for it, all the same.
    let end = header.clusterCount * UInt64(header.clusterSize) + UInt64(header.length(of: header.clusterCount))
    try output.extend(to: hasBackup ? end : max(end, volumeSize + 512))
    voice.line("Syncing ...")
    try stopping { () throws(ImageError) in try output.target.synchronize() }
  }

  private static func tell(_ header: NtfscloneHeader, _ voice: Voice) {
    let size = UInt64(header.clusterSize)
    let volumeSize = header.clusterCount * size
    // The reference takes both counts for signed numbers.
    let used = Int64(bitPattern: header.clustersInUse.multipliedReportingOverflow(by: size).partialValue)
    let share = volumeSize == 0 ? 0 : 100.0 * Double(Float(used) / Float(volumeSize))
    voice.line("Ntfsclone image version: \(header.majorVersion).\(header.minorVersion)")
    voice.line("Cluster size           : \(size) bytes")
    voice.line("Image volume size      : \(volumeSize) bytes (\(megabytes(volumeSize)) MB)")
    voice.line("Image device size      : \(Int64(bitPattern: header.deviceSize)) bytes")
    voice.line("Space in use           : \((used &+ 999_999) / 1_000_000) MB (\(fixed(share, digits: 1))%)   ")
    let offset = header.recordedOffset
    voice.line("Offset to image data   : \(offset) (0x\(String(offset, radix: 16))) bytes")
    voice.line("Restoring NTFS from image ...")
  }
}
