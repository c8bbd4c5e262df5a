import Bytes
import Storage
import Threads

/// The protocols `null-co` and `null-aio`: as many zeros as wanted; what is written is gone.
final class NullStorage: WritableStorage {
  let name: String
  let length: UInt64
  let requestAlignment = 1
  let allocatedSize: UInt64? = 0
  let identity: FileIdentity? = nil
  let growsWithZeros = false
  /// How long a request takes, in nanoseconds.
  private let latency: UInt64

  /// The size when none is given, in bytes.
  static let defaultLength: UInt64 = 1 << 30

  init(name: String, length: UInt64, latency: UInt64) {
    self.name = name
    self.length = length
    self.latency = latency
  }

  private func wait() { if latency > 0 { sleep(nanoseconds: latency) } }

  func read(into buffer: inout MutableRawSpan, at offset: UInt64) {
    wait()
    buffer.fill(0..<buffer.byteCount)
  }

  func extent(at offset: UInt64, limit: UInt64) -> StorageExtent { StorageExtent(length: limit, isData: false) }
  func write(_ bytes: RawSpan, at offset: UInt64) { wait() }
  func zero(_ range: Range<UInt64>, mayUnmap: Bool) { wait() }
  func discard(_ range: Range<UInt64>) {}
  func allocate(_ range: Range<UInt64>) {}

  func resize(to length: UInt64) throws(ImageError) {
    guard length == self.length else {
      throw ImageError("Image format driver does not support resize", errno: 95 /* ENOTSUP */)
    }
  }

  func flush() { wait() }
}
