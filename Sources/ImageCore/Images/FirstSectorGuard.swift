import Bytes
import Storage

/// A storage whose first sector must not come to look like another format than raw (qemu-img-cli-1 §5.4): a guest of a
/// probed raw image could otherwise make the next opening follow any path that it writes there.
package final class FirstSectorGuard: LayeredStorage {
  package let base: any WritableStorage
  private let looksRaw: @Sendable (RawSpan) -> Bool

  /// A guard for `base`, whose first 512 bytes must look as `looksRaw` wants them.
  package init(_ base: any WritableStorage, looksRaw: @escaping @Sendable (RawSpan) -> Bool) {
    self.base = base
    self.looksRaw = looksRaw
  }

  package var name: String { base.name }

  package func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    try base.read(into: &buffer, at: offset)
  }

  package func extent(at offset: UInt64, limit: UInt64) throws(ImageError) -> StorageExtent {
    try base.extent(at: offset, limit: limit)
  }

  package func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
    if offset < 512 && bytes.byteCount > 0 {
      var head = Buffer(512)
      var target = head.mutableBytes
      try base.read(into: &target, at: 0)
      target.copy(bytes.slice(0..<min(bytes.byteCount, 512 - Int(offset))), at: Int(offset))
      guard looksRaw(head.bytes) else { throw .system(1 /* EPERM */, path: name, offset: offset) }
    }
    try base.write(bytes, at: offset)
  }

  package func zero(_ range: Range<UInt64>, mayUnmap: Bool) throws(ImageError) {
    if range.lowerBound > 0 && range.lowerBound < 512 {
      // Zeros behind a kept beginning: judged like a write.
      let end = min(range.upperBound, 512)
      try write([UInt8](repeating: 0, count: Int(end - range.lowerBound)), at: range.lowerBound)
      if end < range.upperBound { try base.zero(end..<range.upperBound, mayUnmap: mayUnmap) }
    } else {
      try base.zero(range, mayUnmap: mayUnmap)
    }
  }

  package func discard(_ range: Range<UInt64>) throws(ImageError) { try base.discard(range) }
  package func allocate(_ range: Range<UInt64>) throws(ImageError) { try base.allocate(range) }
  package func resize(to length: UInt64) throws(ImageError) { try base.resize(to: length) }
  package func flush() throws(ImageError) { try base.flush() }
}
