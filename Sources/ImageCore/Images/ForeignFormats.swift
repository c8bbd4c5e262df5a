import Bytes

/// Containers that are recognised but cannot be read yet: taken for raw, they would be copied as garbage without a word.
enum ForeignFormats {
  /// The driver's name for an image that begins with these 512 bytes (qemu-img-cli-1 §5.1), nil when it is none of these.
  static func name(_ head: RawSpan) -> String? {
    func begins(_ text: String, at offset: Int = 0) -> Bool {
      head.slice(offset..<offset + text.utf8.count).elementsEqual(Array(text.utf8).rawBytes)
    }
    if begins("QFI"), head[3] == 0xFB, head.bigEndian(at: 4, as: UInt32.self) == 1 { return "qcow" }
    if begins("QED\0") { return "qed" }
    if head.littleEndian(at: 64, as: UInt32.self) == 0xBEDA_107F { return "vdi" }
    if begins("COWD") || begins("KDMV") || begins("# Disk DescriptorFile") { return "vmdk" }
    if begins("vhdxfile") { return "vhdx" }
    if begins("conectix") { return "vpc" }
    if begins("WithoutFreeSpace") || begins("WithouFreSpacExt"), head.littleEndian(at: 16, as: UInt32.self) == 2 {
      return "parallels"
    }
    if begins("LUKS"), head[4] == 0xBA, head[5] == 0xBE, head.bigEndian(at: 6, as: UInt16.self) == 1 { return "luks" }
    if begins("Bochs Virtual HD Image\0") { return "bochs" }
    return nil
  }
}
