import Bytes
import ImageCore
import Storage

/// A small qcow2 image made word by word: cluster size 4 KiB, disk of 2 MiB, header, refcount table, refcount block, L1
/// and L2 table in clusters 0 to 4, and data from cluster 5 on.
struct Qcow2ImageBytes {
  static let clusterSize = 4096
  static let diskSize: UInt64 = 2 << 20
  static let refcountTable = 1 * clusterSize
  static let refcountBlock = 2 * clusterSize
  static let l1 = 3 * clusterSize
  static let l2 = 4 * clusterSize

  private(set) var bytes: [UInt8]

  /// An image whose first guest clusters are stored in cluster 5 and so on, filled with 0x11, 0x12, …
  init(dataClusters: Int = 3) {
    bytes = Array(repeating: 0, count: (5 + dataClusters) * Self.clusterSize)
    put(UInt32(0x5146_49FB), at: 0)
    put(UInt32(3), at: 4)
    put(UInt32(12), at: 20)
    put(Self.diskSize, at: 24)
    put(UInt32(1), at: 36)
    put(UInt64(Self.l1), at: 40)
    put(UInt64(Self.refcountTable), at: 48)
    put(UInt32(1), at: 56)
    put(UInt32(4), at: 96)
    put(UInt32(112), at: 100)
    put(UInt64(Self.refcountBlock), at: Self.refcountTable)
    put(UInt64(1) << 63 | UInt64(Self.l2), at: Self.l1)
    for cluster in 0..<5 + dataClusters { put(UInt16(1), at: Self.refcountBlock + cluster * 2) }
    for index in 0..<dataClusters {
      let offset = (5 + index) * Self.clusterSize
      put(UInt64(1) << 63 | UInt64(offset), at: Self.l2 + index * 8)
      for position in 0..<Self.clusterSize { bytes[offset + position] = UInt8(0x11 + index) }
    }
  }

  /// Stores a big-endian number.
  mutating func put<Number: FixedWidthInteger>(_ number: Number, at offset: Int) {
    let size = Number.bitWidth / 8
    for index in 0..<size {
      bytes[offset + index] = UInt8(truncatingIfNeeded: number >> Number((size - 1 - index) * 8))
    }
  }

  /// Cuts the file.
  mutating func truncate(to length: Int) { bytes.removeLast(bytes.count - length) }

  /// The image, opened.
  func open(use: ImageUse = .read, isCheck: Bool = false, notify: @escaping @Sendable (Notice) -> Void = { _ in })
    throws(ImageError) -> Qcow2Image
  {
    try Self.open(MemoryStorage(bytes), use: use, isCheck: isCheck, notify: notify)
  }

  static func open(
    _ storage: MemoryStorage, use: ImageUse = .read, isCheck: Bool = false,
    notify: @escaping @Sendable (Notice) -> Void = { _ in }
  ) throws(ImageError) -> Qcow2Image {
    var context = OpenContext(
      filename: "memory", use: use,
      openDependent: { (_) throws(ImageError) in throw ImageError("no other files here") }, notify: notify)
    context.isCheck = isCheck
    return try Qcow2Image(storage, context)
  }
}

extension DiskImage {
  /// `count` bytes at `offset`.
  func bytes(at offset: UInt64, count: Int) throws(ImageError) -> [UInt8] {
    var buffer = Buffer(count)
    var target = buffer.mutableBytes
    try read(into: &target, at: offset)
    return buffer.bytes.array(0..<count)
  }
}
