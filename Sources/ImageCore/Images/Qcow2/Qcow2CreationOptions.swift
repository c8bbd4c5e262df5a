import Bytes
import Images

extension Qcow2Format: CreatableFormat {
  package static let supportsCompression = true

  package static func supportsBitmaps(_ options: OptionValues) -> Bool {
    // Version 2 cannot hold them (§7 of the qcow2 specification).
    !["0.10", "v2"].contains(options.text("compat") ?? "")
  }

  package static let creationOptions = [
    OptionDefinition(
      "encryption", .boolean, "Encrypt the image with format 'aes'. (Deprecated in favor of encrypt.format=aes)"),
    OptionDefinition("encrypt.format", .text, "Encrypt the image, format choices: 'aes', 'luks'"),
    OptionDefinition("encrypt.key-secret", .text, "ID of secret providing qcow AES key or LUKS passphrase"),
    OptionDefinition("encrypt.cipher-alg", .text, "Name of encryption cipher algorithm"),
    OptionDefinition("encrypt.cipher-mode", .text, "Name of encryption cipher mode"),
    OptionDefinition("encrypt.ivgen-alg", .text, "Name of IV generator algorithm"),
    OptionDefinition("encrypt.ivgen-hash-alg", .text, "Name of IV generator hash algorithm"),
    OptionDefinition("encrypt.hash-alg", .text, "Name of encryption hash algorithm"),
    OptionDefinition("encrypt.iter-time", .number, "Time to spend in PBKDF in milliseconds"),
    OptionDefinition("cluster_size", .size, "qcow2 cluster size", default: "65536"),
    OptionDefinition("extended_l2", .boolean, "Extended L2 tables", default: "off"),
    OptionDefinition(
      "preallocation", .text, "Preallocation mode (allowed values: off, metadata, falloc, full)"),
    OptionDefinition(
      "compression_type", .text, "Compression method used for image cluster compression", default: "zlib"),
    OptionDefinition("size", .size, "Virtual disk size"),
    OptionDefinition("compat", .text, "Compatibility level (v2 [0.10] or v3 [1.1])"),
    OptionDefinition("backing_file", .text, "File name of a base image"),
    OptionDefinition("backing_fmt", .text, "Image format of the base image"),
    OptionDefinition("data_file", .text, "File name of an external data file"),
    OptionDefinition("data_file_raw", .boolean, "The external data file must stay valid as a raw image"),
    OptionDefinition("lazy_refcounts", .boolean, "Postpone refcount updates", default: "off"),
    OptionDefinition("refcount_bits", .number, "Width of a reference count entry in bits", default: "16"),
  ]

  package static func create(_ name: String, _ options: OptionValues, warn: (String) -> Void) throws(ImageError) {
    try create(name, Creation(options), warn: warn)
  }
}

extension Qcow2Format.Creation {
  /// What `-o` asked for.
  package init(_ options: OptionValues) throws(ImageError) {
    self.init(size: options.number("size") ?? 0)
    func refused(_ parameter: String, _ value: String) -> ImageError {
      ImageError("Parameter '\(parameter)' does not accept value '\(value)'")
    }
    if let text = options["compat"]?.text {
      switch text {
      case "0.10", "v2": version = 2
      case "1.1", "v3": version = 3
      default: throw refused("version", text)
      }
    }
    if let text = options["backing_fmt"]?.text, !Qcow2Format.Creation.driverNames.contains(text) {
      throw refused("backing-fmt", text)
    }
    encryption = try Qcow2Format.Creation.encryption(options)
    if let text = options["preallocation"]?.text {
      guard let mode = Preallocation(rawValue: text) else { throw refused("preallocation", text) }
      preallocation = mode
    }
    if let text = options["compression_type"]?.text {
      guard text == "zlib" || text == "zstd" else { throw refused("compression-type", text) }
      isZstd = text == "zstd"
    }
    clusterSize = options.number("cluster_size") ?? clusterSize
    refcountBits = options.number("refcount_bits") ?? refcountBits
    hasExtendedL2 = options.boolean("extended_l2") ?? false
    hasLazyRefcounts = options.boolean("lazy_refcounts") ?? false
    backingFile = options["backing_file"]?.text
    backingFormat = options["backing_fmt"]?.text
    dataFile = options["data_file"]?.text
    isDataFileRaw = options.boolean("data_file_raw") ?? false
    nocow = options.boolean("nocow") ?? false
    extentSizeHint = ExtentSizeHint(options)
  }

  /// Names of formats and protocols that may be recorded for the layer below, whether we can open them or not.
  private static let driverNames: Set<String> = [
    "blkdebug", "blklogwrites", "blkreplay", "blkverify", "bochs", "cloop", "compress", "copy-before-write",
    "copy-on-read", "dmg", "file", "ftp", "ftps", "gluster", "host_cdrom", "host_device", "http", "https", "io_uring",
    "iscsi", "luks", "nbd", "nfs", "null-aio", "null-co", "nvme", "nvme-io_uring", "parallels", "preallocate", "qcow",
    "qcow2", "qed", "quorum", "raw", "rbd", "replication", "snapshot-access", "ssh", "throttle", "vdi", "vhdx",
    "virtio-blk-vfio-pci", "virtio-blk-vhost-user", "virtio-blk-vhost-vdpa", "vmdk", "vpc", "vvfat",
  ]

  private static func encryption(_ options: OptionValues) throws(ImageError) -> Encryption? {
    let format = options["encrypt.format"]?.text ?? (options.boolean("encryption") == true ? "aes" : nil)
    guard let format else {
      if options.definitions.contains(where: { $0.name.hasPrefix("encrypt.") && options[$0.name] != nil }) {
        throw ImageError("Parameter 'encrypt.format' is missing")
      }
      return nil
    }
    guard format == "aes" || format == "luks" else {
      throw ImageError("Parameter 'format' does not accept value '\(format)'")
    }
    return Encryption(hasKey: options["encrypt.key-secret"] != nil)
  }
}
