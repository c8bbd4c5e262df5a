import Bytes
import Synchronization

/// A storage in memory, for tests and fuzzing.
public final class MemoryStorage: WritableStorage {
  public let name: String
  public let requestAlignment = 1
  public let identity: FileIdentity? = nil
  public let growsWithZeros = true
  private let contents: Mutex<[UInt8]>
  /// Memory is bounded: a test that runs away meets a full device.
  private let limit: UInt64

  /// A storage that holds `contents` and can grow to `limit` bytes.
  public init(_ contents: [UInt8] = [], name: String = "memory", limit: UInt64 = 1 << 30) {
    self.contents = Mutex(contents)
    self.name = name
    self.limit = limit
  }

  /// A copy of everything in it.
  public var bytes: [UInt8] { contents.withLock { $0 } }

  public var length: UInt64 { contents.withLock { UInt64($0.count) } }
  public var allocatedSize: UInt64? { length }

  public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    let all = bytes
    buffer.fill(0..<buffer.byteCount)
    guard offset < UInt64(all.count) else { return }
    let start = Int(offset)
    let end = min(all.count, start + buffer.byteCount)
    buffer.copy(all.rawBytes.slice(start..<end), at: 0)
  }

  public func extent(at offset: UInt64, limit: UInt64) throws(ImageError) -> StorageExtent {
    let end = length
    guard offset < end else { return StorageExtent(length: limit, isData: false) }
    return StorageExtent(length: min(limit, end - offset), isData: true)
  }

  public func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
    let added = bytes.array(0..<bytes.byteCount)
    let end = offset.saturatingAdd(UInt64(added.count))
    guard end <= limit else { throw .system(28 /* ENOSPC */, path: name, offset: offset) }
    contents.withLock { all in
      if all.count < Int(end) { all.append(contentsOf: repeatElement(0, count: Int(end) - all.count)) }
      all.replaceSubrange(Int(offset)..<Int(end), with: added)
    }
  }

  public func zero(_ range: Range<UInt64>, mayUnmap: Bool) throws(ImageError) {
    guard range.upperBound <= limit else { throw .system(28, path: name, offset: range.lowerBound) }
    try write([UInt8](repeating: 0, count: range.count), at: range.lowerBound)
  }

  public func discard(_ range: Range<UInt64>) throws(ImageError) {}

  public func allocate(_ range: Range<UInt64>) throws(ImageError) {
    if range.upperBound > length { try resize(to: range.upperBound) }
  }

  public func resize(to length: UInt64) throws(ImageError) {
    guard length <= limit else { throw .system(28, path: name, offset: length) }
    contents.withLock { all in
      if all.count > Int(length) {
        all.removeLast(all.count - Int(length))
      } else {
        all.append(contentsOf: repeatElement(0, count: Int(length) - all.count))
      }
    }
  }

  public func flush() throws(ImageError) {}
}
