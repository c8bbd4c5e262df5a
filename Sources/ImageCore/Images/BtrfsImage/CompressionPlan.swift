import Bytes
import Codecs
import Threads

/// How hard each item of a dump is compressed, so that a dump is hardly ever larger than zlib's of the same level.
///
/// libdeflate's levels up to 6 are quicker than zlib's, and their streams hardly ever longer. What zlib's last levels reach
/// is reached by level 10 alone, which takes as long as they do; level 7 takes a tenth of that, and the length of its
/// streams depends on the names: 0.7 % shorter than zlib's with some, 2.8 % longer with others. So a few items, spread over
/// the dump, are compressed by all three, and as many of the others by level 10 as it takes. Of little metadata the best
/// there is takes no time.
struct CompressionPlan: Equatable {
  /// libdeflate's levels for most items, and for those that have to make up for them.
  let quick: Int
  let thorough: Int
  /// Of so many items one after the other, `share` are compressed thoroughly.
  private static let period = 64
  let share: Int

  /// Up to so many bytes before compression the best level there is takes no time, and up to so many level 10.
  private static let littleMetadata: UInt64 = 4 << 20
  private static let someMetadata: UInt64 = 32 << 20
  /// Number of items that are tried, whole: level 7 is a little worse at their beginnings.
  private static let sampleSize = 32
  /// What is aimed at, in thousandths of zlib's length: the items that are tried are not all there are.
  private static let aim = 996

  /// The same level for all items.
  private init(all level: Int) {
    // From 10 on they are thorough.
    (quick, thorough, share) = (level, level, level < 10 ? 0 : CompressionPlan.period)
  }

  init(quick: Int, thorough: Int, share: Int) {
    (self.quick, self.thorough, self.share) = (quick, thorough, share)
  }

  /// Chooses for a dump. The choice depends on what is dumped alone, not on the number of threads.
  ///
  /// - Parameters:
  ///   - level: of zlib, 1 to 9.
  ///   - workers: how many threads may take part.
  init(level: Int, _ plan: DumpPlan, _ reading: DumpReading, workers: Int) throws(ImageError) {
    let total = plan.byteCount
    if level >= 4 && total <= CompressionPlan.littleMetadata {
      self.init(all: level < 7 ? 10 : 12)
    } else if level < 7 {
      // Small blocks have less in common with their neighbours.
      self.init(all: reading.volume.nodeSize < 16 << 10 ? [0, 1, 2, 5, 5, 5, 7][level] : level)
    } else if total <= CompressionPlan.someMetadata {
      self.init(all: 10)
    } else if level == 7 {
      // zlib's is several times as quick as its level 9: there is no time for more.
      self.init(all: reading.volume.nodeSize < 16 << 10 ? 10 : 7)
    } else {
      let sample = CompressionSample(plan, reading, count: CompressionPlan.sampleSize, workers: workers)
      let wanted = try sample.size { () throws(ImageError) in ZlibDeflater(level: level) } * CompressionPlan.aim / 1000
      let quick = try sample.size { () throws(ImageError) in try Deflater(level: 7) }
      let thoroughDeflaters = ThoroughDeflaters(level: 10)
      let thorough =
        quick > wanted ? try sample.size { thoroughDeflaters } : quick
      self.init(quick: 7, thorough: 10, share: CompressionPlan.share(wanted, quick: quick, thorough: thorough))
    }
  }

  /// How many items of a period have to be compressed thoroughly to come down from `quick` bytes to `wanted`.
  static func share(_ wanted: Int, quick: Int, thorough: Int) -> Int {
    if quick <= wanted { return 0 }
    if thorough >= wanted { return thorough < quick ? period : 0 }
    let (share, rest) = ((quick - wanted) * period).quotientAndRemainder(dividingBy: quick - thorough)
    return rest > 0 ? share + 1 : share
  }

  /// Whether no item is compressed with the quick level.
  var isAllThorough: Bool { share == CompressionPlan.period }

  /// Whether an item, the first of which is 0, is compressed thoroughly. Those that are lie evenly among the others.
  func isThorough(_ index: Int) -> Bool { index % CompressionPlan.period * share % CompressionPlan.period < share }
}

/// Some items of a dump, evenly spread over its bytes, to try compressors on.
private struct CompressionSample {
  private let plan: DumpPlan
  private let reading: DumpReading
  private let batches: [DumpPlan.Batch]
  private let workers: Int

  init(_ plan: DumpPlan, _ reading: DumpReading, count: Int, workers: Int) {
    (self.plan, self.reading, self.workers) = (plan, reading, workers)
    let spacing = Int(plan.byteCount) / (2 * count)
    var batches: [DumpPlan.Batch] = []
    var end = 0
    for (index, item) in plan.items.enumerated() {
      end += Int(item.length)
      if count > batches.count && end > (2 * batches.count + 1) * spacing {
        batches.append(DumpPlan.Batch(items: index..<index + 1, skipped: 0, length: Int(item.length)))
      }
    }
    self.batches = batches
  }

  private struct Progress {
    var next = 0
    var size = 0
    var failure: ImageError?

    mutating func take(of batches: [DumpPlan.Batch]) -> DumpPlan.Batch? {
      defer { next += 1 }
      return next < batches.count ? batches[next] : nil
    }
  }

  /// The number of bytes that a compressor makes of the items, were they all of the greatest length. What is to be said of
  /// them is said when they are dumped.
  ///
  /// - Parameter makeCompressor: called once a thread.
  func size(
    _ makeCompressor: @escaping @Sendable () throws(ImageError) -> any ZlibCompressor
  ) throws(ImageError) -> Int {
    let progress = Monitor(Progress())
    Crew.run(min(workers, processorCount()), atMost: workers) { _ in
      do throws(ImageError) {
        let compressor = try makeCompressor()
        let room = Int(DumpPlan.itemLimit)
        var payload = Buffer(room)
        var compressed = Buffer(2 * room)
        while let batch = progress.withLock({ $0.take(of: batches) }) {
          var all = payload.mutableBytes
          var bytes = all.slice(0..<batch.length)
          _ = reading.read(batch, of: plan, into: &bytes)
          var output = compressed.mutableBytes
          let input = payload.bytes.slice(0..<batch.length)
          guard let size = try compressor.zlib(input, into: &output) else { throw .system(12 /* ENOMEM */) }
          // Each stands for as many bytes of the dump as the others, however long it is.
          let scaled = size * room / batch.length
          progress.withLock { $0.size += scaled }
        }
      } catch {
        progress.withLock { $0.failure = $0.failure ?? error }
      }
    }
    let result = progress.withLock { $0 }
    if let failure = result.failure { throw failure }
    return result.size
  }
}
