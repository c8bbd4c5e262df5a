import Bytes
import Images
import Qcow2
import Storage
import TestSupport

/// A qcow2 image in memory, and what tests do with it.
struct Qcow2TestImage {
  let storage: any WritableStorage
  var backing: (any DiskImage)?

  /// An empty image, laid out and closed.
  init(_ creation: Qcow2Format.Creation, on storage: any WritableStorage = MemoryStorage()) throws(ImageError) {
    self.storage = storage
    let image = try Qcow2Image(
      unfinishedOn: storage, data: storage, try creation.header(), filename: "test",
      preallocation: creation.preallocation)
    try image.close()
  }

  /// An image that is there already.
  init(existing storage: any WritableStorage) { self.storage = storage }

  /// Opens it; for writing unless it is to be looked at only.
  func open(_ use: ImageUse = .write, isCheck: Bool = false) throws(ImageError) -> Qcow2Image {
    var context = OpenContext(
      filename: "test", use: use,
      openDependent: { (_) throws(ImageError) in throw ImageError("no data file") }, notify: { _ in })
    context.isCheck = isCheck
    let image = try Qcow2Image(storage, context)
    if let backing { image.attachBacking(backing) }
    return image
  }

  /// What our own check says about it as it lies in the storage.
  func check() throws(ImageError) -> (result: CheckResult, messages: [String]) {
    var messages: [String] = []
    let result = try open(.read, isCheck: true).check(repair: .none) { messages.append($0) }
    return (result, messages)
  }
}

extension DiskImage {
  /// All bytes of the disk.
  func allBytes() throws(ImageError) -> [UInt8] {
    var buffer = Buffer(Int(virtualSize))
    var bytes = buffer.mutableBytes
    try read(into: &bytes, at: 0)
    return buffer.bytes.array(0..<buffer.count)
  }
}

extension SplitMix64 {
  /// `count` random bytes; some of them texts that compress.
  mutating func bytes(_ count: Int) -> [UInt8] {
    let isText = next() & 1 == 0
    // A short piece again and again: of a length that is prime, so that no two sectors are alike.
    var piece: [UInt8] = []
    for _ in 0..<509 {
      let byte = UInt8(truncatingIfNeeded: next())
      piece.append(isText ? 97 + byte % 4 : byte | 1)
    }
    var result: [UInt8] = []
    result.reserveCapacity(count + piece.count)
    while result.count < count { result += piece }
    result.removeLast(result.count - count)
    return result
  }
}
