import Bytes
import Codecs
import FuzzSupport

// Compressed data from an image: any bytes may be claimed to be some. Whatever is decompressed fills the cluster or is
// refused, and what we compress ourselves comes back.
private let clusterSize = 65536

if let inflater = try? Inflater(), let deflater = try? Deflater(level: 6), let decompressor = try? ZstdDecompressor(),
  let compressor = try? ZstdCompressor()
{
  fuzz { bytes in
    guard bytes.byteCount > 0 else { return }
    var cluster = Buffer(clusterSize)
    var output = cluster.mutableBytes
    _ = inflater.inflate(bytes, into: &output)
    _ = decompressor.decompress(bytes, into: &output)

    // A cluster that begins with the input; the rest is zeros.
    var plain = Buffer(clusterSize)
    var target = plain.mutableBytes
    target.copy(bytes.slice(0..<min(clusterSize, bytes.byteCount)), at: 0)
    var packed = Buffer(clusterSize)
    var room = packed.mutableBytes
    if let count = deflater.deflate(plain.bytes, into: &room) {
      var again = cluster.mutableBytes
      precondition(inflater.inflate(packed.bytes.slice(0..<count), into: &again), "our own deflate is refused")
      precondition(cluster.bytes.elementsEqual(plain.bytes), "deflate changed the bytes")
    }
    var space = packed.mutableBytes
    if let count = compressor.compress(plain.bytes, into: &space) {
      var again = cluster.mutableBytes
      precondition(decompressor.decompress(packed.bytes.slice(0..<count), into: &again), "our own zstd is refused")
      precondition(cluster.bytes.elementsEqual(plain.bytes), "zstd changed the bytes")
    }
  }
}
