import Bytes
import Glibc
import Threads

/// Bytes that come in one after the other: a pipe, a terminal, a file read from its beginning.
public final class InputStream: Sendable {
  private let descriptor: FileDescriptor

  /// Standard input.
  public static func standardInput() -> InputStream { InputStream(.standardInput) }

  /// Opens a file of any kind for reading.
  ///
  /// - Throws: the kernel's text.
  public convenience init(path: String) throws(ImageError) {
    self.init(try FileDescriptor(path: path, flags: O_RDONLY))
  }

  private init(_ descriptor: FileDescriptor) { self.descriptor = descriptor }

  /// Whether positions in it can be named: a file or device, no pipe.
  public var isSeekable: Bool { lseek(descriptor.number, 0, SEEK_CUR) >= 0 }

  /// The file behind, nil when it is no regular file or block device.
  public var identity: FileIdentity? { descriptor.storageIdentity }

  /// Whether it is a regular file of which nobody else knows the position, so that it may be read anywhere.
  public var isRandomAccess: Bool {
    guard descriptor !== FileDescriptor.standardInput, let status = try? descriptor.status() else { return false }
    return FileType(status) == .regular
  }

  /// Fills the buffer with the file's bytes at `offset`, whatever has been read before; fewer bytes only at the end.
  ///
  /// - Throws: an error with the offset of the first byte that could not be read; those before are in the buffer.
  public func fill(_ buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) -> Int {
    var done = 0
    let count = buffer.byteCount
    while done < count, let position = off_t(exactly: offset + UInt64(done)) {
      let result = unsafe buffer.withUnsafeMutableBytes { bytes -> Int in
        guard let base = bytes.baseAddress else { return 0 }
        // done < count bytes are left behind base + done.
        return unsafe pread(descriptor.number, base + done, count - done, position)
      }
      if result == 0 { break }
      if result > 0 {
        done += result
      } else if errno != EINTR {
        throw .system(errno, offset: offset + UInt64(done))
      }
    }
    return done
  }

  /// Reads what is there, at least one byte; 0 means the end.
  public func read(into buffer: inout MutableRawSpan) throws(ImageError) -> Int {
    while true {
      let result = unsafe buffer.withUnsafeMutableBytes { bytes -> Int in
        guard let base = bytes.baseAddress else { return 0 }
        // The span's own memory and length.
        return unsafe Glibc.read(descriptor.number, base, bytes.count)
      }
      if result >= 0 { return result }
      if errno != EINTR { throw .system(errno) }
    }
  }

  /// Fills the buffer; fewer bytes only at the end.
  public func fill(_ buffer: inout MutableRawSpan) throws(ImageError) -> Int {
    var done = 0
    while done < buffer.byteCount {
      var rest = buffer.slice(done..<buffer.byteCount)
      let count = try read(into: &rest)
      if count == 0 { break }
      done += count
    }
    return done
  }
}

/// Bytes that go out one after the other: standard output, a pipe, a character device.
///
/// Threads name the position of what they write, and wait until everything before has been written.
public final class OutputStream: Sendable {
  private struct State {
    var position: UInt64 = 0
    var hasFailed = false
  }

  private let descriptor: FileDescriptor
  private let state = Monitor(State())

  /// Standard output.
  public static func standardOutput() -> OutputStream { OutputStream(.standardOutput) }

  /// Opens a FIFO or character device for writing.
  ///
  /// - Throws: the kernel's text.
  public convenience init(path: String) throws(ImageError) {
    self.init(try FileDescriptor(path: path, flags: O_WRONLY))
  }

  private init(_ descriptor: FileDescriptor) { self.descriptor = descriptor }

  /// The file behind, nil when it is no regular file or block device.
  public var identity: FileIdentity? { descriptor.storageIdentity }

  /// Waits until the bytes before `position` have been written, and runs `body` with the stream for itself.
  private func inTurn(_ position: UInt64, _ count: UInt64, _ body: () throws(ImageError) -> Void) throws(ImageError) {
    try state.wait { (state) throws(ImageError) -> Void? in
      // Somebody before us has failed and reports it.
      if state.hasFailed { throw .system(ECANCELED) }
      return state.position == position ? () : nil
    }
    do throws(ImageError) {
      try body()
      state.withLock(notify: true) { $0.position += count }
    } catch {
      state.withLock(notify: true) { $0.hasFailed = true }
      throw error
    }
  }

  /// Writes `bytes` as the stream's bytes from `position` on. Every position must be written exactly once.
  ///
  /// - Throws: the kernel's text, with the position of the first byte that was not taken.
  public func write(_ bytes: RawSpan, at position: UInt64) throws(ImageError) {
    guard bytes.byteCount > 0 else { return }
    try inTurn(position, UInt64(bytes.byteCount)) { () throws(ImageError) in try writeAll(bytes, at: position) }
  }

  /// Writes `count` zeros as the stream's bytes from `position` on.
  public func writeZeros(_ count: UInt64, at position: UInt64) throws(ImageError) {
    guard count > 0 else { return }
    try inTurn(position, count) { () throws(ImageError) in
      let zeros = Buffer(Int(min(count, 1 << 20)))
      var left = count
      while left > 0 {
        let part = Int(min(left, UInt64(zeros.count)))
        try writeAll(zeros.bytes.slice(0..<part), at: position + count - left)
        left -= UInt64(part)
      }
    }
  }

  private func writeAll(_ bytes: RawSpan, at position: UInt64) throws(ImageError) {
    var done = 0
    while done < bytes.byteCount {
      let result = unsafe bytes.withUnsafeBytes { source -> Int in
        guard let base = source.baseAddress else { return 0 }
        // byteCount − done bytes are left behind base + done.
        return unsafe Glibc.write(descriptor.number, base + done, source.count - done)
      }
      if result < 0 {
        if errno == EINTR { continue }
        throw .system(errno, offset: position + UInt64(done))
      }
      done += result
    }
  }

  /// Makes everything durable where that means something (EINVAL: a pipe, which has no such notion).
  public func flush() throws(ImageError) {
    if fsync(descriptor.number) != 0 && errno != EINVAL && errno != EROFS { throw .system(errno) }
  }
}
