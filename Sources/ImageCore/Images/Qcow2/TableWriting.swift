import Bytes
import Storage

/// Writes tables given in ascending order, neighbouring ones together.
struct TableWriter: ~Copyable {
  private let storage: any WritableStorage
  private var buffer: Buffer
  private var start: UInt64 = 0
  private var count = 0

  /// A writer of tables of at most `tableSize` bytes.
  init(_ storage: any WritableStorage, tableSize: Int) {
    self.storage = storage
    buffer = Buffer(max(tableSize, 256 << 10))
  }

  /// Takes the words of a table that belongs at `offset` (bytes).
  mutating func append(_ words: [UInt64], at offset: UInt64, isBigEndian: Bool = true) throws(ImageError) {
    if count > 0 && (start + UInt64(count) != offset || buffer.count - count < words.count * 8) { try finish() }
    if count == 0 { start = offset }
    var position = count
    count += words.count * 8
    var bytes = buffer.mutableBytes
    if isBigEndian {
      for word in words {
        bytes.storeBigEndian(word, at: position)
        position += 8
      }
    } else {
      for word in words {
        bytes.storeLittleEndian(word, at: position)
        position += 8
      }
    }
  }

  /// Writes what was taken.
  mutating func finish() throws(ImageError) {
    if count == 0 { return }
    try storage.write(buffer.bytes.slice(0..<count), at: start)
    count = 0
  }
}

extension WritableStorage {
  /// Stores words in big-endian order at `offset` (bytes).
  func writeBigEndianWords(_ words: ArraySlice<UInt64>, at offset: UInt64) throws(ImageError) {
    if words.isEmpty { return }
    var buffer = Buffer(words.count * 8)
    var bytes = buffer.mutableBytes
    var position = 0
    for word in words {
      bytes.storeBigEndian(word, at: position)
      position += 8
    }
    try write(buffer.bytes, at: offset)
  }
}

extension Storage {
  /// `count` little-endian 64-bit words at `offset`; zeros past the end. For tables whose size has been checked.
  func readLittleEndianWords(at offset: UInt64, count: Int) throws(ImageError) -> [UInt64] {
    var buffer = Buffer(count * 8)
    var bytes = buffer.mutableBytes
    try read(into: &bytes, at: offset)
    var words = [UInt64]()
    words.reserveCapacity(count)
    for index in 0..<count { words.append(buffer.bytes.littleEndian(at: index * 8)) }
    return words
  }
}
