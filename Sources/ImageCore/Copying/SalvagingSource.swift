import Bytes
import Synchronization

/// A source of which as much as possible is read (`--salvage`): where a read fails, it is tried again sector by sector, and
/// what still cannot be read becomes zeros.
public final class SalvagingSource: CopySource {
  private let source: any CopySource
  private let lost: @Sendable (_ offset: UInt64, ImageError) -> Void
  private let count = Atomic<UInt64>(0)
  private static let sector = 512

  /// Reads from `source`; `lost` is called for every sector that cannot be read.
  public init(_ source: any CopySource, lost: @escaping @Sendable (_ offset: UInt64, ImageError) -> Void) {
    self.source = source
    self.lost = lost
  }

  /// Number of bytes that could not be read.
  public var lostBytes: UInt64 { count.load(ordering: .relaxed) }

  public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    do throws(ImageError) {
      try source.read(into: &buffer, at: offset)
    } catch {
      var done = 0
      while done < buffer.byteCount {
        let end = min(done + SalvagingSource.sector, buffer.byteCount)
        var part = buffer.slice(done..<end)
        do throws(ImageError) {
          try source.read(into: &part, at: offset + UInt64(done))
        } catch {
          part.fill(0..<part.byteCount)
          count.add(UInt64(part.byteCount), ordering: .relaxed)
          lost(offset + UInt64(done), error)
        }
        done = end
      }
    }
  }
}
