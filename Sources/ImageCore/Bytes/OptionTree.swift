/// Options of an image and its parts, as `--image-opts` and `json:` give them: dotted names with values, in the order
/// given (qemu-img-cli-2 §7).
public struct OptionTree: Sendable, Equatable {
  /// A value; numbers, strings and booleans are interchangeable for typed options.
  public enum Value: Sendable, Equatable {
    case string(String)
    case number(Int64)
    case boolean(Bool)
    case null

    /// The value as text: `on`/`off` for a boolean.
    public var text: String {
      switch self {
      case .string(let text): text
      case .number(let number): String(number)
      case .boolean(let flag): flag ? "on" : "off"
      case .null: ""
      }
    }
  }

  /// The options, in order; names are unique.
  public private(set) var entries: [(name: String, value: Value)] = []

  /// No options.
  public init() {}

  public static func == (left: OptionTree, right: OptionTree) -> Bool {
    left.entries.elementsEqual(right.entries) { $0.name == $1.name && $0.value == $1.value }
  }

  /// The value of a dotted name. Setting replaces in place; nil removes.
  public subscript(_ name: String) -> Value? {
    get { entries.first { $0.name == name }?.value }
    set {
      let index = entries.firstIndex { $0.name == name }
      switch (index, newValue) {
      case (let index?, let value?): entries[index].value = value
      case (nil, let value?): entries.append((name, value))
      case (let index?, nil): entries.remove(at: index)
      case (nil, nil): break
      }
    }
  }

  /// The options of the child `name`, without the `name.` in front.
  public func child(_ name: String) -> OptionTree {
    var tree = OptionTree()
    for entry in entries where entry.name.hasPrefix(name + ".") {
      tree.entries.append((String(entry.name.dropFirst(name.count + 1)), entry.value))
    }
    return tree
  }

  /// Whether nothing is set.
  public var isEmpty: Bool { entries.isEmpty }
}
