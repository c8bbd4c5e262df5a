import Bytes

/// How file operands and recorded names are read (qemu-img-cli-2 §7.3, §7.4, §8.4).
public enum ImageName {
  /// The protocol prefix of a name: the text before the first colon, if that comes before any slash.
  public static func protocolPrefix(of name: String) -> Substring? {
    let bytes = name.utf8
    guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else { return nil }
    if let slash = bytes.firstIndex(of: UInt8(ascii: "/")), slash < colon { return nil }
    return name[..<colon]
  }

  /// The name by which a recorded backing or data file is opened: joined to the directory of the image that records it,
  /// textually, unless it is absolute or has a protocol.
  public static func resolve(_ recorded: String, relativeTo image: String) -> String {
    if recorded.isEmpty || recorded.utf8.first == UInt8(ascii: "/") || protocolPrefix(of: recorded) != nil {
      return recorded
    }
    if let slash = image.utf8.lastIndex(of: UInt8(ascii: "/")) {
      return String(image[...slash]) + recorded
    }
    if let prefix = protocolPrefix(of: image) { return String(prefix) + ":" + recorded }
    return recorded
  }

  /// The local path of a plain name: `file:` is stripped; what looks like a protocol afterwards is a path after all.
  public static func localPath(_ name: String) -> String {
    for prefix in ["file:", "host_device:", "host_cdrom:"] where name.hasPrefix(prefix) {
      let path = String(name.dropFirst(prefix.count))
      return protocolPrefix(of: path) != nil ? "./" + path : path
    }
    return name
  }
}
