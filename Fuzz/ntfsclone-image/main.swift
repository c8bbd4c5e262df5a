import FuzzSupport
import ImageCore

// A special image: the header, the body in pieces of several sizes, and the disk that it shows.
fuzz { bytes in
  let input = bytes.array(0..<bytes.byteCount)
  var offset = 0
  guard
    let header = try? NtfscloneHeader({ (count) in
      let part = input[offset..<min(input.count, offset + count)]
      offset += part.count
      return Array(part)
    })
  else { return }
  for size in [1 << 20, 4096, 13] {
    var parser = BodyParser(header, isSeekable: true, isStrictlyAscending: size == 13)
    var position = Int(header.bodyOffset)
    while position < input.count, !parser.isAtEnd {
      let end = min(input.count, position + size)
      guard let contents = try? parser.parse(input.rawBytes.slice(position..<end)) else { break }
      for payload in contents.payloads {
        precondition(
          payload.offset + UInt64(payload.bytes.count) <= (header.clusterCount + 1) * UInt64(header.clusterSize))
      }
      position = end
    }
  }
  let context = OpenContext(
    filename: "image", use: .read, openDependent: { (_) throws(ImageError) in throw ImageError("none") },
    notify: { _ in })
  guard let image = try? NtfscloneFormat.open(MemoryStorage(input), context) else { return }
  var place: UInt64 = 0
  var buffer = Buffer(4096)
  for _ in 0..<1000 where place < image.virtualSize {
    guard let extent = try? image.layerExtent(at: place, limit: image.virtualSize - place) else { return }
    precondition(extent.length > 0)
    var target = buffer.mutableBytes
    _ = try? image.read(into: &target, at: place)
    place += extent.length
  }
}
