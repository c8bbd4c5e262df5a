import Foundation
import Testing

/// Every write of small operations fails in turn: each time there is an error and a non-zero status, and no image that was
/// sound before is worse than leaky. Short writes are completed without a word.
struct Faults {
  struct Operation: Sendable, CustomStringConvertible {
    let description: String
    let setup: String
    let command: String
    /// The image that must stay sound, if there was one before.
    var existing: String?
    /// The file that must be the same after a short write as after an undisturbed run.
    let target: String
    /// Whether the file has the time of the run in it, so that no two are the same.
    var dated = false
    /// Prints UNSOUND if what an error left behind is not what it should be.
    var verify = ""
    /// Whether the same command completes the work afterwards.
    var isRepeatable = false
  }

  static let operations = [
    Operation(
      description: "convert raw to raw", setup: source, command: "convert -O raw source target", target: "target"),
    Operation(
      description: "convert raw to qcow2", setup: source, command: "convert -O qcow2 -t writeback source target",
      target: "target"),
    Operation(
      description: "convert -c", setup: source, command: "convert -c -O qcow2 source target", target: "target"),
    Operation(
      description: "convert -n over a complete image",
      setup: source
        + "; qemu-img create -q -f qcow2 -o cluster_size=4k given/target 2M; qemu-io -c 'write -P 9 512k 1M' given/target",
      command: "convert -n -t writeback -O qcow2 source target", existing: "target", target: "target"),
    Operation(
      description: "dd", setup: source, command: "dd if=source of=target bs=64k", target: "target"),
    Operation(
      description: "create", setup: "true",
      command: "create -q -f qcow2 -o preallocation=metadata,cluster_size=4k target 4M", target: "target"),
    Operation(
      description: "resize",
      setup:
        "qemu-img create -q -f qcow2 -o cluster_size=512 given/target 2M; qemu-io -c 'write -P 9 512k 1M' given/target",
      command: "resize -q --preallocation=metadata target 40M", existing: "target", target: "target"),
    Operation(
      description: "check -r all",
      setup: """
        qemu-img create -q -f qcow2 -o cluster_size=4k given/target 8M; qemu-io -c 'write -P 9 0 4M' given/target
        l2=$(qemu-img map --output=json given/target | sed -n 's/.*"offset": \\([0-9]*\\).*/\\1/p' | head -n 1)
        dd if=/dev/zero of=given/target bs=4096 seek=$(( l2 / 4096 - 1 )) count=1 conv=notrunc 2>/dev/null
        """, command: "check -q -r all target", existing: "target", target: "target"),
    Operation(
      description: "snapshot -c", setup: twoVersions,
      command: "snapshot -c third target", existing: "target", target: "target", dated: true),
    Operation(
      description: "snapshot -d", setup: twoVersions,
      command: "snapshot -d first target", existing: "target", target: "target"),
    Operation(
      description: "snapshot -a", setup: twoVersions,
      command: "snapshot -a first target", existing: "target", target: "target"),
    Operation(
      description: "bitmap --add", setup: twoBitmaps, command: "bitmap --add -g 512 --merge old target new",
      existing: "target", target: "target", verify: bothBitmaps),
    Operation(
      description: "bitmap --remove", setup: twoBitmaps, command: "bitmap --remove --add --merge other target old",
      existing: "target", target: "target", verify: "qemu-img info target | grep -q in-use && echo UNSOUND || true"),
    Operation(
      description: "amend", setup: zeroClusters,
      command: "amend -o lazy_refcounts=off,refcount_bits=16,size=6M,compat=0.10 target", existing: "target",
      target: "target"),
  ]

  private static let zeroClusters = """
    qemu-img create -q -f raw given/base 4M
    qemu-img create -q -f qcow2 -o cluster_size=4k,refcount_bits=8,lazy_refcounts=on -b base -F raw given/target 4M
    cd given; qemu-io -c 'write -P 9 1M 1M' -c 'write -z 2M 100k' -c 'write -z 1M 50k' target; cd ..
    """

  private static let twoBitmaps = """
    qemu-img create -q -f qcow2 -o cluster_size=512 given/target 8M; qemu-img bitmap --add -g 512 given/target old
    qemu-img bitmap --add -g 4k given/target other; qemu-io -c 'write -P 9 1M 3M' given/target
    """
  /// Nothing that was recorded may be lost.
  private static let bothBitmaps = """
    qemu-img info target >info.log; grep -q in-use info.log && echo UNSOUND; \
    [ $(grep -c -e 'name: old' -e 'name: other' info.log) = 2 ] || echo UNSOUND
    """

  private static let twoVersions = """
    qemu-img create -q -f qcow2 -o cluster_size=4k given/target 2M; qemu-io -c 'write -P 9 0 1M' given/target
    qemu-img snapshot -c first given/target; qemu-img resize -q given/target 4M
    qemu-io -c 'write -P 7 512k 3M' given/target; qemu-img snapshot -c second given/target
    """

  private static let source = """
    qemu-img create -q -f raw given/source 2M
    qemu-io -f raw -c 'write -P 1 0 700k' -c 'write -P 2 1M 130k' given/source
    """

  /// The library that makes calls fail, built beside the tools.
  private static func library(_ tools: Tools) throws -> String {
    let folder = URL(fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
    return folder.deletingLastPathComponent().appendingPathComponent("libFaultInjection.so").path
  }

  @Test(arguments: operations) func everyWriteFailsOnce(operation: Operation) async throws {
    let tools = try Tools(tool: "qemu-img")
    let library = try Self.library(tools)
    #expect(FileManager.default.fileExists(atPath: library))
    let folder = tools.workFolder.appendingPathComponent("faults-" + UUID().uuidString)
    try FileManager.default.createDirectory(
      at: folder.appendingPathComponent("given"), withIntermediateDirectories: true)
    let setup = try await Process.run(shell: operation.setup + " >/dev/null", in: folder, path: tools.referencePath)
    #expect(setup.status == 0, Comment(rawValue: setup.stderr))
    let whole = try await Process.run(
      shell: """
        cp -r given whole; cd whole; FAULT_COUNT=../count LD_PRELOAD=\(library) \(tools.ours) \(operation.command)
        cat ../count
        """, in: folder, path: tools.referencePath)
    let calls = try #require(Int(whole.stdout), "\(operation): \(whole)")
    // All of them, or a few dozen spread over the whole run.
    let struck = Set((0..<min(calls, 30)).map { 1 + $0 * calls / min(calls, 30) } + [calls]).sorted()

    var verify = ""
    if let image = operation.existing {
      verify =
        "qemu-img check -q \(image) >verify.log 2>&1 || [ $? = 3 ] || { echo UNSOUND; cat verify.log; }"
    }
    if !operation.verify.isEmpty { verify += "; " + operation.verify }
    // A second run has nothing in its way.
    let again =
      operation.isRepeatable
      ? "\(tools.ours) \(operation.command) >again.log 2>&1 || { echo UNSOUND; cat again.log; }; \(operation.verify)"
      : ""
    var faults = 0
    for errno in [5 /* EIO */, 28 /* ENOSPC */, nil] {
      for call in struck where calls > 0 {
        let fault = errno.map { "FAULT_ERRNO=\($0) " } ?? ""
        let result = try await Process.run(
          shell: """
            rm -rf run; cp -r given run; cd run; status=0
            FAULT_AT=\(call) \(fault)FAULT_LOG=../hit LD_PRELOAD=\(library) \(tools.ours) \(operation.command) || status=$?
            echo "status $status"; \(verify)
            \(errno == nil ? "" : again)
            \(errno == nil && !operation.dated ? "cmp \(operation.target) ../whole/\(operation.target)" : "")
            """, in: folder, path: tools.referencePath)
        let hit = folder.appendingPathComponent("hit")
        // Threads may share the work differently; a run that made fewer calls proves nothing.
        guard FileManager.default.fileExists(atPath: hit.path) else { continue }
        try FileManager.default.removeItem(at: hit)
        faults += 1
        if errno == nil {
          #expect(result.stdout == "status 0\n" && result.status == 0, "\(operation): short write \(call): \(result)")
        } else {
          #expect(
            result.stdout != "status 0\n" && !result.stdout.contains("UNSOUND") && !result.stderr.isEmpty,
            "\(operation): call \(call) failed with \(errno ?? 0): \(result)")
        }
      }
    }
    #expect(faults > struck.count, "\(operation): \(faults) faults in \(calls) calls")
    try FileManager.default.removeItem(at: folder)
  }
}
