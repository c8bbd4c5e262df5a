import ImageCore

/// Runs the tool and returns the exit status.
func run(_ words: [String]) -> Int32 {
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
