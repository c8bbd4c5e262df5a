import Bytes

/// What a file system knows of one of its devices: 98 bytes, little-endian (btrfs-image §4.1).
package struct DeviceItem: Sendable, Equatable {
  /// Size in bytes.
  package static let size = 98

  /// The device's number in the file system.
  package var id: UInt64
  /// Size of the device in bytes.
  package var totalBytes: UInt64
  /// Bytes that chunks take of it.
  package var bytesUsed: UInt64
  package var ioAlign: UInt32
  package var ioWidth: UInt32
  package var sectorSize: UInt32
  package var type: UInt64
  package var generation: UInt64
  package var startOffset: UInt64
  package var group: UInt32
  package var seekSpeed: UInt8
  package var bandwidth: UInt8
  /// The device's own number.
  package var uuid: UUID128
  /// The number of the file system that it belongs to: metadata_uuid where that feature is on.
  package var fsid: UUID128

  /// The item stored at byte `position`.
  package init(_ bytes: RawSpan, at position: Int) {
    id = bytes.littleEndian(at: position)
    totalBytes = bytes.littleEndian(at: position + 8)
    bytesUsed = bytes.littleEndian(at: position + 16)
    ioAlign = bytes.littleEndian(at: position + 24)
    ioWidth = bytes.littleEndian(at: position + 28)
    sectorSize = bytes.littleEndian(at: position + 32)
    type = bytes.littleEndian(at: position + 36)
    generation = bytes.littleEndian(at: position + 44)
    startOffset = bytes.littleEndian(at: position + 52)
    group = bytes.littleEndian(at: position + 60)
    seekSpeed = bytes[position + 64]
    bandwidth = bytes[position + 65]
    uuid = UUID128(bytes, at: position + 66)
    fsid = UUID128(bytes, at: position + 82)
  }

  /// Stores the item at byte `position`.
  @_lifetime(bytes: copy bytes)
  package func store(in bytes: inout MutableRawSpan, at position: Int) {
    bytes.storeLittleEndian(id, at: position)
    bytes.storeLittleEndian(totalBytes, at: position + 8)
    bytes.storeLittleEndian(bytesUsed, at: position + 16)
    bytes.storeLittleEndian(ioAlign, at: position + 24)
    bytes.storeLittleEndian(ioWidth, at: position + 28)
    bytes.storeLittleEndian(sectorSize, at: position + 32)
    bytes.storeLittleEndian(type, at: position + 36)
    bytes.storeLittleEndian(generation, at: position + 44)
    bytes.storeLittleEndian(startOffset, at: position + 52)
    bytes.storeLittleEndian(group, at: position + 60)
    bytes.storeLittleEndian(seekSpeed, at: position + 64)
    bytes.storeLittleEndian(bandwidth, at: position + 65)
    uuid.store(in: &bytes, at: position + 66)
    fsid.store(in: &bytes, at: position + 82)
  }
}
