import Bytes
import Copying
import Ext
import Synchronization

/// Reads a file system's blocks for an image: sectors that cannot be read become zeros, names in directories are scrambled.
package final class ExtBlockSource: CopySource {
  /// A block that could not be read in full.
  package struct Failure: Sendable {
    package var block: UInt64
    package var error: ImageError
  }

  private struct State {
    var unreadable: BlockSet
    var failures: [Failure] = []
    var scrambler = DirectoryScrambler()
  }

  private let volume: ExtVolume
  private let directories: BlockSet?
  private let corrupt: @Sendable (String) -> Void
  private let state: Mutex<State>
  /// Failures beyond this many are only counted by ``unreadable``.
  package static let failureLimit = 10_000

  /// - Parameters:
  ///   - directories: the clusters in which names are scrambled; reads must come in ascending order then, one at a time.
  ///   - corrupt: takes a line for each damaged directory block.
  package init(_ volume: ExtVolume, directories: BlockSet? = nil, corrupt: @escaping @Sendable (String) -> Void) {
    self.volume = volume
    self.directories = directories
    self.corrupt = corrupt
    state = Mutex(State(unreadable: BlockSet(limit: volume.superblock.blockCount)))
  }

  /// The blocks that could not be read, and why, in no particular order.
  package var failures: [Failure] { state.withLock { $0.failures } }
  /// The blocks that could not be read.
  package var unreadable: BlockSet { state.withLock { $0.unreadable } }

  /// Whether something could not be read among these blocks.
  package func unreadableBlocks(in blocks: Range<UInt64>) -> [UInt64] {
    state.withLock { state in
      state.unreadable.count == 0 ? [] : blocks.filter { state.unreadable.contains($0) }
    }
  }

  /// - Parameter offset: in the file system, a multiple of the block size.
  package func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    if volume.contains(offset..<offset + UInt64(buffer.byteCount)) {
      do throws(ImageError) {
        try volume.read(into: &buffer, at: offset)
        return scramble(&buffer, at: offset)
      } catch {
        // Something in it cannot be read: block by block, then.
      }
    }
    let size = volume.superblock.blockSize
    for start in stride(from: 0, to: buffer.byteCount, by: size) {
      var block = buffer.slice(start..<min(start + size, buffer.byteCount))
      let position = offset + UInt64(start)
      do throws(ImageError) {
        // What is there of a block that is cut off is kept.
        try volume.read(into: &block, at: position)
        if !volume.contains(position..<position + UInt64(block.byteCount)) { throw ExtError.shortRead }
      } catch {
        if error != ExtError.shortRead { readSectors(into: &block, at: position) }
        let failure = Failure(block: position / UInt64(size), error: error)
        state.withLock { state in
          state.unreadable.insert(failure.block)
          if state.failures.count < ExtBlockSource.failureLimit { state.failures.append(failure) }
        }
      }
    }
    scramble(&buffer, at: offset)
  }

  /// Reads what can be read of a block; the sectors that cannot become zeros.
  private func readSectors(into block: inout MutableRawSpan, at offset: UInt64) {
    do throws(ImageError) {
      try SalvagingSource(WholeVolumeSource(volume), lost: { _, _ in }).read(into: &block, at: offset)
    } catch {
      block.fill(0..<block.byteCount)
    }
  }

  /// Scrambles the directories among the blocks.
  private func scramble(_ buffer: inout MutableRawSpan, at offset: UInt64) {
    guard let directories else { return }
    let size = UInt64(volume.superblock.blockSize)
    let bits = volume.superblock.clusterBits
    let (first, end) = (offset / size, (offset + UInt64(buffer.byteCount)) / size)
    var block = first
    while block < end, let run = directories.nextRun(from: block >> bits, longest: ((end - block) >> bits) + 1) {
      block = max(block, run.lowerBound << bits)
      let runEnd = min(end, run.upperBound << bits)
      while block < runEnd {
        let start = Int(block - first) * Int(size)
        var bytes = buffer.slice(start..<start + Int(size))
        // Scrambling is cheap, and the lock is free: there is one reader.
        var scrambler = state.withLock { $0.scrambler }
        scrambler.scramble(&bytes) { problem in corrupt("Corrupt directory block \(block): \(problem)") }
        state.withLock { [scrambler] in $0.scrambler = scrambler }
        block += 1
      }
    }
  }
}
