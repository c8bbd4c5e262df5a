import Bytes

/// A way to compute a piece of a RAID5 or RAID6 row from the others (btrfs-image §4.4).
enum RebuildWay: Sendable, Equatable {
  /// From P and all other data.
  case p
  /// From Q and all other data.
  case q
  /// From P, Q and the data but one further element, which is computed too.
  case both(missing: Int)

  /// The ways to compute element `index` of a row, in the order in which they are tried.
  static func ways(_ row: ParityRow, index: Int) -> [RebuildWay] {
    guard row.q != nil else { return [.p] }
    return [.p, .q] + row.data.indices.filter { $0 != index }.map { .both(missing: $0) }
  }
}

/// Computes element `index` of a row.
///
/// - Parameters:
///   - target: receives the element's bytes.
///   - read: fills its argument with the same bytes of a stripe of the chunk.
func rebuild(
  _ index: Int, of row: ParityRow, by way: RebuildWay, into target: inout MutableRawSpan,
  read: (_ stripe: Int, _ bytes: inout MutableRawSpan) throws(ImageError) -> Void
) throws(ImageError) {
  let count = target.byteCount
  var part = Buffer(count)
  // P and Q, less what is known of them.
  var p = Buffer(count)
  var q = Buffer(count)
  if way != .q {
    var bytes = p.mutableBytes
    try read(row.p, &bytes)
  }
  if way != .p {
    guard let stripe = row.q else { throw ImageError("no second parity", errno: 5) }
    var bytes = q.mutableBytes
    try read(stripe, &bytes)
  }
  var missing: Int?
  if case .both(let other) = way { missing = other }
  for (number, stripe) in row.data.enumerated() where number != index && number != missing {
    var bytes = part.mutableBytes
    try read(stripe, &bytes)
    let factor = GaloisField.power(number)
    var pBytes = p.mutableBytes
    var qBytes = q.mutableBytes
    for position in 0..<count {
      let byte = part.bytes[position]
      pBytes.xor(byte, at: position)
      qBytes.xor(GaloisField.product(byte, factor), at: position)
    }
  }
  switch way {
  case .p:
    target.copy(p.bytes, at: 0)
  case .q:
    let factor = GaloisField.inverse(GaloisField.power(index))
    for position in 0..<count { target.storeByte(GaloisField.product(q.bytes[position], factor), at: position) }
  case .both(let other):
    // x + y = p and a·x + b·y = q, hence x = (q + b·p) / (a + b).
    let (a, b) = (GaloisField.power(index), GaloisField.power(other))
    let factor = GaloisField.inverse(a ^ b)
    for position in 0..<count {
      let sum = q.bytes[position] ^ GaloisField.product(p.bytes[position], b)
      target.storeByte(GaloisField.product(sum, factor), at: position)
    }
  }
}

/// Bytes as polynomials modulo x^8 + x^4 + x^3 + x^2 + 1 (0x11D), which 2 generates.
package enum GaloisField {
  private static let powers: [UInt8] = {
    var values: [UInt8] = []
    var value: UInt8 = 1
    for _ in 0..<255 {
      values.append(value)
      value = value << 1 ^ (value & 0x80 != 0 ? 0x1D : 0)
    }
    return values
  }()
  private static let logarithms: [Int] = {
    var values = [Int](repeating: 0, count: 256)
    for (exponent, value) in powers.enumerated() { values[Int(value)] = exponent }
    return values
  }()

  /// 2 to the power of `exponent` (≥ 0).
  package static func power(_ exponent: Int) -> UInt8 { powers[exponent % 255] }

  /// The product of two elements.
  package static func product(_ a: UInt8, _ b: UInt8) -> UInt8 {
    a == 0 || b == 0 ? 0 : powers[(logarithms[Int(a)] + logarithms[Int(b)]) % 255]
  }

  /// What gives 1 with `a` (≠ 0); 0 for 0.
  package static func inverse(_ a: UInt8) -> UInt8 { a == 0 ? 0 : powers[(255 - logarithms[Int(a)]) % 255] }
}

extension MutableRawSpan {
  @_lifetime(self: copy self)
  fileprivate mutating func storeByte(_ value: UInt8, at offset: Int) {
    storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
  }

  @_lifetime(self: copy self)
  fileprivate mutating func xor(_ value: UInt8, at offset: Int) { storeByte(bytes[offset] ^ value, at: offset) }
}
