import Bytes
import Storage

/// Options that every node accepts (qemu-img-cli-2 §7.7), taken out of a tree and applied.
struct NodeOptions {
  private static let definitions = [
    OptionDefinition("read-only", .boolean, ""), OptionDefinition("auto-read-only", .boolean, ""),
    OptionDefinition("cache.direct", .boolean, ""), OptionDefinition("cache.no-flush", .boolean, ""),
    OptionDefinition("force-share", .boolean, ""), OptionDefinition("discard", .text, ""),
    OptionDefinition("detect-zeroes", .text, ""), OptionDefinition("node-name", .text, ""),
  ]

  /// Takes the options of a node.
  ///
  /// - Parameters:
  ///   - options: what was asked for; changed to what the tree says.
  ///   - names: the node names of the tree so far.
  static func take(
    from tree: inout OptionTree, _ options: inout OpenOptions, names: inout Set<String>, warn: (String) -> Void
  ) throws(ImageError) {
    let values = try takeOptions(definitions, from: &tree, warn: warn)
    if let name = values["node-name"]?.text {
      guard isIdentifier(name), name.utf8.count <= 31 else { throw ImageError("Invalid node-name: '\(name)'") }
      guard names.insert(name).inserted else { throw ImageError("Duplicate nodes with node-name='\(name)'") }
    }
    if let direct = values.boolean("cache.direct") { options.cache.isDirect = direct }
    if let noFlush = values.boolean("cache.no-flush") { options.cache.ignoresFlush = noFlush }
    if let share = values.boolean("force-share") { options.forceShare = share }
    let discard = values["discard"]?.text
    if let discard, !["ignore", "off", "unmap", "on"].contains(discard) { throw ImageError("Invalid discard option") }
    switch values["detect-zeroes"]?.text {
    case nil, "off", "on": break
    case "unmap":
      guard discard.map({ $0 == "unmap" || $0 == "on" }) ?? options.discards else {
        throw ImageError(
          "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap")
      }
    case let other?: throw ImageError("invalid parameter value: \(other)")
    }
    if options.use.isWriting && values.boolean("read-only") == true {
      throw ImageError("Block node is read-only", errno: 30 /* EROFS */)
    }
  }

  /// What a file's use and its sharing allow; looked at when the driver of the file is known.
  static func checkSharing(_ options: OpenOptions) throws(ImageError) {
    if options.use.isWriting && options.forceShare {
      throw ImageError("force-share=on can only be used with read-only images")
    }
  }
}

/// Takes the options that `definitions` name out of a tree, and reads their values.
func takeOptions(
  _ definitions: [OptionDefinition], from tree: inout OptionTree, warn: (String) -> Void
) throws(ImageError) -> OptionValues {
  var values = OptionValues(definitions)
  for definition in definitions {
    // null, and lists and objects, count as not given.
    guard let text = tree.take(definition.name)?.text else { continue }
    values[definition.name] = try optionValue(text, for: definition, warn: warn)
  }
  return values
}
