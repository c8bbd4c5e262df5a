import Btrfs
import Bytes

/// Reads the bytes of a dump's items and makes them what the dump holds. Safe to use from many threads.
struct DumpReading: Sendable {
  let volume: BtrfsVolume
  let transform: (any TreeBlockTransform)?
  /// Whether the contents of small files stay where they are, in the trees.
  let keepsContents: Bool

  /// What there was to say about a batch.
  struct Findings: Sendable {
    var reports: [TreeBlockReport] = []
    var damages: [String] = []
  }

  /// Fills `bytes` with the dump's bytes of a batch.
  @_lifetime(bytes: copy bytes)
  func read(_ batch: DumpPlan.Batch, of plan: DumpPlan, into bytes: inout MutableRawSpan) -> Findings {
    var findings = Findings()
    var position = 0
    for item in plan.items[batch.items] {
      let count = min(Int(item.length), batch.length)
      switch item.kind {
      case .superblock:
        bytes.copy(superblock.rawBytes, at: position)
      case .treeBlocks:
        var part = bytes.slice(position..<position + count)
        readTreeBlocks(item, of: plan, into: &part, &findings)
      case .data:
        var part = bytes.slice(position..<position + count)
        readData(item.address + UInt64(batch.skipped), into: &part, &findings)
      }
      position += count
    }
    return findings
  }

  /// The superblock's bytes; as they are on the device, unless there is a transform.
  private var superblock: [UInt8] {
    var superblock = volume.dumpedSuperblock
    guard let transform else { return superblock.bytes }
    transform.apply(to: &superblock)
    // The volume has been opened: its algorithm is known.
    return (try? superblock.bytesWithChecksum()) ?? superblock.bytes
  }

  @_lifetime(bytes: copy bytes)
  private func readTreeBlocks(
    _ item: DumpPlan.Item, of plan: DumpPlan, into bytes: inout MutableRawSpan, _ findings: inout Findings
  ) {
    let size = volume.nodeSize
    // All of it at once, and one by one only what is not good.
    let isRead = (try? volume.read(into: &bytes, at: item.address, mirror: 1)) != nil
    for offset in stride(from: 0, to: bytes.byteCount, by: size) {
      let place = item.address + UInt64(offset)
      var block = bytes.slice(offset..<offset + size)
      var state = TreeBlockState.good
      let generation = plan.generation(of: item, block: offset / size)
      let isOther = generation.map { $0 != TreeBlockHeader(block.bytes).generation } ?? false
      if !isRead || isOther || !volume.isGood(block.bytes, at: place) {
        var report = TreeBlockReport(place)
        state = volume.readTreeBlock(place, into: &block, TreeBlockExpectation(generation: generation), report: &report)
        findings.reports.append(report)
        // Where no copy has the generation, any that is sound will do: what is to be told of it has been told.
        if state == .malformed, isOther, volume.isGood(block.bytes, at: place) { state = .good }
      }
      switch state {
      case .good, .malformed:
        // A wrong checksum is kept: whoever looks at the dump shall see it.
        if scrub(&block, keepsContents: keepsContents, transform: transform) { volume.algorithm.store(in: &block) }
        if state == .malformed {
          findings.damages.append("tree block \(place) is malformed, only what its items hold is stored")
        }
      case .damaged:
        _ = scrub(&block, keepsContents: keepsContents, transform: transform)
        findings.damages.append("tree block \(place) is damaged, it is stored with a wrong checksum")
      case .lost:
        // What does not look like the block may be anybody's data.
        block.fill(0..<size)
        findings.damages.append("tree block \(place) cannot be read, zeros are stored")
      }
    }
  }

  @_lifetime(bytes: copy bytes)
  private func readData(_ address: UInt64, into bytes: inout MutableRawSpan, _ findings: inout Findings) {
    for mirror in volume.mirrors(at: address)
    where (try? volume.read(into: &bytes, at: address, mirror: mirror)) != nil { return }
    bytes.fill(0..<bytes.byteCount)
    findings.damages.append("\(bytes.byteCount) bytes at \(address) cannot be read, zeros are stored")
  }
}
