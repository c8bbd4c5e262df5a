import ImageCore

/// What an image is written to.
struct ImageTarget {
  let output: ExtImageOutput
  /// Whether the file was made by this run: it is removed again when the image cannot be finished.
  var isNew = false
  var isBlockDevice = false

  /// The file, nil for a stream.
  var file: FileStorage? {
    if case .file(let file) = output { file } else { nil }
  }

  /// Opens the output of a run.
  ///
  /// - Parameters:
  ///   - sources: the files that are read.
  ///   - isInPlace: whether the output may be one of them, as long as it is the same file and not another way to it.
  ///   - empties: whether what is in the file goes.
  /// - Throws: the kernel's text alone, or that a source would be written over.
  init(_ name: String, sources: [FileIdentity], isInPlace: Bool = false, empties: Bool) throws(ImageError) {
    let isSource = ImageError("Source and destination are the same file", errno: 0)
    if name == Arguments.standardOutput {
      let stream = OutputStream.standardOutput()
      if sources.contains(where: { shareBytes($0, stream.identity) }) { throw isSource }
      output = .stream(stream)
      return
    }
    let facts = try? FileFacts(path: name)
    if let identity = facts?.identity, !(isInPlace && sources.contains(identity)),
      sources.contains(where: { shareBytes($0, identity) })
    {
      throw isSource
    }
    isNew = facts == nil
    isBlockDevice = facts?.kind == .blockDevice
    do throws(ImageError) {
      switch facts?.kind {
      case .directory: throw ImageError.system(21 /* EISDIR */)
      case .other:
        output = .stream(try OutputStream(path: name))
      case .blockDevice:
        output = .file(try FileStorage(path: name, writable: true, kind: .device, locking: false))
      case .regular where !empties:
        output = .file(try FileStorage(path: name, writable: true, locking: false))
      case .regular, nil:
        output = .file(try FileStorage.createEmpty(path: name, mode: 0o600, exclusive: false))
      }
    } catch {
      throw name.isEmpty ? .system(2 /* ENOENT */) : .system(error.errno)
    }
  }

  /// A file that is open already.
  init(_ file: FileStorage) { output = .file(file) }

  /// Nothing: a dry run.
  init() { output = .stream(.standardOutput()) }

  /// Removes a file that this run has made and could not finish.
  func discard(_ name: String) {
    if isNew, name != Arguments.standardOutput { FileStorage.remove(name) }
  }

  /// Runs `body`; a file that this run has made is removed when it fails.
  func finishing(_ name: String, _ body: () throws(Stop) -> Void) throws(Stop) {
    do throws(Stop) {
      try body()
    } catch {
      discard(name)
      throw error
    }
  }
}

extension ExtVolume {
  /// The file that holds it.
  var sources: [FileIdentity] { [storage.identity].compactMap { $0 } }
}

/// Finds what an image holds, and tells what is damaged.
func scan(_ volume: ExtVolume, _ arguments: Arguments, _ voice: Voice, target: ImageTarget) -> ExtImageBlocks {
  var rule = ExtScan.Rule()
  rule.includesData = arguments.includesData
  rule.includesUnusedInodes = target.isBlockDevice
  rule.findsDirectories = arguments.scrambles
  let scan = ExtScan(volume, rule) { finding in
    switch finding {
    case .damage(let error): voice.report(error)
    case .outside(let line): voice.note(line)
    }
  }
  if arguments.showsProgress { scan.willScanInodes = { voice.note("Scanning inodes...") } }
  return scan.run()
}

/// Tells which blocks could not be read.
func report(_ source: ExtBlockSource, _ voice: Voice) {
  let failures = source.failures.sorted { $0.block < $1.block }
  for failure in failures { voice.report(failure.error.suffixed("error reading block \(failure.block)")) }
  let count = source.unreadable.count
  if count > UInt64(failures.count) {
    voice.report(ImageError("\(count - UInt64(failures.count)) further blocks could not be read"))
  }
}
