import Btrfs
import Copying
import Bytes

/// The batches of a plan in their order. A segment's offset is the number of its batch.
package final class DumpSelection: Selection {
  private let volume: BtrfsVolume
  private let plan: DumpPlan
  private let batches: [DumpPlan.Batch]
  private var position = 0
  /// The first batch whose bytes have not been asked for.
  private var prefetched = 0

  /// How many bytes are asked for at a time, ahead of what is read, in the order of the devices.
  private static let window = 8 << 20

  package init(_ volume: BtrfsVolume, _ plan: DumpPlan, _ batches: [DumpPlan.Batch]) {
    self.volume = volume
    self.plan = plan
    self.batches = batches
  }

  package func next() -> Segment? {
    guard position < batches.count else { return nil }
    if position >= prefetched { prefetch() }
    defer { position += 1 }
    return Segment(offset: UInt64(position), length: UInt64(batches[position].length), kind: .data)
  }

  private func prefetch() {
    var ranges: [Range<UInt64>] = []
    var size = 0
    while prefetched < batches.count, size < DumpSelection.window {
      let batch = batches[prefetched]
      for item in plan.items[batch.items] where item.kind != .superblock {
        let start = item.address + UInt64(batch.skipped)
        ranges.append(start..<start + min(UInt64(item.length), UInt64(batch.length)))
      }
      size += batch.length
      prefetched += 1
    }
    volume.prefetch(ranges)
  }
}
