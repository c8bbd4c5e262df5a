import Bytes
import CDeflate

/// The CRC-32 of gzip, zip and PNG (reflected polynomial 0xEDB88320, inverted before and after).
package struct CRC32: Sendable, Equatable {
  /// The checksum of all bytes so far.
  package private(set) var value: UInt32 = 0

  /// The checksum of nothing.
  package init() {}

  /// Adds `bytes`.
  package mutating func update(_ bytes: RawSpan) {
    value = unsafe bytes.withUnsafeBytes { buffer in
      // A null buffer would ask libdeflate for the initial value.
      guard let base = buffer.baseAddress else { return value }
      return unsafe libdeflate_crc32(value, base, buffer.count)
    }
  }
}
