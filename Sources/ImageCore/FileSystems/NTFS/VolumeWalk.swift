import Bytes

/// A pass over all records of $MFT, in ascending order.
package final class VolumeWalk {
  /// What a record is.
  package enum Step {
    /// Unreadable, no record, or one that belongs to another.
    case other
    /// Not in use any more.
    case deleted(FileRecord)
    /// A file; also an extension record that would pass for one.
    case inode(Inode)
  }

  private let volume: Volume
  private let reader: RecordReader
  private let log: (String) -> Void
  /// The record that comes next.
  package private(set) var number: UInt64 = 0

  /// - Parameter log: takes the library's lines about what is wrong.
  package init(_ volume: Volume, log: @escaping (String) -> Void) {
    self.volume = volume
    self.log = log
    reader = volume.recordReader()
  }

  /// What the next record is, or nil after the last.
  ///
  /// - Throws: `Reading inode N failed` where a file is neither missing nor unreadable, but makes no sense.
  package func next() throws(ImageError) -> Step? {
    guard number < volume.recordCount else { return nil }
    defer { number += 1 }
    guard let record = try? reader.record(number, inOrder: true, log: log) else { return .other }
    guard record.isInUse else { return .deleted(record) }
    do throws(ImageError) {
      return .inode(try Inode.open(record, volume, reader, log: log))
    } catch {
      guard error.errno == 2 || error.errno == 5 else {
        throw ImageError("Reading inode \(record.number) failed: \(errorText(error.errno))", errno: error.errno)
      }
      return .other
    }
  }
}
