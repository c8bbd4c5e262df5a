import ImageCore

/// The $LogFile of a metadata clone. The reference mounts its clone to wipe it and stumbles over a log that is not clean;
/// we need no mount, but say the same and leave the same log behind (spec §15.2).
struct ClonedLog {
  private let log: LogFile

  /// Looks at the log as the clone will have it.
  ///
  /// - Returns: the log when it must be emptied.
  static func examine(_ volume: Volume, _ options: Options, _ name: String, _ voice: Voice) throws(Stop) -> ClonedLog? {
    let log: LogFile
    do throws(ImageError) {
      log = try LogFile(volume, log: voice.library)
    } catch {
      throw .failed("Opening '\(name)' as NTFS failed", error.errno)
    }
    let state = log.state()
    // Each attempt to open the clone would say so.
    state.lines.forEach(voice.library)
    if state.kind == .clean { return nil }
    let errno: Int32 = state.kind == .cached ? 1 : 95
    voice.error(ImageError("Opening '\(name)' as NTFS failed: \(errorText(errno))", errno: errno))
    if options.keepsLog {
      voice.line("Retrying read-only to ignore the log file...")
      voice.line("... Successful")
      return nil
    }
    voice.line("Trying to recover...")
    state.lines.forEach(voice.library)
    guard state.kind != .cached else {
      voice.line("... Failed")
      throw .finished(status: 1)
    }
    voice.line("The file system wasn't safely closed on Windows. Fixing.")
    voice.line("... Successful")
    return ClonedLog(log: log)
  }

  /// Fills the clone's log with what means an empty one.
  func clear(in target: CloneTarget) throws(ImageError) {
    let size = log.clusterSize
    var buffer = Buffer(1 << 20)
    var bytes = buffer.mutableBytes
    bytes.fill(0..<bytes.byteCount, with: 0xFF)
    for run in log.runs {
      guard let lcn = run.lcn else { continue }
      var offset = lcn * size
      let end = (lcn + run.count) * size
      while offset < end {
        let count = min(UInt64(buffer.count), end - offset)
        try target.write(buffer.bytes.slice(0..<Int(count)), at: offset)
        offset += count
      }
    }
  }
}
