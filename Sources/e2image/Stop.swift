import ImageCore

/// Why the run ends early, with status 1.
enum Stop: Error {
  /// An error: printed behind the program's name.
  case failure(ImageError)
  /// These lines have to be said as they are.
  case finished(String)
  /// Everything has been said.
  case silent
}

/// Runs `body`; its error, with `text` behind it, ends the run.
func stopping<Result>(_ text: String, _ body: () throws(ImageError) -> Result) throws(Stop) -> Result {
  do throws(ImageError) {
    return try body()
  } catch {
    throw .failure(error.suffixed(text))
  }
}
