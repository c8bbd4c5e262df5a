extension String {
  /// Lends the bytes that this text stands for (`String(rawBytes:)`), NUL-terminated, as system calls want a path.
  package func withSystemPath<Result>(_ body: (UnsafePointer<CChar>) throws -> Result) rethrows -> Result {
    var bytes = rawBytes.map(CChar.init(bitPattern:))
    bytes.append(0)
    return try unsafe bytes.withUnsafeBufferPointer { buffer in
      // The array has at least the NUL, so it has a base address.
      guard let base = buffer.baseAddress else { preconditionFailure("an array that holds a byte has an address") }
      return try unsafe body(base)
    }
  }
}
