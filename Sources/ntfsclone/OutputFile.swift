import ImageCore

/// The output of a clone or restore, opened and sized (spec §12).
struct OutputFile {
  let name: String
  let target: CloneTarget
  /// The file or device, where it is one.
  let file: FileStorage?
  var isRegular: Bool { file.map { !$0.isDevice } ?? false }

  /// Where a special image goes.
  static func forImage(_ options: Options, volumeSize: UInt64) throws(Stop) -> OutputFile {
    let name = options.output ?? "-"
    if options.writesToStandardOutput { return standardOutput }
    let kind = (try? FileFacts(path: name))?.kind
    if kind == .other {
      do throws(ImageError) {
        return OutputFile(name: name, target: .stream(try OutputStream(path: name)), file: nil)
      } catch {
        throw .failed("Opening file '\(name)' failed", error.errno)
      }
    }
    if kind == .blockDevice { try Checks.checkMount(name, allowsReadOnly: false) }
    let file = try open(name, mode: 0o666, exclusive: !options.overwrites)
    return OutputFile(name: name, target: .file(file), file: file)
  }

  /// Where a raw copy goes: a device that is large enough, or a file of the volume's size.
  static func forCopy(_ options: Options, volumeSize: UInt64, _ voice: Voice) throws(Stop) -> OutputFile {
    let name = options.output ?? "-"
    if options.writesToStandardOutput { return standardOutput }
    switch (try? FileFacts(path: name))?.kind {
    case .other:
      // Nothing that can be sized: a FIFO, a character device.
      let type = (try? FileSystemFacts(path: name).type) ?? 0
      throw .failure(sizingFailed(name, 22, type))
    case .blockDevice:
      let device = try open(name, mode: 0o600, exclusive: false)
      let needed = volumeSize + 512
      guard device.length >= needed else {
        throw .failed("Output device is too small (\(device.length)) to fit the NTFS image (\(needed)).")
      }
      try Checks.checkMount(name, allowsReadOnly: false)
      return OutputFile(name: name, target: .file(device), file: device)
    default:
      let file = try open(name, mode: 0o600, exclusive: !options.overwrites)
      try setSize(file, volumeSize + 512, voice)
      return OutputFile(name: name, target: .file(file), file: file)
    }
  }

  private static var standardOutput: OutputFile {
    OutputFile(name: "-", target: .stream(.standardOutput()), file: nil)
  }

  private static func open(_ name: String, mode: UInt32, exclusive: Bool) throws(Stop) -> FileStorage {
    do throws(ImageError) {
      if name.isEmpty { throw ImageError.system(2) }
      return try FileStorage.createEmpty(path: name, mode: mode, exclusive: exclusive)
    } catch {
      throw .failed("Opening file '\(name)' failed", error.errno)
    }
  }

  /// Makes sure that the file system takes a file of this size, with the reference's remarks about some that are slow.
  private static func setSize(_ file: FileStorage, _ size: UInt64, _ voice: Voice) throws(Stop) {
    let type: UInt64
    do throws(ImageError) {
      type = try file.fileSystem().type
    } catch {
      type = 0
      voice.line("WARNING: Couldn't get filesystem type: \(errorText(error.errno))")
    }
    if type == 0x5265_4973 { voice.print(Texts.reiserFS) }
    if type == 0x517B { voice.print(Texts.smbFS) }
    do throws(ImageError) {
      try file.resize(to: size)
      // Only a trial, unless there are blocks; the end of the copy sets the length.
      if file.allocatedSize == 0 { try file.resize(to: 0) }
    } catch {
      throw .failure(sizingFailed(file.name, error.errno, type))
    }
  }

  /// What is said about a file that cannot be given a size.
  private static func sizingFailed(_ name: String, _ errno: Int32, _ type: UInt64) -> ImageError {
    var text = "ftruncate failed for file '\(name)': \(errorText(errno))\n"
    text += "Destination filesystem type is 0x\(String(type, radix: 16))."
    switch errno {
    case 7: text += "\n" + Texts.noLargeFiles
    case 1: text += "\n" + Texts.noSparseFiles
    default: break
    }
    return ImageError(text, errno: errno)
  }

  /// Makes a file as long as it must be at least, whatever was written.
  func extend(to length: UInt64) throws(Stop) {
    guard let file, isRegular else { return }
    do throws(ImageError) {
      if file.length != length { try file.resize(to: length) }
    } catch {
      throw .failed("ftruncate failed for file '\(name)'", error.errno)
    }
  }

  /// What a regular file's file system must have room for.
  func checkSpace(_ needed: UInt64) throws(Stop) {
    guard let file, isRegular, let free = try? file.fileSystem().free, free < needed else { return }
    throw .failed(
      "Destination doesn't have enough free space: \(megabytes(free)) MB < \(megabytes(needed)) MB")
  }
}

/// Bytes in millions, rounded up.
func megabytes(_ bytes: UInt64) -> UInt64 { bytes.dividedUp(by: 1_000_000) }
