import Bytes
import Storage

/// What one layer says about a run of guest bytes (block status, qemu-img-cli-2 §12).
public struct Extent: Sendable {
  /// Properties of a run.
  public struct Flags: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The bytes are stored by this layer.
    public static let data = Flags(rawValue: 1)
    /// The bytes read as zeros.
    public static let zero = Flags(rawValue: 2)
    /// This layer decides what is read; without it the layer below does.
    public static let allocated = Flags(rawValue: 4)
    /// Stored compressed: data without a host offset.
    public static let compressed = Flags(rawValue: 8)
    /// The storage below may know better whether the data is zero (preallocated clusters).
    public static let recurse = Flags(rawValue: 16)
    /// The run ends at the image's end.
    public static let endOfImage = Flags(rawValue: 32)
  }

  /// Length in bytes; 0 only at or past the end of the image.
  public var length: UInt64
  /// What the run is.
  public var flags: Flags
  /// Byte offset in ``host`` at which the run is stored, if that is known.
  public var hostOffset: UInt64?
  /// The storage that holds the data, if ``hostOffset`` is known.
  public var host: (any Storage)?

  /// A run.
  public init(length: UInt64, flags: Flags, hostOffset: UInt64? = nil, host: (any Storage)? = nil) {
    self.length = length
    self.flags = flags
    self.hostOffset = hostOffset
    self.host = host
  }
}

/// What a whole backing chain says about a run of guest bytes.
public struct ChainExtent: Sendable {
  /// The answer of the layer that decides.
  public var extent: Extent
  /// Number of layers above that one; for bytes that no layer holds, the depth of the lowest layer.
  public var depth: Int
}
