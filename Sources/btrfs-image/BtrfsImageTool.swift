import ImageCore

/// Runs the tool and returns the exit status.
func run(_ words: [String]) -> Int32 {
  // A reader that goes away is an error of write(2), not a signal.
  _ = Console(program: words.first ?? "btrfs-image")
  let voice = Voice()
  do throws(Stop) {
    let arguments = try Arguments(words)
    return arguments.isRestore ? restore(arguments, voice) : dump(arguments, voice)
  } catch {
    switch error {
    case .finished(let lines, let status):
      voice.lines(lines)
      return status
    }
  }
}
