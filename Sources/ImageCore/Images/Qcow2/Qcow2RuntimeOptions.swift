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

  public static var takesDataFile: Bool { true }

  /// Checks the options of an open image against one another and the image, in the reference's order. Sizes of caches
  /// change nothing here, but whoever gives impossible ones is told so.
  static func check(_ options: OptionValues, _ header: Qcow2Header) throws(ImageError) {
    func number(_ name: String) -> UInt64? { options.number(name) }
    let total = number("cache-size")
    let l2 = number("l2-cache-size")
    let refcounts = number("refcount-cache-size")
    if let total {
      if l2 != nil && refcounts != nil {
        throw ImageError("cache-size, l2-cache-size and refcount-cache-size may not be set at the same time")
      }
      if let l2, l2 > total { throw ImageError("l2-cache-size may not exceed cache-size") }
      if let refcounts, refcounts > total { throw ImageError("refcount-cache-size may not exceed cache-size") }
    }
    let entry = number("l2-cache-entry-size") ?? header.clusterSize
    guard entry.nonzeroBitCount == 1, (512...header.clusterSize).contains(entry) else {
      throw ImageError(
        "L2 cache entry size must be a power of two between 512 and the cluster size (\(header.clusterSize))")
    }
    let refcountCache = refcounts ?? total.map { $0 - (l2 ?? 0) } ?? 0
    if refcountCache / header.clusterSize > UInt64(Int32.max) { throw ImageError("Refcount cache size too big") }
    if let interval = number("cache-clean-interval"), interval > UInt64(UInt32.max) {
      throw ImageError("Cache clean interval too big")
    }
    if options.boolean("lazy-refcounts") == true && header.version < 3 {
      throw ImageError("Lazy refcounts require a qcow2 image with at least qemu 1.1 compatibility level")
    }
    let (check, template) = (options.text("overlap-check"), options.text("overlap-check.template"))
    if let check, let template, check != template {
      throw ImageError(
        "Conflicting values for qcow2 options 'overlap-check' ('\(check)') and 'overlap-check.template' ('\(template)')"
      )
    }
    if let name = check ?? template, !["none", "constant", "cached", "all"].contains(name) {
      throw ImageError(
        "Unsupported value '\(name)' for qcow2 option 'overlap-check'. Allowed are any of the following: none, "
          + "constant, cached, all")
    }
  }
}
