import Bytes

/// Where a run of logical addresses lies on the devices, little-endian (btrfs-image §4.2).
package struct ChunkItem: Sendable, Equatable {
  /// A run of a chunk's bytes on one device.
  package struct Stripe: Sendable, Equatable {
    /// Size in bytes where it is stored.
    package static let size = 32
    /// The device's number in the file system.
    package var device: UInt64
    /// First byte on the device.
    package var offset: UInt64
    /// The device's own number.
    package var deviceUUID: UUID128

    package init(device: UInt64, offset: UInt64, deviceUUID: UUID128) {
      self.device = device
      self.offset = offset
      self.deviceUUID = deviceUUID
    }
  }

  /// Size in bytes without the stripes.
  package static let headSize = 48
  /// Size in bytes with one stripe.
  package static let smallestSize = headSize + Stripe.size
  /// Bytes that lie together on one device in striped profiles.
  package static let stripeLength: UInt64 = 65536

  /// Number of logical bytes.
  package var length: UInt64
  /// The tree that owns it, 2.
  package var owner: UInt64
  /// Bytes of a stripe that lie together.
  package var stripeLength: UInt64
  /// What it holds, and how it is spread.
  package var type: ChunkType
  package var ioAlign: UInt32
  package var ioWidth: UInt32
  package var sectorSize: UInt32
  /// Copies of each stripe in RAID10.
  package var subStripes: UInt16
  /// At least one.
  package var stripes: [Stripe]

  /// Size in bytes of an item with so many stripes.
  package static func size(stripeCount: Int) -> Int { headSize + stripeCount * Stripe.size }

  /// Size in bytes where it is stored.
  package var size: Int { ChunkItem.size(stripeCount: stripes.count) }

  /// The item that all of `bytes` holds. Only its form is checked: see ``validate(logical:sectorSize:isInSystemArray:)``.
  ///
  /// - Throws: the first three texts of §4.2.
  package init(_ bytes: RawSpan, nodeSize: Int) throws(ImageError) {
    guard bytes.byteCount >= ChunkItem.smallestSize else {
      throw ImageError(
        "invalid chunk item size, have \(bytes.byteCount) expect [\(ChunkItem.smallestSize), \(nodeSize))", errno: 5)
    }
    let count = Int(bytes.littleEndian(at: 44, as: UInt16.self))
    guard count > 0 else { throw ImageError("invalid num_stripes, have 0 expect non-zero", errno: 5) }
    guard bytes.byteCount == ChunkItem.size(stripeCount: count) else {
      throw ImageError(
        "invalid chunk item size, have \(bytes.byteCount) expect \(ChunkItem.size(stripeCount: count))", errno: 5)
    }
    length = bytes.littleEndian(at: 0)
    owner = bytes.littleEndian(at: 8)
    stripeLength = bytes.littleEndian(at: 16)
    type = ChunkType(rawValue: bytes.littleEndian(at: 24))
    ioAlign = bytes.littleEndian(at: 32)
    ioWidth = bytes.littleEndian(at: 36)
    sectorSize = bytes.littleEndian(at: 40)
    subStripes = bytes.littleEndian(at: 46)
    stripes = []
    stripes.reserveCapacity(count)
    for index in 0..<count {
      let position = ChunkItem.size(stripeCount: index)
      stripes.append(
        Stripe(
          device: bytes.littleEndian(at: position), offset: bytes.littleEndian(at: position + 8),
          deviceUUID: UUID128(bytes, at: position + 16)))
    }
  }

  /// Stores the item at byte `position`.
  @_lifetime(bytes: copy bytes)
  package func store(in bytes: inout MutableRawSpan, at position: Int) {
    bytes.storeLittleEndian(length, at: position)
    bytes.storeLittleEndian(owner, at: position + 8)
    bytes.storeLittleEndian(stripeLength, at: position + 16)
    bytes.storeLittleEndian(type.rawValue, at: position + 24)
    bytes.storeLittleEndian(ioAlign, at: position + 32)
    bytes.storeLittleEndian(ioWidth, at: position + 36)
    bytes.storeLittleEndian(sectorSize, at: position + 40)
    bytes.storeLittleEndian(UInt16(truncatingIfNeeded: stripes.count), at: position + 44)
    bytes.storeLittleEndian(subStripes, at: position + 46)
    for (index, stripe) in stripes.enumerated() {
      let place = position + ChunkItem.size(stripeCount: index)
      bytes.storeLittleEndian(stripe.device, at: place)
      bytes.storeLittleEndian(stripe.offset, at: place + 8)
      stripe.deviceUUID.store(in: &bytes, at: place + 16)
    }
  }

  /// Checks everything that §4.2 lists, in its order.
  ///
  /// - Throws: the first failing check.
  package func validate(logical: UInt64, sectorSize: UInt32, isInSystemArray: Bool) throws(ImageError) {
    func check(_ isGood: Bool, _ text: @autoclosure () -> String) throws(ImageError) {
      if !isGood { throw ImageError(text(), errno: 5) }
    }
    try check(logical % UInt64(sectorSize) == 0, "invalid chunk logical \(logical)")
    try check(self.sectorSize == sectorSize, "invalid chunk sectorsize \(self.sectorSize)")
    try check(length != 0 && length % UInt64(sectorSize) == 0, "invalid chunk length \(length)")
    try check(!logical.addingReportingOverflow(length).overflow, "invalid chunk length \(length)")
    try check(stripeLength == ChunkItem.stripeLength, "invalid chunk stripe length: \(stripeLength)")
    try check(!isInSystemArray || type.contains(.system), "invalid chunk type \(type.rawValue)")
    let unknown = type.subtracting(.known)
    try check(unknown.isEmpty, "unrecognized chunk type: \(unknown.rawValue)")
    try check(!type.isDisjoint(with: .kinds), "missing chunk type flag: \(type.rawValue)")
    let profileBits = type.intersection(.profiles).rawValue
    try check(profileBits.nonzeroBitCount <= 1, "conflicting chunk type detected: \(type.rawValue)")
    let isPossible =
      switch type.profile {
      case .raid10: subStripes == 2 && stripes.count % 2 == 0
      case .raid1: stripes.count >= 2
      case .raid1c3: stripes.count >= 3
      case .raid1c4: stripes.count >= 4
      case .raid5: stripes.count >= 2
      case .raid6: stripes.count >= 3
      case .dup: stripes.count <= 2
      case .single: stripes.count == 1
      case .raid0: true
      }
    try check(
      isPossible, "Invalid num_stripes:sub_stripes \(stripes.count):\(subStripes) for profile \(profileBits)")
    let stripeBytes = bytesOnDevice
    try check(
      stripes.allSatisfy { !$0.offset.addingReportingOverflow(stripeBytes).overflow },
      "invalid chunk length \(length)")
  }
}

/// What a chunk holds and how it is spread over devices.
package struct ChunkType: OptionSet, Sendable {
  package let rawValue: UInt64

  package init(rawValue: UInt64) { self.rawValue = rawValue }

  package static let data = ChunkType(rawValue: 1 << 0)
  package static let system = ChunkType(rawValue: 1 << 1)
  package static let metadata = ChunkType(rawValue: 1 << 2)
  package static let dup = ChunkType(rawValue: 1 << 5)
  /// What a chunk can hold.
  package static let kinds: ChunkType = [.data, .system, .metadata]
  /// How it can be spread; none of these is one copy on one device.
  package static let profiles = ChunkType(rawValue: 0xFF << 3)
  package static let known: ChunkType = [.kinds, .profiles]

  /// How a chunk is spread.
  package enum Profile: Sendable, Equatable, CaseIterable {
    case single, raid0, raid1, dup, raid10, raid5, raid6, raid1c3, raid1c4
  }

  /// How the chunk is spread, by the lowest bit that says so.
  package var profile: Profile {
    let order: [Profile] = [.raid0, .raid1, .dup, .raid10, .raid5, .raid6, .raid1c3, .raid1c4]
    let bit = intersection(.profiles).rawValue.trailingZeroBitCount - 3
    return order.indices.contains(bit) ? order[bit] : .single
  }
}
