import CLinux
import ImageCore

/// Tells what a device holds that is no file system of ours (ext4-e2image §6.5): the file system's type and label on
/// stdout, or the kind of its partition table on stderr.
func tellContents(of name: String, _ voice: Voice) {
  guard let storage = try? openSource(name) else { return }
  if let found = FoundContents(storage) {
    // A label from a strange device must not take the terminal over.
    let label = found.label.isEmpty ? "" : " labelled '\(escapingControls(String(rawBytes: found.label)))'"
    voice.line("\(name) contains a \(found.type) file system\(label)")
    if found.type.hasPrefix("ext"), let superblock = try? storage.readArray(at: 1024, count: 1024) {
      voice.line("\t" + history(superblock.rawBytes))
    }
  } else if let table = partitionTable(storage) {
    voice.note("Found a \(table) partition table in \(name)")
  }
}

/// What is known about when an ext file system was used.
private func history(_ superblock: RawSpan) -> String {
  let mounted: UInt32 = superblock.littleEndian(at: 0x2C)
  let created: UInt32 = superblock.littleEndian(at: 0x108)
  let folder = superblock.array(0x88..<0xC8).prefix { $0 != 0 }
  if mounted != 0 {
    let place = folder.isEmpty ? "" : "on \(escapingControls(String(rawBytes: folder))) "
    return "last mounted \(place)on \(dateText(mounted))"
  }
  if created != 0 { return "created on \(dateText(created))" }
  return "last modified on \(dateText(superblock.littleEndian(at: 0x30)))"
}

/// A moment as ctime(3) writes it, without the newline.
private func dateText(_ seconds: UInt32) -> String {
  let time = clinux_local_time(Int64(seconds))
  let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
  let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
  guard time.valid != 0, months.indices.contains(Int(time.month) - 1) else { return "?" }
  // Sakamoto's rule for the day of the week.
  let shift = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4][Int(time.month) - 1]
  let year = Int(time.year) - (time.month < 3 ? 1 : 0)
  let day = days[(year + year / 4 - year / 100 + year / 400 + shift + Int(time.day)) % 7]
  let clock = [time.hour, time.minute, time.second].map { zeroPadded($0, to: 2) }.joined(separator: ":")
  return "\(day) \(months[Int(time.month) - 1]) \(rightAligned(String(time.day), to: 2)) \(clock) \(time.year)"
}

/// A file system that is recognised by its signature.
private struct FoundContents {
  let type: String
  /// Up to the first NUL.
  let label: [UInt8]

  /// A signature at an offset, and where the label is: offset and length in bytes.
  private struct Signature {
    let type: String
    let offset: UInt64
    let text: String
    var label: (offset: UInt64, length: Int)?
  }

  private static let signatures = [
    Signature(type: "xfs", offset: 0, text: "XFSB", label: (108, 12)),
    Signature(type: "btrfs", offset: 0x10040, text: "_BHRfS_M", label: (0x1012B, 256)),
    Signature(type: "ntfs", offset: 3, text: "NTFS    "),
    Signature(type: "swap", offset: 4086, text: "SWAPSPACE2", label: (1052, 16)),
    Signature(type: "crypto_LUKS", offset: 0, text: "LUKS\u{BA}\u{BE}"),
    Signature(type: "squashfs", offset: 0, text: "hsqs"),
    Signature(type: "iso9660", offset: 0x8001, text: "CD001", label: (0x8028, 32)),
    Signature(type: "LVM2_member", offset: 536, text: "LVM2 001"),
    Signature(type: "vfat", offset: 82, text: "FAT32   ", label: (71, 11)),
    Signature(type: "vfat", offset: 54, text: "FAT16   ", label: (43, 11)),
    Signature(type: "vfat", offset: 54, text: "FAT12   ", label: (43, 11)),
  ]

  init?(_ storage: any Storage) {
    func bytes(_ offset: UInt64, _ count: Int) -> [UInt8] {
      (try? storage.readArray(at: offset, count: count)) ?? [UInt8](repeating: 0, count: count)
    }
    for signature in FoundContents.signatures {
      let text = signature.text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
      guard bytes(signature.offset, text.count) == text else { continue }
      type = signature.type
      var label = signature.label.map { bytes($0.offset, $0.length) } ?? []
      label = Array(label.prefix { $0 != 0 })
      while label.last == UInt8(ascii: " ") { label.removeLast() }
      if type == "ntfs" { label = FoundContents.ntfsLabel(storage) }
      self.label = label == Array("NO NAME".utf8) ? [] : label
      return
    }
    for size in [512, 1024, 2048, 4096] as [UInt64] where bytes(2 * size, 6) == Array("OCFSV2".utf8) {
      type = "ocfs2"
      label = Array(bytes(2 * size + 0x110, 64).prefix { $0 != 0 })
      return
    }
    let superblock = bytes(1024, 1024)
    let span = superblock.rawBytes
    guard span.littleEndian(at: 0x38, as: UInt16.self) == 0xEF53 else { return nil }
    let features = ExtFeatures(
      compatible: span.littleEndian(at: 0x5C), incompatible: span.littleEndian(at: 0x60),
      readOnlyCompatible: span.littleEndian(at: 0x64))
    if features.incompatible & ~0x16 != 0 || features.readOnlyCompatible & ~0x7 != 0 {
      type = features.incompatible & 0x8 != 0 ? "jbd" : "ext4"
    } else {
      type = features.compatible & 0x4 != 0 ? "ext3" : "ext2"
    }
    label = Array(span.array(0x78..<0x88).prefix { $0 != 0 })
  }
}

extension FoundContents {
  /// The name of an NTFS volume, which the fourth record of $MFT holds.
  fileprivate static func ntfsLabel(_ storage: any Storage) -> [UInt8] {
    guard let head = try? storage.readArray(at: 0, count: BootSector.size),
      let boot = try? BootSector(head.rawBytes, log: { _ in })
    else { return [] }
    let place = boot.tableCluster * UInt64(boot.clusterSize) + 3 * UInt64(boot.recordSize)
    guard let contents = try? storage.readArray(at: place, count: boot.recordSize) else { return [] }
    let record = FileRecord(number: 3, contents: contents)
    guard let name = record.attributes.first(where: { $0.type == AttributeType.volumeName && !$0.isNonResident }) else {
      return []
    }
    let units = stride(from: name.value.lowerBound, to: name.value.upperBound - 1, by: 2).map {
      record.bytes.littleEndian(at: $0, as: UInt16.self)
    }
    return Array(String(decoding: units.prefix { $0 != 0 }, as: UTF16.self).utf8)
  }
}

/// The kind of a partition table, nil when there is none.
private func partitionTable(_ storage: any Storage) -> String? {
  guard let head = try? storage.readArray(at: 0, count: 1024), head[510] == 0x55, head[511] == 0xAA else { return nil }
  if Array(head[512..<520]) == Array("EFI PART".utf8) { return "gpt" }
  let entries = stride(from: 446, to: 510, by: 16).map { Array(head[$0..<$0 + 16]) }
  // A boot record has four entries that are active or not, and one of them is used.
  guard entries.allSatisfy({ $0[0] & 0x7F == 0 }), entries.contains(where: { $0[4] != 0 }) else { return nil }
  return "dos"
}
