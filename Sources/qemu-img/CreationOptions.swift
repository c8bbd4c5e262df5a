import ImageCore

/// What `create`, `convert` and `measure` share about the options of a new image.
enum CreationOptions {
  /// The definitions for a format and the file or device that will hold the image.
  static func definitions(_ format: any CreatableFormat.Type, file: String) throws(ImageError) -> [OptionDefinition] {
    try format.creationOptions + protocolDefinitions(file)
  }

  /// Prefixes of names that lead to no file.
  private static let protocolsWithoutFiles = ["blkdebug", "blkverify", "fat", "null-aio", "null-co"]

  /// The options of whatever holds the image (§7.3 of qemu-img-cli-2 decides what that is).
  static func protocolDefinitions(_ file: String) throws(ImageError) -> [OptionDefinition] {
    if FileSystemEntry(path: file) == .device { return deviceCreationOptions }
    switch ImageName.protocolPrefix(of: file) {
    case nil, "file": return fileCreationOptions
    case "host_device", "host_cdrom": return deviceCreationOptions
    case let name? where protocolsWithoutFiles.contains(String(name)):
      throw ImageError("Protocol driver '\(name == "fat" ? "vvfat" : name)' does not support image creation")
    case let name?: throw ImageError("Unknown protocol '\(name)'")
    }
  }

  /// Prints the table that `-o help` asks for.
  ///
  /// - Parameter file: the target, if one is named: then its protocol's options are listed too.
  static func printHelp(format name: String, file: String?, _ tool: Tool) throws(Stop) {
    let format = try stopping { () throws(ImageError) in try tool.creatableFormat(name) }
    let definitions = try stopping { () throws(ImageError) in
      guard let file else { return format.creationOptions }
      return try CreationOptions.definitions(format, file: file)
    }
    tool.console.printLine(file == nil ? "Supported \(name) options:" : "Supported options:")
    for line in optionHelpLines(definitions) { tool.console.printLine(line) }
    if file == nil {
      tool.console.print(
        """

        The protocol level may support further options.
        Specify the target filename to include those options.

        """)
    }
  }
}

extension Tool {
  /// QEMU's drivers that make no images; most are filters, of which this tool has none.
  private static let readOnlyDrivers: Set<String> = [
    "blkdebug", "blklogwrites", "blkverify", "bochs", "cloop", "compress", "copy-before-write", "copy-on-read", "dmg",
    "null-aio", "null-co", "preallocate", "quorum", "replication", "snapshot-access", "throttle", "vvfat",
  ]

  /// Whether a format or driver has this name, even if it makes no images.
  func isKnownFormat(_ name: String) -> Bool { opener.format(name) != nil || Tool.readOnlyDrivers.contains(name) }

  /// The format with this name, if it can make images.
  func creatableFormat(_ name: String) throws(ImageError) -> any CreatableFormat.Type {
    if let creatable = opener.format(name) as? any CreatableFormat.Type { return creatable }
    guard isKnownFormat(name) else {
      throw ImageError("Unknown file format '\(name)'")
    }
    throw ImageError("Format driver '\(name)' does not support image creation")
  }
}
