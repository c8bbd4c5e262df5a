import Bytes
import Images
import Storage

/// Several disks, one behind the other, each rounded up to 512 bytes; also the way to read a single one.
public final class ConcatenatedImages: CopySource {
  /// The disks.
  public let images: [any DiskImage]
  /// Where each begins, and at the end the total size, in bytes.
  let starts: [UInt64]

  /// The disks in order.
  ///
  /// - Throws: when their sizes do not add up to a 63-bit number.
  public init(_ images: [any DiskImage]) throws(ImageError) {
    self.images = images
    var starts: [UInt64] = [0]
    for image in images {
      let end = starts[starts.count - 1].saturatingAdd(image.virtualSize)
      guard end <= UInt64(Int64.max) else { throw ImageError("File too large", errno: 27 /* EFBIG */) }
      starts.append(end)
    }
    self.starts = starts
  }

  /// Size of all together in bytes.
  public var size: UInt64 { starts[starts.count - 1] }

  /// The disk that holds `offset` (< ``size``): the first that ends behind it.
  func index(at offset: UInt64) -> Int {
    var index = 0
    while index + 1 < images.count && offset >= starts[index + 1] { index += 1 }
    return index
  }

  public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    var done = 0
    while done < buffer.byteCount {
      let position = offset + UInt64(done)
      guard position < size else {
        buffer.fill(done..<buffer.byteCount)
        return
      }
      let index = index(at: position)
      let count = Int(min(UInt64(buffer.byteCount - done), starts[index + 1] - position))
      var part = buffer.slice(done..<done + count)
      do throws(ImageError) {
        try images[index].read(into: &part, at: position - starts[index])
      } catch {
        var error = error
        error.offset = offset
        throw error
      }
      done += count
    }
  }
}
