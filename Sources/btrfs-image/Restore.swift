import ImageCore

/// `-r`, `-m`: writes the file system that a dump holds; returns the exit status.
func restore(_ arguments: Arguments, _ voice: Voice) -> Int32 {
  voice.error("restoring is not supported by this build")
  return 1
}
