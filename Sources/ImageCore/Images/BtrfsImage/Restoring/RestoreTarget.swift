import Btrfs
import Bytes
import Storage
import Synchronization

/// The devices and files that a dump is restored to, and where logical addresses are on them. Safe to use from many
/// threads.
package final class RestoreTarget: Sendable {
  /// How logical addresses become places.
  package enum Mapping: Sendable {
    /// Each address up to an end is a place (`-o`).
    case identity(end: UInt64)
    /// By chunks; whatever device they name, there is but one.
    case oneDevice(ChunkMap)
    /// By chunks, on the devices that they name; each number stands for a place in the list.
    case devices(ChunkMap, [UInt64: Int])
  }

  private let storages: [any WritableStorage]
  private let mapping: Mapping
  /// First logical addresses of rows of RAID5 and RAID6 whose parity has to be computed.
  private let rows = Mutex<Set<UInt64>>([])

  package init(_ storages: [any WritableStorage], _ mapping: Mapping) {
    self.storages = storages
    self.mapping = mapping
  }

  private var chunks: ChunkMap? {
    switch mapping {
    case .identity: nil
    case .oneDevice(let chunks), .devices(let chunks, _): chunks
    }
  }

  /// The storage that stands for a device; nil when it is not among the targets.
  private func storage(_ device: UInt64) -> (any WritableStorage)? {
    switch mapping {
    case .identity, .oneDevice: storages[0]
    case .devices(_, let numbers): numbers[device].map { storages[$0] }
    }
  }

  /// Writes all copies of what has a logical address.
  ///
  /// - Returns: a problem, when an address belongs to no chunk.
  /// - Throws: what the kernel says.
  package func write(_ bytes: RawSpan, at address: UInt64) throws(ImageError) -> ImageError? {
    guard let chunks else {
      if case .identity(let end) = mapping, address.saturatingAdd(UInt64(bytes.byteCount)) > end {
        return ImageError("cannot find a chunk for the item at \(address)", errno: 5)
      }
      try write(bytes, to: storages[0], at: address)
      return nil
    }
    var problem: ImageError?
    var done = 0
    while done < bytes.byteCount {
      let position = address.saturatingAdd(UInt64(done))
      let left = UInt64(bytes.byteCount - done)
      guard let chunk = chunks.chunk(containing: position) else {
        let next = chunks.chunk(endingAfter: position).map { $0.logical - position } ?? left
        done += Int(min(left, next))
        problem = ImageError("cannot find a chunk for the item at \(position)", errno: 5)
        continue
      }
      let isParity = chunk.parityRow(at: position) != nil
      var count = left
      for mirror in 1...(isParity ? 1 : chunk.item.mirrorCount) {
        let piece = chunk.piece(at: position, mirror: mirror)
        // Copies lie together for the same length.
        count = min(count, piece.length)
        guard let storage = storage(piece.device) else { continue }
        try write(bytes.slice(done..<done + Int(count)), to: storage, at: piece.offset)
      }
      if let row = chunk.parityRow(at: position) { rows.withLock { _ = $0.insert(row.logical) } }
      done += Int(count)
    }
    return problem
  }

  private func write(_ bytes: RawSpan, to storage: any WritableStorage, at offset: UInt64) throws(ImageError) {
    do throws(ImageError) {
      guard !offset.addingReportingOverflow(UInt64(bytes.byteCount)).overflow else { throw .system(27 /* EFBIG */) }
      try storage.write(bytes, at: offset)
    } catch {
      throw ImageError("unable to write to device: \(errorText(error.errno))", errno: error.errno)
    }
  }

  /// Fills `bytes` with what has been written at a logical address.
  @_lifetime(bytes: copy bytes)
  package func read(into bytes: inout MutableRawSpan, at address: UInt64) throws(ImageError) {
    guard let chunks else { return try storages[0].read(into: &bytes, at: address) }
    var done = 0
    while done < bytes.byteCount {
      let position = address.saturatingAdd(UInt64(done))
      guard let chunk = chunks.chunk(containing: position) else {
        throw ImageError("Couldn't map the block \(address)", errno: 5)
      }
      let piece = chunk.piece(at: position, mirror: 1)
      guard let storage = storage(piece.device) else {
        throw ImageError("device \(piece.device) is missing", errno: 6 /* ENXIO */)
      }
      let count = Int(min(piece.length, UInt64(bytes.byteCount - done)))
      var part = bytes.slice(done..<done + count)
      try storage.read(into: &part, at: piece.offset)
      done += count
    }
  }

  /// Computes the parity of all rows that were written to.
  package func writeParity() throws(ImageError) {
    guard let chunks else { return }
    for address in rows.withLock({ $0 }).sorted() {
      guard let chunk = chunks.chunk(containing: address), let row = chunk.parityRow(at: address) else { continue }
      let size = Int(min(chunk.item.stripeLength, chunk.item.bytesOnDevice - row.offset))
      var element = Buffer(size)
      var parity = Parity(size: size)
      // Q is a polynomial: the last element first.
      for stripe in row.data.reversed() {
        var bytes = element.mutableBytes
        bytes.fill(0..<size)
        let place = chunk.item.stripes[stripe]
        if let storage = storage(place.device) { try storage.read(into: &bytes, at: place.offset + row.offset) }
        parity.add(element.bytes)
      }
      for (stripe, bytes) in [(row.p, parity.p), (row.q, parity.q)] {
        guard let stripe, let storage = storage(chunk.item.stripes[stripe].device) else { continue }
        try write(bytes.rawBytes, to: storage, at: chunk.item.stripes[stripe].offset + row.offset)
      }
    }
  }
}

/// P and Q of a row of RAID6, computed by Horner's rule from the last element to the first (btrfs-image §4.4).
private struct Parity {
  private(set) var p: [UInt8]
  private(set) var q: [UInt8]

  init(size: Int) {
    p = [UInt8](repeating: 0, count: size)
    q = p
  }

  mutating func add(_ element: RawSpan) {
    for index in p.indices {
      p[index] ^= element[index]
      // Times two in GF(2^8) modulo 0x11D.
      q[index] = (q[index] << 1 ^ (q[index] & 0x80 != 0 ? 0x1D : 0)) ^ element[index]
    }
  }
}
