import Foundation
import Testing

/// What is left when a writing command is killed: images that were complete stay so, leaked clusters at most.
struct Interruption {
  /// A command that is killed at many moments of its run.
  struct Scenario: Sendable, CustomStringConvertible {
    let description: String
    /// Makes `given/`, the files that every run starts from.
    let setup: String
    let command: String
    /// Prints a line for everything that is wrong afterwards.
    let verify: String
  }

  /// The check that an image had been and still is sound: leaks (3) are allowed.
  private static let sound =
    "qemu-img check -q $image >verify.log 2>&1 || [ $? = 3 ] || { echo \"$image:\"; cat verify.log; }"

  static let scenarios =
    [
      Scenario(
        description: "convert into a new image",
        setup:
          "qemu-img create -q -f raw given/source 48M; qemu-io -f raw -c 'write -P 1 0 30M' -c 'write -P 2 40M 5M' given/source",
        command: "convert -O qcow2 source target",
        verify:
          "cmp source ../given/source; [ ! -s target ] || { qemu-img check -q -f qcow2 target >verify.log 2>&1 || [ $? != 2 ] || cat verify.log; }"
      ),
      Scenario(
        description: "convert -n over a complete image",
        setup: """
          qemu-img create -q -f raw given/source 24M; qemu-io -f raw -c 'write -P 1 0 15M' given/source
          qemu-img create -q -f qcow2 -o cluster_size=4k given/target 24M; qemu-io -c 'write -P 9 5M 10M' given/target
          qemu-img snapshot -c before given/target
          """,
        command: "convert -n -O qcow2 source target",
        verify:
          "cmp source ../given/source; image=target; \(sound); qemu-img convert -l before target before.raw; qemu-io -r -f raw -c 'read -P 9 5M 10M' before.raw | grep -q 'read 10485760' || echo 'snapshot lost'"
      ),
      Scenario(
        description: "resize with preallocation",
        setup:
          "qemu-img create -q -f qcow2 -o cluster_size=4k given/target 8M; qemu-io -c 'write -P 9 1M 5M' given/target",
        command: "resize -q --preallocation=metadata target +64M",
        verify:
          "image=target; \(sound); qemu-io -r -c 'read -P 9 1M 5M' target | grep -q 'read 5242880' || echo 'data lost'"),
      Scenario(
        description: "resize that shrinks",
        setup:
          "qemu-img create -q -f qcow2 -o cluster_size=4k given/target 64M; qemu-io -c 'write -P 9 1M 5M' -c 'write -P 7 8M 50M' given/target",
        command: "resize -q --shrink target 7M",
        verify:
          "image=target; \(sound); qemu-io -r -c 'read -P 9 1M 5M' target | grep -q 'read 5242880' || echo 'data lost'"),
      Scenario(
        description: "check -r all on leaks",
        setup: """
          qemu-img create -q -f qcow2 -o cluster_size=4k given/target 64M; qemu-io -c 'write -P 9 1M 40M' given/target
          # Entries of the first L2 table are forgotten: their clusters leak.
          l2=$(qemu-img map --output=json given/target | sed -n 's/.*"offset": \\([0-9]*\\).*/\\1/p' | head -n 1)
          dd if=/dev/zero of=given/target bs=4096 seek=$(( l2 / 4096 - 1 )) count=1 conv=notrunc 2>/dev/null
          """,
        command: "check -q -r all target",
        verify:
          "image=target; \(sound); qemu-io -r -c 'read -P 9 10M 31M' target | grep -q 'read 32505856' || echo 'data lost'"
      ),
    ] + snapshots

  /// A disk of two versions, `first` in a snapshot with that name and of another size; `first.raw` and `second.raw` are
  /// what they read as.
  private static let twoVersions = """
    qemu-img create -q -f qcow2 -o cluster_size=4k given/target 24M; qemu-io -c 'write -P 9 0 20M' given/target
    qemu-img snapshot -c first given/target; qemu-img resize -q given/target 32M
    qemu-io -c 'write -P 7 5M 25M' given/target; qemu-img snapshot -c second given/target
    qemu-img convert -O raw given/target second.raw; qemu-img convert -O raw -l first given/target first.raw
    truncate -s 24M first.raw
    """
  /// The snapshot with the name, if it is there, reads as it did, as far as the reference shows it whatever the disk's
  /// present size.
  private static func same(_ name: String) -> String {
    """
    if qemu-img snapshot -l target | grep -q \(name); then
      qemu-img convert -O raw -l \(name) target now.raw; cmp -n 25165824 now.raw ../\(name).raw
    fi
    """
  }
  /// The disk reads as one of its versions.
  private static let either =
    "qemu-img convert -O raw target now.raw; cmp -s now.raw ../first.raw || cmp now.raw ../second.raw; rm now.raw"

  private static let snapshots = [
    Scenario(
      description: "snapshot -c", setup: twoVersions, command: "snapshot -c third target",
      verify: "image=target; \(sound); \(same("first")); \(same("second")); \(either)"),
    Scenario(
      description: "snapshot -d", setup: twoVersions, command: "snapshot -d first target",
      verify: "image=target; \(sound); \(same("first")); \(same("second")); \(either)"),
    Scenario(
      description: "snapshot -a", setup: twoVersions, command: "snapshot -a first target",
      verify: "image=target; \(sound); \(same("first")); \(same("second")); \(either)"),
    Scenario(
      description: "amend",
      setup: """
        qemu-img create -q -f raw given/base 64M
        qemu-img create -q -f qcow2 -o cluster_size=4k,refcount_bits=8 -b base -F raw given/target 64M
        cd given; qemu-io -c 'write -P 9 0 20M' -c 'write -z 30M 10M' target
        qemu-img convert -O raw target ../first.raw; cd ..
        """,
      command: "amend -o refcount_bits=16,compat=0.10 target",
      verify: "image=target; \(sound); qemu-img convert -O raw target now.raw; cmp now.raw ../first.raw; rm now.raw"),
    Scenario(
      description: "bitmap",
      setup: """
        qemu-img create -q -f qcow2 -o cluster_size=512 given/target 256M
        qemu-img bitmap --add -g 512 given/target old; qemu-img bitmap --add -g 1k given/target other
        qemu-io -c 'write -z 1M 200M' given/target
        """,
      command: "bitmap --remove --add --merge old -g 512 target other",
      verify: """
        image=target; \(sound); qemu-img info target >info.log; ! grep in-use info.log
        grep -q 'name: old' info.log || echo 'bitmap lost'
        """),
  ]

  @Test(arguments: scenarios) func killed(scenario: Scenario) async throws {
    let tools = try Tools(tool: "qemu-img")
    let folder = tools.workFolder.appendingPathComponent("interruption-" + UUID().uuidString)
    try FileManager.default.createDirectory(
      at: folder.appendingPathComponent("given"), withIntermediateDirectories: true)
    // Setup and verification speak with the reference; only the command itself is ours.
    let setup = try await Process.run(shell: scenario.setup + " >/dev/null", in: folder, path: tools.referencePath)
    #expect(setup.status == 0, Comment(rawValue: setup.stderr))
    // How long an undisturbed run takes decides when the others are killed.
    let whole = try await Process.run(
      shell: """
        cp -r given run; cd run; start=$(date +%s%N); \(tools.ours) \(scenario.command) >/dev/null 2>&1 || [ $? != 1 ]
        echo $(( ($(date +%s%N) - start) / 1000 ))
        """, in: folder, path: tools.referencePath)
    let microseconds = try #require(Int(whole.stdout.trimmingCharacters(in: .whitespacesAndNewlines)), "\(whole)")
    for moment in 1...50 {
      let limit = String(format: "%.6f", Double(microseconds * moment) / 50 / 1e6)
      let result = try await Process.run(
        shell: """
          rm -rf run; cp -r given run; cd run
          \(tools.ours) \(scenario.command) >/dev/null 2>&1 &
          sleep \(limit); kill -9 $! 2>/dev/null || true; wait $! 2>/dev/null || true
          \(scenario.verify)
          """, in: folder, path: tools.referencePath)
      #expect(
        result.status == 0 && result.stdout.isEmpty,
        "\(scenario): killed after \(limit) s: \(result.stdout)\(result.stderr)")
    }
    try FileManager.default.removeItem(at: folder)
  }
}
