import FuzzSupport
import ImageCore

// A normal image: opened, its map walked, read at its edges.
fuzz { bytes in
  let storage = MemoryStorage(bytes.array(0..<bytes.byteCount))
  guard let image = try? E2imageImage(storage, filename: "fuzz") else { return }
  _ = image.information()
  var offset: UInt64 = 0
  var steps = 0
  while offset < image.virtualSize, steps < 10_000 {
    guard let extent = try? image.layerExtent(at: offset, limit: image.virtualSize - offset) else { return }
    precondition(extent.length > 0 && extent.length <= image.virtualSize - offset)
    if let place = extent.hostOffset { precondition(place + extent.length <= storage.length) }
    offset += extent.length
    steps += 1
  }
  var buffer = Buffer(1 << 17)
  for offset in [0, 1000, image.virtualSize / 2, image.virtualSize - 512, image.virtualSize] {
    var span = buffer.mutableBytes
    _ = try? image.read(into: &span, at: offset)
  }
}
