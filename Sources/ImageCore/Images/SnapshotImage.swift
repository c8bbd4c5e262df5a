import Bytes

/// An image that holds internal snapshots.
public protocol SnapshotImage: DiskImage {
  /// The recorded snapshots, in the order of the table.
  var snapshots: [Snapshot] { get }
  /// The disk as it was at snapshot number `index` of ``snapshots``, at its recorded size.
  func openSnapshot(_ index: Int) throws(ImageError) -> any DiskImage
}

/// One internal snapshot.
public struct Snapshot: Sendable {
  /// Identifier, as text.
  public var id: String
  /// Name.
  public var name: String
  /// Size of the saved machine state in bytes.
  public var vmStateSize: UInt64
  /// Time of creation: seconds since 1970 and nanoseconds.
  public var seconds: UInt32
  public var nanoseconds: UInt32
  /// Guest clock in nanoseconds.
  public var vmClock: UInt64
  /// Executed instructions, nil when not recorded.
  public var instructionCount: UInt64?
  /// Size of the virtual disk in bytes.
  public var diskSize: UInt64

  /// A snapshot's record.
  public init(
    id: String, name: String, vmStateSize: UInt64, seconds: UInt32, nanoseconds: UInt32, vmClock: UInt64,
    instructionCount: UInt64?, diskSize: UInt64
  ) {
    self.id = id
    self.name = name
    self.vmStateSize = vmStateSize
    self.seconds = seconds
    self.nanoseconds = nanoseconds
    self.vmClock = vmClock
    self.instructionCount = instructionCount
    self.diskSize = diskSize
  }
}

/// An image in which internal snapshots can be made, gone back to, and deleted. Each operation takes effect at one instant:
/// when it is interrupted, the image is what it was before or what it is afterwards.
public protocol WritableSnapshotImage: SnapshotImage, WritableDiskImage {
  /// Records the disk as it is. Names need not be unique; of a long one the first 255 bytes are kept.
  ///
  /// - Parameters:
  ///   - seconds: the time of creation, since 1970.
  ///   - nanoseconds: the rest of it.
  func createSnapshot(_ name: String, seconds: UInt32, nanoseconds: UInt32) throws(ImageError)
  /// Makes the disk what it was at the snapshot with the identifier `name` or, if there is none, the one with that name.
  func applySnapshot(_ name: String) throws(ImageError)
  /// Deletes snapshot number `index` of ``SnapshotImage/snapshots``.
  func deleteSnapshot(_ index: Int) throws(ImageError)
}
