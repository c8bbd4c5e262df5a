import Bytes
import CLinux
import Glibc
import Synchronization

/// A second way into a file on tmpfs, for a thread that would otherwise wait: the kernel lets one thread at a time write to a
/// file, but makes the pages of mappings for several at once. A copy that writes more than it reads is an eighth faster.
///
/// The kernel copies into the mappings as well (process_vm_writev): where the file system is full, or somebody has cut the
/// file short, that is an error and no signal, and the ordinary way then says what is wrong.
@safe
final class MemoryFileLane: Sendable {
  /// Shorter writes, in bytes, are not worth a mapping.
  static let shortest = 128 << 10
  /// Size and alignment of a mapped window in bytes.
  private static let windowSize: UInt64 = 8 << 20
  /// So many windows stay mapped.
  private static let windowLimit = 4

  /// A part of the file that is mapped: where it begins in the file and in memory.
  private struct Window {
    var base: UInt64
    var address: UInt
  }

  private let descriptor: Int32
  private let process = getpid()
  private let isWriting = Atomic<Bool>(false)
  private let isRefused = Atomic<Bool>(false)
  /// Windows that no thread uses at the moment, those that were used last at the end.
  private let windows = Mutex<[Window]>([])

  /// - Parameter descriptor: a file that is open for reading and writing, longer than this object lives.
  /// - Returns: nil unless the file is in memory.
  init?(_ descriptor: Int32) {
    var facts = clinux_file_system()
    guard unsafe clinux_file_system(descriptor, nil, &facts) == 0, facts.type == 0x0102_1994 /* TMPFS_MAGIC */ else {
      return nil
    }
    self.descriptor = descriptor
  }

  deinit {
    let left = windows.withLock { $0 }
    for window in left { MemoryFileLane.unmap(window) }
  }

  /// Claims the ordinary way; false while another thread has it.
  func enter() -> Bool { !isWriting.exchange(true, ordering: .acquiring) }

  /// Gives up the ordinary way.
  func leave() { isWriting.store(false, ordering: .releasing) }

  /// Stores `bytes` at `offset`; the file must be long enough.
  ///
  /// - Returns: false if that was not possible: a part may have been stored.
  func store(_ bytes: RawSpan, at offset: UInt64) -> Bool {
    if isRefused.load(ordering: .relaxed) { return false }
    var done = 0
    while done < bytes.byteCount {
      let position = offset + UInt64(done)
      let base = position.roundedDown(to: MemoryFileLane.windowSize)
      let count = min(bytes.byteCount - done, Int(base + MemoryFileLane.windowSize - position))
      guard let window = take(base), copy(bytes.slice(done..<done + count), to: window, at: Int(position - base)) else {
        isRefused.store(true, ordering: .relaxed)
        return false
      }
      done += count
    }
    return true
  }

  private func copy(_ bytes: RawSpan, to window: Window, at position: Int) -> Bool {
    let copied = unsafe bytes.withUnsafeBytes { source in
      // position + count lies within the window, which stays mapped until it is put back.
      unsafe clinux_copy_to_mapping(
        process, UnsafeMutableRawPointer(bitPattern: window.address + UInt(position)), source.baseAddress, source.count)
    }
    put(window)
    return copied == bytes.byteCount
  }

  /// A window at `base` for one thread.
  private func take(_ base: UInt64) -> Window? {
    let known = windows.withLock { windows -> Window? in
      windows.firstIndex { $0.base == base }.map { windows.remove(at: $0) }
    }
    if let known { return known }
    let address = unsafe mmap(
      nil, Int(MemoryFileLane.windowSize), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, off_t(base))
    guard unsafe address != MAP_FAILED else { return nil }
    return Window(base: base, address: UInt(bitPattern: address))
  }

  /// Keeps a window for later.
  private func put(_ window: Window) {
    let old = windows.withLock { windows -> Window? in
      windows.append(window)
      return windows.count > MemoryFileLane.windowLimit ? windows.removeFirst() : nil
    }
    if let old { MemoryFileLane.unmap(old) }
  }

  private static func unmap(_ window: Window) {
    _ = unsafe munmap(UnsafeMutableRawPointer(bitPattern: window.address), Int(windowSize))
  }
}
