import Bytes

/// A run of logical addresses and where it lies.
package struct Chunk: Sendable, Equatable {
  /// First logical address.
  package var logical: UInt64
  /// Where it lies.
  package var item: ChunkItem

  package init(logical: UInt64, item: ChunkItem) {
    self.logical = logical
    self.item = item
  }

  /// The logical address behind the last one; saturated for a chunk that has not been validated.
  package var end: UInt64 { logical.saturatingAdd(item.length) }
}

/// A run of bytes of one stripe of a chunk.
package struct StripePiece: Sendable, Equatable {
  /// Which of the chunk's stripes.
  package var stripe: Int
  /// The device's number in the file system.
  package var device: UInt64
  /// First byte on the device.
  package var offset: UInt64
  /// How many bytes lie together there.
  package var length: UInt64
}

/// A row of RAID5 or RAID6: what must be known to rebuild a piece from the others (btrfs-image §4.4).
package struct ParityRow: Sendable, Equatable {
  /// Which stripe of the chunk holds each data element of the row, in order.
  package var data: [Int]
  /// Which stripe holds P: the exclusive or of the data.
  package var p: Int
  /// Which stripe holds Q: the sum of 2^i times element i, in GF(2^8) modulo 0x11D; nil in RAID5.
  package var q: Int?
  /// First byte of the row within each stripe.
  package var offset: UInt64
  /// First logical address of the row's data.
  package var logical: UInt64
}

extension ChunkItem {
  /// Stripes that hold data in a row of RAID5 or RAID6, or without copies in the other profiles.
  package var dataStripeCount: Int {
    switch type.profile {
    case .single, .dup, .raid1, .raid1c3, .raid1c4: 1
    case .raid0: stripes.count
    case .raid10: max(1, stripes.count / max(1, Int(subStripes)))
    case .raid5: max(1, stripes.count - 1)
    case .raid6: max(1, stripes.count - 2)
    }
  }

  /// Bytes that the chunk takes of each of its stripes' devices.
  package var bytesOnDevice: UInt64 { length / UInt64(dataStripeCount) }

  /// How many ways there are to read a byte: copies, and with RAID5 and RAID6 the ways to rebuild it.
  package var mirrorCount: Int {
    switch type.profile {
    case .single, .raid0: 1
    case .dup, .raid1, .raid1c3, .raid1c4: stripes.count
    case .raid10: Int(subStripes)
    case .raid5: 2
    case .raid6: 3
    }
  }
}

extension Chunk {
  /// Where copy `mirror` (from 1) of the byte at `address` lies, and how many bytes lie together from there. With RAID5
  /// and RAID6 only mirror 1 lies anywhere: the others are rebuilt from ``parityRow(at:)``.
  ///
  /// - Parameter address: within the chunk.
  package func piece(at address: UInt64, mirror: Int) -> StripePiece {
    let offset = address - logical
    let count = UInt64(item.stripes.count)
    let unit = item.stripeLength
    let number = offset / unit
    let rest = offset % unit
    let stripe: Int
    let place: UInt64
    // Only a stripe's unit lies together, except where a stripe holds everything.
    var together = unit - rest
    switch item.type.profile {
    case .single:
      stripe = 0
      place = offset
      together = item.length - offset
    case .dup, .raid1, .raid1c3, .raid1c4:
      stripe = min(mirror - 1, item.stripes.count - 1)
      place = offset
      together = item.length - offset
    case .raid0:
      stripe = Int(number % count)
      place = number / count * unit + rest
    case .raid10:
      let groups = UInt64(item.dataStripeCount)
      stripe = min(Int(number % groups) * Int(item.subStripes) + mirror - 1, item.stripes.count - 1)
      place = number / groups * unit + rest
    case .raid5, .raid6:
      let data = UInt64(item.dataStripeCount)
      let row = number / data
      stripe = Int((number % data + row) % count)
      place = row * unit + rest
    }
    let found = item.stripes[stripe]
    return StripePiece(
      stripe: stripe, device: found.device, offset: found.offset.saturatingAdd(place),
      length: min(together, item.length - offset))
  }

  /// The row of RAID5 or RAID6 that holds `address` (within the chunk); nil for other profiles.
  package func parityRow(at address: UInt64) -> ParityRow? {
    let profile = item.type.profile
    guard profile == .raid5 || profile == .raid6 else { return nil }
    let count = UInt64(item.stripes.count)
    let data = UInt64(item.dataStripeCount)
    let row = (address - logical) / item.stripeLength / data
    return ParityRow(
      data: (0..<data).map { Int(($0 + row) % count) }, p: Int((data + row) % count),
      q: profile == .raid6 ? Int((data + 1 + row) % count) : nil, offset: row * item.stripeLength,
      logical: logical + row * data * item.stripeLength)
  }
}

/// All chunks of a file system: which bytes of which devices a logical address stands for.
package struct ChunkMap: Sendable {
  /// In ascending order, without overlap.
  package private(set) var chunks: [Chunk] = []

  package init() {}

  /// Adds a validated chunk; one that is there already is replaced.
  ///
  /// - Throws: that it overlaps another.
  package mutating func insert(_ chunk: Chunk) throws(ImageError) {
    let index = firstIndex(endingAfter: chunk.logical)
    if index < chunks.count, chunks[index].logical < chunk.end {
      guard chunks[index].logical == chunk.logical, chunks[index].item.length == chunk.item.length else {
        throw ImageError("chunk \(chunk.logical) overlaps chunk \(chunks[index].logical)", errno: 5)
      }
      chunks[index] = chunk
    } else {
      chunks.insert(chunk, at: index)
    }
  }

  /// The chunk that holds a logical address.
  package func chunk(containing address: UInt64) -> Chunk? {
    let index = firstIndex(endingAfter: address)
    return index < chunks.count && chunks[index].logical <= address ? chunks[index] : nil
  }

  /// The first chunk that ends behind `address`: it holds it, or lies behind it.
  package func chunk(endingAfter address: UInt64) -> Chunk? {
    let index = firstIndex(endingAfter: address)
    return index < chunks.count ? chunks[index] : nil
  }

  private func firstIndex(endingAfter address: UInt64) -> Int {
    var low = 0
    var high = chunks.count
    while low < high {
      let middle = (low + high) / 2
      if chunks[middle].end <= address { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
