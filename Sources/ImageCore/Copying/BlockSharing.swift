import Bytes
import Images
import Storage
import Synchronization

/// Sharing of blocks between a source that is one raw file and the target's file, where the file system can (XFS, btrfs).
///
/// The first refusal ends the attempts: the copy goes through memory then, without a word.
public final class BlockSharing: Sendable {
  private let source: FileStorage
  /// Where the disk begins in the source's file, in bytes.
  private let start: UInt64
  private let isPossible = Atomic<Bool>(true)
  /// File systems share whole blocks of this many bytes, or multiples.
  private static let block: UInt64 = 4096

  /// Sharing with `source`, whose disk begins at byte `start`.
  public init(_ source: FileStorage, start: UInt64 = 0) {
    self.source = source
    self.start = start
  }

  /// Lets the target have the source's blocks for a placed run; false means that the run must be stored.
  public func share(_ run: PlacedRun) throws(ImageError) -> Bool {
    guard isPossible.load(ordering: .relaxed), let target = run.host as? FileStorage else { return false }
    let from = start + run.guestOffset
    let count = UInt64(run.length)
    // Less than some blocks is copied faster than shared; unaligned pieces cannot be shared at all.
    guard count >= 16 * BlockSharing.block,
      (from | run.hostOffset | count) % BlockSharing.block == 0, from + count <= source.length
    else { return false }
    if target.clone(from: source, from..<from + count, at: run.hostOffset) { return true }
    isPossible.store(false, ordering: .relaxed)
    return false
  }
}
