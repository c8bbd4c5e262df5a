import Bytes
import CLinux
import Glibc
import Synchronization

/// A second way into a file on tmpfs, for a thread that would otherwise wait: the kernel lets one thread at a time write to a
/// file, but fills missing pages of a mapping of it for several at once (userfaultfd). Whole pages that the file does not
/// have yet can go this way; a copy that writes as much as it reads takes an eighth less time.
///
/// The kernel does the copying: where the file system is full, or somebody has cut the file short, that is no signal but a
/// page that could not be filled, and the ordinary way then says what is wrong.
@safe
final class MemoryFileLane: Sendable {
  /// Shorter writes, in bytes, are not worth it.
  static let shortest = 128 << 10
  /// So many bytes may count as this process's memory, which the file keeps anyway.
  private static let residentLimit = 16 << 20
  private static let pageSize = UInt64(getpagesize())

  /// The file in the address space, never touched but by the kernel when it fills pages.
  private struct Mapping {
    var address: UInt
    var length: UInt64
    /// What fills its pages.
    var filler: FileDescriptor
  }

  private enum State {
    case untried
    case open(Mapping)
    case refused
  }

  private let descriptor: Int32
  private let isWriting = Atomic<Bool>(false)
  private let state = Mutex(State.untried)
  /// How many bytes have been filled since the process gave up the last ones.
  private let resident = Atomic<Int>(0)

  /// - Parameter descriptor: a regular file that is open longer than this object lives.
  init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit {
    guard case .open(let mapping) = state.withLock({ $0 }) else { return }
    _ = unsafe munmap(UnsafeMutableRawPointer(bitPattern: mapping.address), Int(mapping.length))
  }

  /// Whether the file is in memory, where alone this is a way.
  var isInMemory: Bool {
    var facts = clinux_file_system()
    return unsafe clinux_file_system(descriptor, nil, &facts) == 0 && facts.type == 0x0102_1994 /* TMPFS_MAGIC */
  }

  /// Claims the ordinary way; false while another thread has it.
  func enter() -> Bool { !isWriting.exchange(true, ordering: .acquiring) }

  /// Gives up the ordinary way.
  func leave() { isWriting.store(false, ordering: .releasing) }

  /// Stores what it can of `bytes` at `offset`: whole pages, up to the first one that the file has already.
  ///
  /// - Parameter length: the file's length in bytes.
  /// - Returns: which of the bytes are stored now.
  func store(_ bytes: RawSpan, at offset: UInt64, fileLength length: UInt64) -> Range<Int> {
    let end = offset + UInt64(bytes.byteCount)
    let last = end.roundedDown(to: MemoryFileLane.pageSize)
    guard let first = offset.roundedUp(to: MemoryFileLane.pageSize), first < last, let mapping = mapping(length),
      last <= mapping.length
    else { return 0..<0 }
    let start = Int(first - offset)
    let done = unsafe bytes.slice(start..<Int(last - offset)).withUnsafeBytes { source in
      // first + count lies within the mapping, which stays as long as this object.
      unsafe clinux_fill_pages(
        mapping.filler.number, UnsafeMutableRawPointer(bitPattern: mapping.address + UInt(first)), source.baseAddress,
        source.count)
    }
    if resident.add(done, ordering: .relaxed).newValue > MemoryFileLane.residentLimit {
      resident.store(0, ordering: .relaxed)
      _ = unsafe madvise(UnsafeMutableRawPointer(bitPattern: mapping.address), Int(mapping.length), MADV_DONTNEED)
    }
    return start..<start + done
  }

  /// The mapping, made at the first call for a file of `length` bytes; nil where the file is not in memory, or
  /// the kernel does not do it.
  private func mapping(_ length: UInt64) -> Mapping? {
    state.withLock { state in
      if case .untried = state {
        let whole = length.roundedDown(to: MemoryFileLane.pageSize)
        let mapping = isInMemory ? MemoryFileLane.map(descriptor, whole) : nil
        state = mapping.map(State.open) ?? .refused
      }
      guard case .open(let mapping) = state else { return nil }
      return mapping
    }
  }

  private static func map(_ descriptor: Int32, _ length: UInt64) -> Mapping? {
    guard let count = Int(exactly: length), count > 0 else { return nil }
    let address = unsafe mmap(nil, count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    guard unsafe address != MAP_FAILED else { return nil }
    let filler = unsafe clinux_page_filler(address, count)
    guard filler >= 0 else {
      _ = unsafe munmap(address, count)
      return nil
    }
    return Mapping(address: UInt(bitPattern: address), length: length, filler: FileDescriptor(owning: filler))
  }
}
