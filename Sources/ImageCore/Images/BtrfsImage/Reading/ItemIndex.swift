import Btrfs
import Bytes

/// Where on the restored device the items of a dump are.
struct ItemIndex: Sendable {
  /// Bytes of an item that lie together on the device.
  struct Run: Sendable {
    /// First byte on the device.
    var start: UInt64
    /// Number of bytes.
    var length: UInt32
    /// Which item.
    var item: UInt32
    /// Bytes of the item's contents in front.
    var skipped: UInt32

    var end: UInt64 { start + UInt64(length) }
  }

  /// More items than this are not indexed: 40 MiB of memory, enough for 8 GiB of metadata in blocks without neighbours.
  private static let itemLimit = 1 << 19

  /// By their place on the device, without overlap.
  private var runs: [Run] = []
  private var places: [ItemPlace] = []

  /// Reads the whole dump.
  init(_ input: any MetadumpInput, _ chunks: ChunkMap) throws(ImageError) {
    var reader = ClusterReader(input)
    let payloads = PayloadReader(input)
    while let place = try reader.next() {
      guard places.count < ItemIndex.itemLimit else { throw ImageError("too many items", errno: 27 /* EFBIG */) }
      var length = UInt64(place.storedSize)
      if place.isCompressed {
        length = 0
        if let problem = try payloads.read(place, { (_, count, _) in length += UInt64(count) }) { throw problem }
      } else if let end = input.length, place.end > end {
        throw ClusterReader.cut(at: place.offset)
      }
      places.append(place)
      let start = place.isFirst ? min(UInt64(BtrfsSuperblock.size), length) : 0
      add(start..<length, chunks)
    }
    sort()
  }

  /// Adds a part of the last item.
  private mutating func add(_ range: Range<UInt64>, _ chunks: ChunkMap) {
    let address = places[places.count - 1].address
    var position = range.lowerBound
    while position < range.upperBound {
      let logical = address.saturatingAdd(position)
      let left = range.upperBound - position
      guard let chunk = chunks.chunk(containing: logical) else {
        position += chunks.chunk(endingAfter: logical).map { min(left, $0.logical - logical) } ?? left
        continue
      }
      var count = left
      for mirror in 1...chunk.item.mirrorCount {
        let piece = chunk.piece(at: logical, mirror: mirror)
        count = min(count, piece.length)
        // Items are shorter than 4 GiB; a place that nothing can have is left out.
        guard let length = UInt32(exactly: count), let skipped = UInt32(exactly: position),
          !piece.offset.addingReportingOverflow(count).overflow
        else { continue }
        runs.append(Run(start: piece.offset, length: length, item: UInt32(places.count - 1), skipped: skipped))
      }
      position += count
    }
  }

  /// Puts the runs in order; of two that overlap the later one loses its beginning.
  private mutating func sort() {
    runs.sort { $0.start < $1.start }
    var sorted: [Run] = []
    sorted.reserveCapacity(runs.count)
    for var run in runs {
      if let end = sorted.last?.end, end > run.start {
        guard end < run.end else { continue }
        let lost = UInt32(end - run.start)
        run.start = end
        run.length -= lost
        run.skipped += lost
      }
      sorted.append(run)
    }
    runs = sorted
  }

  /// The item that a run belongs to.
  func place(of run: Run) -> ItemPlace { places[Int(run.item)] }

  /// The first run that ends behind `offset`: it holds it, or lies behind it.
  func run(endingAfter offset: UInt64) -> Run? {
    var low = 0
    var high = runs.count
    while low < high {
      let middle = (low + high) / 2
      if runs[middle].end <= offset { low = middle + 1 } else { high = middle }
    }
    return low < runs.count ? runs[low] : nil
  }
}
