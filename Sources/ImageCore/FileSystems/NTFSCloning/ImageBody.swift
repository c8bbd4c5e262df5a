import Bytes
import NtfscloneImage

/// A special image's body: each cluster behind a command byte, gaps as commands (spec §14.2).
enum ImageBody {
  /// Size of a gap command in bytes.
  static let gapSize = 9

  /// A run as the body has it.
  struct PlacedRun {
    /// Index of the part.
    let part: Int
    let run: Range<UInt64>
    /// Clusters passed over before it, and where in the item's bytes the command for that is; 0: no command.
    let gap: Int64
    let gapPlace: Int
    /// Where the command of its first cluster is.
    let start: Int
  }

  /// Calls `body` with each run of an item in order, also with a gap alone where an item begins with going back.
  private static func forEachRun(
    _ item: CloneItem, _ geometry: CloneGeometry, _ body: (PlacedRun) throws(ImageError) -> Void
  ) throws(ImageError) -> Int {
    var place = 0
    var next = item.previous
    if item.returnsToStart {
      if next != 0 {
        try body(PlacedRun(part: 0, run: 0..<0, gap: -Int64(next), gapPlace: 0, start: gapSize))
        place = gapSize
      }
      next = 0
    }
    for (index, part) in item.parts.enumerated() {
      for run in part.runs {
        let gap = Int64(run.lowerBound) - Int64(next)
        let start = place + (gap == 0 ? 0 : gapSize)
        try body(PlacedRun(part: index, run: run, gap: gap, gapPlace: place, start: start))
        place = start + run.count + Int(geometry.length(of: run))
        next = run.upperBound
      }
    }
    return place
  }

  /// Bytes of an item, commands included.
  static func length(of item: CloneItem, _ geometry: CloneGeometry) -> UInt64 {
    // Nothing in it throws.
    UInt64((try? forEachRun(item, geometry) { (_) throws(ImageError) in }) ?? 0)
  }

  /// Stores the commands of an item, and hands each run to `fill` with the places of its clusters.
  static func write(
    _ item: CloneItem, _ geometry: CloneGeometry, into bytes: inout MutableRawSpan,
    fill: (inout MutableRawSpan, PlacedRun, [Range<Int>]) throws(ImageError) -> Void
  ) throws(ImageError) {
    var runs: [PlacedRun] = []
    _ = try forEachRun(item, geometry) { (run) throws(ImageError) in runs.append(run) }
    for placed in runs {
      if placed.gap != 0 {
        bytes.storeBytes(of: 0, toByteOffset: placed.gapPlace, as: UInt8.self)
        bytes.storeLittleEndian(placed.gap, at: placed.gapPlace + 1)
      }
      var places: [Range<Int>] = []
      places.reserveCapacity(placed.run.count)
      var place = placed.start
      for cluster in placed.run {
        bytes.storeBytes(of: 1, toByteOffset: place, as: UInt8.self)
        let end = place + 1 + Int(geometry.length(of: cluster..<cluster + 1))
        places.append(place + 1..<end)
        place = end
      }
      if !places.isEmpty { try fill(&bytes, placed, places) }
    }
  }
}
