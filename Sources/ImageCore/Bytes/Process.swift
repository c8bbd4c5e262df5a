import Glibc

// What the tools need of their process, and that takes pointers: the argument vector and plain writes.

/// The words of the command line, program name first, as text that stands for their bytes (`String(rawBytes:)`).
package func processArguments() -> [String] {
  var words: [String] = []
  words.reserveCapacity(Int(CommandLine.argc))
  for index in 0..<Int(CommandLine.argc) {
    // argv holds argc NUL-terminated strings that live as long as the process.
    guard let word = unsafe CommandLine.unsafeArgv[index] else { break }
    let length = unsafe strlen(word)
    let bytes = unsafe UnsafeRawBufferPointer(start: word, count: length)
    unsafe words.append(String(rawBytes: bytes))
  }
  return words
}

/// Writes all bytes to the descriptor, continuing after short and interrupted writes; returns 0 or an errno.
package func writeFully(_ descriptor: Int32, _ bytes: [UInt8]) -> Int32 {
  var position = 0
  while position < bytes.count {
    // The pointer is used within the closure only, for the bytes between `position` and the end.
    let written = unsafe bytes.withUnsafeBytes { buffer in
      unsafe write(descriptor, buffer.baseAddress.map { unsafe $0 + position }, buffer.count - position)
    }
    if written < 0 {
      if errno == EINTR { continue }
      return errno
    }
    position += written
  }
  return 0
}

/// The time of the day: seconds since 1970.
package func secondsSince1970() -> Int64 {
  var time = timespec()
  // The structure is the call's own.
  unsafe clock_gettime(CLOCK_REALTIME, &time)
  return Int64(time.tv_sec)
}
