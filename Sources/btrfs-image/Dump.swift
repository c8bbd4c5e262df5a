import ImageCore

/// Writes a dump of a file system's metadata; returns the exit status (btrfs-image §10).
func dump(_ arguments: Arguments, _ voice: Voice) -> Int32 {
  do throws(ImageError) {
    let target = try DumpTarget(arguments.targets[0], source: arguments.source)
    do throws(ImageError) {
      let isComplete = try writeDump(arguments, to: target.output, voice)
      return isComplete ? 0 : 1
    } catch {
      voice.error(error)
      voice.error("create failed: -\(error.errno)")
      target.remove(voice)
      return 1
    }
  } catch {
    voice.error(error)
    return 1
  }
}

/// - Returns: whether everything is in the dump that belongs there.
private func writeDump(_ arguments: Arguments, to output: ImageOutput, _ voice: Voice) throws(ImageError) -> Bool {
  checkMounted(arguments.source, voice)
  let log = DumpLog { voice.notice($0) }
  let volume = try BtrfsVolume.open(
    arguments.source, notify: { voice.notice($0) }, report: { log.report($0) })
  let plan = MetadataSurvey.plan(
    volume, arguments.walksTrees ? .walk : .extentTree(includesData: arguments.includesData),
    into: DumpPlan(splitsData: arguments.compressionLevel > 0 || arguments.includesData), log: log)
  let batchLimit = batchSize(workers: arguments.threadCount)
  let sink = try DumpSink(
    output, volume, plan, batchLimit: batchLimit, version: arguments.includesData ? .data : .metadata,
    level: arguments.compressionLevel, workers: arguments.threadCount, transform: sanitizer(arguments, volume, voice),
    log: log)
  let engine = CopyEngine(workers: arguments.threadCount, bufferSize: 0)
  try engine.run(sink.selection(), from: NoSource(), to: sink)
  return !log.isIncomplete
}

/// What makes names unreadable; nil without `-s`.
private func sanitizer(_ arguments: Arguments, _ volume: BtrfsVolume, _ voice: Voice) -> Sanitizer? {
  let style: NameSanitizer.Style
  switch arguments.sanitizing {
  case .none: return nil
  case .garbage: style = .garbage
  case .collisions: style = .collisions
  }
  return Sanitizer(style, secret: .random(in: .min ... .max), volume: volume) { voice.warn($0) }
}

/// Bytes that a worker handles at a time: less, the more there are, so that all together stay small.
private func batchSize(workers: Int) -> Int {
  workers <= 4 ? 1 << 20 : workers <= 12 ? 512 << 10 : 256 << 10
}

/// Says that the source, or a device of its file system, is in use as a file system (§10.1).
private func checkMounted(_ source: String, _ voice: Voice) {
  let storage: FileStorage
  do throws(ImageError) {
    let kind = try FileFacts(path: source).kind
    guard kind == .regular || kind == .blockDevice else { return }
    storage = try FileStorage(path: source, writable: false, locking: false)
  } catch {
    voice.error("mount check: cannot open \(source): \(errorText(error.errno))")
    voice.warn("unable to check mount status of: \(errorText(error.errno))")
    return
  }
  do throws(ImageError) {
    guard let superblock = try BtrfsSuperblock.read(storage) else { return }
    var identities = [storage.identity].compactMap { $0 }
    if superblock.deviceCount > 1 {
      identities += BtrfsVolume.blockDevices(of: superblock).compactMap(\.storage.identity)
    }
    if isMounted(anyOf: identities) { voice.warn("\(source) already mounted, results may be inaccurate") }
  } catch {
    voice.error(error)
  }
}

/// The sink reads for itself.
private final class NoSource: CopySource {
  func read(into buffer: inout MutableRawSpan, at offset: UInt64) {}
}
