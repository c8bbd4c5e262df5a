import Bytes
import Images
import Storage

/// The beginning of a LUKS version 1 header, as far as `info` tells about it (other-containers §12): big-endian.
struct LUKSHeader {
  private static let length = 592
  private static let activeSlot: UInt32 = 0x00AC_71F3
  private static let inactiveSlot: UInt32 = 0x0000_DEAD

  private let bytes: [UInt8]

  /// Reads the header that the extension points to.
  ///
  /// - Throws: `Volume is not in LUKS format` and the like.
  init(_ storage: any Storage, _ place: HeaderExtensions.EncryptionHeader) throws(ImageError) {
    guard place.length >= UInt64(LUKSHeader.length) else {
      throw ImageError("Request for data outside of extension header")
    }
    bytes = try storage.readArray(at: place.offset, count: LUKSHeader.length)
    guard bytes.starts(with: [0x4C, 0x55, 0x4B, 0x53, 0xBA, 0xBE]) else {
      throw ImageError("Volume is not in LUKS format")
    }
    let version = bytes.rawBytes.bigEndian(at: 6, as: UInt16.self)
    guard version == 1 else { throw ImageError("LUKS version \(version) is not supported", errno: 95) }
    for (name, start) in [("cipher name", 8), ("cipher mode", 40), ("hash spec", 72)] {
      guard bytes[start..<start + 32].contains(0) else {
        throw ImageError("LUKS header \(name) is not NUL terminated")
      }
    }
  }

  private func text(_ start: Int, _ length: Int) -> String {
    String(rawBytes: bytes[start..<start + length].prefix { $0 != 0 })
  }

  private func number(_ offset: Int) -> UInt32 { bytes.rawBytes.bigEndian(at: offset) }

  /// The members of `encrypt` in the information.
  var information: InfoValue {
    // "aes" with 32 bytes is aes-256; in xts mode half of the key is the tweak's. A mode is written "xts-plain64".
    let mode = text(40, 32)
    let dash = mode.firstIndex(of: "-") ?? mode.endIndex
    let cipherMode = String(mode[..<dash])
    var generator = dash == mode.endIndex ? "" : String(mode[mode.index(after: dash)...])
    var members: [DataTree.Member] = []
    if let colon = generator.firstIndex(of: ":") {
      members.append((key: "ivgen-hash-alg", value: .string(String(generator[generator.index(after: colon)...]))))
      generator = String(generator[..<colon])
    }
    let keyBytes = cipherMode == "xts" ? number(108) / 2 : number(108)
    let name = text(8, 32)
    let cipher =
      switch name {
      case "cast5": "cast5-\(UInt64(keyBytes) * 8)"
      default: "\(name)-\(UInt64(keyBytes) * 8)"
      }
    members += [
      (key: "format", value: "luks"), (key: "cipher-alg", value: .string(cipher)),
      (key: "cipher-mode", value: .string(cipherMode)), (key: "ivgen-alg", value: .string(generator)),
      (key: "hash-alg", value: .string(text(72, 32))), (key: "uuid", value: .string(text(168, 40))),
      (key: "payload-offset", value: .number(UInt64(number(104)) * 512)),
      (key: "master-key-iters", value: .number(number(164))),
      (key: "slots", value: .array((0..<8).map(slot))),
    ]
    return .object(members)
  }

  private func slot(_ index: Int) -> InfoValue {
    let start = 208 + index * 48
    let isActive = number(start) == LUKSHeader.activeSlot
    var members: [DataTree.Member] = [
      (key: "active", value: .boolean(isActive)), (key: "key-offset", value: .number(UInt64(number(start + 40)) * 512)),
    ]
    if isActive {
      members.append((key: "iters", value: .number(number(start + 4))))
      members.append((key: "stripes", value: .number(number(start + 44))))
    }
    return .object(members)
  }
}
