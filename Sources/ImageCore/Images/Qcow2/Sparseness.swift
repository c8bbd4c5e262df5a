import Bytes
import Storage
import Synchronization

/// Whether clusters that count as data may lie in holes of the file, as preallocation of metadata leaves them: then it
/// pays to ask the file system about each of them.
///
/// The answer is the reference's, since it decides how `map` cuts its ranges (found by trial): the file takes at least two
/// clusters less than are counted as used, and at least a tenth.
final class Sparseness: Sendable {
  private let storage: any Storage
  private let answer = Mutex<Bool?>(nil)

  init(_ storage: any Storage) { self.storage = storage }

  /// The answer for the time when it was first asked. Reads refcount blocks, unless the file's size settles it.
  func mayHoldZeros(header: () -> Qcow2Header) throws(ImageError) -> Bool {
    try answer.withLock { (answer) throws(ImageError) in
      if let known = answer { return known }
      let header = header()
      let found = try isSparse(header)
      answer = found
      return found
    }
  }

  private func isSparse(_ header: Qcow2Header) throws(ImageError) -> Bool {
    guard let taken = storage.allocatedSize else { return false }
    let present = taken / header.clusterSize
    func isFarFewer(than used: UInt64) -> Bool {
      used > present && used - present >= max(2, (used + 1) / 10)
    }
    let inFile = storage.length.dividedUp(by: header.clusterSize)
    // Not more can be used than the file has.
    guard isFarFewer(than: inFile) else { return false }
    return isFarFewer(than: try usedClusters(header, below: inFile))
  }

  /// Number of clusters below `limit` whose reference count is not 0.
  private func usedClusters(_ header: Qcow2Header, below limit: UInt64) throws(ImageError) -> UInt64 {
    let perBlock = header.refcountBlockEntries
    let blocks = Int(min(header.refcountTableEntries, limit.dividedUp(by: perBlock)))
    var table = LazyTable(storage, offset: header.refcountTableOffset, count: Int(header.refcountTableEntries))
    let width = RefcountWidth(order: header.refcountOrder)
    var used: UInt64 = 0
    var index = try table.firstNonZero(0, below: blocks)
    while index < blocks {
      let offset = try table.word(index) & ~EntryBits.reservedRefcountTable
      if offset % header.clusterSize == 0 && offset < storage.length {
        let block = try storage.readLittleEndianWords(at: offset, count: Int(header.clusterSize / 8))
        let entries = Int(min(perBlock, limit - UInt64(index) * perBlock))
        for entry in 0..<entries where width.count(block, entry) != 0 { used += 1 }
      }
      index = try table.firstNonZero(index + 1, below: blocks)
    }
    return used
  }
}
