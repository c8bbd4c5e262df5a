import Bytes

/// The rules of a `blkdebug` node: which requests fail, and in which state of the node.
package struct BlkdebugRules: Sendable, Equatable {
  /// A request fails.
  struct Injection: Sendable, Equatable {
    var event: String
    /// The state in which the rule holds; 0 for any.
    var state: Int
    /// The kinds of requests that fail.
    var kinds: Set<Kind>
    /// What the kernel would say; 0 lets the request pass.
    var errno: Int32
    /// Only requests that touch this sector of 512 bytes; nil for all.
    var sector: UInt64?
    /// Holds for one request only.
    var once: Bool
  }

  /// The state changes.
  struct Transition: Sendable, Equatable {
    var event: String
    var state: Int
    var newState: Int
  }

  /// Kinds of requests.
  enum Kind: String, Sendable, CaseIterable {
    case read, write, writeZeroes = "write-zeroes", discard, flush, blockStatus = "block-status"

    /// The events that such a request is. What a format does with its tables is told by none of them.
    var events: Set<String> {
      switch self {
      case .read: ["none", "read_aio"]
      case .write: ["none", "write_aio", "pwritev"]
      case .writeZeroes: ["none", "pwritev_zero"]
      case .flush: ["none", "flush_to_os", "flush_to_disk"]
      case .discard, .blockStatus: ["none"]
      }
    }
  }

  /// No rules.
  package init() {}

  var injections: [Injection] = []
  var transitions: [Transition] = []

  private static let groups: [String: [OptionDefinition]] = [
    "inject-error": [
      OptionDefinition("event", .text, ""), OptionDefinition("state", .number, ""),
      OptionDefinition("iotype", .text, ""), OptionDefinition("errno", .number, ""),
      OptionDefinition("sector", .number, ""), OptionDefinition("once", .boolean, ""),
      OptionDefinition("immediately", .boolean, ""),
    ],
    "set-state": [
      OptionDefinition("event", .text, ""), OptionDefinition("state", .number, ""),
      OptionDefinition("new_state", .number, ""),
    ],
  ]

  private static let events: Set<String> = [
    "l1_update", "l1_grow_alloc_table", "l1_grow_write_table", "l1_grow_activate_table", "l2_load", "l2_update",
    "l2_update_compressed", "l2_alloc_cow_read", "l2_alloc_write", "read_aio", "read_backing_aio", "read_compressed",
    "write_aio", "write_compressed", "vmstate_load", "vmstate_save", "cow_read", "cow_write", "reftable_load",
    "reftable_grow", "reftable_update", "refblock_load", "refblock_update", "refblock_update_part", "refblock_alloc",
    "refblock_alloc_hookup", "refblock_alloc_write", "refblock_alloc_write_blocks", "refblock_alloc_write_table",
    "refblock_alloc_switch_table", "cluster_alloc", "cluster_alloc_bytes", "cluster_free", "flush_to_os",
    "flush_to_disk", "pwritev_rmw_head", "pwritev_rmw_after_head", "pwritev_rmw_tail", "pwritev_rmw_after_tail",
    "pwritev", "pwritev_zero", "pwritev_done", "empty_image_prepare", "l1_shrink_write_table",
    "l1_shrink_free_l2_clusters", "cor_write", "cluster_alloc_space", "none",
  ]

  /// The text of a configuration file: `[inject-error]` or `[set-state]`, then lines `name = "value"`.
  package mutating func read(_ text: [UInt8]) throws(ImageError) {
    var group: (name: String, values: OptionValues)?
    for line in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true) {
      let line = line.trimmingBlanks
      guard let first = line.first, first != UInt8(ascii: "#") else { continue }
      if first == UInt8(ascii: "["), line.last == UInt8(ascii: "]") {
        if let group { try add(group.name, group.values) }
        let name = String(rawBytes: line.dropFirst().dropLast())
        guard let definitions = BlkdebugRules.groups[name] else {
          throw ImageError("There is no option group '\(name)'")
        }
        group = (name, OptionValues(definitions))
        continue
      }
      guard var open = group else { throw ImageError("no group defined") }
      guard let equals = line.firstIndex(of: UInt8(ascii: "=")) else { throw ImageError("parse error") }
      let name = String(rawBytes: line[..<equals].trimmingBlanks)
      let value = line[line.index(after: equals)...].trimmingBlanks
      let quote = UInt8(ascii: "\"")
      guard value.count >= 2, value.first == quote, value.last == quote else { throw ImageError("parse error") }
      guard let definition = open.values.definition(name) else { throw ImageError("Invalid parameter '\(name)'") }
      open.values[name] = try optionValue(
        String(rawBytes: value.dropFirst().dropLast()), for: definition, warn: { _ in })
      group = open
    }
    if let group { try add(group.name, group.values) }
  }

  /// Takes the rules out of a node's options: `inject-error.0.event`, `set-state.0.new_state`, …
  package mutating func take(from tree: inout OptionTree) throws(ImageError) {
    for name in ["inject-error", "set-state"] {
      guard let definitions = BlkdebugRules.groups[name] else { continue }
      var list = tree.takeSubtree(name)
      var index = 0
      while list.hasSubtree("\(index)") {
        var rule = list.takeSubtree("\(index)")
        let values = try takeOptions(definitions, from: &rule, warn: { _ in })
        if let key = rule.firstKey { throw ImageError("[\(name)] section doesn't support the option '\(key)'") }
        try add(name, values)
        index += 1
      }
      if let key = list.firstKey { throw ImageError("Unused option '\(key)' for [\(name)]") }
    }
  }

  private mutating func add(_ group: String, _ values: OptionValues) throws(ImageError) {
    guard let event = values["event"]?.text else { throw ImageError("Missing event name for rule") }
    guard BlkdebugRules.events.contains(event) else { throw ImageError("invalid parameter value: \(event)") }
    let state = Int(clamping: values.number("state") ?? 0)
    if group == "set-state" {
      let newState = Int(clamping: values.number("new_state") ?? 0)
      transitions.append(Transition(event: event, state: state, newState: newState))
      return
    }
    var kinds: Set<Kind> = [.read, .write, .writeZeroes, .discard, .flush]
    if let name = values["iotype"]?.text {
      guard let kind = Kind(rawValue: name) else { throw ImageError("invalid parameter value: \(name)") }
      kinds = [kind]
    }
    injections.append(
      Injection(
        event: event, state: state, kinds: kinds, errno: Int32(clamping: values.number("errno") ?? 5 /* EIO */),
        sector: values.number("sector").flatMap { $0 > UInt64(Int64.max) ? nil : $0 },
        once: values.boolean("once") ?? false))
  }
}

extension ArraySlice<UInt8> {
  /// Without blanks at both ends.
  fileprivate var trimmingBlanks: ArraySlice<UInt8> {
    func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
    guard let first = firstIndex(where: { !isBlank($0) }), let last = lastIndex(where: { !isBlank($0) }) else {
      return self[endIndex...]
    }
    return self[first...last]
  }
}
