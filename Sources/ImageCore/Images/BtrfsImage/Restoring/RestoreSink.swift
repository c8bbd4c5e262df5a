import Btrfs
import Bytes
import Copying
import Synchronization

/// What a restore tells while it works. Called from many threads.
package struct RestoreReport: Sendable {
  /// Something that is wrong with the dump or the target, although the work goes on: the restore is not complete.
  package var problem: @Sendable (ImageError) -> Void
  /// Something worth knowing.
  package var warn: @Sendable (String) -> Void
  /// So many bytes of the dump have been restored.
  package var progress: @Sendable (UInt64) -> Void

  package init(
    problem: @escaping @Sendable (ImageError) -> Void, warn: @escaping @Sendable (String) -> Void,
    progress: @escaping @Sendable (UInt64) -> Void
  ) {
    self.problem = problem
    self.warn = warn
    self.progress = progress
  }
}

/// The items of a dump in their order; what a segment is can be asked once.
final class RestoreSelection: Selection {
  /// Places of the items that are under way, by their offset in the dump.
  final class Places: Sendable {
    private let places = Mutex<[UInt64: ItemPlace]>([:])

    func add(_ place: ItemPlace) { places.withLock { $0[place.offset] = place } }
    func take(_ offset: UInt64) -> ItemPlace? { places.withLock { $0.removeValue(forKey: offset) } }
  }

  let places = Places()
  private var reader: ClusterReader
  private var hasFailed = false
  private let report: RestoreReport

  init(_ input: any MetadumpInput, _ report: RestoreReport) {
    reader = ClusterReader(input)
    self.report = report
  }

  func next() throws(ImageError) -> Segment? {
    // Behind what could not be read nothing follows, though another worker may ask.
    if hasFailed { return nil }
    do throws(ImageError) {
      return try nextItem()
    } catch {
      hasFailed = true
      throw error
    }
  }

  private func nextItem() throws(ImageError) -> Segment? {
    // An empty item would have the place of the one behind it.
    while let place = try reader.next() {
      guard place.storedSize > 0 else {
        report.problem(PayloadReader.failure(place, "is empty"))
        continue
      }
      places.add(place)
      return Segment(offset: place.offset, length: UInt64(place.storedSize), kind: .data)
    }
    return nil
  }
}

/// Puts the items of a dump where they belong. Reading, decompressing and writing of different items overlap.
final class RestoreSink: CopySink {
  private let input: any MetadumpInput
  private let places: RestoreSelection.Places
  private let target: RestoreTarget
  private let repair: BlockRepair
  private let report: RestoreReport
  private let damagedBlocks = Atomic<Int>(0)
  /// So many damaged blocks are named.
  private static let lineLimit = 100

  init(
    _ input: any MetadumpInput, _ places: RestoreSelection.Places, _ target: RestoreTarget, _ repair: BlockRepair,
    _ report: RestoreReport
  ) {
    self.input = input
    self.places = places
    self.target = target
    self.repair = repair
    self.report = report
  }

  func makeScratch() -> PayloadReader { PayloadReader(input) }
  func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout PayloadReader) {}
  func place(_ segment: Segment, _ prepared: Void, waitForPuts: () throws(ImageError) -> Void) {}

  func put(
    _ segment: Segment, _ bytes: RawSpan, _ placement: Void, _ scratch: inout PayloadReader
  ) throws(ImageError) {
    guard let place = places.take(segment.offset) else { return }
    do throws(ImageError) {
      let problem = try scratch.read(place) { (piece, count, address) throws(ImageError) in
        // The superblock is written at the end. The reference appends a block that follows it to its item.
        let start = place.isFirst && address == place.address ? min(BtrfsSuperblock.size, count) : 0
        guard start < count else { return }
        var bytes = piece.mutableBytes
        var blocks = bytes.slice(start..<count)
        tell(damaged: repair.apply(to: &blocks, at: address.saturatingAdd(UInt64(start))))
        if let problem = try target.write(blocks.bytes, at: address.saturatingAdd(UInt64(start))) {
          report.problem(problem)
        }
      }
      if let problem { report.problem(problem) }
    } catch {
      // Nobody will read what is left of this item.
      input.cancel()
      throw error
    }
  }

  /// Names the blocks of the dump that are not what they should be; they are restored as they are.
  private func tell(damaged blocks: [UInt64]) {
    for block in blocks {
      let number = damagedBlocks.add(1, ordering: .relaxed).newValue
      if number <= RestoreSink.lineLimit {
        report.problem(ImageError("tree block \(block) of the dump is damaged", errno: 5))
      } else if number == RestoreSink.lineLimit + 1 {
        report.problem(ImageError("further damaged tree blocks are not listed", errno: 5))
      }
    }
  }

  func finish() {}
}
