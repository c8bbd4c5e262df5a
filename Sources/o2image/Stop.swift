import ImageCore

/// Why the run ends early.
enum Stop: Error {
  /// An error: its lines are printed behind the program's name, the status is 1.
  case failure(ImageError)
  /// This line has to be said as it is, the status is 1.
  case finished(String)
  /// The user does not want it; the line goes to stdout, the status is 0.
  case declined(String)
}

/// Runs `body`; its error, with `text` behind it, ends the run.
func stopping<Result>(_ text: String, _ body: () throws(ImageError) -> Result) throws(Stop) -> Result {
  do throws(ImageError) {
    return try body()
  } catch {
    throw .failure(error.suffixed(text))
  }
}
