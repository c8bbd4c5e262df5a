import Bytes
import Storage

// Protocols beside files and devices (qemu-img-cli-2 §7.1): `null-co`, `null-aio`, `blkdebug`.

extension ImageOpener {
  /// Opens a storage of zeros.
  func openNull(
    _ driver: String, _ tree: inout OptionTree, filename: String?, _ options: OpenOptions
  ) throws(ImageError) -> OpenedStorage {
    let given = tree
    guard filename == nil || filename == "\(driver)://" else {
      throw ImageError("The only allowed filename for this driver is '\(driver)://'")
    }
    try NodeOptions.checkSharing(options)
    let values = try takeOptions(
      [
        OptionDefinition("size", .size, ""), OptionDefinition("latency-ns", .number, ""),
        OptionDefinition("read-zeroes", .boolean, ""),
      ], from: &tree, warn: { notify(.warning($0)) })
    let latency = values.number("latency-ns") ?? 0
    guard latency <= UInt64(Int64.max) else { throw ImageError("latency-ns is invalid") }
    let length = values.number("size") ?? NullStorage.defaultLength
    guard length <= ImageOpener.largestFile else {
      throw ImageError.system(27 /* EFBIG */).prefixed("Could not refresh total sector count: ")
    }
    if let key = tree.firstKey {
      throw ImageError("Block protocol '\(driver)' doesn't support the option '\(key)'")
    }
    var members: [DataTree.Member] = [("driver", .string(driver))]
    for name in ["size", "read-zeroes"] {
      if let value = given[name] { members.append((name, value)) }
    }
    return OpenedStorage(
      storage: NullStorage(name: "\(driver)://", length: length, latency: latency), tree: .object(members),
      isPlain: members.count == 1)
  }

  /// The longest configuration file in bytes.
  private static let configurationLimit: UInt64 = 1 << 20

  /// Opens a storage whose requests fail as rules have it: `blkdebug:CONFIGURATION:IMAGE`, or options.
  func openBlkdebug(
    _ tree: inout OptionTree, filename: String?, _ options: OpenOptions, _ path: inout OpeningPath
  ) throws(ImageError) -> OpenedStorage {
    var configuration = ""
    var image: String?
    if let filename, !filename.hasPrefix("blkdebug:") {
      // A plain name, and the driver named beside it.
      image = filename
    } else if let filename {
      let rest = filename.utf8.dropFirst("blkdebug:".utf8.count)
      guard let colon = rest.firstIndex(of: UInt8(ascii: ":")) else {
        throw ImageError("blkdebug requires both config file and image path")
      }
      configuration = String(filename[rest.startIndex..<colon])
      image = String(filename[filename.utf8.index(after: colon)...])
    }
    let limits = ["max-transfer", "opt-write-zero", "max-write-zero", "opt-discard", "max-discard"]
    let given = tree
    let values = try takeOptions(
      [OptionDefinition("config", .text, ""), OptionDefinition("align", .size, "")]
        + limits.map { OptionDefinition($0, .size, "") }, from: &tree, warn: { notify(.warning($0)) })
    if let name = values["config"]?.text { configuration = name }
    var rules = BlkdebugRules()
    if !configuration.isEmpty { try rules.read(try configurationText(configuration)) }
    try rules.take(from: &tree)
    let below = try openChild(&tree, key: "image", filename: image, options, &path)
    guard let base = below.storage as? any WritableStorage else {
      throw ImageError("Block node is read-only", errno: 30 /* EROFS */)
    }
    let alignment = values.number("align") ?? 1
    guard alignment > 0, alignment <= 1 << 30, alignment.nonzeroBitCount == 1 else {
      throw ImageError("Cannot meet constraints with align \(alignment)")
    }
    if let key = tree.firstKey {
      throw ImageError("Block protocol 'blkdebug' doesn't support the option '\(key)'")
    }
    // Whatever was given beside the configuration and the image cannot be told by a plain name.
    var members: [DataTree.Member] = [("driver", "blkdebug"), ("image", below.tree)]
    for member in given.members where !member.key.hasPrefix("image.") && member.key != "config" {
      members.append(member)
    }
    let isPlain = below.isPlain && members.count == 2
    if !isPlain && !configuration.isEmpty { members.append(("config", .string(configuration))) }
    return OpenedStorage(
      storage: BlkdebugStorage(
        base, name: "blkdebug:\(configuration):\(below.storage.name)", rules, alignment: Int(alignment)),
      tree: .object(members), isPlain: isPlain)
  }

  private func configurationText(_ name: String) throws(ImageError) -> [UInt8] {
    do throws(ImageError) {
      let file = try FileStorage(path: name, writable: false, locking: false)
      guard file.length <= ImageOpener.configurationLimit else { throw ImageError.system(27 /* EFBIG */) }
      return try file.readArray(at: 0, count: Int(file.length))
    } catch {
      let cause = error.errno == 22 ? "Input/output error" : errorText(error.errno)
      throw ImageError("Could not read blkdebug config file: \(cause)", errno: error.errno)
    }
  }
}
