import ImageCore

/// A normal image: superblock, descriptors, inode tables and bitmaps behind a header (ext4-e2image §9).
struct NormalImage {
  let arguments: Arguments
  let voice: Voice
  let volume: ExtVolume

  /// Makes the image.
  func write() throws(Stop) {
    if arguments.isDryRun {
      // Nothing but the header has ever been announced.
      for _ in 0..<2 { voice.line("Writing block \(UInt64.max)") }
      return
    }
    let target = try stopping("while trying to open \(arguments.image)") { () throws(ImageError) in
      try ImageTarget(arguments.image, sources: volume.sources, empties: true)
    }
    try target.finishing(arguments.image) { () throws(Stop) in
      do throws(ImageError) {
        try E2imageWriter(volume, to: target.output, header(arguments.isToStandardOutput))
          .run()
      } catch {
        throw .failure(error)
      }
    }
    if E2imageLayout(volume.superblock).end > UInt64(UInt32.max) {
      voice.warn("the image is larger than 4 GiB: other versions of e2image cannot find its bitmaps")
    }
  }

  private func header(_ isStandardOutput: Bool) -> E2imageHeader {
    var header = E2imageHeader(volume.superblock)
    header.hostName = hostName()
    header.deviceName = arguments.device.rawBytes
    if let source = try? FileNumbers(path: arguments.device) {
      header.device = UInt32(truncatingIfNeeded: source.ownDevice)
    }
    let image = isStandardOutput ? FileNumbers.standardOutput() : try? FileNumbers(path: arguments.image)
    if let image {
      header.imageDevice = UInt32(truncatingIfNeeded: image.device)
      header.imageInode = UInt32(truncatingIfNeeded: image.inode)
    }
    header.time = UInt64(clamping: secondsSince1970())
    return header
  }
}
