/// A type of object that can be defined (qemu-img-cli-2 §9).
struct ObjectType {
  let name: String
  /// The lines that list its properties.
  let properties: [String]
  /// Properties that exist but are not listed.
  private let unlisted: [String]

  private init(_ name: String, _ properties: [String], unlisted: [String] = []) {
    self.name = name
    self.properties = properties
    self.unlisted = unlisted
  }

  /// Whether there is a property of this name, or one that has parts and this is one of them.
  func takes(_ key: String) -> Bool {
    let name = key.utf8.prefix { $0 != UInt8(ascii: ".") }
    return unlisted.contains { $0.utf8.elementsEqual(name) }
      || properties.contains { $0.utf8.prefix { $0 != UInt8(ascii: "=") }.elementsEqual(name) }
  }

  /// All types, as they are listed.
  static let all = [
    ObjectType("authz-list", ["policy=<QAuthZListPolicy>", "rules=<QAuthZListRule>"]),
    ObjectType("authz-list-file", ["filename=<string>", "refresh=<bool>"]),
    ObjectType("authz-simple", ["identity=<string>"]),
    ObjectType("main-loop", ["aio-max-batch=<int>", "thread-pool-max=<int>", "thread-pool-min=<int>"]),
    ObjectType("pr-manager-helper", ["path=<string>"]),
    ObjectType(
      "secret",
      ["data=<string>", "file=<string>", "format=<QCryptoSecretFormat>", "iv=<string>", "keyid=<string>"],
      unlisted: ["loaded"]),
    ObjectType(
      "secret_keyring", ["format=<QCryptoSecretFormat>", "iv=<string>", "keyid=<string>", "serial=<int32_t>"],
      unlisted: ["loaded"]),
    ObjectType("thread-context", ["cpu-affinity=<int>", "node-affinity=<int>"]),
    ObjectType("throttle-group", ["limits=<ThrottleLimits>"] + throttling),
    ObjectType("tls-cipher-suites", credentials + ["priority=<string>", "verify-peer=<bool>"], unlisted: ["loaded"]),
    ObjectType("tls-creds-anon", credentials + ["priority=<string>", "verify-peer=<bool>"], unlisted: ["loaded"]),
    ObjectType(
      "tls-creds-psk", credentials + ["priority=<string>", "username=<string>", "verify-peer=<bool>"],
      unlisted: ["loaded"]),
    ObjectType(
      "tls-creds-x509",
      credentials + ["passwordid=<string>", "priority=<string>", "sanity-check=<bool>", "verify-peer=<bool>"],
      unlisted: ["loaded"]),
  ]

  private static let credentials = ["dir=<string>", "endpoint=<QCryptoTLSCredsEndpoint>"]

  /// The limits of a throttle group under their old names.
  private static let throttling =
    ["bps-read", "bps-total", "bps-write", "iops-read", "iops-size", "iops-total", "iops-write"].flatMap { limit in
      (limit == "iops-size" ? [""] : ["-max-length", "-max", ""]).map { "x-\(limit)\($0)=<int>" }
    }
}
