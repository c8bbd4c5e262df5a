import ImageCore

/// Writes a dump of a file system's metadata; returns the exit status.
func dump(_ arguments: Arguments, _ voice: Voice) -> Int32 {
  voice.error("dumping is not supported by this build")
  return 1
}
