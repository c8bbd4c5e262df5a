import ImageCore

/// The objects that `--object` defines (qemu-img-cli-2 §9). They are checked as they are met; images that need one ask
/// for it by its id.
struct Objects {
  private var ids: Set<String> = []
  private var secrets = Secrets()

  /// Types of objects that a virtual machine has and an image tool has not.
  private static let machineTypes: Set<String> = [
    "can-bus", "cryptodev-backend", "cryptodev-backend-builtin", "iothread", "pef-guest", "rng-builtin", "rng-random",
    "s390-pv-guest",
  ]

  /// Defines one object from the argument of `--object`: `TYPE,id=ID,…` or a JSON object.
  mutating func define(_ text: String, _ console: Console, errorStatus: Int32) throws(Stop) {
    let wish = try stopping(status: errorStatus) { () throws(ImageError) in try Wish(text) }
    if wish.asksForHelp {
      wish.printHelp(console)
      throw .finished(status: 0)
    }
    try stopping(status: errorStatus) { () throws(ImageError) in try check(wish.properties) }
  }

  private mutating func check(_ properties: [(key: String, value: String)]) throws(ImageError) {
    func last(_ key: String) -> String? { properties.last { $0.key == key }?.value }
    guard let typeName = last("qom-type") else { throw ImageError("Parameter 'qom-type' is missing") }
    if Objects.machineTypes.contains(typeName) { throw ImageError("invalid object type: \(typeName)") }
    guard let type = ObjectType.all.first(where: { $0.name == typeName }) else {
      throw ImageError("Parameter 'qom-type' does not accept value '\(typeName)'")
    }
    guard let id = last("id") else { throw ImageError("Parameter 'id' is missing") }
    guard isIdentifier(id) else { throw identifierError }
    if let extra = properties.first(where: { !["qom-type", "id"].contains($0.key) && !type.takes($0.key) }) {
      throw ImageError("Parameter '\(extra.key)' is unexpected")
    }
    let isSecret = typeName == "secret" || typeName == "secret_keyring"
    if isSecret, let format = last("format"), format != "raw", format != "base64" {
      throw ImageError("Parameter 'format' does not accept value '\(format)'")
    }
    guard !ids.contains(id) else {
      throw ImageError("attempt to add duplicate property '\(id)' to object (type 'container')")
    }
    if isSecret {
      try secrets.define(id, isInKeyring: typeName == "secret_keyring", last)
    }
    ids.insert(id)
  }
}

/// What one `--object` asks for.
private struct Wish {
  private(set) var properties: [(key: String, value: String)] = []
  /// The types, or the properties of the type that is named, are to be listed.
  private(set) var asksForHelp = false

  init(_ text: String) throws(ImageError) {
    if text.hasPrefix("{") {
      guard case .object(let members) = try parseJSON(text.rawBytes) else { return }
      for member in members where ["qom-type", "id", "data", "file", "keyid", "iv", "format"].contains(member.key) {
        guard case .string = member.value else {
          throw ImageError("Invalid parameter type for '\(member.key)', expected: string")
        }
      }
      properties = members.map { ($0.key, $0.value.text ?? "") }
      return
    }
    for (index, item) in optionItems(text.rawBytes).enumerated() {
      switch item.value {
      case let value?: properties.append((item.name, value))
      case nil where ["help", "?"].contains(item.name): asksForHelp = true
      // The first item may leave its name out.
      case nil where index == 0: properties.append(("qom-type", item.name))
      case nil: throw ImageError("Expected '=' after parameter '\(item.name)'")
      }
    }
  }

  func printHelp(_ console: Console) {
    let name = properties.last { $0.key == "qom-type" }?.value
    guard let type = ObjectType.all.first(where: { $0.name == name }) else {
      console.printLine("List of user creatable objects:")
      for type in ObjectType.all { console.printLine("  \(type.name)") }
      return
    }
    console.printLine("\(type.name) options:")
    for property in type.properties { console.printLine("  \(property)") }
  }
}
