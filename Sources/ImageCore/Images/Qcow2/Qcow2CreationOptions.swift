import Bytes
import Images

extension Qcow2Format {
  /// What `-o` takes, in declared order (qemu-img-cli-1 §4.6, §7.3).
  package static var creationOptions: [OptionDefinition] {
    [
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
  }
}
