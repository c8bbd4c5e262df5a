import ImageCore
import Synchronization

/// `-r`, `-m`: writes the file system that a dump holds; returns the exit status.
func restore(_ arguments: Arguments, _ voice: Voice) -> Int32 {
  let restoring = Restoring(arguments, voice)
  do throws(ImageError) {
    try restoring.run()
  } catch {
    // What has been said already has no words.
    if !error.message.isEmpty { voice.error(error) }
    return 1
  }
  return restoring.hasProblems ? 1 : 0
}

/// A restore at work (btrfs-image §14).
private final class Restoring: Sendable {
  private let arguments: Arguments
  private let voice: Voice
  private let console = Console(program: "btrfs-image")
  private let problems = Atomic<Int>(0)

  init(_ arguments: Arguments, _ voice: Voice) {
    self.arguments = arguments
    self.voice = voice
  }

  /// Whether something was reported that makes the result incomplete.
  var hasProblems: Bool { problems.load(ordering: .relaxed) > 0 }

  private var readsStandardInput: Bool { arguments.source == Arguments.standardStream }

  /// - Throws: the last line that is said.
  func run() throws(ImageError) {
    try checkTargets()
    let existing = Set(arguments.targets.filter { FileStorage.exists($0) })
    let targets: [FileStorage]
    let restorer: DumpRestorer
    let progress: Progress
    do throws(ImageError) {
      targets = try openTargets()
      let input = try openInput()
      progress = Progress(
        console, isShown: console.errorIsTerminal && input.length != nil, step: 1, usesStandardError: true)
      restorer = try makeRestorer(input, progress)
    } catch {
      // Nothing has been written: what this run has made is of no use.
      for name in arguments.targets where !existing.contains(name) { FileStorage.remove(name) }
      throw error
    }
    defer { progress.end() }
    do throws(ImageError) {
      // Whatever a file held is gone from here on.
      for target in targets where !target.isDevice { try target.resize(to: 0) }
      if arguments.restoresDevices {
        try restorer.restore(toDevices: targets) { (index, device) in
          guard index > 0 else { return }
          console.printLine("update disk super on \(arguments.targets[index]) devid=\(device)")
        }
      } else if arguments.keepsChunkTree {
        try restorer.restoreOld(to: targets[0])
      } else {
        try restorer.restore(to: targets[0])
      }
    } catch {
      throw failure(error, nil)
    }
    if console.finish(status: 0) != 0 { problems.add(1, ordering: .relaxed) }
  }

  private func makeRestorer(_ input: any MetadumpInput, _ progress: Progress) throws(ImageError) -> DumpRestorer {
    let (voice, length) = (voice, input.length)
    let report = RestoreReport(
      problem: { [self] problem in
        problems.add(1, ordering: .relaxed)
        voice.error(problem)
      },
      warn: { voice.warn($0) },
      progress: { done in if let length { progress.report(done: done, of: length) } })
    do throws(ImageError) {
      return try DumpRestorer(input, workers: arguments.threadCount, report: report)
    } catch {
      throw failure(error, "failed to build chunk tree")
    }
  }

  /// Prints an error and perhaps a line that says what it means.
  ///
  /// - Returns: what is said last, with the error's number.
  private func failure(_ error: ImageError, _ consequence: String?) -> ImageError {
    voice.error(error)
    let isStart = ["failed to read header", "unrecognized header format"].contains(error.message)
    if isStart {
      voice.error("failed to initialize metadata restore state: -\(error.errno)")
    } else if let consequence {
      voice.error(consequence)
    }
    return ImageError("restore failed: -\(error.errno)", errno: error.errno)
  }

  // MARK: Files

  /// The source may not be among the targets, nor may a target be in use.
  private func checkTargets() throws(ImageError) {
    let source = readsStandardInput ? InputStream.standardInput().identity : FileStorage.identity(of: arguments.source)
    var seen: [FileIdentity] = []
    for name in arguments.targets {
      guard let identity = (try? FileFacts(path: name))?.identity else { continue }
      if shareBytes(source, identity) { throw ImageError("source and target are the same file: \(name)") }
      if seen.contains(where: { shareBytes($0, identity) }) { throw ImageError("target given twice: \(name)") }
      seen.append(identity)
      guard !isMounted(anyOf: [identity]) else {
        throw ImageError("target is mounted: \(name)", errno: 16 /* EBUSY */)
      }
    }
  }

  private func openTargets() throws(ImageError) -> [FileStorage] {
    var targets: [FileStorage] = []
    for name in arguments.targets {
      do throws(ImageError) {
        let kind = (try? FileFacts(path: name))?.kind
        guard kind != .directory, kind != .other else { throw .system(22) }
        targets.append(try FileStorage.forReplacing(path: name, mode: 0o666))
      } catch {
        if error.errno == 16 /* EBUSY */ { throw ImageError("target is in use: \(name)", errno: error.errno) }
        throw ImageError("unable to create target file \(name)", errno: error.errno)
      }
    }
    return targets
  }

  private func openInput() throws(ImageError) -> any MetadumpInput {
    if readsStandardInput { return StreamInput(.standardInput(), makeFile: FileStorage.temporary) }
    do throws(ImageError) {
      let kind = try FileFacts(path: arguments.source).kind
      guard kind != .other else {
        return StreamInput(try InputStream(path: arguments.source), makeFile: FileStorage.temporary)
      }
      guard kind != .directory else { throw .system(21 /* EISDIR */) }
      return StorageInput(try FileStorage(path: arguments.source, writable: false, locking: false))
    } catch {
      voice.error("unable to open metadump image: \(errorText(error.errno))")
      throw ImageError("restore failed: 1")
    }
  }
}
