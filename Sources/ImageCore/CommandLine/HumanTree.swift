import Bytes

extension DataTree {
  /// The lines under "Format specific information:": members in hash order, one line each, deeper levels four blanks
  /// further in (qemu-img-cli-1 §8.5).
  ///
  /// - Parameters:
  ///   - level: the depth of this object's members.
  ///   - shown: how texts are shown.
  package func humanLines(level: Int = 1, shown: (String) -> String = { $0 }) -> String {
    var text = ""
    switch self {
    case .object(let members):
      for member in members.inHashOrder {
        let key = String(String.UnicodeScalarView(member.key.unicodeScalars.map { $0 == "-" ? " " : $0 }))
        text += humanLine("\(key):", member.value, level, shown)
      }
    case .array(let elements):
      for (index, element) in elements.enumerated() {
        text += humanLine("[\(index)]:", element, level, shown)
      }
    default:
      text += humanScalar(shown)
    }
    return text
  }

  private func humanLine(_ heading: String, _ value: DataTree, _ level: Int, _ shown: (String) -> String) -> String {
    let start = String(repeating: " ", count: 4 * level) + heading
    switch value {
    case .object, .array: return start + "\n" + value.humanLines(level: level + 1, shown: shown)
    default: return start + " " + value.humanScalar(shown) + "\n"
    }
  }

  private func humanScalar(_ shown: (String) -> String) -> String {
    if case .boolean(let value) = self { return value ? "true" : "false" }
    return text.map(shown) ?? "null"
  }
}
