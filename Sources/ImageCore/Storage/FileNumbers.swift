import Bytes
import CLinux
import Glibc

/// The numbers by which the kernel knows a file.
public struct FileNumbers: Sendable {
  /// The device that holds it.
  public var device: UInt64
  /// Its inode on that device.
  public var inode: UInt64
  /// For a device, its own number; 0 for anything else.
  public var ownDevice: UInt64

  /// The file at a path, links followed.
  ///
  /// - Throws: the kernel's text.
  public init(path: String) throws(ImageError) {
    var numbers = clinux_file_numbers()
    // The path is lent for the call, the structure is the call's own.
    let status = unsafe path.withSystemPath { unsafe clinux_file_numbers(-1, $0, &numbers) }
    if status != 0 { throw .system(status, path: path) }
    self.init(numbers)
  }

  /// The file behind standard output; nil when it is closed.
  public static func standardOutput() -> FileNumbers? {
    var numbers = clinux_file_numbers()
    // Without a path the descriptor counts; the structure is the call's own.
    return unsafe clinux_file_numbers(1, nil, &numbers) == 0 ? FileNumbers(numbers) : nil
  }

  private init(_ numbers: clinux_file_numbers) {
    device = numbers.device
    inode = numbers.inode
    ownDevice = numbers.own_device
  }
}

/// The name of this machine, as bytes without the NUL.
public func hostName() -> [UInt8] {
  var name = [CChar](repeating: 0, count: 65)
  // The array's own memory and length.
  guard unsafe gethostname(&name, name.count) == 0 else { return [] }
  return name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
}

/// Whether a file system is in use, by the rules of the ext tools (ext4-e2image §6.6).
public struct FileSystemUse: Sendable {
  /// Whether the device or file is mounted, or in use as swap.
  public var isMounted = false
  /// Whether it is mounted for reading only.
  public var isReadOnly = false

  /// Looks a device or image file up: by its name, by its number, by the loop device that shows it.
  public init(of path: String) {
    if environmentVariable("EXT2FS_PRETEND_RO_MOUNT") != nil {
      isMounted = environmentVariable("EXT2FS_PRETEND_ROOTFS") == nil
      isReadOnly = true
      return
    }
    if environmentVariable("EXT2FS_PRETEND_RW_MOUNT") != nil {
      isMounted = environmentVariable("EXT2FS_PRETEND_ROOTFS") == nil
      return
    }
    guard let numbers = try? FileNumbers(path: path), let kind = try? FileFacts(path: path).kind else { return }
    let isDevice = kind == .blockDevice
    if isDevice, opensExclusively(path) { return }
    func isSame(_ other: String) -> Bool {
      guard let found = try? FileNumbers(path: other) else { return false }
      if isDevice { return found.ownDevice == numbers.ownDevice && found.ownDevice != 0 }
      if found.device == numbers.device, found.inode == numbers.inode { return true }
      // A loop device that shows the file.
      guard found.ownDevice != 0, let path = loopFile(of: found.ownDevice),
        let file = try? FileNumbers(path: path)
      else { return false }
      return file.device == numbers.device && file.inode == numbers.inode
    }
    for line in (textOfFile("/proc/swaps") ?? []).split(separator: UInt8(ascii: "\n")).dropFirst() {
      guard let name = line.split(separator: UInt8(ascii: " ")).first else { continue }
      if isSame(String(rawBytes: MountState.unescaped(name))) {
        isMounted = true
        return
      }
    }
    for line in (textOfFile("/proc/mounts") ?? []).split(separator: UInt8(ascii: "\n")) {
      let fields = line.split(separator: UInt8(ascii: " "))
      guard fields.count >= 4, fields[0].first == UInt8(ascii: "/") else { continue }
      let device = String(rawBytes: MountState.unescaped(fields[0]))
      let isNamed = device == path || isSame(device)
      let isHere =
        isDevice
        && (try? FileNumbers(path: String(rawBytes: MountState.unescaped(fields[1]))))?.device == numbers.ownDevice
      guard isNamed || isHere else { continue }
      isMounted = true
      isReadOnly = fields[3].split(separator: UInt8(ascii: ",")).contains { $0.elementsEqual("ro".utf8) }
      return
    }
    if isDevice, (try? FileNumbers(path: "/"))?.device == numbers.ownDevice { isMounted = true }
  }
}

/// Whether a block device can be opened by itself: then it is neither mounted nor held by another device.
private func opensExclusively(_ path: String) -> Bool {
  // The path is lent for the call.
  let descriptor = unsafe path.withSystemPath { unsafe clinux_open($0, O_RDONLY | O_EXCL | O_CLOEXEC, 0) }
  if descriptor >= 0 { close(descriptor) }
  return descriptor >= 0
}

/// The value of an environment variable, nil when it is not set.
package func environmentVariable(_ name: String) -> String? {
  // The value is copied before anything can change the environment.
  guard let value = unsafe getenv(name) else { return nil }
  return unsafe String(rawBytes: UnsafeRawBufferPointer(start: value, count: strlen(value)))
}
