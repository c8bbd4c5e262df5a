import Bytes

/// Names of one and two bytes: so few that each is exchanged with the one whose hash is next to its own.
struct ShortNames: Sendable {
  /// Hash and name of the printable ones by hash: the name in the low 16 bits.
  private let names: [[UInt64]]

  init() {
    let bytes = (UInt64(0x21)...0x7E).filter { $0 != UInt64(UInt8(ascii: "/")) }
    let dot = UInt64(UInt8(ascii: "."))
    let pairs = bytes.flatMap { first in bytes.map { first | $0 << 8 } }
    // `.` and `..` are no names.
    names = [bytes.filter { $0 != dot }, pairs.filter { $0 != dot | dot << 8 }].enumerated().map { index, names in
      names.map { name in
        let spelled = (0...index).map { UInt8(truncatingIfNeeded: name >> UInt64($0 * 8)) }
        return UInt64(NameCollisions.hash(spelled.rawBytes)) << 16 | name
      }.sorted()
    }
  }

  /// Replaces `name`, of one or two bytes.
  @_lifetime(name: copy name)
  func replace(_ name: inout MutableRawSpan) {
    let table = names[name.byteCount - 1]
    let hash = UInt64(NameCollisions.hash(name.bytes))
    var low = 0
    var high = table.count
    while low < high {
      let middle = (low + high) / 2
      if table[middle] >> 16 < hash { low = middle + 1 } else { high = middle }
    }
    // A printable name is in the table: it changes places with its partner. Others get what is next to them.
    var index = min(low, table.count - 1)
    if table[index] >> 16 == hash { index = index ^ 1 < table.count ? index ^ 1 : index - 1 }
    for position in 0..<name.byteCount {
      let byte = UInt8(truncatingIfNeeded: table[index] >> UInt64(position * 8))
      name.storeBytes(of: byte, toByteOffset: position, as: UInt8.self)
    }
  }
}
