import Bytes

/// The number of a file system, a device, a tree: 16 bytes without order.
package struct UUID128: Sendable, Hashable {
  private var low: UInt64
  private var high: UInt64

  /// Size in bytes.
  package static let size = 16

  /// The number stored at byte `position`.
  package init(_ bytes: RawSpan, at position: Int) {
    low = bytes.littleEndian(at: position)
    high = bytes.littleEndian(at: position + 8)
  }

  /// Stores the number at byte `position`.
  @_lifetime(bytes: copy bytes)
  package func store(in bytes: inout MutableRawSpan, at position: Int) {
    bytes.storeLittleEndian(low, at: position)
    bytes.storeLittleEndian(high, at: position + 8)
  }

  /// The 16 bytes.
  package var bytes: [UInt8] {
    [low, high].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) } }
  }

  /// Whether all bytes are zero.
  package var isZero: Bool { low == 0 && high == 0 }
}

extension UUID128: CustomStringConvertible {
  /// The usual form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
  package var description: String {
    var text = ""
    for (index, byte) in bytes.enumerated() {
      if [4, 6, 8, 10].contains(index) { text += "-" }
      text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    return text
  }
}
