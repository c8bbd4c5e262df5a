import Bytes
import Images
import Storage

// Persistent bitmaps are added, removed and changed in memory (qemu-img-cli-2 §6.3); ``Qcow2Tables/storeBitmaps()`` stores
// the result when the image is closed.

extension Qcow2Tables {
  /// Changes the bitmap with this name. Nothing reaches the file before the image is closed.
  fileprivate func edit(_ change: BitmapChange, of name: String) throws(ImageError) {
    try loadBitmaps()
    let writing = try writer()
    switch change {
    case .add(let granularity): try add(name, granularity, writing)
    case .remove: try remove(name, writing)
    case .clear: writing.bitmaps[try place(of: name, writing)].clear()
    case .enable: writing.bitmaps[try place(of: name, writing)].record.flags |= BitmapRecord.auto
    case .disable: writing.bitmaps[try place(of: name, writing)].record.flags &= ~BitmapRecord.auto
    case .merge(let contents): try merge(contents, name, writing)
    }
  }

  /// Which of the bitmaps in memory has this name.
  private func place(of name: String, _ writing: Qcow2Writing) throws(ImageError) -> Int {
    let bytes = name.rawBytes
    if let place = writing.bitmaps.firstIndex(where: { $0.record.name == bytes }) { return place }
    guard !keptBitmaps(writing).contains(where: { $0.name == bytes }) else { throw .inconsistentBitmap(name) }
    throw .missingBitmap(name)
  }

  private func add(_ name: String, _ granularity: UInt64?, _ writing: Qcow2Writing) throws(ImageError) {
    let bytes = name.rawBytes
    let granularity = granularity ?? min(max(header.clusterSize, 4096), 65536)
    let kept = keptBitmaps(writing)
    guard
      !kept.contains(where: { $0.name == bytes }), !writing.bitmaps.contains(where: { $0.record.name == bytes })
    else { throw ImageError("Bitmap already exists: \(name)", errno: 17 /* EEXIST */) }
    func refusal(_ text: String) -> ImageError {
      ImageError("Can't make bitmap '\(name)' persistent in '#block101': \(text)")
    }
    guard header.version >= 3 else { throw refusal("Cannot store dirty bitmaps in qcow2 v2 files") }
    guard header.virtualSize > 0 else { throw refusal("Disk has no size") }
    let record = BitmapRecord(
      tableOffset: 0, tableSize: 0, flags: BitmapRecord.auto,
      granularityBits: UInt8(granularity.trailingZeroBitCount), name: bytes)
    let bitmap = LiveBitmap(new: record, bits: [], header, writing.storage)
    guard bytes.count <= BitmapRecord.nameLimit else {
      throw refusal("Name length exceeds maximum (\(BitmapRecord.nameLimit) characters)")
    }
    guard UInt64(bitmap.chunkCount) <= BitmapRecord.sizeLimit / header.clusterSize else {
      throw refusal("Too much space will be occupied by the bitmap. Use larger granularity")
    }
    let others = kept.filter(\.isInUse) + writing.bitmaps.map(\.record)
    guard others.count < Int(HeaderExtensions.bitmapLimit) else {
      throw refusal("Maximum number of persistent bitmaps is already reached")
    }
    guard others.reduce(record.length, { $0 + $1.length }) <= Int(HeaderExtensions.bitmapDirectoryLimit) else {
      throw refusal("Not enough space in the bitmap directory")
    }
    writing.bitmaps.append(bitmap)
  }

  private func remove(_ name: String, _ writing: Qcow2Writing) throws(ImageError) {
    let bytes = name.rawBytes
    let live = writing.bitmaps.firstIndex { $0.record.name == bytes }
    if let record = keptBitmaps(writing).first(where: { $0.name == bytes }) {
      writing.removedBitmaps.append(record)
    } else if live == nil {
      throw .missingBitmap(name)
    }
    if let live { writing.bitmaps.remove(at: live) }
  }

  private func merge(_ contents: BitmapContents, _ name: String, _ writing: Qcow2Writing) throws(ImageError) {
    let place = try place(of: name, writing)
    guard contents.diskSize == header.virtualSize else {
      throw ImageError(
        "Bitmaps are of different sizes (destination size is \(header.virtualSize), source size is "
          + "\(contents.diskSize)) and can't be merged")
    }
    var start: UInt64?
    var bit: UInt64 = 0
    for byte in contents.bits {
      // Runs of set bits, most of which come in whole bytes.
      if byte == (start == nil ? 0 : 0xFF) {
        bit += 8
        continue
      }
      for index in 0..<8 {
        let isSet = byte & (1 << UInt8(index)) != 0
        if isSet, start == nil { start = bit + UInt64(index) }
        if !isSet, let first = start {
          try writing.bitmaps[place].mark(first * contents.granularity..<(bit + UInt64(index)) * contents.granularity)
          start = nil
        }
      }
      bit += 8
    }
    if let first = start { try writing.bitmaps[place].mark(first * contents.granularity..<header.virtualSize) }
  }
}

extension ImageError {
  /// There is no such bitmap.
  package static func missingBitmap(_ name: String) -> ImageError {
    ImageError("Dirty bitmap '\(name)' not found", errno: 2 /* ENOENT */)
  }

  /// The bitmap was not saved when the image was written to last.
  package static func inconsistentBitmap(_ name: String) -> ImageError {
    ImageError(
      "Bitmap '\(name)' is inconsistent and cannot be used",
      hint: "Try block-dirty-bitmap-remove to delete this bitmap from disk")
  }
}

extension Qcow2Image: EditableBitmapImage {
  public func editBitmap(_ name: String, _ change: BitmapChange) throws(ImageError) {
    try checkWritable()
    try tables.withLock { (tables) throws(ImageError) in try tables.edit(change, of: name) }
  }
}
