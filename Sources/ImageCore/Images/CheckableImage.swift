import Bytes

/// An image whose consistency can be checked.
public protocol CheckableImage: DiskImage {
  /// Checks, and repairs what `repair` allows.
  ///
  /// - Parameter message: called with each finding, a line without newline (stderr).
  /// - Throws: when the check could not be completed.
  func check(repair: RepairMode, message: (String) -> Void) throws(ImageError) -> CheckResult
}

/// What `check` may change.
public enum RepairMode: Sendable {
  /// Nothing.
  case none
  /// Space that nothing refers to is given back.
  case leaks
  /// Everything that can be repaired is.
  case all
}

/// What a check found.
public struct CheckResult: Sendable {
  /// Errors that kept something from being checked.
  public var checkErrors = 0
  /// Faults that were found and not repaired.
  public var corruptions = 0
  /// Clusters that nothing refers to, not repaired.
  public var leaks = 0
  /// Faults that were repaired.
  public var corruptionsFixed = 0
  /// Leaked clusters that were given back.
  public var leaksFixed = 0
  /// End of the last used cluster in bytes, nil when the format does not tell.
  public var imageEndOffset: UInt64?
  /// Clusters of the virtual disk, of those the allocated ones, of these the fragmented and the compressed ones.
  public var totalClusters: UInt64 = 0
  public var allocatedClusters: UInt64 = 0
  public var fragmentedClusters: UInt64 = 0
  public var compressedClusters: UInt64 = 0

  /// A check that has found nothing yet.
  public init() {}
}
