import ImageCore

/// The tool: options, the order of the steps.
struct E2Image {
  let arguments: Arguments
  let voice: Voice

  /// The version whose images and messages these are.
  private static let banner = "e2image 1.47.0 (5-Feb-2023)"

  /// Runs the tool and returns the exit status.
  static func run(_ words: [String]) -> Int32 {
    let voice = Voice(program: words.first ?? "e2image")
    voice.note(banner)
    do throws(Stop) {
      try E2Image(arguments: Arguments(words), voice: voice).run()
    } catch {
      switch error {
      case .failure(let error): voice.error(error)
      case .finished(let lines): voice.note(lines)
      case .silent: break
      }
      return voice.finish(status: 1)
    }
    return voice.finish(status: voice.hasReported ? 1 : 0)
  }

  private func run() throws(Stop) {
    let source = arguments.isInstall ? arguments.image : arguments.device
    if arguments.kind != .normal { try refuseMounted(arguments.device) }
    if arguments.isInstall {
      guard arguments.kind == .normal else {
        throw .failure(ImageError("Raw and qcow2 images cannot be installed"))
      }
      try Installation(arguments: arguments, voice: voice).run()
      return
    }
    if arguments.kind == .raw, !arguments.isMove, let image = try Qcow2Source.open(source, arguments, voice) {
      try image.convert()
      return
    }
    let volume = try openVolume()
    if arguments.compares {
      guard arguments.kind == .raw else { throw .finished("The -c option only supported in raw mode") }
      guard !arguments.isToStandardOutput else {
        throw .finished("The -c option not supported when writing to stdout")
      }
    }
    if arguments.showsProgress, arguments.kind != .raw {
      throw .finished("The -p option only supported in raw mode")
    }
    switch arguments.kind {
    case .normal:
      if FileSystemUse(of: arguments.device).isMountedForWriting, !arguments.isForced {
        voice.warn("\(arguments.device) is mounted; the image may be inconsistent")
      }
      try NormalImage(arguments: arguments, voice: voice, volume: volume).write()
    case .raw: try RawImage(arguments: arguments, voice: voice, volume: volume).write()
    case .qcow2: try Qcow2Output(arguments: arguments, voice: voice, volume: volume).write()
    }
  }

  private func refuseMounted(_ name: String) throws(Stop) {
    guard !arguments.isForced, FileSystemUse(of: name).isMountedForWriting else { return }
    throw .finished(
      """

      Running e2image on a R/W mounted filesystem can result in an
      inconsistent image which will not be useful for debugging purposes.
      Use -f option if you really want to do that.
      """)
  }

  /// Opens the file system that is imaged.
  private func openVolume() throws(Stop) -> ExtVolume {
    do throws(ImageError) {
      let storage = try openSource(arguments.device)
      return try ExtVolume(
        storage, at: arguments.sourceOffset, copyBlock: arguments.copyBlock, blockSize: arguments.blockSize)
    } catch {
      voice.error(error.suffixed("while trying to open \(arguments.device)"))
      voice.line("Couldn't find valid filesystem superblock.")
      if error.message == ExtError.badMagic.message { tellContents(of: arguments.device, voice) }
      throw .silent
    }
  }
}

extension FileSystemUse {
  /// Whether somebody may be changing the file system.
  var isMountedForWriting: Bool { isMounted && !isReadOnly }
}

/// Opens a device or file for reading.
///
/// - Throws: the kernel's text alone.
func openSource(_ name: String) throws(ImageError) -> FileStorage {
  do throws(ImageError) {
    return try FileStorage(path: name, writable: false, locking: false)
  } catch {
    if name.isEmpty { throw .system(2 /* ENOENT */) }
    // A directory opens, and fails when it is read.
    let kind = try? FileFacts(path: name).kind
    if kind == .directory { throw .system(21 /* EISDIR */) }
    // A pipe opens, and cannot be positioned.
    if kind == .other, error.errno == 22 /* EINVAL */ { throw .system(29 /* ESPIPE */) }
    throw .system(error.errno)
  }
}

extension E2Image {
  /// Workers of a copy; one where things have to be done in order.
  static func workers(inOrder: Bool) -> Int { inOrder ? 1 : CopyEngine.usualWorkers }
}
