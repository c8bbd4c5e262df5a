import CLinux
import Glibc

/// Page-aligned memory with one owner, for I/O (O_DIRECT wants the alignment) and for tables that are changed in place.
///
/// The memory starts as zeros. It is lent out as ``bytes`` and ``mutableBytes``; both are bounds-checked, and the
/// compiler keeps them from outliving the buffer.
@safe
public struct Buffer: ~Copyable, @unchecked Sendable {
  // Owned: allocated in init, freed in deinit, never handed out except as a span whose lifetime is tied to `self`.
  @usableFromInline let memory: UnsafeMutableRawPointer
  /// Size in bytes.
  public let count: Int

  /// The alignment of every buffer in bytes.
  public static let alignment = 4096

  /// `count` zero bytes, aligned to a page. `count` must come from the program, not unchecked from an image:
  /// without memory the process ends, with a line and status 1.
  public init(_ count: Int) {
    var raw: UnsafeMutableRawPointer?
    let size = max(count, 1)
    let status = unsafe posix_memalign(&raw, Buffer.alignment, size)
    guard status == 0, let memory = unsafe raw else {
      // No memory for a bounded buffer: nothing sensible can follow. A trap would not say why.
      clinux_end_without_memory()
    }
    unsafe memset(memory, 0, size)
    unsafe self.memory = memory
    self.count = count
  }

  deinit { unsafe free(memory) }

  /// The contents, to read.
  @inlinable public var bytes: RawSpan {
    @_lifetime(borrow self) get {
      // `memory` holds `count` initialised bytes as long as self lives.
      unsafe _overrideLifetime(RawSpan(_unsafeStart: memory, byteCount: count), borrowing: self)
    }
  }

  /// The contents, to write.
  @inlinable public var mutableBytes: MutableRawSpan {
    @_lifetime(&self) mutating get {
      // As above; `mutating` makes the access exclusive.
      unsafe _overrideLifetime(MutableRawSpan(_unsafeStart: memory, byteCount: count), mutating: &self)
    }
  }
}
