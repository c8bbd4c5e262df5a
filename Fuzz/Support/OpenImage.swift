import ImageCore

/// The bytes as a qcow2 image; nil when they are refused. Its data file, if it names one, is empty.
package func openQcow2(_ bytes: RawSpan, use: ImageUse, isCheck: Bool = false) -> (any DiskImage)? {
  openQcow2(MemoryStorage(bytes.array(0..<bytes.byteCount)), use: use, isCheck: isCheck)
}

/// What is in `storage` as a qcow2 image; nil when it is refused.
package func openQcow2(_ storage: MemoryStorage, use: ImageUse, isCheck: Bool = false) -> (any DiskImage)? {
  var context = OpenContext(
    filename: "image", use: use, openDependent: { _ throws(ImageError) in MemoryStorage(name: "data") },
    notify: { _ in })
  context.isCheck = isCheck
  return try? Qcow2Format.open(storage, context)
}
