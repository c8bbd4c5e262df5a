import Bytes
import Storage

/// A persistent bitmap of an image that is open for writing: what changes is kept in memory until the image is closed.
struct LiveBitmap {
  /// What a cluster's worth of bits is.
  private enum Chunk {
    case zeros
    case ones
    /// As in the file, in the cluster with this offset in bytes.
    case stored(UInt64)
    case bytes([UInt8])
  }

  /// The entry of the directory, as it was read or will be written; without a place in the file as long as it is new.
  var record: BitmapRecord
  /// Whether the bitmap has clusters in the file.
  var isInFile: Bool
  /// Bits that the disk's size asks for.
  private(set) var bitCount: UInt64
  /// Bytes of a chunk: a cluster.
  private let chunkSize: Int
  private var chunks: [Int: Chunk] = [:]
  /// The table in the file, for chunks that were not touched yet.
  private var table: LazyTable?
  private let storage: any Storage

  /// The bitmap that `record` names in the file.
  init(_ record: BitmapRecord, _ header: Qcow2Header, _ storage: any Storage) {
    self.record = record
    self.storage = storage
    isInFile = true
    chunkSize = Int(header.clusterSize)
    bitCount = header.virtualSize.dividedUp(by: 1 << UInt64(record.granularityBits))
    table = LazyTable(storage, offset: record.tableOffset, count: Int(record.tableSize))
  }

  /// A new bitmap with the contents `bits`.
  init(new record: BitmapRecord, bits: [UInt8], _ header: Qcow2Header, _ storage: any Storage) {
    self.record = record
    self.storage = storage
    isInFile = false
    chunkSize = Int(header.clusterSize)
    bitCount = header.virtualSize.dividedUp(by: 1 << UInt64(record.granularityBits))
    var start = 0
    while start < bits.count {
      let end = min(start + chunkSize, bits.count)
      let part = bits[start..<end]
      if part.contains(where: { $0 != 0 }) {
        chunks[start / chunkSize] = .bytes(part + Array(repeating: 0, count: chunkSize - part.count))
      }
      start = end
    }
  }

  /// Whether the bitmap records writes.
  var isEnabled: Bool { record.flags & BitmapRecord.auto != 0 }

  /// Number of chunks, which is the number of the table's entries.
  var chunkCount: Int { Int(bitCount.dividedUp(by: 8).dividedUp(by: UInt64(chunkSize))) }

  private mutating func chunk(_ index: Int) throws(ImageError) -> Chunk {
    if let known = chunks[index] { return known }
    guard var table, index < table.count else { return .zeros }
    let entry = try table.word(index)
    self.table = table
    if entry == BitmapRecord.allOnes { return .ones }
    let offset = entry & EntryBits.offset
    return offset == 0 ? .zeros : .stored(offset)
  }

  /// The bytes of chunk number `index`; nil for zeros only.
  mutating func bytes(_ index: Int) throws(ImageError) -> [UInt8]? {
    switch try chunk(index) {
    case .zeros: return nil
    case .ones: return Array(repeating: 0xFF, count: chunkSize)
    case .bytes(let bytes): return bytes.contains { $0 != 0 } ? bytes : nil
    case .stored(let offset):
      let bytes = try storage.readArray(at: offset, count: chunkSize)
      return bytes.contains { $0 != 0 } ? bytes : nil
    }
  }

  /// Whether all bits of chunk number `index` are set.
  mutating func isAllOnes(_ index: Int) throws(ImageError) -> Bool {
    if case .ones = try chunk(index) { return true }
    return false
  }

  /// Notes that the guest bytes of `range` were changed.
  mutating func mark(_ range: Range<UInt64>) throws(ImageError) {
    let shift = UInt64(record.granularityBits)
    if range.isEmpty { return }
    let end = min(((range.upperBound - 1) >> shift) + 1, bitCount)
    let perChunk = UInt64(chunkSize) * 8
    var bit = range.lowerBound >> shift
    while bit < end {
      let index = Int(bit / perChunk)
      let stop = min(end, (UInt64(index) + 1) * perChunk)
      if stop - bit == perChunk {
        chunks[index] = .ones
      } else {
        try set(Int(bit % perChunk)..<Int(bit % perChunk) + Int(stop - bit), in: index)
      }
      bit = stop
    }
  }

  /// Sets bits of a chunk.
  private mutating func set(_ bits: Range<Int>, in index: Int) throws(ImageError) {
    if try isAllOnes(index) { return }
    var bytes = try bytes(index) ?? Array(repeating: 0, count: chunkSize)
    // The old array is given up, so that the change happens in place.
    chunks[index] = .zeros
    for bit in bits {
      if bit & 7 == 0 && bits.upperBound - bit >= 8 && bytes[bit >> 3] == 0xFF { continue }
      bytes[bit >> 3] |= 1 << UInt8(bit & 7)
    }
    chunks[index] = .bytes(bytes)
  }

  /// Sets all bits to 0.
  mutating func clear() {
    chunks = [:]
    table = nil
  }

  /// Follows the disk to a new size in bytes; new bits are clear.
  mutating func resize(to size: UInt64) throws(ImageError) {
    let bits = size.dividedUp(by: 1 << UInt64(record.granularityBits))
    if bits < bitCount {
      let last = Int(bits / (UInt64(chunkSize) * 8))
      let inLast = Int(bits % (UInt64(chunkSize) * 8))
      if var bytes = try bytes(last) {
        for index in inLast / 8..<chunkSize {
          bytes[index] &= index == inLast / 8 ? UInt8((1 << (inLast % 8)) - 1) : 0
        }
        chunks[last] = .bytes(bytes)
      }
      // What was behind must not come back when the disk grows again.
      for index in chunks.keys where index > last { chunks[index] = nil }
      if let table {
        self.table = LazyTable(storage, offset: table.offset, count: min(table.count, last + 1))
      }
    }
    bitCount = bits
  }
}
