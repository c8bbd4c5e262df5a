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
  /// Whether the file is open for writing.
  public var isWritable: Bool { writable.load(ordering: .relaxed) }
  /// The cache mode it was opened with.
  public let cache: CacheMode
  /// Whether it is a block or character device.
  public let isDevice: Bool
  /// 1, or with O_DIRECT what the device asks for.
  public let requestAlignment: Int
  /// Device and inode number.
  public let identity: FileIdentity?

  private let descriptor: FileDescriptor
  /// The kernel's number of the open file, valid as long as the object lives; for ioctls and copy_file_range.
  var number: Int32 { descriptor.number }
  private let isBlockDevice: Bool
  private let currentLength: Atomic<UInt64>
  private let needsFlush = Atomic<Bool>(false)
  /// Held while the file is flushed.
  private let flushing = Mutex(())
  let writable: Atomic<Bool>
  let locks: Mutex<FileLocks>
  private let isLocking: Bool
  /// A second way to write, if the file is in memory.
  private let lane: MemoryFileLane?
  /// The same file through the page cache, for requests that O_DIRECT does not allow; nil without O_DIRECT.
  let cached: FileDescriptor?

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

  init(
    path: String, flags: Int32, mode: UInt32 = 0o644, cache: CacheMode, kind: Kind, locking: Bool
  ) throws(ImageError) {
    guard !path.isEmpty else {
      throw ImageError("The 'file' block driver requires a file name")
    }
    func failure(_ error: ImageError) -> ImageError {
      var failure = error.prefixed("Could not open '\(path)': ")
      failure.errno = error.errno
      return failure
    }
    // O_NONBLOCK keeps a FIFO from blocking the open; it has no effect on files and block devices.
    let descriptor: FileDescriptor
    let status: stat
    do throws(ImageError) {
      descriptor = try FileDescriptor(
        path: path, flags: flags | O_NONBLOCK | (cache.isDirect ? clinux_o_direct() : 0), mode: mode)
      status = try descriptor.status()
    } catch {
      throw failure(
        cache.isDirect && error.errno == EINVAL
          ? ImageError("filesystem does not support O_DIRECT", errno: EINVAL) : error)
    }
    let type = FileType(status)
    let isDevice = type.isDevice
    if isDevice ? kind == .regular : type != .regular {
      throw FileStorage.notRegular(path)
    }
    if !isDevice && kind == .device {
      throw ImageError("'host_device' driver requires '\(path)' to be either a character or block device")
    }

    let isWritable = flags & O_ACCMODE != O_RDONLY
    // The kernel lets root open a read-only device for writing, and fails later.
    if isWritable && type == .blockDevice && clinux_block_is_read_only(descriptor.number) != 0 {
      throw ImageError.system(EACCES).prefixed("The device is not writable: ")
    }

    var length = UInt64(clamping: status.st_size)
    if type == .blockDevice {
      let size = clinux_block_device_size(descriptor.number)
      length = size >= 0 ? UInt64(size) : UInt64(clamping: lseek(descriptor.number, 0, SEEK_END))
    } else if type == .characterDevice {
      length = 0
    } else if length == 0, lseek(descriptor.number, 0, SEEK_END) < 0 {
      // The kernel's own files (/proc) have no length that could be asked for.
      throw ImageError.system(errno).prefixed("Could not refresh total sector count: ")
    }
    var alignment = 1
    if cache.isDirect {
      alignment = type == .blockDevice ? max(512, Int(clinux_logical_block_size(descriptor.number))) : 4096
    }

    self.descriptor = descriptor
    cached = cache.isDirect ? try FileDescriptor(again: descriptor, path: path, flags: flags & O_ACCMODE) : nil
    lane = type == .regular && !cache.isDirect ? MemoryFileLane(descriptor.number) : nil
    name = path
    writable = Atomic(isWritable)
    self.cache = cache
    self.isDevice = isDevice
    isBlockDevice = type == .blockDevice
    requestAlignment = alignment
    identity = FileIdentity(status)
    currentLength = Atomic(length)
    locks = Mutex(FileLocks(descriptor: descriptor.number))
    isLocking = locking
  }

  /// Whether there is anything with this name, also a link that leads nowhere.
  public static func exists(_ path: String) -> Bool {
    var status = stat()
    return unsafe path.withSystemPath { unsafe lstat($0, &status) } == 0
  }

  /// Which file a path leads to, nil when there is none.
  public static func identity(of path: String) -> FileIdentity? {
    statusOfPath(path).map { FileIdentity($0) }
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
    guard let status = try? descriptor.status() else { return nil }
    return UInt64(clamping: status.st_blocks) * 512
  }

  public var growsWithZeros: Bool { !isDevice }

  func failure(_ code: Int32, _ offset: UInt64) -> ImageError { .system(code, path: name, offset: offset) }

  /// The descriptor for a request. O_DIRECT takes whole pages only: a page that it writes is never in the cache as well,
  /// where another thread's part of it would be lost.
  private func descriptor(for address: UInt, _ offset: UInt64, _ count: Int) -> Int32 {
    guard let cached else { return number }
    let isAligned = (UInt64(address) | offset | UInt64(count)) % UInt64(max(requestAlignment, FileStorage.page)) == 0
    return isAligned ? number : cached.number
  }

  /// A page of the kernel's cache in bytes.
  private static let page = 4096

  // MARK: Reading

  public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    var done = 0
    let count = buffer.byteCount
    guard let end = Int64(exactly: offset), end <= Int64.max - Int64(count) else {
      buffer.fill(0..<count)
      return
    }
    let address = unsafe buffer.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    var descriptor = descriptor(for: address, offset, count)
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
        try checkNotCut(at: offset + UInt64(done))
        buffer.fill(done..<count)
        return
      }
      done += result
      // What a short read leaves over need not be aligned.
      if let cached { descriptor = cached.number }
    }
  }

  /// What lay behind the end of a file that somebody has cut since it was opened is lost, and no run of zeros.
  ///
  /// - Throws: `EIO`, when nothing can be read at `position` for that reason.
  func checkNotCut(at position: UInt64) throws(ImageError) {
    let known = length
    guard position < known, !isDevice, let status = try? descriptor.status(), UInt64(clamping: status.st_size) < known
    else { return }
    throw failure(EIO, position)
  }

  public func prefetch(_ range: Range<UInt64>) {
    guard requestAlignment == 1, let start = off_t(exactly: range.lowerBound),
      let count = off_t(exactly: range.upperBound - range.lowerBound)
    else { return }
    posix_fadvise(number, start, count, Int32(POSIX_FADV_WILLNEED))
  }

  public func extent(at offset: UInt64, limit: UInt64) throws(ImageError) -> StorageExtent {
    let end = length
    guard offset < end, let start = off_t(exactly: offset) else {
      return StorageExtent(length: limit, isData: false)
    }
    let data = try dataStart(at: offset, limit: limit)
    if data > offset { return StorageExtent(length: min(data, end) - offset, isData: false) }
    let most = min(limit, end - offset)
    let hole = isDevice ? -1 : lseek(number, start, SEEK_HOLE)
    guard hole > start else { return StorageExtent(length: most, isData: true) }
    return StorageExtent(length: min(most, UInt64(hole - start)), isData: true)
  }

  public func dataStart(at offset: UInt64, limit: UInt64) throws(ImageError) -> UInt64 {
    let last = offset.saturatingAdd(limit)
    guard offset < length, let start = off_t(exactly: offset) else { return last }
    if isDevice { return offset }
    let data = lseek(number, start, SEEK_DATA)
    // ENXIO: nothing but a hole up to the end. Anything else: the file system cannot tell.
    if data < 0 {
      guard errno == ENXIO else { return offset }
      try checkNotCut(at: offset)
      return last
    }
    return min(last, UInt64(data))
  }

  // MARK: Writing

  public func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
    let count = bytes.byteCount
    guard count > 0 else { return }
    guard let start = off_t(exactly: offset), start <= off_t.max - off_t(count) else { throw failure(EFBIG, offset) }
    if let lane, count >= MemoryFileLane.shortest, offset + UInt64(count) <= length {
      if lane.enter() {
        defer { lane.leave() }
        try write(bytes, at: start)
      } else {
        let stored = lane.store(bytes, at: offset, fileLength: length)
        try write(bytes.slice(0..<stored.lowerBound), at: start)
        try write(bytes.slice(stored.upperBound..<count), at: start + off_t(stored.upperBound))
      }
    } else {
      try write(bytes, at: start)
    }
    try wrote()
  }

  private func write(_ bytes: RawSpan, at start: off_t) throws(ImageError) {
    let (offset, count) = (UInt64(start), bytes.byteCount)
    let address = unsafe bytes.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    var descriptor = descriptor(for: address, offset, count)
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
      // What a short write leaves over need not be aligned; the pages are this request's alone.
      if let cached { descriptor = cached.number }
    }
    grow(to: offset + UInt64(count))
  }

  func grow(to end: UInt64) {
    currentLength.max(end, ordering: .relaxed)
  }

  func wrote() throws(ImageError) {
    needsFlush.store(true, ordering: .relaxed)
    if cache.isWriteThrough { try flush() }
  }

  public func zero(_ range: Range<UInt64>, mayUnmap: Bool) throws(ImageError) {
    guard !range.isEmpty else { return }
    guard range.upperBound <= UInt64(Int64.max) else { throw failure(EFBIG, range.lowerBound) }
    let isDone = zeroByKernel(range, mayUnmap: mayUnmap)
    if isDone {
      if mayUnmap && !isDevice && range.upperBound > length {
        // Punching keeps the length; the other two have extended the file, or a device has no other.
        try resize(to: range.upperBound)
      } else {
        grow(to: range.upperBound)
      }
      try wrote()
    } else {
      try writeZeros(range)
    }
  }

  /// Whether the kernel could make `range` (which ends below 2⁶³) zero.
  private func zeroByKernel(_ range: Range<UInt64>, mayUnmap: Bool) -> Bool {
    let start = off_t(range.lowerBound)
    let count = off_t(range.upperBound - range.lowerBound)
    if mayUnmap { return fallocate(number, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, count) == 0 }
    if isBlockDevice {
      return clinux_block_zero(number, range.lowerBound, range.upperBound - range.lowerBound) == 0
    }
    if fallocate(number, FALLOC_FL_ZERO_RANGE, start, count) == 0 { return true }
    // What a file system that lacks this makes of it: a hole, and room for its blocks.
    return fallocate(number, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, count) == 0
      && fallocate(number, 0, start, count) == 0
  }

  public func discard(_ range: Range<UInt64>) throws(ImageError) {
    guard !range.isEmpty, range.upperBound <= UInt64(Int64.max) else { return }
    // Advice only: a file system or device that cannot do it keeps the data.
    if isBlockDevice {
      _ = clinux_block_discard(number, range.lowerBound, range.upperBound - range.lowerBound)
    } else if !isDevice {
      _ = fallocate(
        number, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off_t(range.lowerBound),
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
        number, off_t(range.lowerBound), off_t(range.upperBound - range.lowerBound))
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
    repeat { status = ftruncate(number, size) } while status != 0 && errno == EINTR
    if status != 0 { throw failure(errno, newLength) }
    currentLength.store(newLength, ordering: .relaxed)
    try wrote()
  }

  /// Gives a file in memory the length that it is going to have, so that several threads can fill it at once. Where that
  /// cannot be done, the write that needs the room says so.
  public func lengthen(to newLength: UInt64) {
    if length < newLength, let lane, lane.isInMemory { try? resize(to: newLength) }
  }

  public func flush() throws(ImageError) {
    if cache.ignoresFlush { return }
    // Who comes while another thread flushes waits for that: what it wrote before may be part of it.
    let code = flushing.withLock { _ -> Int32 in
      guard needsFlush.exchange(false, ordering: .relaxed) else { return 0 }
      var status: Int32
      repeat { status = fdatasync(number) } while status != 0 && errno == EINTR
      // A character device such as /dev/null cannot be flushed and needs no flush.
      if status == 0 || (isDevice && errno == EINVAL) { return 0 }
      let code = errno
      // Nothing is known to be durable: the next flush must not pass for one that succeeded.
      needsFlush.store(true, ordering: .relaxed)
      return code
    }
    if code != 0 { throw failure(code, 0) }
  }

  // MARK: Copying within the kernel

  /// What the kernel did about a copy between two files.
  public enum KernelCopy: Sendable {
    /// So many bytes were copied; fewer than asked only at the source's end.
    case copied(UInt64)
    /// The kernel or the file system refuses: copy through memory.
    case refused
  }

  /// File systems share whole blocks of this many bytes, or of a divisor.
  public static let sharedBlock: UInt64 = 4096

  /// Shares the blocks of `source` with this file (FICLONERANGE); offsets and length must be multiples of the file
  /// systems' block size, except for a length that ends at the source's end.
  public func clone(from source: FileStorage, _ range: Range<UInt64>, at offset: UInt64) -> Bool {
    let count = range.upperBound - range.lowerBound
    guard clinux_clone_range(number, offset, source.number, range.lowerBound, count) == 0 else { return false }
    grow(to: offset + count)
    needsFlush.store(true, ordering: .relaxed)
    return true
  }

  /// Whether blocks of `source` can be shared with this file at all. Nothing is changed: it is asked for the bytes behind
  /// the source's end.
  public func canShareBlocks(of source: FileStorage) -> Bool {
    clinux_clone_range(number, 0, source.number, source.length, 0) == 0
  }

  /// Copies with copy_file_range; the file system may share blocks.
  public func copy(from source: FileStorage, _ range: Range<UInt64>, at offset: UInt64) throws(ImageError) -> KernelCopy
  {
    guard range.upperBound <= UInt64(Int64.max), offset <= UInt64(Int64.max) else { return .refused }
    var from = off_t(range.lowerBound)
    var to = off_t(offset)
    let end = off_t(range.upperBound)
    while from < end {
      let result = unsafe copy_file_range(source.number, &from, number, &to, Int(end - from), 0)
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
  public func disableCopyOnWrite() { _ = clinux_set_nocow(number) }

  /// Asks the file system for extents of at least so many bytes (`extent_size_hint`).
  ///
  /// - Throws: the kernel's text.
  public func setExtentSizeHint(_ bytes: UInt32) throws(ImageError) {
    if clinux_set_extent_size_hint(number, bytes) != 0 { throw .system(errno) }
  }
}
