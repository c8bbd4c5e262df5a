/// A set of addresses of tree blocks, which come in runs.
package struct AddressSet: Sendable {
  /// Tree blocks are aligned to this many bytes.
  private static let unit: UInt64 = 4096
  /// A bit for each of 64 units.
  private var words: [UInt64: UInt64] = [:]

  package init() {}

  /// Adds an address; one that is no multiple of 4096 counts as the one below.
  ///
  /// - Returns: whether it is new.
  package mutating func insert(_ address: UInt64) -> Bool {
    let number = address / AddressSet.unit
    let bit = UInt64(1) << (number % 64)
    return words[number / 64, default: 0].insertBits(bit)
  }

  /// Whether an address is in the set.
  package func contains(_ address: UInt64) -> Bool {
    let number = address / AddressSet.unit
    return words[number / 64, default: 0] & (1 << (number % 64)) != 0
  }
}

extension UInt64 {
  /// Sets `bits`, and tells whether one of them was not set.
  fileprivate mutating func insertBits(_ bits: UInt64) -> Bool {
    defer { self |= bits }
    return self & bits != bits
  }
}
