import Bytes
import Glibc

// What the system says about block devices and about what lies beside a file.

/// The paths of all block devices that have a size, in the kernel's order (/proc/partitions).
package func blockDevicePaths() -> [String] {
  guard let text = textOfFile("/proc/partitions") else { return [] }
  // major minor blocks name, below a line of headings; a slash in a name is spelled `!`.
  return text.split(separator: UInt8(ascii: "\n")).compactMap { line in
    let fields = line.split(separator: UInt8(ascii: " "))
    guard fields.count == 4, fields[0].allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return "/dev/" + String(rawBytes: fields[3].map { $0 == UInt8(ascii: "!") ? UInt8(ascii: "/") : $0 })
  }
}

/// Where the bytes of a file or device lie: those of a loop device in a part of the file that it shows.
private func place(of identity: FileIdentity) -> (file: FileIdentity, range: Range<UInt64>) {
  var file = identity
  var range: Range<UInt64> = 0..<UInt64.max
  // A loop device may show another one; nobody stacks many.
  for _ in 0..<16 {
    guard file.inode == 0, let path = loopFile(of: file.device), let shown = FileStorage.identity(of: path) else {
      break
    }
    let offset = loopNumber("offset", of: file.device)
    let limit = loopNumber("sizelimit", of: file.device)
    // No limit is 0.
    let part = limit == 0 ? range : range.clamped(to: 0..<limit)
    range = offset.saturatingAdd(part.lowerBound)..<offset.saturatingAdd(part.upperBound)
    file = shown
  }
  return (file, range)
}

/// Whether two files or devices have bytes in the same place: writing to one changes the other. What is no file or device
/// shares with nothing.
package func shareBytes(_ one: FileIdentity?, _ other: FileIdentity?) -> Bool {
  guard let one, let other else { return false }
  if one == other { return true }
  let (first, second) = (place(of: one), place(of: other))
  return first.file == second.file && first.range.overlaps(second.range)
}

/// The path of the file that a loop device shows; nil for any other device.
func loopFile(of device: UInt64) -> String? { loopText("backing_file", of: device).map(String.init(rawBytes:)) }

/// A number that the kernel tells of a loop device, in bytes; 0 for any other device.
private func loopNumber(_ name: String, of device: UInt64) -> UInt64 {
  loopText(name, of: device).flatMap { UInt64(String(rawBytes: $0)) } ?? 0
}

/// What the kernel tells of a loop device; nil for any other device.
private func loopText(_ name: String, of device: UInt64) -> [UInt8]? {
  let (major, minor) = (device >> 8 & 0xFFF, device & 0xFF | device >> 12 & 0xFFFFF00)
  guard var text = textOfFile("/sys/dev/block/\(major):\(minor)/loop/\(name)") else { return nil }
  if text.last == UInt8(ascii: "\n") { text.removeLast() }
  return text
}

/// The files behind a file's use: itself, and the loop devices that it is attached to.
package func identitiesInUse(of identity: FileIdentity) -> Set<FileIdentity> {
  var identities: Set<FileIdentity> = [identity]
  for path in blockDevicePaths() where path.utf8.starts(with: "/dev/loop".utf8) {
    guard let device = FileStorage.identity(of: path), let backing = loopFile(of: device.device),
      FileStorage.identity(of: backing) == identity
    else { continue }
    identities.insert(device)
  }
  return identities
}

/// Whether one of these files or devices, or a loop device that one is attached to, is mounted.
package func isMounted(anyOf identities: some Sequence<FileIdentity>) -> Bool {
  let used = identities.reduce(into: Set<FileIdentity>()) { $0.formUnion(identitiesInUse(of: $1)) }
  guard let lines = textOfFile("/proc/self/mounts") else { return false }
  return lines.split(separator: UInt8(ascii: "\n")).contains { line in
    guard let field = line.split(separator: UInt8(ascii: " ")).first else { return false }
    let device = MountState.unescaped(field)
    guard device.first == UInt8(ascii: "/"), let identity = FileStorage.identity(of: String(rawBytes: device)) else {
      return false
    }
    return used.contains(identity)
  }
}

/// The paths of the regular files in the folder that holds `path`, at most `limit`; none where it cannot be read.
package func filesBeside(_ path: String, limit: Int) -> [String] {
  let bytes = path.rawBytes
  let folder = bytes.lastIndex(of: UInt8(ascii: "/")).map { Array(bytes[...$0]) } ?? Array("./".utf8)
  guard let directory = unsafe String(rawBytes: folder).withSystemPath({ unsafe opendir($0) }) else { return [] }
  defer { unsafe closedir(directory) }
  var paths: [String] = []
  while paths.count < limit, let entry = unsafe readdir(directory) {
    // The name is NUL-terminated, and valid until the next entry is read.
    let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
      unsafe pointer.withMemoryRebound(to: UInt8.self, capacity: 256) { start in
        unsafe [UInt8](UnsafeBufferPointer(start: start, count: strlen(start)))
      }
    }
    let full = String(rawBytes: folder + name)
    if (try? FileFacts(path: full))?.kind == .regular { paths.append(full) }
  }
  return paths.sorted()
}
