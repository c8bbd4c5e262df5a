import Bytes

extension Qcow2Format {
  /// Options of an open image. Those of the caches are checked and accepted; sizes are this library's own concern.
  public static var runtimeOptions: [OptionDefinition] {
    let flags = ["lazy-refcounts", "pass-discard-request", "pass-discard-snapshot", "pass-discard-other"]
    let sizes = ["cache-size", "l2-cache-size", "l2-cache-entry-size", "refcount-cache-size"]
    let checks = [
      "main-header", "active-l1", "active-l2", "refcount-table", "refcount-block", "snapshot-table", "inactive-l1",
      "inactive-l2", "bitmap-directory",
    ]
    let texts = ["overlap-check", "overlap-check.template", "encrypt.format", "encrypt.key-secret"]
    return flags.map { OptionDefinition($0, .boolean, "") } + sizes.map { OptionDefinition($0, .size, "") }
      + checks.map { OptionDefinition("overlap-check." + $0, .boolean, "") }
      + texts.map { OptionDefinition($0, .text, "") } + [OptionDefinition("cache-clean-interval", .number, "")]
  }

  /// A key changes what is read.
  public static var contentOptions: [String] { ["encrypt.format", "encrypt.key-secret"] }
}
