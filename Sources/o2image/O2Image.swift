import ImageCore
import Synchronization

/// The tool: options, prompts, the order of the steps.
struct O2Image {
  private let arguments: Arguments
  private let voice: Voice

  /// Runs the tool and returns the exit status.
  static func run(_ words: [String]) -> Int32 {
    let voice = Voice(program: words.first ?? "o2image")
    do throws(Stop) {
      try O2Image(arguments: Arguments(words), voice: voice).run()
    } catch {
      switch error {
      case .failure(let error):
        voice.error(error)
        return voice.finish(status: 1)
      case .finished(let line):
        voice.note(line)
        return voice.finish(status: 1)
      case .declined(let line):
        voice.print(line + "\n")
        return voice.finish(status: 0)
      }
    }
    return voice.finish(status: voice.hasReported ? 1 : 0)
  }

  private func run() throws(Stop) {
    if arguments.isInstall {
      guard arguments.device != Arguments.standardOutput, arguments.image != Arguments.standardOutput else {
        throw .failure(ImageError("Operation not permitted cannot install to/from file - "))
      }
      try confirmInstallation()
    }
    let source = try stopping(openContext(arguments.source)) { () throws(ImageError) in
      try Source(arguments.source, isPacked: arguments.isInstall && !arguments.isRaw)
    }
    if source.isMounted { voice.warn("\(arguments.source) is mounted; the image may be inconsistent") }
    let blocks = try blocks(of: source)
    if arguments.isInteractive, !arguments.isInstall, arguments.destination != Arguments.standardOutput {
      try confirmCreation(source, blocks)
    }
    let output = try openDestination(source)
    try write(source, blocks, to: output)
  }

  private func openContext(_ name: String) -> String { "while trying to open \"\(name)\"" }

  // MARK: Prompts

  private func confirmInstallation() throws(Stop) {
    voice.print("Install \(arguments.image) image to \(arguments.device). Continue? (y/N): ")
    guard voice.isConfirmed() else { throw .finished("Aborting operation.") }
  }

  /// - Parameter blocks: what the image will hold. The header is not counted, as it never was.
  private func confirmCreation(_ source: Source, _ blocks: BlockSet) throws(Stop) {
    let bitmap = arguments.isRaw ? 0 : blocks.pieceCount * UInt64(BlockSet.pieceSize)
    let expected = bitmap + blocks.count * UInt64(source.superblock.blockSize)
    let available = availableBytes(inFolderOf: arguments.destination) ?? 0
    voice.print(
      "Image file expected to be \(expected / 1024)K, Available free space \(available / 1024)K. Continue ? (y/N): ")
    guard voice.isConfirmed() else { throw .declined("Aborting image creation.") }
  }

  // MARK: Steps

  /// The blocks that are copied: those of a packed image, or those that a scan finds.
  private func blocks(of source: Source) throws(Stop) -> BlockSet {
    switch source {
    case .packed(let image): return image.blocks
    case .volume(let volume):
      let voice = self.voice
      let scan = MetadataScan(volume) { finding in
        switch finding {
        case .damage(let error): voice.report(error)
        case .warning(let error): voice.warn(error.message)
        }
      }
      do throws(ImageError) {
        return try scan.run()
      } catch {
        throw .failure(error)
      }
    }
  }

  private func openDestination(_ source: Source) throws(Stop) -> ImageOutput {
    let name = arguments.destination
    let isStream = name == Arguments.standardOutput
    return try stopping(openContext(name)) { () throws(ImageError) in
      let kind = isStream ? nil : try? FileFacts(path: name)
      if shareBytes(isStream ? OutputStream.standardOutput().identity : kind?.identity, source.storage.identity) {
        throw ImageError("Source and destination are the same file", errno: 22)
      }
      if isStream { return standardOutput() }
      switch kind?.kind {
      case .other:
        return .stream(try OutputStream(path: name))
      case .blockDevice:
        guard try !MountState(of: name).isMounted else { throw ImageError("Device is mounted", errno: 16 /* EBUSY */) }
        let device = try FileStorage(path: name, writable: true, kind: .device, locking: false)
        guard arguments.isRaw || arguments.isInstall else { return .file(device) }
        guard device.length >= source.superblock.byteCount else {
          throw ImageError("Device is smaller than the volume", errno: 28 /* ENOSPC */)
        }
        return .file(device)
      case .regular, .directory, nil:
        do throws(ImageError) {
          return .file(try FileStorage.createEmpty(path: name, mode: 0o600, exclusive: false))
        } catch {
          throw .system(name.isEmpty ? 2 /* ENOENT */ : error.errno)
        }
      }
    }
  }

  /// A raw image may be written to its offsets where standard output is an ordinary file; a packed one is a stream.
  private func standardOutput() -> ImageOutput {
    if arguments.isRaw, let file = FileStorage.standardOutputFile() { return .file(file) }
    return .stream(.standardOutput())
  }

  private func write(_ source: Source, _ blocks: BlockSet, to output: ImageOutput) throws(Stop) {
    let blockSize = source.superblock.blockSize
    let isPacked = !arguments.isRaw && !arguments.isInstall
    let reading = BlockSource(
      blockSize: blockSize, blockCount: source.superblock.blockCount, read: source.read)
    defer { report(reading.unreadable, isPacked: isPacked) }
    let selection = BlockSelection(blocks, blockSize: blockSize, storage: source.plainStorage)
    let engine = CopyEngine(bufferSize: BlockSelection.pieceSize)
    do throws(ImageError) {
      if isPacked {
        let header = PackedHeader(
          source.superblock, blocks, timestamp: UInt32(truncatingIfNeeded: secondsSince1970()))
        let sink = PackedSink(output, header, blocks)
        try begin(sink)
        try engine.run(selection, from: reading, to: sink)
      } else {
        let length = arguments.isInstall ? source.superblock.byteCount : nil
        try engine.run(selection, from: reading, to: RawSink(output, blockSize: blockSize, fileLength: length))
      }
    } catch {
      // What a raw image could not take has no block number.
      let isPlain = error.message == errorText(error.errno)
      if isPacked && !isPlain { voice.error(error) }
      let cause = isPacked ? ImageError.system(error.errno) : .channelError
      throw .failure(cause.suffixed("while writing to image \"\(arguments.destination)\""))
    }
  }

  /// Tells where zeros stand for what could not be read: a line for each run of blocks.
  private func report(_ unreadable: BlockSet, isPacked: Bool) {
    var next: UInt64 = 0
    while let run = unreadable.nextRun(from: next, longest: .max) {
      let text =
        isPacked ? "error occurred during read block \(run.lowerBound)" : "while reading block \(run.lowerBound)"
      voice.report(ImageError.channelError.suffixed(text))
      next = run.upperBound
    }
  }

  /// A header that cannot be written has words of its own.
  private func begin(_ sink: PackedSink) throws(ImageError) {
    do throws(ImageError) {
      try sink.begin()
    } catch {
      voice.note("writing header: \(errorText(error.errno))")
      throw error
    }
  }
}
