import Bytes

/// What `info` tells about one image (qemu-img-cli-1 §8).
public struct ImageInformation: Sendable {
  /// Whether the image was not closed properly; nil when the format's driver supplies no such information.
  public var isDirty: Bool?
  /// Whether the contents are encrypted.
  public var isEncrypted = false
  /// Internal snapshots.
  public var snapshots: [Snapshot] = []
  /// Members of "Format specific information", nil when there are none.
  public var formatSpecific: InfoValue?
  /// The type that JSON names beside ``formatSpecific``.
  public var formatSpecificType = ""

  /// Nothing known.
  public init() {}
}

/// A value of the format-specific information: members in no particular order (the printer has its own).
public typealias InfoValue = DataTree
