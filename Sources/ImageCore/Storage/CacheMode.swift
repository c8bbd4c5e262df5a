/// How writes reach the medium: the values of `-t` and `-T` (qemu-img-cli-1 §4.10, qemu-img-cli-2 §11.1).
public struct CacheMode: Sendable, Equatable {
  /// Bypass the page cache (O_DIRECT).
  public var isDirect: Bool
  /// Make every write durable before it is answered.
  public var isWriteThrough: Bool
  /// Ignore flush requests.
  public var ignoresFlush: Bool

  /// The mode with this name (`none`, `off`, `writeback`, `unsafe`, `directsync`, `writethrough`), or nil.
  public init?(_ name: String) {
    switch name {
    case "none", "off": self = .none
    case "writeback": self = .writeback
    case "unsafe": self = .unsafe
    case "directsync": self = .init(isDirect: true, isWriteThrough: true, ignoresFlush: false)
    case "writethrough": self = .init(isDirect: false, isWriteThrough: true, ignoresFlush: false)
    default: return nil
    }
  }

  init(isDirect: Bool, isWriteThrough: Bool, ignoresFlush: Bool) {
    self.isDirect = isDirect
    self.isWriteThrough = isWriteThrough
    self.ignoresFlush = ignoresFlush
  }

  /// Page cache, durable when flushed: the default.
  public static let writeback = CacheMode(isDirect: false, isWriteThrough: false, ignoresFlush: false)
  /// O_DIRECT, durable when flushed.
  public static let none = CacheMode(isDirect: true, isWriteThrough: false, ignoresFlush: false)
  /// Page cache, never flushed: for targets that are thrown away on failure.
  public static let `unsafe` = CacheMode(isDirect: false, isWriteThrough: false, ignoresFlush: true)
}
