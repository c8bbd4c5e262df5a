import Foundation
import Testing

/// Killed in the middle of rebase or commit, a chain reads as before.
struct ChainInterruption {
  /// The image shows what it showed, and all images are sound.
  private static func verify(_ images: [String]) -> String {
    images.map { image in
      "qemu-img check -q \(image) >verify.log 2>&1 || [ $? = 3 ] || { echo '\(image):'; cat verify.log; }"
    }.joined(separator: "; ")
      + "; qemu-img convert -O raw top.qcow2 shown; cmp shown ../given/expected"
  }

  /// A raw base, another that differs in every third block, and layers above.
  private static let chain = """
    cd given
    qemu-img create -q -f raw base.raw 12M; qemu-io -f raw -c 'write -P 1 0 12M' base.raw
    cp base.raw other.raw
    for i in 0 3 6 9 12 15 18 21; do qemu-io -f raw -c "write -P 2 ${i}01k 97k" other.raw; done
    qemu-img create -q -f qcow2 -o cluster_size=4k -b base.raw -F raw mid.qcow2 14M
    qemu-io -c 'write -P 3 2M 4M' -c 'write -z 8M 1M' -c 'write -P 4 12M 1M' mid.qcow2
    qemu-img create -q -f qcow2 -o cluster_size=4k -b mid.qcow2 -F qcow2 top.qcow2 16M
    qemu-io -c 'write -P 5 1M 3M' -c 'write -z 5M 1M' -c 'write -P 6 14M 600k' top.qcow2
    qemu-img convert -O raw top.qcow2 expected
    """

  static let scenarios = [
    Interruption.Scenario(
      description: "rebase onto another image", setup: chain, command: "rebase -b other.raw -F raw top.qcow2",
      verify: verify(["top.qcow2"])),
    Interruption.Scenario(
      description: "rebase onto none, compressed", setup: chain, command: "rebase -c -b '' top.qcow2",
      verify: verify(["top.qcow2"])),
    Interruption.Scenario(
      description: "commit", setup: chain, command: "commit -q top.qcow2", verify: verify(["top.qcow2", "mid.qcow2"])),
    Interruption.Scenario(
      description: "commit of an image with a snapshot",
      setup: chain + "; qemu-img snapshot -c s top.qcow2; qemu-io -c 'write -P 7 10M 300k' top.qcow2"
        + "; qemu-img convert -O raw top.qcow2 expected",
      command: "commit -q top.qcow2", verify: verify(["top.qcow2", "mid.qcow2"])),
    Interruption.Scenario(
      description: "commit past a layer", setup: chain, command: "commit -q -b base.raw top.qcow2",
      verify: verify(["top.qcow2", "mid.qcow2"])),
  ]

  @Test(arguments: scenarios) func killed(scenario: Interruption.Scenario) async throws {
    try await Interruption().killed(scenario: scenario)
  }
}

/// Every write of rebase and commit fails in turn.
struct ChainFaults {
  private static let chain = """
    cd given
    qemu-img create -q -f raw base.raw 1M; qemu-io -f raw -c 'write -P 1 0 1M' base.raw
    cp base.raw other.raw
    for i in 0 3 6; do qemu-io -f raw -c "write -P 2 ${i}01k 97k" other.raw; done
    qemu-img create -q -f qcow2 -o cluster_size=4k -b base.raw -F raw mid.qcow2 2M
    qemu-io -c 'write -P 3 200k 400k' -c 'write -z 800k 100k' mid.qcow2
    qemu-img create -q -f qcow2 -o cluster_size=4k -b mid.qcow2 -F qcow2 top.qcow2 3M
    qemu-io -c 'write -P 5 100k 300k' -c 'write -z 500k 100k' -c 'write -P 6 2M 60k' top.qcow2
    qemu-img convert -O raw top.qcow2 expected
    """
  private static let verify =
    "qemu-img check -q mid.qcow2 >verify.log 2>&1 || [ $? = 3 ] || { echo UNSOUND; cat verify.log; }; "
    + "qemu-img convert -O raw top.qcow2 shown; cmp shown ../given/expected || echo UNSOUND"

  static let operations = [
    Faults.Operation(
      description: "rebase onto another image", setup: chain, command: "rebase -b other.raw -F raw top.qcow2",
      existing: "top.qcow2", target: "top.qcow2", verify: verify, isRepeatable: true),
    Faults.Operation(
      description: "rebase -u", setup: chain, command: "rebase -u -b mid.qcow2 -F qcow2 top.qcow2",
      existing: "top.qcow2", target: "top.qcow2", verify: verify, isRepeatable: true),
    Faults.Operation(
      description: "commit", setup: chain, command: "commit -q top.qcow2", existing: "top.qcow2", target: "mid.qcow2",
      verify: verify, isRepeatable: true),
    Faults.Operation(
      description: "commit of an image with a snapshot", setup: chain + "; qemu-img snapshot -c s top.qcow2",
      command: "commit -q top.qcow2", existing: "top.qcow2", target: "mid.qcow2", verify: verify, isRepeatable: true),
    Faults.Operation(
      description: "commit into a raw base", setup: chain, command: "commit -q -b base.raw top.qcow2",
      existing: "top.qcow2", target: "base.raw", verify: verify, isRepeatable: true),
  ]

  @Test(arguments: operations) func everyWriteFailsOnce(operation: Faults.Operation) async throws {
    try await Faults().everyWriteFailsOnce(operation: operation)
  }
}
