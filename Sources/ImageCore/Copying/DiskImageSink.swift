import Bytes
import Images
import Storage

/// A copy into a disk image: zeros are found and left out, data is placed by the format and stored in parallel.
public final class DiskImageSink: CopySink {
  /// How the target is treated.
  public struct Rule: Sendable {
    /// Which zeros are left out.
    public var sparse: SparseRule
    /// The target reads as zeros where nothing is written.
    public var targetIsZero: Bool

    /// A rule.
    public init(sparse: SparseRule, targetIsZero: Bool) {
      self.sparse = sparse
      self.targetIsZero = targetIsZero
    }
  }

  private let target: any WritableDiskImage
  private let rule: Rule

  /// A copy into `target`. The target is neither flushed nor closed.
  public init(_ target: any WritableDiskImage, _ rule: Rule) {
    self.target = target
    self.rule = rule
  }

  public func makeScratch() -> Void {}

  public func prepare(_ segment: Segment, _ bytes: RawSpan, _ scratch: inout Void) -> [SparseRun] {
    segment.kind == .data ? rule.sparse.runs(bytes, at: segment.offset) : []
  }

  public func place(
    _ segment: Segment, _ runs: [SparseRun], waitForPuts: () throws(ImageError) -> Void
  ) throws(ImageError) -> [PlacedRun] {
    do throws(ImageError) {
      var placement = [PlacedRun]()
      if segment.kind == .zero && !rule.targetIsZero {
        try target.writeZeros(
          segment.offset..<segment.offset + segment.length, mayUnmap: true, waitForStores: waitForPuts)
      }
      for run in runs {
        let range =
          segment.offset + UInt64(run.range.lowerBound)..<segment.offset + UInt64(run.range.upperBound)
        if run.isData {
          placement += try target.place(range, waitForStores: waitForPuts)
        } else if !rule.targetIsZero {
          try target.writeZeros(range, mayUnmap: true, waitForStores: waitForPuts)
        }
      }
      return placement
    } catch {
      throw DiskImageSink.failure(error, at: segment.requestOffset)
    }
  }

  public func put(_ segment: Segment, _ bytes: RawSpan, _ placement: [PlacedRun], _ scratch: inout Void)
    throws(ImageError)
  {
    do throws(ImageError) {
      for run in placement {
        let start = Int(run.guestOffset - segment.offset)
        try run.store(bytes.slice(start..<start + run.length))
      }
    } catch {
      throw DiskImageSink.failure(error, at: segment.requestOffset)
    }
  }

  public func finish() {}

  /// Words an error of writing; what the engine stops a worker with is not one.
  static func failure(_ error: ImageError, at offset: UInt64) -> ImageError {
    error == CopyEngine.stopped ? error : error.prefixed("error while writing at byte \(offset): ")
  }
}
