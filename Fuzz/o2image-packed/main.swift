import FuzzSupport
import ImageCore

// A packed image: opened, its map walked, read at its edges.
fuzz { bytes in
  let storage = MemoryStorage(bytes.array(0..<bytes.byteCount))
  guard let image = try? PackedImage(storage, filename: "fuzz") else { return }
  _ = image.information()
  var offset: UInt64 = 0
  var stored: UInt64 = 0
  var steps = 0
  while offset < image.virtualSize, steps < 10_000 {
    guard let extent = try? image.layerExtent(at: offset, limit: image.virtualSize - offset) else { return }
    precondition(extent.length > 0 && extent.length <= image.virtualSize - offset)
    if let place = extent.hostOffset {
      precondition(place + extent.length <= storage.length)
      stored += extent.length
    }
    offset += extent.length
    steps += 1
  }
  precondition(stored <= storage.length)
  var buffer = Buffer(8192)
  for offset in [0, 1000, image.virtualSize - 512, image.virtualSize] {
    var span = buffer.mutableBytes
    _ = try? image.read(into: &span, at: offset)
  }
}
