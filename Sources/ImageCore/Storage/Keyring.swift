import Bytes
import CLinux
import Glibc

/// The payload of a key in the kernel's key ring (keyctl(2)).
///
/// - Throws: the kernel's text.
public func keyringSecret(_ serial: Int32) throws(ImageError) -> [UInt8] {
  // A user key has at most 32767 bytes.
  var buffer = [UInt8](repeating: 0, count: 1 << 15)
  let count = unsafe buffer.withUnsafeMutableBytes { bytes in
    // The kernel writes at most the number of bytes that it is told.
    unsafe clinux_read_key(serial, bytes.baseAddress, bytes.count)
  }
  guard count >= 0 else { throw .system(errno) }
  return Array(buffer.prefix(count))
}
