import Bytes
import CLinux
import Glibc
import Synchronization

/// A regular file, block device or character device.
public final class FileStorage: WritableStorage {
  /// What sort of file the path must be: the two local protocols of qemu-img-cli-2 §7.3.
  public enum Kind: Sendable {
    /// Regular files only (`file`).
    case regular
    /// Block and character devices only (`host_device`).
    case device
    /// Whichever the path is.
    case either
  }

  /// The path as given.
  public let name: String
  /// Whether the file was opened for writing.
  public let isWritable: Bool
  /// The cache mode it was opened with.
  public let cache: CacheMode
  /// Whether it is a block or character device.
  public let isDevice: Bool
  /// 1, or with O_DIRECT what the device asks for.
  public let requestAlignment: Int
  /// Device and inode number.
  public let identity: FileIdentity?

  /// The open descriptor, valid as long as the object lives; for ioctls and copy_file_range.
  let descriptor: Int32
  private let isBlockDevice: Bool
  private let currentLength: Atomic<UInt64>
  private let needsFlush = Atomic<Bool>(false)
  private let locks: Mutex<FileLocks>
  private let isLocking: Bool

  /// Opens an existing file.
  ///
  /// - Parameters:
  ///   - path: local path, taken literally.
  ///   - locking: false leaves the image locks alone (`locking=off`).
  /// - Throws: `Could not open 'PATH': …` and the texts of qemu-img-cli-2 §7.4.
  public convenience init(
    path: String, writable: Bool, cache: CacheMode = .writeback, kind: Kind = .either, locking: Bool = true
  ) throws(ImageError) {
    try self.init(path: path, flags: writable ? O_RDWR : O_RDONLY, cache: cache, kind: kind, locking: locking)
  }

  /// Opens or creates a regular file for writing, without truncating it; a device is opened as it is.
  public static func create(path: String, cache: CacheMode = .writeback, locking: Bool = true) throws(ImageError)
    -> FileStorage
  {
    try FileStorage(path: path, flags: O_RDWR | O_CREAT, cache: cache, kind: .either, locking: locking)
  }

  init(path: String, flags: Int32, mode: UInt32 = 0o644, cache: CacheMode, kind: Kind, locking: Bool) throws(ImageError)
  {
    guard !path.isEmpty else {
      throw ImageError("The 'file' block driver requires a file name")
    }
    func failure(_ code: Int32) -> ImageError {
      var error = ImageError.system(code, path: path).prefixed("Could not open '\(path)': ")
      error.errno = code
      return error
    }
    // O_NONBLOCK keeps a FIFO from blocking the open; it has no effect on files and block devices.
    var flags = flags | O_CLOEXEC | O_NONBLOCK
    if cache.isDirect { flags |= clinux_o_direct() }
    var descriptor: Int32
    repeat {
      descriptor = unsafe path.withSystemPath { unsafe clinux_open($0, flags, mode) }
    } while descriptor < 0 && errno == EINTR
    guard descriptor >= 0 else {
      let code = errno
      throw failure(code)
    }
    var closeOnFailure = true
    defer { if closeOnFailure { close(descriptor) } }

    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw failure(errno) }
    let type = FileType(status)
    let isDevice = type == .blockDevice || type == .characterDevice
    if isDevice ? kind == .regular : type != .regular {
      throw FileStorage.notRegular(path)
    }
    if !isDevice && kind == .device {
      throw ImageError("'host_device' driver requires '\(path)' to be either a character or block device")
    }

    var length = UInt64(clamping: status.st_size)
    if type == .blockDevice {
      let size = clinux_block_device_size(descriptor)
      length = size >= 0 ? UInt64(size) : UInt64(clamping: lseek(descriptor, 0, SEEK_END))
    } else if type == .characterDevice {
      length = 0
    }
    var alignment = 1
    if cache.isDirect {
      alignment = type == .blockDevice ? max(512, Int(clinux_logical_block_size(descriptor))) : 4096
    }

    closeOnFailure = false
    self.descriptor = descriptor
    name = path
    isWritable = flags & O_ACCMODE != O_RDONLY
    self.cache = cache
    self.isDevice = isDevice
    isBlockDevice = type == .blockDevice
    requestAlignment = alignment
    identity = FileIdentity(status)
    currentLength = Atomic(length)
    locks = Mutex(FileLocks(descriptor: descriptor))
    isLocking = locking
  }

  deinit { close(descriptor) }

  /// Whether there is anything with this name, also a link that leads nowhere.
  public static func exists(_ path: String) -> Bool {
    var status = stat()
    return unsafe path.withSystemPath { unsafe lstat($0, &status) } == 0
  }

  /// Which file a path leads to, nil when there is none.
  public static func identity(of path: String) -> FileIdentity? {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    return FileIdentity(status)
  }

  /// Removes a file; best effort.
  public static func remove(_ path: String) { _ = unsafe path.withSystemPath { unsafe unlink($0) } }

  private static func notRegular(_ path: String) -> ImageError {
    ImageError("'file' driver requires '\(path)' to be a regular file")
  }

  /// Changes what other processes see of our use of the file (qemu-img-cli-1 §6).
  ///
  /// - Throws: `Failed to get … lock` with its hint; the former claim is kept then.
  public func lock(_ lock: ImageLock) throws(ImageError) {
    guard isLocking, !isDevice || isBlockDevice else { return }
    let path = name
    try locks.withLock { (locks) throws(ImageError) in try locks.change(to: lock, path: path) }
  }

  public var length: UInt64 { currentLength.load(ordering: .relaxed) }

  public var allocatedSize: UInt64? {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { return nil }
    return UInt64(clamping: status.st_blocks) * 512
  }

  public var growsWithZeros: Bool { !isDevice }

  private func failure(_ code: Int32, _ offset: UInt64) -> ImageError { .system(code, path: name, offset: offset) }

  /// Whether O_DIRECT, if used, allows the request as it is.
  private func isAligned(_ address: UInt, _ offset: UInt64, _ count: Int) -> Bool {
    let alignment = requestAlignment
    return alignment == 1
      || (offset % UInt64(alignment) == 0 && count % alignment == 0 && address % UInt(alignment) == 0)
  }

  // MARK: Reading

  public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    let address = unsafe buffer.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    if isAligned(address, offset, buffer.byteCount) { return try readDirectly(into: &buffer, at: offset) }
    // O_DIRECT: read the aligned surroundings in pieces and copy what was asked for.
    let alignment = UInt64(requestAlignment)
    var bounce = Buffer(min(1 << 20, buffer.byteCount + 2 * requestAlignment).roundedUp(requestAlignment))
    var done = 0
    while done < buffer.byteCount {
      let position = offset + UInt64(done)
      let start = position.roundedDown(to: alignment)
      let head = Int(position - start)
      let count = min(buffer.byteCount - done, bounce.count - head)
      let whole = (head + count).roundedUp(requestAlignment)
      var target = bounce.mutableBytes
      var piece = target.slice(0..<whole)
      try readDirectly(into: &piece, at: start)
      buffer.copy(bounce.bytes.slice(head..<head + count), at: done)
      done += count
    }
  }

  private func readDirectly(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    var done = 0
    let count = buffer.byteCount
    guard let end = Int64(exactly: offset), end <= Int64.max - Int64(count) else {
      buffer.fill(0..<count)
      return
    }
    while done < count {
      let result = unsafe buffer.withUnsafeMutableBytes { bytes -> Int in
        guard let base = bytes.baseAddress else { return 0 }
        // done < count bytes are left behind base + done.
        return unsafe pread(descriptor, base + done, count - done, off_t(offset) + off_t(done))
      }
      if result < 0 {
        let code = errno
        if code == EINTR { continue }
        throw failure(code, offset + UInt64(done))
      }
      if result == 0 {
        buffer.fill(done..<count)
        return
      }
      done += result
    }
  }

  public func extent(at offset: UInt64, limit: UInt64) throws(ImageError) -> StorageExtent {
    let end = length
    guard offset < end, let start = off_t(exactly: offset) else {
      return StorageExtent(length: limit, isData: false)
    }
    let most = min(limit, end - offset)
    if isDevice { return StorageExtent(length: most, isData: true) }
    let data = lseek(descriptor, start, SEEK_DATA)
    if data < 0 {
      // ENXIO: nothing but a hole up to the end. Anything else: the file system cannot tell.
      return StorageExtent(length: most, isData: errno != ENXIO)
    }
    if data > start { return StorageExtent(length: min(most, UInt64(data - start)), isData: false) }
    let hole = lseek(descriptor, start, SEEK_HOLE)
    guard hole > start else { return StorageExtent(length: most, isData: true) }
    return StorageExtent(length: min(most, UInt64(hole - start)), isData: true)
  }

  // MARK: Writing

  public func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
    guard bytes.byteCount > 0 else { return }
    let address = unsafe bytes.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    if isAligned(address, offset, bytes.byteCount) {
      try writeDirectly(bytes, at: offset)
    } else {
      try writeThroughBounce(bytes, at: offset)
    }
    try wrote()
  }

  /// O_DIRECT: reads the aligned surroundings, changes them and writes them back; a file's true length is restored.
  private func writeThroughBounce(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
    let alignment = UInt64(requestAlignment)
    let trueEnd = max(length, offset + UInt64(bytes.byteCount))
    var bounce = Buffer(min(1 << 20, bytes.byteCount + 2 * requestAlignment).roundedUp(requestAlignment))
    var done = 0
    while done < bytes.byteCount {
      let position = offset + UInt64(done)
      let start = position.roundedDown(to: alignment)
      let head = Int(position - start)
      let count = min(bytes.byteCount - done, bounce.count - head)
      let whole = (head + count).roundedUp(requestAlignment)
      var target = bounce.mutableBytes
      var piece = target.slice(0..<whole)
      if head != 0 || count != whole { try readDirectly(into: &piece, at: start) }
      piece.copy(bytes.slice(done..<done + count), at: head)
      try writeDirectly(bounce.bytes.slice(0..<whole), at: start)
      done += count
    }
    if !isDevice && length > trueEnd { try resize(to: trueEnd) }
  }

  private func writeDirectly(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
    let count = bytes.byteCount
    guard let start = off_t(exactly: offset), start <= off_t.max - off_t(count) else { throw failure(EFBIG, offset) }
    var done = 0
    while done < count {
      let result = unsafe bytes.withUnsafeBytes { source -> Int in
        guard let base = source.baseAddress else { return 0 }
        // count − done bytes are left behind base + done.
        return unsafe pwrite(descriptor, base + done, count - done, start + off_t(done))
      }
      if result < 0 {
        let code = errno
        if code == EINTR { continue }
        throw failure(code, offset + UInt64(done))
      }
      // A write that stores nothing and reports nothing: a full device that does not say so.
      if result == 0 { throw failure(ENOSPC, offset + UInt64(done)) }
      done += result
    }
    grow(to: offset + UInt64(count))
  }

  private func grow(to end: UInt64) {
    currentLength.max(end, ordering: .relaxed)
  }

  private func wrote() throws(ImageError) {
    needsFlush.store(true, ordering: .relaxed)
    if cache.isWriteThrough { try flush() }
  }

  public func zero(_ range: Range<UInt64>, mayUnmap: Bool) throws(ImageError) {
    guard !range.isEmpty else { return }
    guard range.upperBound <= UInt64(Int64.max) else { throw failure(EFBIG, range.lowerBound) }
    let start = off_t(range.lowerBound)
    let count = off_t(range.upperBound - range.lowerBound)
    let isDone: Bool
    if mayUnmap {
      isDone = fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, count) == 0
    } else if isBlockDevice {
      isDone = clinux_block_zero(descriptor, range.lowerBound, range.upperBound - range.lowerBound) == 0
    } else {
      isDone = fallocate(descriptor, FALLOC_FL_ZERO_RANGE, start, count) == 0
    }
    if isDone {
      if !isDevice && range.upperBound > length { try resize(to: range.upperBound) }
      try wrote()
    } else {
      try writeZeros(range)
    }
  }

  private func writeZeros(_ range: Range<UInt64>) throws(ImageError) {
    let zeros = Buffer(Int(min(range.upperBound - range.lowerBound, 1 << 20)))
    var offset = range.lowerBound
    while offset < range.upperBound {
      let count = Int(min(range.upperBound - offset, UInt64(zeros.count)))
      try write(zeros.bytes.slice(0..<count), at: offset)
      offset += UInt64(count)
    }
  }

  public func discard(_ range: Range<UInt64>) throws(ImageError) {
    guard !range.isEmpty, range.upperBound <= UInt64(Int64.max) else { return }
    // Advice only: a file system or device that cannot do it keeps the data.
    if isBlockDevice {
      _ = clinux_block_discard(descriptor, range.lowerBound, range.upperBound - range.lowerBound)
    } else if !isDevice {
      _ = fallocate(
        descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off_t(range.lowerBound),
        off_t(range.upperBound - range.lowerBound))
    }
    try wrote()
  }

  public func allocate(_ range: Range<UInt64>) throws(ImageError) {
    guard !range.isEmpty else { return }
    guard range.upperBound <= UInt64(Int64.max) else { throw failure(EFBIG, range.lowerBound) }
    var code: Int32
    repeat {
      code = posix_fallocate(
        descriptor, off_t(range.lowerBound), off_t(range.upperBound - range.lowerBound))
    } while code == EINTR
    if code != 0 { throw failure(code, range.lowerBound) }
    grow(to: range.upperBound)
    try wrote()
  }

  public func resize(to newLength: UInt64) throws(ImageError) {
    if isDevice {
      // A device has the length that it has.
      guard newLength <= length else { throw ImageError("Cannot grow device files", errno: EINVAL) }
      return
    }
    guard let size = off_t(exactly: newLength) else { throw failure(EFBIG, newLength) }
    var status: Int32
    repeat { status = ftruncate(descriptor, size) } while status != 0 && errno == EINTR
    if status != 0 { throw failure(errno, newLength) }
    currentLength.store(newLength, ordering: .relaxed)
    try wrote()
  }

  public func flush() throws(ImageError) {
    if cache.ignoresFlush { return }
    guard needsFlush.exchange(false, ordering: .relaxed) else { return }
    var status: Int32
    repeat { status = fdatasync(descriptor) } while status != 0 && errno == EINTR
    // A character device such as /dev/null cannot be flushed and needs no flush.
    if status != 0 && !(isDevice && errno == EINVAL) { throw failure(errno, 0) }
  }

  // MARK: Copying within the kernel

  /// What the kernel did about a copy between two files.
  public enum KernelCopy: Sendable {
    /// So many bytes were copied; fewer than asked only at the source's end.
    case copied(UInt64)
    /// The kernel or the file system refuses: copy through memory.
    case refused
  }

  /// Shares the blocks of `source` with this file (FICLONERANGE); offsets and length must be multiples of the file
  /// systems' block size, except for a length that ends at the source's end.
  public func clone(from source: FileStorage, _ range: Range<UInt64>, at offset: UInt64) -> Bool {
    let count = range.upperBound - range.lowerBound
    guard clinux_clone_range(descriptor, offset, source.descriptor, range.lowerBound, count) == 0 else { return false }
    grow(to: offset + count)
    needsFlush.store(true, ordering: .relaxed)
    return true
  }

  /// Copies with copy_file_range; the file system may share blocks.
  public func copy(from source: FileStorage, _ range: Range<UInt64>, at offset: UInt64) throws(ImageError) -> KernelCopy
  {
    guard range.upperBound <= UInt64(Int64.max), offset <= UInt64(Int64.max) else { return .refused }
    var from = off_t(range.lowerBound)
    var to = off_t(offset)
    let end = off_t(range.upperBound)
    while from < end {
      let result = unsafe copy_file_range(source.descriptor, &from, descriptor, &to, Int(end - from), 0)
      if result < 0 {
        switch errno {
        case EINTR: continue
        case ENOSPC, EDQUOT, EIO, EFBIG: throw failure(errno, UInt64(to))
        default: return .refused
        }
      }
      if result == 0 { break }
    }
    grow(to: UInt64(to))
    try wrote()
    return .copied(UInt64(from) - range.lowerBound)
  }

  /// Turns off copy-on-write for a new empty file on btrfs (`nocow`); best effort.
  public func disableCopyOnWrite() { _ = clinux_set_nocow(descriptor) }

  /// Asks the file system for extents of at least so many bytes (`extent_size_hint`); best effort.
  public func setExtentSizeHint(_ bytes: UInt32) { _ = clinux_set_extent_size_hint(descriptor, bytes) }
}

extension FileIdentity {
  /// The identity in a status; a device is itself, whatever node leads to it.
  fileprivate init(_ status: stat) {
    switch FileType(status) {
    case .blockDevice, .characterDevice: self.init(device: UInt64(status.st_rdev), inode: 0)
    case .regular, .other: self.init(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }
  }
}

/// What sort of file a status describes (st_mode's type bits, stat(2)).
enum FileType {
  case regular, blockDevice, characterDevice, other

  init(_ status: stat) {
    switch status.st_mode & 0o170000 {
    case 0o100000: self = .regular
    case 0o060000: self = .blockDevice
    case 0o020000: self = .characterDevice
    default: self = .other
    }
  }
}

extension Int {
  /// The value (≥ 0) rounded up to a multiple of `unit`; for buffer sizes, which are far from the type's end.
  fileprivate func roundedUp(_ unit: Int) -> Int { (self + unit - 1) / unit * unit }
}
