import ImageCore

/// The tool: options, then one of clone, save, restore (spec §9, §12).
enum Ntfsclone {
  /// Runs the command line and returns the exit status.
  static func run(_ words: [String]) -> Int32 {
    let voice = Voice()
    defer { voice.flush() }
    voice.library("ntfsclone v2022.10.3 (libntfs-3g)")
    do throws(Stop) {
      let options = try Options(words, voice)
      try Checks.check(options, voice)
      voice.usesStandardOutput = !options.writesToStandardOutput
      if options.restores {
        try RestoreVolume.run(options, voice)
      } else {
        try SaveVolume.run(options, voice)
      }
      return 0
    } catch {
      switch error {
      case .finished(let status):
        return status
      case .failure(let error):
        voice.error(error)
        return 1
      }
    }
  }
}

/// Why the run ends early.
enum Stop: Error {
  /// Everything has been said.
  case finished(status: Int32)
  /// Something went wrong; status 1.
  case failure(ImageError)

  /// A plain `ERROR: …`.
  static func failed(_ message: String) -> Stop { .failure(ImageError(message, errno: 0)) }
  /// `ERROR(errno): … : strerror`.
  static func failed(_ message: String, _ errno: Int32) -> Stop {
    .failure(ImageError("\(message): \(errorText(errno))", errno: errno))
  }
}

/// Runs `body`; its error ends the run.
func stopping<Result>(_ body: () throws(ImageError) -> Result) throws(Stop) -> Result {
  do throws(ImageError) {
    return try body()
  } catch {
    throw .failure(error)
  }
}
