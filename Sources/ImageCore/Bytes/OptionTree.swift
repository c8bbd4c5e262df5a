/// What a name given by `json:` or `--image-opts` asks for: values under dotted keys, such as `file.filename`.
///
/// Whoever opens a node takes the keys that it knows; what is left at the end is an error that names the key
/// (qemu-img-cli-2 §7.2). Repeating a key replaces its value and keeps its place.
public struct OptionTree: Sendable, Equatable {
  /// The keys with their values; values are never objects or non-empty arrays, those are spelled out in the keys.
  public private(set) var members: [DataTree.Member] = []

  /// No keys.
  public init() {}

  /// Spells out a tree: `{"file": {"driver": "file"}}` gives `file.driver`, array elements get their index as name.
  package init(_ members: [DataTree.Member]) {
    var places: [String: Int] = [:]
    flatten(members, prefix: "", places: &places)
  }

  /// Whether every key has been taken.
  package var isEmpty: Bool { members.isEmpty }

  /// The value under `key`, or nil.
  package subscript(_ key: String) -> DataTree? {
    get { members.first { $0.key == key }?.value }
    set {
      let index = members.firstIndex { $0.key == key }
      switch (index, newValue) {
      case (let index?, let value?): members[index].value = value
      case (let index?, nil): members.remove(at: index)
      case (nil, let value?): members.append((key: key, value: value))
      case (nil, nil): break
      }
    }
  }

  /// Removes `key` and returns its value.
  package mutating func take(_ key: String) -> DataTree? {
    guard let index = members.firstIndex(where: { $0.key == key }) else { return nil }
    return members.remove(at: index).value
  }

  /// Whether there are keys below `name`, such as `file.driver` below `file`.
  package func hasSubtree(_ name: String) -> Bool { members.contains { $0.key.hasPrefix(name + ".") } }

  /// Removes all keys below `name` and returns them without that prefix.
  package mutating func takeSubtree(_ name: String) -> OptionTree {
    let prefix = name + "."
    var subtree = OptionTree()
    members.removeAll { member in
      guard member.key.hasPrefix(prefix) else { return false }
      subtree.members.append((key: String(member.key.utf8.dropFirst(prefix.utf8.count)) ?? "", value: member.value))
      return true
    }
    return subtree
  }

  /// Puts all keys of `subtree` back below `name`.
  package mutating func put(_ subtree: OptionTree, under name: String) {
    for member in subtree.members { self[name + "." + member.key] = member.value }
  }

  /// The tree with its levels, as `json:` shows it.
  package var nested: DataTree { nested(depth: 0) }

  private func nested(depth: Int) -> DataTree {
    // Keys of very many dots stay as they are from some depth on: this recursion and the writer's are bounded.
    guard depth < 64 else { return .object(members) }
    var names: [String] = []
    var values: [String: DataTree] = [:]
    var subtrees: [String: OptionTree] = [:]
    for member in members {
      let parts = member.key.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(parts[0])
      if values[name] == nil, subtrees[name] == nil { names.append(name) }
      if parts.count > 1 {
        subtrees[name, default: OptionTree()][String(parts[1])] = member.value
      } else {
        values[name] = member.value
      }
    }
    return .object(
      names.map { name in (key: name, value: subtrees[name]?.nested(depth: depth + 1) ?? values[name] ?? .null) })
  }

  /// The first key in the reference's order: the one that it names when an option is not known.
  package var firstKey: String? { members.inHashOrder.first?.key }

  /// `places` finds a repeated key at once: a name of a megabyte may hold a hundred thousand of them.
  private mutating func flatten(_ values: [DataTree.Member], prefix: String, places: inout [String: Int]) {
    // The parsers bound the depth of what comes here (1024 levels).
    for member in values {
      let key = prefix + member.key
      switch member.value {
      case .object(let inner) where !inner.isEmpty:
        flatten(inner, prefix: key + ".", places: &places)
      case .array(let elements) where !elements.isEmpty:
        let inner = elements.enumerated().map { (key: String($0.offset), value: $0.element) }
        flatten(inner, prefix: key + ".", places: &places)
      default:
        if let place = places[key] {
          members[place].value = member.value
        } else {
          places[key] = members.count
          members.append((key: key, value: member.value))
        }
      }
    }
  }

  /// Trees are the same when they hold the same keys and values in the same order.
  public static func == (left: OptionTree, right: OptionTree) -> Bool {
    left.members.elementsEqual(right.members) { $0.key == $1.key && $0.value == $1.value }
  }
}
