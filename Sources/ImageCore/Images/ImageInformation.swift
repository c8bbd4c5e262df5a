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
public indirect enum InfoValue: Sendable, Equatable {
  case string(String)
  case integer(Int64)
  case unsigned(UInt64)
  case boolean(Bool)
  case array([InfoValue])
  case object([(key: String, value: InfoValue)])

  public static func == (left: InfoValue, right: InfoValue) -> Bool {
    switch (left, right) {
    case (.string(let a), .string(let b)): a == b
    case (.integer(let a), .integer(let b)): a == b
    case (.unsigned(let a), .unsigned(let b)): a == b
    case (.boolean(let a), .boolean(let b)): a == b
    case (.array(let a), .array(let b)): a == b
    case (.object(let a), .object(let b)): a.elementsEqual(b) { $0.key == $1.key && $0.value == $1.value }
    default: false
    }
  }
}
