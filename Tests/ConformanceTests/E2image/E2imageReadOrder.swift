import Foundation
import Testing

/// On a cold device the time of a run is where its head has to go: reads follow the disk (docs/ARCHITECTURE.md).
///
/// There need be no slow device: a library in front of the C library's notes what is asked of the source, and in which
/// order. What has been read before comes from memory and does not count.
@Suite struct E2imageReadOrder {
  /// File systems whose files were written in another order than they were made, in many pieces: the blocks of their maps
  /// lie in disorder.
  private static let fragmented = Fixture(
    "e2image-fragmented",
    [
      .shell(
        E2imageScript.make + E2imageScript.mounted + """
          make tree.img 64M -t ext4 -b 1024 -g 4096 -N 8192; enter tree.img loop,nodelalloc
          (cd $m; perl -e '\(disorder)'); leave
          make flat.img 64M -t ext2 -b 1024 -g 4096 -N 8192; enter flat.img
          (cd $m; perl -e '\(disorder)'); leave
          """)
    ])

  private static let disorder =
    "mkdir(\"d$_\") for 0..9; for (0..1499) { open(my $f, \">\", \"d\" . ($_ % 10) . \"/f$_\") or die $! } "
    + "for my $n (map { $_ * 977 % 1500 } 0..1499) { open(my $f, \">\", \"d\" . ($n % 10) . \"/f$n\") or die $!; "
    + "for (0..13) { sysseek($f, $_ * 2048, 0); syswrite($f, \"x\" x 1000) // die $! } }"

  /// How often reading may go back: to the tables from what lies behind them, for each level of the block maps, for the copy;
  /// in a normal image for each of the bitmaps. The reference goes back for every few files.
  @Test(arguments: ["tree.img", "flat.img"], ["-r", "-Q", "-ra", "-Qas", ""])
  func readsFollowTheDisk(_ volume: String, _ options: String) async throws {
    let tools: Tools
    do {
      tools = try Tools(tool: "e2image")
    } catch let error as HarnessError {
      if ProcessInfo.processInfo.environment["CI"] == "true" { Issue.record("\(error)") }
      return
    }
    let folder = try await Self.fragmented.folder(tools: tools)
    let ours = try await coldReads(volume, options, in: folder, path: tools.oursPath)
    #expect(ours.count > 20)
    #expect(Self.passes(ours) <= 4, "\(ours)")
    // A volume that the reference reads in order would prove nothing. A normal image has no maps.
    if options.isEmpty { return }
    let reference = try await coldReads(volume, options, in: folder, path: tools.referencePath)
    #expect(Self.passes(reference) > 40)
  }

  /// Runs the tool and tells where the reads begin that a device would see.
  private func coldReads(_ volume: String, _ options: String, in folder: URL, path: String) async throws -> [Int] {
    let name = UUID().uuidString
    let result = try await Process.run(
      shell: "FAULT_READ_LOG=\(volume):\(name).log LD_PRELOAD=\(FaultLibrary.path) e2image \(options) \(volume) "
        + "\(name).out && rm \(name).out", in: folder, path: path)
    #expect(result.status == 0, "\(result.stderr)")
    let log = try String(contentsOf: folder.appendingPathComponent("\(name).log"), encoding: .utf8)
    return try Self.coldReads(
      log.split(separator: "\n").map { line in
        let words = line.split(separator: " ").compactMap { Int($0) }
        return try #require(words.count == 2 ? (offset: words[0], length: words[1]) : nil)
      })
  }

  /// Where the reads begin that a device would see: at the first of their bytes that has not been read before.
  private static func coldReads(_ reads: [(offset: Int, length: Int)]) -> [Int] {
    let unit = 1024
    var known: Set<Int> = []
    return reads.compactMap { read in
      guard read.length > 0 else { return nil }
      let units = read.offset / unit...(read.offset + read.length - 1) / unit
      let first = units.first { !known.contains($0) }
      known.formUnion(units)
      return first.map { $0 * unit }
    }
  }

  /// Requests that may be under way at once, and change places: a worker has one, and writes in order.
  private static let inFlight = 8

  /// Into how many ascending runs the reads fall, when those that are under way together may come in any order.
  private static func passes(_ offsets: [Int]) -> Int {
    var passes = 1
    var settled = 0
    var next = 0
    for (index, offset) in offsets.enumerated() {
      while next <= index - inFlight {
        settled = max(settled, offsets[next])
        next += 1
      }
      if offset < settled {
        passes += 1
        next = index
        settled = 0
      }
    }
    return passes
  }
}
