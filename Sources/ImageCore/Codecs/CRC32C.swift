import Bytes
import CChecksum

/// The Castagnoli CRC (reflected polynomial 0x82F63B78) as a register: no inversion before or after (btrfs-image §2.1).
package enum CRC32C {
  /// The register after `bytes`, when it held `register` before them.
  package static func update(_ register: UInt32, _ bytes: RawSpan) -> UInt32 {
    unsafe bytes.withUnsafeBytes { buffer in
      // The call reads buffer.count bytes behind its address.
      guard let base = buffer.baseAddress else { return register }
      return unsafe cchecksum_crc32c(register, base, buffer.count)
    }
  }

  /// The usual checksum: all ones before, inverted after.
  package static func checksum(_ bytes: RawSpan) -> UInt32 { ~update(.max, bytes) }
}
