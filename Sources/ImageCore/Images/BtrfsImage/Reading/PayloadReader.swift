import Btrfs
import Bytes
import Codecs

/// Reads payloads of items and decompresses them. One thread at a time.
package final class PayloadReader {
  /// The longest piece of a payload that is handed on at once, in bytes: a multiple of every node size, and more than
  /// any item of a dump without file contents that is not part of the space cache.
  package static let pieceSize = 512 << 10
  /// Every item is a multiple of so many bytes: of the smallest sector, which is also the superblock's size. What is
  /// more would lie in the next item's place.
  private static let unit = 4096
  /// More than this much nobody has put into one item.
  private static let contentLimit: UInt64 = 1 << 30

  /// Takes a piece of an item: the first `count` bytes of `buffer`, which may be changed, belong to a logical address.
  package typealias Body = (_ buffer: inout Buffer, _ count: Int, _ address: UInt64) throws(ImageError) -> Void

  private let input: any MetadumpInput
  private var stored = Buffer(PayloadReader.pieceSize)
  private var contents = Buffer(PayloadReader.pieceSize)
  private var inflater: ZlibInflater?

  package init(_ input: any MetadumpInput) { self.input = input }

  /// Whether the item's bytes need more than one piece, as far as that can be told before they are read.
  package static func isLong(_ place: ItemPlace) -> Bool { place.storedSize > pieceSize }

  /// Reads an item and hands on its bytes in pieces: with each the logical address of its first byte.
  ///
  /// All of the payload has been read when this returns.
  ///
  /// - Returns: what is wrong with the item, if anything is; `body` may have had pieces of it.
  /// - Throws: that the payload cannot be read; also what `body` throws.
  package func read(
    _ place: ItemPlace, _ body: Body
  ) throws(ImageError) -> ImageError? {
    if place.storedSize == 0 { return PayloadReader.failure(place, "is empty") }
    if !place.isCompressed {
      try readPlain(place, body)
      return PayloadReader.fault(place, UInt64(place.storedSize))
    }
    if place.storedSize > stored.count { return try readLong(place, body) }
    try fill(place, 0..<place.storedSize)
    let inflater = try makeInflater()
    switch PayloadReader.inflate(stored, place.storedSize, inflater, into: &contents) {
    case .complete(let count):
      let whole = count - count % PayloadReader.unit
      if whole > 0 { try body(&contents, whole, place.address) }
      return PayloadReader.fault(place, UInt64(count))
    case .tooLong: return try inflateLong(place, firstStored: place.storedSize, body)
    case .damaged: return PayloadReader.failure(place, "decompression failed with -3")
    }
  }

  private static func inflate(
    _ stored: borrowing Buffer, _ count: Int, _ inflater: ZlibInflater, into contents: inout Buffer
  ) -> ZlibInflater.Outcome {
    var all = contents.mutableBytes
    return inflater.inflate(stored.bytes.slice(0..<count), into: &all)
  }

  private func makeInflater() throws(ImageError) -> ZlibInflater {
    if let inflater { return inflater }
    let made = try ZlibInflater()
    inflater = made
    return made
  }

  private func readPlain(
    _ place: ItemPlace, _ body: Body
  ) throws(ImageError) {
    var done = 0
    while done < place.storedSize {
      let count = min(stored.count, place.storedSize - done)
      let filled = try fill(place, upTo: done..<done + count)
      // Of an item that is cut the first part is worth having.
      let whole = filled - filled % PayloadReader.unit
      if whole > 0 { try body(&stored, whole, place.address.saturatingAdd(UInt64(done))) }
      guard filled == count else { throw ClusterReader.cut(at: place.offset) }
      done += count
    }
  }

  /// A payload that does not fit the buffer.
  private func readLong(
    _ place: ItemPlace, _ body: Body
  ) throws(ImageError) -> ImageError? {
    try fill(place, 0..<stored.count)
    return try inflateLong(place, firstStored: stored.count, body)
  }

  /// Decompresses piece by piece; the first `firstStored` bytes of the payload are in the buffer.
  private func inflateLong(
    _ place: ItemPlace, firstStored: Int,
    _ body: Body
  ) throws(ImageError) -> ImageError? {
    let stream = try ZlibStreamInflater()
    var available = 0..<firstStored
    var readBytes = firstStored
    var address = place.address
    var filled = 0
    var total: UInt64 = 0
    var isComplete = false
    var isDamaged = false
    while !isComplete, !isDamaged {
      if available.isEmpty, readBytes < place.storedSize {
        let count = min(stored.count, place.storedSize - readBytes)
        try fill(place, readBytes..<readBytes + count)
        readBytes += count
        available = 0..<count
      }
      guard let step = PayloadReader.inflate(stored, available, stream, into: &contents, at: filled) else {
        isDamaged = true
        break
      }
      available = available.lowerBound + step.consumed..<available.upperBound
      filled += step.produced
      total += UInt64(step.produced)
      isComplete = step.isComplete
      // Nothing moves although the input is at its end: the stream lacks its own.
      isDamaged = (step.consumed == 0 && step.produced == 0 && !isComplete) || total > PayloadReader.contentLimit
      let whole = filled - filled % PayloadReader.unit
      if whole > 0 && (filled == contents.count || isComplete) {
        try body(&contents, whole, address)
        address = address.saturatingAdd(UInt64(whole))
        filled = 0
      }
    }
    // Whoever comes next on a stream waits for the rest.
    while readBytes < place.storedSize {
      isDamaged = true
      let count = min(stored.count, place.storedSize - readBytes)
      try fill(place, readBytes..<readBytes + count)
      readBytes += count
    }
    return isDamaged || !available.isEmpty
      ? PayloadReader.failure(place, "decompression failed with -3") : PayloadReader.fault(place, total)
  }

  /// What is wrong with the length of an item's contents, if anything is.
  private static func fault(_ place: ItemPlace, _ count: UInt64) -> ImageError? {
    if count > 0, count % UInt64(unit) == 0 { return nil }
    return failure(place, "holds \(count) bytes, which are no whole sectors")
  }

  private static func inflate(
    _ stored: borrowing Buffer, _ range: Range<Int>, _ stream: ZlibStreamInflater, into contents: inout Buffer,
    at offset: Int
  ) -> ZlibStreamInflater.Step? {
    let end = contents.count
    var all = contents.mutableBytes
    var rest = all.slice(offset..<end)
    return stream.inflate(stored.bytes.slice(range), into: &rest)
  }

  /// Reads a range of the payload to the buffer's beginning.
  private func fill(_ place: ItemPlace, _ range: Range<Int>) throws(ImageError) {
    guard try fill(place, upTo: range) == range.count else { throw ClusterReader.cut(at: place.offset) }
  }

  /// As above; fewer bytes only where the dump ends.
  private func fill(_ place: ItemPlace, upTo range: Range<Int>) throws(ImageError) -> Int {
    do throws(ImageError) {
      return try PayloadReader.fill(
        &stored, range.count, from: input, at: place.offset.saturatingAdd(UInt64(range.lowerBound)))
    } catch {
      throw error.errno == 125 /* ECANCELED */
        ? error : ImageError("unable to read buffer: \(error.message)", errno: error.errno)
    }
  }

  private static func fill(
    _ buffer: inout Buffer, _ count: Int, from input: any MetadumpInput, at offset: UInt64
  ) throws(ImageError) -> Int {
    var bytes = buffer.mutableBytes
    var part = bytes.slice(0..<count)
    return try input.read(into: &part, at: offset)
  }

  /// An item that cannot be used.
  package static func failure(_ place: ItemPlace, _ text: String) -> ImageError {
    ImageError("item at \(place.address), offset \(place.offset) of the dump: \(text)", errno: 5)
  }
}
