import Bytes
import Storage
import Threads

/// The bytes of a dump. Safe to use from many threads; every byte behind what was fetched is read once.
package protocol MetadumpInput: AnyObject, Sendable {
  /// Length of the dump in bytes, nil when it is not known.
  var length: UInt64? { get }
  /// Fills `buffer` from `offset` on.
  ///
  /// - Returns: the number of bytes filled; fewer than asked only at the end.
  @_lifetime(buffer: copy buffer)
  func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) -> Int
  /// Ends the wait of all who want to read something that now nobody will read up to.
  func cancel()
}

/// A dump in a file or on a device.
package final class StorageInput: MetadumpInput {
  private let storage: any Storage

  package init(_ storage: any Storage) { self.storage = storage }

  package var length: UInt64? { storage.length }

  @_lifetime(buffer: copy buffer)
  package func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) -> Int {
    let end = storage.length
    guard offset < end else { return 0 }
    let count = Int(min(UInt64(buffer.byteCount), end - offset))
    var part = buffer.slice(0..<count)
    try storage.read(into: &part, at: offset)
    return count
  }

  package func cancel() {}
}

/// A dump that streams in. What is read while ``StreamInput`` keeps everything can be read again; afterwards each byte must
/// be read by somebody, and whoever wants the next ones waits for the one before.
package final class StreamInput: MetadumpInput {
  private struct State {
    /// What was kept of the stream's beginning; everything as long as `isKeeping`.
    var kept: any WritableStorage = MemoryStorage(name: "stream")
    var keptLength: UInt64 = 0
    var isKeeping = true
    /// Where the stream is.
    var position: UInt64 = 0
    var isReading = false
    var isCancelled = false
  }

  private let stream: InputStream
  private let state = Monitor(State())
  private let makeFile: @Sendable () throws(ImageError) -> any WritableStorage
  /// So much is kept in memory before a file is made for it.
  private static let memoryLimit: UInt64 = 4 << 20

  /// - Parameter makeFile: makes a file for what must be kept and is too much for memory.
  package init(_ stream: InputStream, makeFile: @escaping @Sendable () throws(ImageError) -> any WritableStorage) {
    self.stream = stream
    self.makeFile = makeFile
  }

  package var length: UInt64? { nil }

  /// From now on nothing more is kept.
  package func stopKeeping() { state.withLock { $0.isKeeping = false } }

  package func cancel() { state.withLock(notify: true) { $0.isCancelled = true } }

  @_lifetime(buffer: copy buffer)
  package func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) -> Int {
    if state.withLock({ $0.isKeeping }) { try keep(upTo: offset.saturatingAdd(UInt64(buffer.byteCount))) }
    let (kept, keptLength, isKeeping) = state.withLock { ($0.kept, $0.keptLength, $0.isKeeping) }
    var done = 0
    if offset < keptLength {
      done = Int(min(UInt64(buffer.byteCount), keptLength - offset))
      var part = buffer.slice(0..<done)
      try kept.read(into: &part, at: offset)
    }
    if isKeeping || done == buffer.byteCount { return done }
    var rest = buffer.slice(done..<buffer.byteCount)
    return done + (try readOn(into: &rest, at: offset + UInt64(done)))
  }

  /// Reads the stream's next bytes, when everything before them has been read.
  @_lifetime(buffer: copy buffer)
  private func readOn(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) -> Int {
    try state.wait { (state) throws(ImageError) -> Void? in
      if state.isCancelled { throw .system(125 /* ECANCELED */) }
      guard state.position <= offset else { throw .system(29 /* ESPIPE */) }
      guard state.position == offset, !state.isReading else { return nil }
      state.isReading = true
      return ()
    }
    do throws(ImageError) {
      let count = try stream.fill(&buffer)
      // Those who want what lies behind the end learn there that there is nothing.
      let wanted = UInt64(buffer.byteCount)
      state.withLock(notify: true) { state in
        state.position += wanted
        state.isReading = false
      }
      return count
    } catch {
      cancel()
      throw error
    }
  }

  /// Reads the stream up to `end`, and keeps what it gives.
  private func keep(upTo end: UInt64) throws(ImageError) {
    var piece = Buffer(1 << 18)
    while true {
      var (kept, position) = state.withLock { ($0.kept, $0.position) }
      guard position < end else { return }
      let count = try fill(&piece, Int(min(UInt64(piece.count), end - position)))
      if count == 0 { return }
      if position + UInt64(count) > StreamInput.memoryLimit, kept is MemoryStorage {
        let file = try makeFile()
        try StreamInput.copy(kept, to: file)
        kept = file
      }
      try kept.write(piece.bytes.slice(0..<count), at: position)
      state.withLock { state in
        state.kept = kept
        state.position = position + UInt64(count)
        state.keptLength = state.position
      }
    }
  }

  private func fill(_ buffer: inout Buffer, _ count: Int) throws(ImageError) -> Int {
    var bytes = buffer.mutableBytes
    var part = bytes.slice(0..<count)
    return try stream.fill(&part)
  }

  private static func copy(_ source: any Storage, to target: any WritableStorage) throws(ImageError) {
    var offset: UInt64 = 0
    var piece = Buffer(1 << 18)
    while offset < source.length {
      let count = Int(min(UInt64(piece.count), source.length - offset))
      var bytes = piece.mutableBytes
      var part = bytes.slice(0..<count)
      try source.read(into: &part, at: offset)
      try target.write(piece.bytes.slice(0..<count), at: offset)
      offset += UInt64(count)
    }
  }
}
