import Bytes
import Storage

/// A table of big-endian 64-bit words (L1 or refcount table) that is read page by page, as it is needed: the L1 table of
/// a disk of 2 PiB has 32 MiB, nearly all of it a hole.
///
/// Size and place must have been checked against the limits of qcow2-qcow-qed §13. Bytes past the file's end are zeros.
package struct LazyTable {
  /// Words of a page.
  private static let pageWords = 8192

  private enum Page {
    case unread
    case zero
    case words([UInt64])
  }

  /// Offset of the table in the file in bytes.
  package let offset: UInt64
  /// Number of words.
  package let count: Int
  private let storage: any Storage
  private var pages: [Page]

  /// The `count` words at `offset`.
  package init(_ storage: any Storage, offset: UInt64, count: Int) {
    self.storage = storage
    self.offset = offset
    self.count = count
    pages = Array(repeating: .unread, count: (count + LazyTable.pageWords - 1) / LazyTable.pageWords)
  }

  /// A table of zeros that is not in the file yet.
  package init(_ storage: any Storage, zerosAt offset: UInt64, count: Int) {
    self.init(storage, offset: offset, count: count)
    for index in pages.indices { pages[index] = .zero }
  }

  /// Word number `index` (within the table), in native byte order.
  package mutating func word(_ index: Int) throws(ImageError) -> UInt64 {
    let page = index / LazyTable.pageWords
    if case .unread = pages[page] { try readPage(page) }
    if case .words(let words) = pages[page] { return words[index % LazyTable.pageWords] }
    return 0
  }

  /// Changes a word in memory; the caller writes it to the file.
  package mutating func set(_ index: Int, to value: UInt64) throws(ImageError) {
    let page = index / LazyTable.pageWords
    if case .unread = pages[page] { try readPage(page) }
    var words: [UInt64]
    if case .words(let present) = pages[page] {
      words = present
      // Gives the page up, so that the change below happens in place.
      pages[page] = .zero
    } else {
      words = Array(repeating: 0, count: wordsOfPage(page))
    }
    words[index % LazyTable.pageWords] = value
    pages[page] = .words(words)
  }

  /// Index of the first word other than zero in `start..<end` (`end` at most ``count``), or `end`.
  package mutating func firstNonZero(_ start: Int, below end: Int) throws(ImageError) -> Int {
    var index = start
    while index < end {
      let page = index / LazyTable.pageWords
      if case .unread = pages[page] { try readPage(page) }
      let pageEnd = min(end, (page + 1) * LazyTable.pageWords)
      if case .words(let words) = pages[page] {
        let base = page * LazyTable.pageWords
        for position in index..<pageEnd where words[position - base] != 0 { return position }
      }
      index = pageEnd
    }
    return end
  }

  /// The words in `range` (within the table).
  package mutating func words(_ range: Range<Int>) throws(ImageError) -> [UInt64] {
    var result: [UInt64] = []
    result.reserveCapacity(range.count)
    for index in range { result.append(try word(index)) }
    return result
  }

  private func wordsOfPage(_ page: Int) -> Int {
    min(LazyTable.pageWords, count - page * LazyTable.pageWords)
  }

  private mutating func readPage(_ page: Int) throws(ImageError) {
    let words = wordsOfPage(page)
    let start = offset + UInt64(page * LazyTable.pageWords * 8)
    // A hole needs no reading and no memory.
    if start >= storage.length {
      pages[page] = .zero
      return
    }
    let stored = try storage.extent(at: start, limit: UInt64(words * 8))
    if !stored.isData && stored.length >= UInt64(words * 8) {
      pages[page] = .zero
    } else {
      pages[page] = .words(try storage.readBigEndianWords(at: start, count: words))
    }
  }
}
