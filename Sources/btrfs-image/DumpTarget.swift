import ImageCore

/// Where a dump goes (btrfs-image §9).
struct DumpTarget {
  /// What is written to.
  let output: ImageOutput
  /// The path of a file that this run has made.
  private let madePath: String?

  /// Opens the target, which is emptied. `-` is standard output.
  ///
  /// - Throws: that the source would be written over, or that the target cannot be made.
  init(_ name: String, source: String) throws(ImageError) {
    let isStream = name == Arguments.standardStream
    let stream = OutputStream.standardOutput()
    let facts = isStream ? nil : try? FileFacts(path: name)
    if shareBytes(isStream ? stream.identity : facts?.identity, FileStorage.identity(of: source)) {
      throw ImageError("source and target are the same: \(name)")
    }
    if isStream {
      output = .stream(stream)
      madePath = nil
      return
    }
    if facts?.kind == .blockDevice, let identity = facts?.identity, isMounted(anyOf: [identity]) {
      throw ImageError("target is mounted: \(name)", errno: 16 /* EBUSY */)
    }
    do throws(ImageError) {
      if facts?.kind == .other {
        output = .stream(try OutputStream(path: name))
      } else {
        output = .file(try FileStorage.createEmpty(path: name, mode: 0o666, exclusive: false))
      }
    } catch {
      throw ImageError("unable to create target file \(name)", errno: error.errno)
    }
    madePath = facts == nil ? name : nil
  }

  /// Removes what this run has made.
  func remove(_ voice: Voice) {
    if let madePath { FileStorage.remove(madePath) }
  }
}
