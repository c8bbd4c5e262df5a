/// A tree of named values, as JSON has them: what an image says about itself, what `json:` names and `--output=json` hold.
///
/// Members keep the order in which they were added; the JSON writer decides the order in which they are printed.
public indirect enum DataTree: Sendable, Equatable {
  case null
  case boolean(Bool)
  /// A number without fraction that fits 64 bits, signed.
  case integer(Int64)
  /// A number above the signed range.
  case unsigned(UInt64)
  /// Any other number.
  case real(Double)
  /// Text, perhaps with escaped bytes (`String(rawBytes:)`).
  case string(String)
  case array([DataTree])
  case object([Member])

  /// A named value of an object.
  public typealias Member = (key: String, value: DataTree)

  /// The number, signed where it fits.
  package static func number(_ value: some FixedWidthInteger) -> DataTree {
    if let signed = Int64(exactly: value) { return .integer(signed) }
    return .unsigned(UInt64(truncatingIfNeeded: value))
  }

  /// The value of the member `key`, if this is an object that has it.
  package subscript(_ key: String) -> DataTree? {
    guard case .object(let members) = self else { return nil }
    return members.last { $0.key == key }?.value
  }

  /// A scalar as text, for options that take numbers, strings and truth values alike: `on` or `off` for the last; nil for
  /// null, arrays and objects.
  package var text: String? {
    switch self {
    case .string(let text): text
    case .boolean(let flag): flag ? "on" : "off"
    case .integer(let number): String(number)
    case .unsigned(let number): String(number)
    case .real(let number): String(number)
    case .null, .array, .object: nil
    }
  }

  /// Members are compared in their order; numbers by their case and value.
  public static func == (left: DataTree, right: DataTree) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.boolean(let a), .boolean(let b)): a == b
    case (.integer(let a), .integer(let b)): a == b
    case (.unsigned(let a), .unsigned(let b)): a == b
    case (.real(let a), .real(let b)): a == b
    case (.string(let a), .string(let b)): a == b
    case (.array(let a), .array(let b)): a == b
    case (.object(let a), .object(let b)): a.elementsEqual(b) { $0.key == $1.key && $0.value == $1.value }
    default: false
    }
  }
}

extension DataTree: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  /// Text.
  public init(stringLiteral value: String) { self = .string(value) }
  /// A signed number.
  public init(integerLiteral value: Int64) { self = .integer(value) }
  /// A truth value.
  public init(booleanLiteral value: Bool) { self = .boolean(value) }
  /// A list.
  public init(arrayLiteral elements: DataTree...) { self = .array(elements) }
  /// An object, members in this order.
  public init(dictionaryLiteral elements: (String, DataTree)...) {
    self = .object(elements.map { (key: $0.0, value: $0.1) })
  }
}

/// The bucket (0...511) that decides where a key stands among its neighbours when an object is printed.
///
/// The reference emits object members in the order of its hash table; scripts and people have come to see that order.
/// Keys are emitted by ascending bucket, keys of one bucket latest first (qemu-img-cli-1 §1.9).
package func keyBucket(_ key: String) -> Int {
  let bytes = key.rawBytes
  var value = UInt32(truncatingIfNeeded: bytes.count) &* 0x238F_13AF
  for (index, byte) in bytes.enumerated() {
    value &+= UInt32(byte) << UInt32((5 * index) % 24)
  }
  return Int((1_103_515_243 &* value &+ 12345) % 512)
}

extension Array where Element == DataTree.Member {
  /// The members in the order in which the reference prints them.
  package var inHashOrder: [DataTree.Member] {
    let places = map { keyBucket($0.key) }
    return indices.sorted { (places[$0], -$0) < (places[$1], -$1) }.map { self[$0] }
  }
}
