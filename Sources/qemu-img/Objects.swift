import ImageCore

/// The objects that `--object` defines (qemu-img-cli-2 §9). They are checked as they are met; images that need one ask
/// for it by its id.
struct Objects {
  private var ids: Set<String> = []

  /// The types that can be defined, with the properties of those whose properties are known here.
  private static let types: [(name: String, properties: Set<String>?)] = [
    ("authz-list", nil), ("authz-list-file", nil), ("authz-simple", nil), ("main-loop", nil),
    ("pr-manager-helper", nil),
    ("secret", ["data", "file", "format", "keyid", "iv"]), ("secret_keyring", ["serial", "format", "keyid", "iv"]),
    ("thread-context", nil), ("throttle-group", nil), ("tls-cipher-suites", nil), ("tls-creds-anon", nil),
    ("tls-creds-psk", nil), ("tls-creds-x509", nil),
  ]

  /// Defines one object from the argument of `--object`: `TYPE,id=ID,…` or a JSON object.
  mutating func define(_ text: String, _ console: Console, errorStatus: Int32) throws(Stop) {
    let properties = try stopping(status: errorStatus) { () throws(ImageError) in try Objects.properties(text) }
    if properties.contains(where: { $0.key == "help" || $0.key == "?" })
      || ["help", "?"].contains(properties.first { $0.key == "qom-type" }?.value ?? "")
    {
      console.printLine("List of user creatable objects:")
      for type in Objects.types { console.printLine("  \(type.name)") }
      throw .finished(status: 0)
    }
    try stopping(status: errorStatus) { () throws(ImageError) in try check(properties) }
  }

  private mutating func check(_ properties: [(key: String, value: String)]) throws(ImageError) {
    func last(_ key: String) -> String? { properties.last { $0.key == key }?.value }
    guard let typeName = last("qom-type") else { throw ImageError("Parameter 'qom-type' is missing") }
    guard let type = Objects.types.first(where: { $0.name == typeName }) else {
      throw ImageError("Parameter 'qom-type' does not accept value '\(typeName)'")
    }
    guard let id = last("id") else { throw ImageError("Parameter 'id' is missing") }
    guard isIdentifier(id) else { throw identifierError }
    if let known = type.properties {
      if let extra = properties.first(where: { !known.union(["qom-type", "id"]).contains($0.key) }) {
        throw ImageError("Parameter '\(extra.key)' is unexpected")
      }
      if let format = last("format"), format != "raw", format != "base64" {
        throw ImageError("Parameter 'format' does not accept value '\(format)'")
      }
      if typeName == "secret" {
        switch (last("data"), last("file")) {
        case (nil, nil): throw ImageError("Either 'file' or 'data' must be provided")
        case (.some, .some): throw ImageError("'file' and 'data' are mutually exclusive")
        default: break
        }
      }
    }
    guard ids.insert(id).inserted else {
      throw ImageError("attempt to add duplicate property '\(id)' to object (type 'container')")
    }
  }

  private static func properties(_ text: String) throws(ImageError) -> [(key: String, value: String)] {
    if text.hasPrefix("{") {
      guard case .object(let members) = try parseJSON(text.rawBytes) else { return [] }
      return members.map { ($0.key, $0.value.text ?? "") }
    }
    return optionItems(text.rawBytes).enumerated().map { index, item in
      // The first item may leave its name out.
      if index == 0, item.value == nil { return ("qom-type", item.name) }
      return (item.name, item.value ?? (["help", "?"].contains(item.name) ? "" : "on"))
    }
  }
}
