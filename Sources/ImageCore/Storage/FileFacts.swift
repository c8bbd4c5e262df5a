import Bytes
import CLinux
import Glibc

/// What stat(2) says about a path, links followed.
public struct FileFacts: Sendable {
  /// What sort of file it is.
  public enum Kind: Sendable { case regular, blockDevice, directory, other }

  public var kind: Kind
  /// The file behind; nil for a directory, a pipe, a character device.
  public var identity: FileIdentity?

  /// - Throws: the kernel's text; `ENOENT` when there is nothing with this name.
  public init(path: String) throws(ImageError) {
    guard let status = statusOfPath(path) else { throw .system(errno, path: path) }
    identity = FileIdentity.ofStorage(status)
    kind =
      switch FileType(status) {
      case .regular: .regular
      case .blockDevice: .blockDevice
      case .directory: .directory
      case .characterDevice, .other: .other
      }
  }
}

/// Whether and how a device or image file is mounted, by /proc/mounts.
public struct MountState: Sendable {
  public var isMounted = false
  public var isReadOnly = false

  /// - Parameter path: a device or file; its canonical name is compared with those of the mounted devices.
  /// - Throws: the kernel's text, when the path cannot be resolved.
  public init(of path: String) throws(ImageError) {
    guard let canonical = canonicalPath(path) else { throw .system(errno, path: path) }
    guard let lines = textOfFile("/proc/mounts") else { return }
    for line in lines.split(separator: UInt8(ascii: "\n")) {
      let fields = line.split(separator: UInt8(ascii: " "))
      guard fields.count >= 4 else { continue }
      let device = MountState.unescaped(fields[0])
      // Only names of files: "proc" and its like would be looked up in the current folder.
      guard device.first == UInt8(ascii: "/"), canonicalPath(String(rawBytes: device)) == canonical else { continue }
      isMounted = true
      let options = fields[3].split(separator: UInt8(ascii: ",")).map { String(rawBytes: $0) }
      isReadOnly = options.contains("ro") && !options.contains("rw")
      return
    }
  }

  /// Undoes the octal escapes of /proc/mounts (`\040` for a blank).
  static func unescaped(_ field: some Collection<UInt8>) -> [UInt8] {
    let input = Array(field)
    var output: [UInt8] = []
    var position = 0
    while position < input.count {
      let digits = input[position...].dropFirst().prefix(3)
      if input[position] == UInt8(ascii: "\\"), digits.count == 3, digits.allSatisfy({ (0x30...0x37).contains($0) }) {
        output.append(digits.reduce(0) { $0 &* 8 &+ ($1 - 0x30) })
        position += 4
      } else {
        output.append(input[position])
        position += 1
      }
    }
    return output
  }
}

/// The path without links and relative parts; nil, with errno set, where there is nothing.
func canonicalPath(_ path: String) -> String? {
  // realpath allocates the answer, which is copied and freed at once.
  guard let resolved = unsafe path.withSystemPath({ unsafe realpath($0, nil) }) else { return nil }
  defer { unsafe free(resolved) }
  return unsafe String(rawBytes: UnsafeRawBufferPointer(start: resolved, count: strlen(resolved)))
}

/// The beginning of a file of text; nil when it cannot be opened.
func textOfFile(_ path: String) -> [UInt8]? {
  guard let stream = try? InputStream(path: path) else { return nil }
  var text: [UInt8] = []
  var buffer = Buffer(1 << 16)
  // A table of mounts of 16 MiB is nobody's.
  while text.count < 1 << 24 {
    var bytes = buffer.mutableBytes
    guard let count = try? stream.read(into: &bytes), count > 0 else { break }
    text += buffer.bytes.array(0..<count)
  }
  return text
}

/// The file system that holds an open file.
public struct FileSystemFacts: Sendable {
  /// The magic number of statfs(2).
  public var type: UInt64
  /// Bytes that an unprivileged user can still store.
  public var available: UInt64
  /// Bytes that are free, those that the administrator alone may use included.
  public var free: UInt64
  /// Whether what is stored takes the space that it has: nothing is compressed or kept once for several files (ext2 to
  /// ext4, XFS, tmpfs).
  public var storesAsGiven: Bool { [0xEF53, 0x5846_5342, 0x0102_1994].contains(type) }

  /// The file system that holds a file, whatever its kind.
  public init(path: String) throws(ImageError) {
    var facts = clinux_file_system()
    let status = unsafe path.withSystemPath { unsafe clinux_file_system(-1, $0, &facts) }
    if status != 0 { throw .system(status, path: path) }
    self.init(facts)
  }

  fileprivate init(_ facts: clinux_file_system) {
    type = facts.type
    available = facts.available_bytes
    free = facts.free_bytes
  }
}

extension FileStorage {
  /// The file system that holds the file.
  public func fileSystem() throws(ImageError) -> FileSystemFacts {
    var facts = clinux_file_system()
    let status = unsafe clinux_file_system(number, nil, &facts)
    if status != 0 { throw .system(status, path: name) }
    return FileSystemFacts(facts)
  }

  /// Makes a regular file for writing, or empties the one that is there; a block device is opened as it is.
  ///
  /// - Parameters:
  ///   - mode: the permissions of a new file, before the umask.
  ///   - exclusive: fail with `EEXIST` where there is something, be it a link that leads nowhere.
  /// - Throws: the kernel's error; the message has `Could not open …` in front.
  public static func createEmpty(path: String, mode: UInt32, exclusive: Bool) throws(ImageError) -> FileStorage {
    let flags = O_RDWR | O_CREAT | O_TRUNC | (exclusive ? O_EXCL : 0)
    return try FileStorage(path: path, flags: flags, mode: mode, cache: .writeback, kind: .either, locking: false)
  }

  /// Takes a POSIX lock on the whole file, as file system tools do among themselves.
  ///
  /// - Throws: the kernel's text, without waiting.
  public func lockForReading() throws(ImageError) {
    let status = clinux_posix_lock(number, 0)
    if status != 0 { throw .system(status, path: name) }
  }

  /// Makes data and metadata durable now (fsync).
  public func synchronize() throws(ImageError) {
    if fsync(number) != 0 && errno != EINVAL { throw .system(errno, path: name) }
  }
}
