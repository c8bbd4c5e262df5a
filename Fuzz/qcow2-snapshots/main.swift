import FuzzSupport
import ImageCore

// Snapshots are made, gone back to and deleted, bitmaps are edited, options amended, on images that we did not make: each
// operation may fail, but it must end, and what was sound must stay so. Counts behind the file's end, which a check does
// not see, may show as leaks once the file has grown.
fuzz { bytes in
  let storage = MemoryStorage(bytes.array(0..<bytes.byteCount), limit: 16 << 20)
  let wasSound = isSound(storage, mayLeak: false)
  for step in 0..<6 {
    guard let image = openQcow2(storage, use: .write) as? Qcow2Image else { return }
    do throws(ImageError) {
      switch step {
      case 0: try image.createSnapshot("new", seconds: 1, nanoseconds: 2)
      case 1: try image.applySnapshot(image.snapshots.first?.name ?? "new")
      case 2: if !image.snapshots.isEmpty { try image.deleteSnapshot(0) }
      case 3: try editBitmaps(image)
      case 4: try amend(image, "refcount_bits", 8)
      default: try amend(image, "refcount_bits", 16, version: "0.10")
      }
      try image.close()
    } catch {
      // Any error will do.
    }
  }
  if wasSound { precondition(isSound(storage, mayLeak: true), "was sound, and is not any longer") }
}

private func editBitmaps(_ image: Qcow2Image) throws(ImageError) {
  let names = image.bitmaps.map(\.name)
  try image.editBitmap("new", .add(granularity: 512))
  for name in names.prefix(4) {
    if let index = image.bitmaps.firstIndex(where: { $0.name == name }), image.virtualSize <= 1 << 30 {
      let bits = try image.readBitmap(index)
      try image.editBitmap(
        "new",
        .merge(BitmapContents(granularity: image.bitmaps[index].granularity, diskSize: image.virtualSize, bits: bits)))
    }
    try image.editBitmap(name, .clear)
  }
  if let first = names.first { try image.editBitmap(first, .remove) }
}

private func amend(_ image: Qcow2Image, _ name: String, _ number: UInt64, version: String? = nil) throws(ImageError) {
  var options = OptionValues(Qcow2Format.amendOptions)
  options.set(name, number: number)
  if let version { options.set("compat", text: version) }
  try image.amend(options) { _ in }
}

/// Whether a check finds nothing at all, and everything can be opened.
private func isSound(_ storage: MemoryStorage, mayLeak: Bool) -> Bool {
  guard let image = openQcow2(storage, use: .read, isCheck: true) as? any CheckableImage,
    let result = try? image.check(repair: .none, message: { _ in })
  else { return false }
  return result.corruptions == 0 && (mayLeak || result.leaks == 0) && result.checkErrors == 0
    && openQcow2(storage, use: .read) != nil
}
