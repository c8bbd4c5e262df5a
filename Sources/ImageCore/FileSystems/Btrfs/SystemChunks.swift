import Bytes

/// Why the system chunk array cannot be used; the readers of a file system and of a dump word it differently.
package enum SystemChunkError: Error, Sendable, Equatable {
  /// The array ends within something of so many bytes at this offset.
  case tooShort(size: Int, offset: Int)
  /// A chunk has no stripes, or more than there is room for.
  case badStripeCount(Int, offset: Int)
  /// Something else than a chunk is in it.
  case unexpectedItem(UInt8, offset: Int)

  /// The reference's words. `opening`: a file system is opened; else a dump is read.
  package func error(opening: Bool) -> ImageError {
    let place = opening ? "in sys_array at offset" : "in sys_array offset"
    return switch self {
    case .tooShort(let size, let offset):
      ImageError("sys_array too short to read \(size) bytes at offset \(offset)", errno: 5)
    case .badStripeCount(let count, let offset):
      ImageError("invalid number of stripes \(count) in sys_array at offset \(offset)", errno: 5)
    case .unexpectedItem(let type, let offset):
      ImageError("unexpected item type \(type) \(place) \(offset)", errno: 5)
    }
  }
}

extension BtrfsSuperblock {
  /// The chunks that hold the chunk tree, with which all reading begins (btrfs-image §4.3). Not validated.
  package func systemChunks() throws(SystemChunkError) -> [Chunk] {
    let array = systemChunkArray
    let bytes = array.rawBytes
    var chunks: [Chunk] = []
    var position = 0
    while position < bytes.byteCount {
      guard bytes.byteCount - position >= ItemKey.size else {
        throw .tooShort(size: ItemKey.size, offset: position)
      }
      let key = ItemKey(bytes, at: position)
      position += ItemKey.size
      guard key.type == .chunkItem else { throw .unexpectedItem(key.type.rawValue, offset: position) }
      guard bytes.byteCount - position >= ChunkItem.smallestSize else {
        throw .tooShort(size: ChunkItem.smallestSize, offset: position)
      }
      let count = Int(bytes.littleEndian(at: position + 44, as: UInt16.self))
      guard count > 0 else { throw .badStripeCount(count, offset: position) }
      let size = ChunkItem.size(stripeCount: count)
      guard bytes.byteCount - position >= size else { throw .tooShort(size: size, offset: position) }
      do throws(ImageError) {
        let item = try ChunkItem(bytes.slice(position..<position + size), nodeSize: Int(nodeSize))
        chunks.append(Chunk(logical: key.offset, item: item))
      } catch {
        throw .badStripeCount(count, offset: position)
      }
      position += size
    }
    return chunks
  }

  /// Whether the system chunk array, which is in order, places a chunk elsewhere than the chunk tree does.
  package func hasOtherSystemChunks(than chunks: ChunkMap) -> Bool {
    guard let own = try? systemChunks() else { return true }
    return own.contains { chunk in
      let known = chunks.chunk(containing: chunk.logical)
      return known?.logical != chunk.logical || known?.item.length != chunk.item.length
        || known?.item.stripes != chunk.item.stripes
    }
  }

  /// A system chunk array of these chunks as it is stored, for ``systemChunkArray``.
  package static func systemChunkArray(of chunks: [Chunk]) -> [UInt8] {
    chunks.flatMap { chunk in
      var buffer = Buffer(ItemKey.size + chunk.item.size)
      var bytes = buffer.mutableBytes
      ItemKey(ObjectID.firstChunk, .chunkItem, chunk.logical).store(in: &bytes, at: 0)
      chunk.item.store(in: &bytes, at: ItemKey.size)
      return buffer.bytes.array(0..<buffer.count)
    }
  }
}
