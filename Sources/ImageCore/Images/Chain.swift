import Bytes
import Storage

// How layers are combined (qemu-img-cli-2 §12).

extension DiskImage {
  /// This layer's answer, completed (§12.3): data and zeros are allocated; what the layer does not hold is zero where
  /// nothing lies below.
  public func completedExtent(at offset: UInt64, limit: UInt64) throws(ImageError) -> Extent {
    let end = virtualSize
    guard offset < end, limit > 0 else { return Extent(length: 0, flags: .endOfImage) }
    var extent = try layerExtent(at: offset, limit: min(limit, end - offset))
    if !extent.flags.isDisjoint(with: [.data, .zero]) {
      extent.flags.insert(.allocated)
    } else if supportsBacking {
      if let backing {
        if offset >= backing.virtualSize { extent.flags.insert(.zero) }
      } else {
        extent.flags.insert(.zero)
      }
    }
    if extent.flags.isSuperset(of: [.recurse, .data]), let host = extent.host, let hostOffset = extent.hostOffset {
      let stored = try host.extent(at: hostOffset, limit: extent.length)
      if hostOffset >= host.length {
        // A table may point beyond the end of the file; that reads as zeros.
        extent.flags.insert(.zero)
      } else {
        extent.length = stored.length
        if !stored.isData { extent.flags.insert(.zero) }
      }
    }
    if offset + extent.length >= end { extent.flags.insert(.endOfImage) }
    return extent
  }

  /// The run at `offset` seen through all layers down to, not including, `base` (§12.4); its length is at most `limit`.
  public func chainExtent(at offset: UInt64, limit: UInt64, above base: (any DiskImage)? = nil) throws(ImageError)
    -> ChainExtent
  {
    var extent = try completedExtent(at: offset, limit: limit)
    var depth = 0
    var isAtEnd = extent.flags.contains(.endOfImage)
    var layer: any DiskImage = self
    while extent.length > 0, !extent.flags.contains(.allocated), let below = layer.backing, below !== base {
      // A layer that ends before has nothing to say: zeros, and the layer above has said so.
      if offset >= below.virtualSize { break }
      depth += 1
      let asked = extent.length
      extent = try below.completedExtent(at: offset, limit: asked)
      // Only the top layer's end is the end of the disk.
      if extent.length < asked { isAtEnd = false }
      layer = below
    }
    if isAtEnd { extent.flags.insert(.endOfImage) } else { extent.flags.remove(.endOfImage) }
    return ChainExtent(extent: extent, depth: depth)
  }

  /// The layers from this one down.
  public var layers: [any DiskImage] {
    var result: [any DiskImage] = [self]
    while let below = result[result.count - 1].backing { result.append(below) }
    return result
  }

  /// Reads what the layer below shows; zeros where there is none or where it ends.
  package func readBacking(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    if let backing, offset < backing.virtualSize {
      // Reading past the layer's end gives zeros.
      try backing.read(into: &buffer, at: offset)
    } else {
      buffer.fill(0..<buffer.byteCount)
    }
  }
}
