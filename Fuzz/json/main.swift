import FuzzSupport
import ImageCore

// The text of json: names. What was read is written, read again and still the same.
fuzz { bytes in
  guard let tree = try? parseJSON(bytes.array(0..<bytes.byteCount)) else { return }
  _ = tree.humanLines()
  if tree.isPrintable {
    // Keys of one bucket change places each time.
    let again = try? parseJSON(Array(tree.prettyJSON().utf8))
    let third = again.flatMap { try? parseJSON(Array($0.compactJSON().utf8)) }
    precondition(third?.prettyJSON() == tree.prettyJSON())
  }
  if case .object(let members) = tree {
    let options = OptionTree(members)
    _ = options.nested
    _ = options.firstKey
  }
}

extension DataTree {
  /// Whether the writer can say everything in this tree: numbers without end, U+0000 (two bytes in a name), and keys
  /// that become the same when bytes are escaped cannot be said.
  fileprivate var isPrintable: Bool {
    switch self {
    case .null, .boolean, .integer, .unsigned: true
    case .real: false
    case .string(let text): text.isPlain
    case .array(let elements): elements.allSatisfy(\.isPrintable)
    case .object(let members): members.allSatisfy { $0.key.isPlain && $0.value.isPrintable }
    }
  }
}

extension String {
  fileprivate var isPlain: Bool { unicodeScalars.allSatisfy { $0.escapedByte == nil } }
}
