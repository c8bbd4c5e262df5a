import Bytes
import Storage

/// A device of a file system, opened for reading.
package struct BtrfsDevice: Sendable {
  /// What holds it.
  package let storage: any Storage
  /// The superblock at its first place.
  package let superblock: BtrfsSuperblock

  package init(_ storage: any Storage, _ superblock: BtrfsSuperblock) {
    self.storage = storage
    self.superblock = superblock
  }

  /// What the file system knows of it.
  package var item: DeviceItem { superblock.device }
}

/// A file system on one or more devices: reads what logical addresses stand for. Safe to use from many threads.
package struct BtrfsVolume: Sendable {
  /// The superblock of the device that was named, or of one that was written to when that was away.
  package let superblock: BtrfsSuperblock
  /// How blocks are checksummed.
  package let algorithm: ChecksumAlgorithm
  /// Size of a tree block in bytes.
  package let nodeSize: Int
  /// The devices that are there, by their number in the file system.
  package internal(set) var devices: [UInt64: BtrfsDevice]
  /// Where logical addresses lie.
  package internal(set) var chunks = ChunkMap()
  /// The numbers that tree blocks may carry: the file system's own, and those of its seeds.
  package internal(set) var fileSystemIDs: Set<UUID128>
  /// Whether some of the chunk tree could not be used: there may be addresses that nothing is known of.
  package internal(set) var isDamaged = false

  /// A file system of which nothing is known but its superblock, which has been validated.
  init(_ device: BtrfsDevice) throws(ImageError) {
    superblock = device.superblock
    algorithm = try superblock.checksumAlgorithm()
    nodeSize = Int(superblock.nodeSize)
    devices = [device.item.id: device]
    fileSystemIDs = [superblock.metadataUUID]
  }

  /// Copies that the format's profiles have at most.
  private static let copyLimit = 4
  /// Ways to read a byte of RAID6 that are tried at most.
  private static let rebuildLimit = 18

  /// How many ways there are to read a byte; 0 where no chunk holds it. More than the format counts with RAID6, where two
  /// elements of a row may be bad; and no more than there can be, whatever a chunk says.
  func mirrorCount(at address: UInt64) -> Int {
    guard let chunk = chunks.chunk(containing: address) else { return 0 }
    if chunk.item.type.profile == .raid6 { return min(chunk.item.dataStripeCount + 2, BtrfsVolume.rebuildLimit) }
    return min(chunk.item.mirrorCount, BtrfsVolume.copyLimit)
  }

  /// The ways to read what lies at an address, those last whose device has missed writes: what has no checksum cannot
  /// tell.
  package func mirrors(at address: UInt64) -> [Int] {
    guard let chunk = chunks.chunk(containing: address) else { return [] }
    let isParity = chunk.item.type.profile == .raid5 || chunk.item.type.profile == .raid6
    func isStale(_ mirror: Int) -> Bool {
      if isParity && mirror > 1 { return false }
      let piece = chunk.piece(at: address, mirror: mirror)
      guard let device = devices[piece.device], device.superblock.fsid == superblock.fsid else { return false }
      return device.superblock.generation < superblock.generation
    }
    let all = 1...max(mirrorCount(at: address), 1)
    return all.filter { !isStale($0) } + all.filter(isStale)
  }

  /// Fills `bytes` with what lies at a logical address, from one of the copies.
  ///
  /// - Parameter mirror: 1 up to ``mirrorCount(at:)``; what lies in a chunk with fewer is read from its last one.
  /// - Throws: that no chunk holds it, that the device is missing, ends before, or cannot be read.
  package func read(
    into bytes: inout MutableRawSpan, at address: UInt64, mirror: Int
  ) throws(ImageError) {
    var done = 0
    while done < bytes.byteCount {
      let position = address.saturatingAdd(UInt64(done))
      guard let chunk = chunks.chunk(containing: position) else {
        throw ImageError("Couldn't map the block \(address)", errno: 5)
      }
      let isParity = chunk.item.type.profile == .raid5 || chunk.item.type.profile == .raid6
      let piece = chunk.piece(at: position, mirror: isParity ? 1 : min(mirror, chunk.item.mirrorCount))
      let count = Int(min(piece.length, UInt64(bytes.byteCount - done)))
      var part = bytes.slice(done..<done + count)
      if isParity && mirror > 1 {
        try rebuild(piece, of: chunk, at: position, mirror: mirror, into: &part)
      } else {
        try read(into: &part, of: chunk.item.stripes[piece.stripe], at: piece.offset)
      }
      done += count
    }
  }

  private func rebuild(
    _ piece: StripePiece, of chunk: Chunk, at address: UInt64, mirror: Int, into bytes: inout MutableRawSpan
  ) throws(ImageError) {
    guard let row = chunk.parityRow(at: address), let index = row.data.firstIndex(of: piece.stripe) else {
      throw .system(5)
    }
    let ways = RebuildWay.ways(row, index: index)
    let within = (address - chunk.logical) % chunk.item.stripeLength
    try Btrfs.rebuild(index, of: row, by: ways[min(mirror - 2, ways.count - 1)], into: &bytes) {
      (stripe, part) throws(ImageError) in
      let place = chunk.item.stripes[stripe]
      try read(into: &part, of: place, at: place.offset.saturatingAdd(row.offset + within))
    }
  }

  /// The device that a stripe lies on; nil where it is missing. A device of another file system may have the same number;
  /// the only one of a file system is meant whatever UUID is damaged.
  func device(of stripe: ChunkItem.Stripe) -> BtrfsDevice? {
    guard let device = devices[stripe.device] else { return nil }
    return device.item.uuid == stripe.deviceUUID || superblock.deviceCount == 1 ? device : nil
  }

  /// Fills `bytes` from a device at an offset of it.
  private func read(
    into bytes: inout MutableRawSpan, of stripe: ChunkItem.Stripe, at offset: UInt64
  ) throws(ImageError) {
    guard let device = device(of: stripe) else {
      throw ImageError("device \(stripe.device) is missing", errno: 6 /* ENXIO */)
    }
    guard offset.saturatingAdd(UInt64(bytes.byteCount)) <= device.storage.length else { throw .system(5) }
    try device.storage.read(into: &bytes, at: offset)
  }

  /// Whether all bytes of a run lie in chunks whose stripes lie within their devices, as far as these are there.
  package func isMapped(_ range: Range<UInt64>) -> Bool {
    var position = range.lowerBound
    while position < range.upperBound {
      guard let chunk = chunks.chunk(containing: position) else { return false }
      let end = min(chunk.end, range.upperBound)
      for address in [position, end - 1] {
        let piece = chunk.piece(at: address, mirror: 1)
        if let device = devices[piece.device], piece.offset >= device.storage.length { return false }
      }
      position = end
    }
    return true
  }

  /// Tells the devices that runs of logical addresses are going to be read: those that lie near each other on a device
  /// become one request, in the order of the device.
  ///
  /// - Parameter ranges: within chunks; what is not is left out.
  package func prefetch(_ ranges: some Sequence<Range<UInt64>>) {
    var places: [(device: UInt64, range: Range<UInt64>)] = []
    for range in ranges {
      var position = range.lowerBound
      while position < range.upperBound, let chunk = chunks.chunk(containing: position) {
        let piece = chunk.piece(at: position, mirror: 1)
        let count = min(piece.length, range.upperBound - position)
        places.append((piece.device, piece.offset..<piece.offset.saturatingAdd(count)))
        position += count
      }
    }
    places.sort { ($0.device, $0.range.lowerBound) < ($1.device, $1.range.lowerBound) }
    var index = 0
    while index < places.count {
      let device = places[index].device
      var run = places[index].range
      index += 1
      while index < places.count, places[index].device == device,
        places[index].range.lowerBound <= run.upperBound.saturatingAdd(BtrfsVolume.largestGap),
        places[index].range.upperBound - run.lowerBound <= BtrfsVolume.largestRequest
      {
        run = run.lowerBound..<max(run.upperBound, places[index].range.upperBound)
        index += 1
      }
      devices[device]?.storage.prefetch(run)
    }
  }

  /// Reading on takes less time than beginning anew, in bytes.
  private static let largestGap: UInt64 = 64 << 10
  /// What one request asks for at most, in bytes.
  private static let largestRequest: UInt64 = 4 << 20
}
