import Btrfs
import Bytes

/// Where the chunks of a file system go when it is restored to one device (btrfs-image §14.3).
package struct ChunkPlan: Sendable {
  /// The chunks as the restored file system has them.
  package private(set) var chunks = ChunkMap()
  /// Whether several devices become one: chunks get another form, and trees must be changed.
  package let isSqueezed: Bool
  /// End of the last chunk on the device in bytes, of a squeezed file system.
  package private(set) var end: UInt64 = 0
  /// Whether the version 1 space cache is of no use any more.
  package private(set) var clearsSpaceCache = false
  /// Whether a chunk that held a copy of the superblock is somewhere else now.
  package private(set) var movesMirror = false

  /// Bytes around a copy of the superblock that no chunk may use for anything else.
  private static let mirrorSize: UInt64 = 65536

  /// - Throws: that the chunks do not fit the address space.
  package init(_ scan: MetadumpScan) throws(ImageError) {
    isSqueezed = scan.superblock.deviceCount != 1
    guard isSqueezed else {
      chunks = scan.chunks
      return
    }
    let device = scan.superblock.device
    var taken: [Range<UInt64>] = []
    var moved: [Chunk] = []
    for chunk in scan.chunks.chunks {
      let start = chunk.item.stripes[0].offset
      let (end, overflow) = start.addingReportingOverflow(chunk.item.length)
      guard !overflow else { throw ImageError("chunk \(chunk.logical) does not fit a device", errno: 5) }
      // What was spread over devices begins to cover copies of the superblock that it kept clear of.
      let coversMirror = ChunkPlan.mirrors(in: start..<end) && chunk.item.dataStripeCount > 1
      if !coversMirror, !ChunkPlan.insert(start..<end, into: &taken) {
        moved.append(chunk)
      } else if coversMirror {
        moved.append(chunk)
      } else {
        try insert(chunk, at: start, device)
      }
      if chunk.item.dataStripeCount > 1 { clearsSpaceCache = true }
    }
    end = taken.last?.upperBound ?? 0
    for chunk in moved.reversed() {
      let old = chunk.item.stripes[0].offset
      if ChunkPlan.mirrors(in: old..<old + chunk.item.length) { movesMirror = true }
      clearsSpaceCache = true
      var start = max(end, 1 << 20)
      for mirror in BtrfsSuperblock.offsets {
        let mirrorEnd = mirror + ChunkPlan.mirrorSize
        if start < mirrorEnd, mirror < start.saturatingAdd(chunk.item.length) { start = mirrorEnd }
      }
      guard !start.addingReportingOverflow(chunk.item.length).overflow else {
        throw ImageError("chunk \(chunk.logical) does not fit a device", errno: 5)
      }
      try insert(chunk, at: start, device)
      end = start + chunk.item.length
    }
  }

  /// Adds a chunk as it is on one device.
  private mutating func insert(_ chunk: Chunk, at offset: UInt64, _ device: DeviceItem) throws(ImageError) {
    var item = chunk.item
    item.type.formIntersection(.kinds)
    item.subStripes = 0
    item.stripes = [ChunkItem.Stripe(device: device.id, offset: offset, deviceUUID: device.uuid)]
    try chunks.insert(Chunk(logical: chunk.logical, item: item))
  }

  /// Adds a range to others that are sorted; false when it overlaps one.
  private static func insert(_ range: Range<UInt64>, into ranges: inout [Range<UInt64>]) -> Bool {
    var low = 0
    var high = ranges.count
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound <= range.lowerBound { low = middle + 1 } else { high = middle }
    }
    if low < ranges.count, ranges[low].lowerBound < range.upperBound { return false }
    ranges.insert(range, at: low)
    return true
  }

  private static func mirrors(in range: Range<UInt64>) -> Bool {
    BtrfsSuperblock.offsets.contains { $0 < range.upperBound && range.lowerBound < $0 + mirrorSize }
  }

  /// The superblock of the restored file system, its address and checksum aside (btrfs-image §14.4).
  package func superblock(_ dumped: BtrfsSuperblock, version: MetadumpVersion) throws(ImageError) -> BtrfsSuperblock {
    var superblock = dumped
    if version == .metadata { superblock.flags |= SuperblockFlag.metadumpV2 }
    guard isSqueezed else { return superblock }
    superblock.deviceCount = 1
    superblock.totalBytes = end
    superblock.device = device(dumped.device)
    if clearsSpaceCache { superblock.cacheGeneration = 0 }
    let array = BtrfsSuperblock.systemChunkArray(of: chunks.chunks.filter { $0.item.type.contains(.system) })
    guard array.count <= BtrfsSuperblock.systemChunkCapacity else {
      throw ImageError("system chunk array too big \(array.count) > \(BtrfsSuperblock.systemChunkCapacity)", errno: 5)
    }
    superblock.systemChunkArray = array
    return superblock
  }

  /// The only device, as it is after the restore.
  package func device(_ dumped: DeviceItem) -> DeviceItem {
    var device = dumped
    device.totalBytes = end
    device.bytesUsed = chunks.chunks.reduce(0) { $0 + $1.item.length }
    return device
  }
}
