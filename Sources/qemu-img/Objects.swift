import ImageCore

/// The objects that `--object` defines (qemu-img-cli-2 §9). They are checked as they are met; images that need one ask
/// for it by its id.
struct Objects {
  private var ids: Set<String> = []
  private var secrets = Secrets()

  /// A type that can be defined, and its properties with their types where they are known here.
  private struct ObjectType {
    var name: String
    var properties: [(name: String, type: String)]?
  }

  private static let types: [ObjectType] = [
    ObjectType(name: "authz-list"), ObjectType(name: "authz-list-file"), ObjectType(name: "authz-simple"),
    ObjectType(name: "main-loop"), ObjectType(name: "pr-manager-helper"),
    ObjectType(
      name: "secret",
      properties: [
        ("data", "string"), ("file", "string"), ("format", "QCryptoSecretFormat"), ("iv", "string"),
        ("keyid", "string"), ("loaded", "bool"),
      ]),
    ObjectType(
      name: "secret_keyring",
      properties: [
        ("format", "QCryptoSecretFormat"), ("iv", "string"), ("keyid", "string"), ("loaded", "bool"),
        ("serial", "int32"),
      ]),
    ObjectType(name: "thread-context"), ObjectType(name: "throttle-group"), ObjectType(name: "tls-cipher-suites"),
    ObjectType(name: "tls-creds-anon"), ObjectType(name: "tls-creds-psk"), ObjectType(name: "tls-creds-x509"),
  ]

  /// Types of objects that a virtual machine has and an image tool has not.
  private static let machineTypes: Set<String> = [
    "can-bus", "cryptodev-backend", "cryptodev-backend-builtin", "iothread", "pef-guest", "rng-builtin", "rng-random",
    "s390-pv-guest",
  ]

  /// Defines one object from the argument of `--object`: `TYPE,id=ID,…` or a JSON object.
  mutating func define(_ text: String, _ console: Console, errorStatus: Int32) throws(Stop) {
    let properties = try stopping(status: errorStatus) { () throws(ImageError) in try Objects.properties(text) }
    if Objects.answerHelp(properties, console) { throw .finished(status: 0) }
    try stopping(status: errorStatus) { () throws(ImageError) in try check(properties) }
  }

  /// Prints the types, or the properties of one, if that was asked for.
  private static func answerHelp(_ properties: [(key: String, value: String)], _ console: Console) -> Bool {
    func isHelp(_ text: String) -> Bool { text == "help" || text == "?" }
    let name = properties.first { $0.key == "qom-type" }?.value ?? ""
    if isHelp(name) {
      console.printLine("List of user creatable objects:")
      for type in types { console.printLine("  \(type.name)") }
      return true
    }
    guard properties.contains(where: { isHelp($0.key) }), let type = types.first(where: { $0.name == name }) else {
      return false
    }
    console.printLine("\(name) options:")
    for property in type.properties ?? [] { console.printLine("  \(property.name)=<\(property.type)>") }
    return true
  }

  private mutating func check(_ properties: [(key: String, value: String)]) throws(ImageError) {
    func last(_ key: String) -> String? { properties.last { $0.key == key }?.value }
    guard let typeName = last("qom-type") else { throw ImageError("Parameter 'qom-type' is missing") }
    if Objects.machineTypes.contains(typeName) { throw ImageError("invalid object type: \(typeName)") }
    guard let type = Objects.types.first(where: { $0.name == typeName }) else {
      throw ImageError("Parameter 'qom-type' does not accept value '\(typeName)'")
    }
    guard let id = last("id") else { throw ImageError("Parameter 'id' is missing") }
    guard isIdentifier(id) else { throw identifierError }
    if let known = type.properties {
      let names = Set(known.map(\.name)).union(["qom-type", "id"])
      if let extra = properties.first(where: { !names.contains($0.key) }) {
        throw ImageError("Parameter '\(extra.key)' is unexpected")
      }
      if let format = last("format"), format != "raw", format != "base64" {
        throw ImageError("Parameter 'format' does not accept value '\(format)'")
      }
    }
    guard !ids.contains(id) else {
      throw ImageError("attempt to add duplicate property '\(id)' to object (type 'container')")
    }
    if typeName == "secret" || typeName == "secret_keyring" {
      try secrets.define(id, isInKeyring: typeName == "secret_keyring", last)
    }
    ids.insert(id)
  }

  private static func properties(_ text: String) throws(ImageError) -> [(key: String, value: String)] {
    if text.hasPrefix("{") {
      guard case .object(let members) = try parseJSON(text.rawBytes) else { return [] }
      for member in members where ["qom-type", "id", "data", "file", "keyid", "iv", "format"].contains(member.key) {
        guard case .string = member.value else {
          throw ImageError("Invalid parameter type for '\(member.key)', expected: string")
        }
      }
      return members.map { ($0.key, $0.value.text ?? "") }
    }
    var properties: [(key: String, value: String)] = []
    for (index, item) in optionItems(text.rawBytes).enumerated() {
      switch item.value {
      case let value?: properties.append((item.name, value))
      // The first item may leave its name out.
      case nil where index == 0: properties.append(("qom-type", item.name))
      case nil where ["help", "?"].contains(item.name): properties.append((item.name, ""))
      case nil: throw ImageError("Expected '=' after parameter '\(item.name)'")
      }
    }
    return properties
  }
}
