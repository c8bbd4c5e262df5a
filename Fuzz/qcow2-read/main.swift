import FuzzSupport
import ImageCore

// What `info`, `map` and `convert` do with an image that they did not make: open it, describe it, walk its extents, read
// what they lead to. Any answer and any error will do; a trap, a hang or a large allocation will not.
fuzz { bytes in
  for use in [ImageUse.inspect, .read] {
    guard let image = openQcow2(bytes, use: use) else { continue }
    _ = try? image.information()
    guard use == .read else { continue }
    readThrough(image)
    guard let image = image as? any SnapshotImage else { continue }
    for index in image.snapshots.indices.prefix(2) {
      if let snapshot = try? image.openSnapshot(index) { readThrough(snapshot) }
    }
  }
}

/// Walks the extents as far as a run of a few milliseconds allows, and reads the first bytes of each.
func readThrough(_ image: any DiskImage) {
  var buffer = Buffer(4096)
  var offset: UInt64 = 0
  var steps = 0
  while offset < image.virtualSize, steps < 2000 {
    guard let found = try? image.chainExtent(at: offset, limit: image.virtualSize - offset) else { return }
    precondition(found.extent.length > 0 && found.extent.length <= image.virtualSize - offset, "an extent of no length")
    if steps < 100 {
      var window = buffer.mutableBytes
      try? image.read(into: &window, at: offset)
    }
    offset += found.extent.length
    steps += 1
  }
}
