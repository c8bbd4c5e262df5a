import Foundation
import Testing

/// A mutating operation, ready to be run again and again from the same files, disturbed each time.
///
/// INTERRUPTIONS is the number of random moments at which each operation is killed, INTERRUPTION_SEED makes them others,
/// FAULTS is the number of calls of each operation that fail or are its last (0: every one of them).
struct Trial {
  let operation: MutatingOperation
  let tools: Tools
  let folder: URL
  /// How long an undisturbed run takes.
  let microseconds: Int
  /// Writes, flushes and changes of length in an undisturbed run; with the calls that may fail without harm.
  let calls: (failing: Int, all: Int)

  static func setting(_ name: String, _ value: Int) -> Int {
    ProcessInfo.processInfo.environment[name].flatMap(Int.init) ?? value
  }

  /// Writing to a disk that everybody flushes at once takes its time; nothing here depends on a time limit.
  private static let timeLimit: Duration = .seconds(600)

  /// The library that disturbs, built beside the tools.
  private let library: String

  /// Makes the files, and runs the command undisturbed: what it leaves is what counts as complete.
  init(_ operation: MutatingOperation) async throws {
    _ = Totals.announceAtExit
    self.operation = operation
    tools = try Tools(tool: "qemu-img")
    let products = URL(fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
    library = products.deletingLastPathComponent().appendingPathComponent("libFaultInjection.so").path
    try #require(FileManager.default.fileExists(atPath: library))
    folder = Tools.memoryWorkFolder.appendingPathComponent("trial-" + UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Self.judge(operation).write(to: folder.appendingPathComponent("judge.sh"), atomically: true, encoding: .utf8)
    // Setup and judgement speak with the reference; only the command itself is ours.
    let setup = try await Process.run(
      shell: "mkdir given; cd given; { \(operation.setup)\n} >/dev/null", in: folder, path: tools.referencePath,
      timeLimit: Self.timeLimit)
    try #require(setup.status == 0, "\(operation): setup: \(setup)")
    let whole = try await Process.run(
      shell: """
        cp -r given whole; cp given/* .; . ./judge.sh; shown \(operation.shown.joined(separator: " ")) >before
        cd whole; start=$(date +%s%N)
        FAULT_COUNT=../count LD_PRELOAD=\(library) \(tools.ours) \(operation.command) >log 2>&1 || { cat log; exit 1; }
        echo $(( ($(date +%s%N) - start) / 1000 )) $(cat ../count)
        shown \(operation.shown.joined(separator: " ")) >../after
        shown \(operation.completed.joined(separator: " ")) >../completed
        """, in: folder, path: tools.referencePath, timeLimit: Self.timeLimit)
    let numbers = whole.stdout.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
    try #require(whole.status == 0 && numbers.count == 3, "\(operation): undisturbed: \(whole)")
    microseconds = numbers[0]
    calls = (numbers[1], numbers[2])
  }

  /// Shell functions: `shown` tells what images and their snapshots show, `judge` and `complete` print what is wrong.
  private static func judge(_ operation: MutatingOperation) -> String {
    """
    shown() {
      for image; do
        [ -e "$image" ] || continue
        qemu-img info "$image" | grep -e '^virtual size' -e 'name: ' -e 'granularity: ' -e '\\[[0-9]\\]: ' -e in-use || true
        qemu-img convert -O raw "$image" dump; md5sum <dump
        for name in $(qemu-img snapshot -l "$image" 2>/dev/null | awk 'NR > 2 { print $2 }'); do
          qemu-img convert -O raw -l "$name" "$image" dump; echo "$name $(md5sum <dump)"
        done
      done 2>&1
      rm -f dump
    }
    judge() {
      for image in \(operation.sound.joined(separator: " ")); do
        qemu-img check -q $image >check.log 2>&1 || [ $? = 3 ] || { echo "$image is unsound:"; cat check.log; }
      done
      shown \(operation.shown.joined(separator: " ")) >../now
      cmp -s ../now ../before || cmp -s ../now ../after || { echo "neither before nor after:"; cat ../now; }
      \(operation.verify)
    }
    complete() {
      shown \(operation.completed.joined(separator: " ")) >../now
      \(operation.isRepeatable ? "" : "cmp -s ../now ../completed ||")
      $1 \(operation.command) >again.log 2>&1 || { echo "the next run fails:"; cat again.log; }
      touch repaired; judge
      shown \(operation.completed.joined(separator: " ")) >../now
      cmp -s ../now ../completed || { echo "the next run does not complete:"; cat ../now; }
    }

    """
  }

  /// Runs the command once more from the start.
  /// - Parameters:
  ///   - environment: what FaultInjection is told.
  ///   - end: what follows, with the exit status in `$status`.
  ///   - completes: whether a further run is to complete the work.
  /// - Returns: what is wrong; nil if what should disturb the run did not come to pass.
  func run(_ environment: String, end: String, completes: Bool = true) async throws -> String? {
    let output = try await Process.run(
      shell: """
        rm -rf run hit; cp -r given run; cd run; . ../judge.sh; status=0
        \(environment) FAULT_LOG=../hit LD_PRELOAD=\(library) \(tools.ours) \(operation.command) >out 2>err || status=$?
        [ -f ../hit ] || { echo missed; exit; }
        \(end)
        judge
        \(completes ? "complete \(tools.ours)" : "")
        """, in: folder, path: tools.referencePath, timeLimit: Self.timeLimit)
    if output.stdout == "missed\n" { return nil }
    return output.stdout + (output.status == 0 ? "" : "\(output)")
  }

  /// Runs the command once more from the start, and kills it after so many seconds.
  /// - Returns: what is wrong.
  func kill(after seconds: String) async throws -> String {
    let output = try await Process.run(
      shell: """
        rm -rf run; cp -r given run; cd run; . ../judge.sh
        \(tools.ours) \(operation.command) >out 2>err &
        sleep \(seconds); kill -9 $! 2>/dev/null || true; wait $! 2>/dev/null || true
        judge; complete \(tools.ours)
        """, in: folder, path: tools.referencePath, timeLimit: Self.timeLimit)
    return output.stdout + (output.status == 0 ? "" : "\(output)")
  }

  /// Call numbers up to `count`: all of them, or as many as are wanted, spread over the whole run.
  func chosen(of count: Int) -> [Int] {
    let wanted = Self.setting("FAULTS", 2)
    guard wanted > 0, wanted < count else { return count > 0 ? Array(1...count) : [] }
    return Set((0..<wanted).map { 1 + $0 * count / wanted } + [count]).sorted()
  }

  /// Leaves the folder for whoever wants to look.
  func keep() { Totals.failures.withLock { $0.append(operation.description) } }

  func remove() throws { try FileManager.default.removeItem(at: folder) }
}
