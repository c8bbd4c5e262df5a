import Bytes

/// What a tree block proved to be when all its copies had been tried.
package enum TreeBlockState: Sendable, Equatable {
  /// Everything is as it should be.
  case good
  /// The checksum is right, but keys or data lie where they should not, or the block is not the one that was expected.
  case malformed
  /// The checksum is wrong; the header is that of the block.
  case damaged
  /// No copy can be read, or none looks like the block.
  case lost
}

/// What is known about a tree block before it is read.
package struct TreeBlockExpectation: Sendable, Equatable {
  /// When another generation than the expected one is worth a line.
  package enum GenerationReport: Sendable {
    case never
    /// The reference keeps roots in memory, and looks at them once.
    case once
    /// It looks at other blocks anew whenever a search passes them.
    case always
  }

  /// The transaction that wrote it.
  package var generation: UInt64?
  /// Its level.
  package var level: UInt8?
  /// When another generation is worth a line.
  package var generationReport = GenerationReport.never

  package init(generation: UInt64? = nil, level: UInt8? = nil, generationReport: GenerationReport = .never) {
    self.generation = generation
    self.level = level
    self.generationReport = generationReport
  }
}

/// What there was to say about a tree block, in the reference's words (btrfs-image §5).
package struct TreeBlockReport: Sendable, Equatable {
  /// The block's logical address.
  package let address: UInt64
  /// Lines in their order, as they are printed.
  package var lines: [String] = []
  /// What is said when the block is met again, in place of ``lines``.
  package var repeatedLines: [String] = []

  package init(_ address: UInt64) { self.address = address }
}

extension BtrfsVolume {
  /// Why a copy is not what it should be.
  private enum Fault {
    case checksum(stored: BlockChecksum, computed: BlockChecksum)
    case address(UInt64)
    case fileSystem(UUID128)
    case level(UInt8)
    case itemCount(Int)
    case generation(UInt64)
    case contents(TreeBlockContentsFault)
    /// Not the level that leads to it.
    case otherLevel
  }

  /// Whether `block`, read from `address`, can be used as it is: the first pass over blocks read in bulk.
  package func isGood(_ block: RawSpan, at address: UInt64) -> Bool {
    fault(of: block, at: address, TreeBlockExpectation()) == nil
  }

  private func fault(of block: RawSpan, at address: UInt64, _ expectation: TreeBlockExpectation) -> Fault? {
    let (stored, computed) = (algorithm.stored(in: block), algorithm.checksum(of: block))
    if stored != computed { return .checksum(stored: stored, computed: computed) }
    let header = TreeBlockHeader(block)
    if let fault = fault(of: header, at: address) { return fault }
    if let generation = expectation.generation, generation != header.generation {
      return .generation(header.generation)
    }
    if let level = expectation.level, level != header.level { return .otherLevel }
    return contentsFault(of: block, header).map { .contents($0) }
  }

  /// What is wrong with the items or pointers of a block whose item count lies within its capacity.
  package func contentsFault(of block: RawSpan, _ header: TreeBlockHeader) -> TreeBlockContentsFault? {
    header.isLeaf
      ? leafFault(block, count: header.itemCount)
      : nodeFault(block, count: header.itemCount, sectorSize: Int(superblock.sectorSize))
  }

  /// What the header alone tells. An empty node is left to the check of its contents.
  private func fault(of header: TreeBlockHeader, at address: UInt64) -> Fault? {
    if header.address != address { return .address(header.address) }
    if !fileSystemIDs.contains(header.fsid) { return .fileSystem(header.fsid) }
    if header.level >= TreeBlockHeader.levelLimit { return .level(header.level) }
    if header.itemCount > header.capacity(nodeSize: nodeSize) { return .itemCount(header.itemCount) }
    return nil
  }

  /// Whether the header is that of the tree block at `address`, whatever the checksum says; then the item count lies
  /// within the block's capacity.
  package func hasPlausibleHeader(_ block: RawSpan, at address: UInt64) -> Bool {
    fault(of: TreeBlockHeader(block), at: address) == nil
  }

  /// Reads a tree block, trying its copies in turn.
  ///
  /// - Parameters:
  ///   - block: of the node size; receives the first good copy, else the best there is; zeros when the block is lost.
  ///   - report: receives what there is to say.
  package func readTreeBlock(
    _ address: UInt64, into block: inout MutableRawSpan, _ expectation: TreeBlockExpectation = TreeBlockExpectation(),
    report: inout TreeBlockReport
  ) -> TreeBlockState {
    guard address >= UInt64(superblock.sectorSize), address % UInt64(superblock.sectorSize) == 0 else {
      report.lines.append(
        "ERROR: tree block bytenr \(address) is not aligned to sectorsize \(superblock.sectorSize)")
      block.fill(0..<block.byteCount)
      return .lost
    }
    let mirrors = mirrorCount(at: address)
    if mirrors == 0 { report.lines.append("Couldn't map the block \(address)") }
    var best = (state: TreeBlockState.lost, mirror: 0)
    var last: Fault?
    /// What was said of the best one, if its checksum is right.
    var bestLine: String?
    for mirror in 0..<mirrors {
      guard (try? read(into: &block, at: address, mirror: mirror + 1)) != nil else { continue }
      guard let fault = fault(of: block.bytes, at: address, expectation) else { return .good }
      last = fault
      let state = state(of: block.bytes, at: address, fault)
      let said = report.lines.count
      describe(fault, TreeBlockHeader(block.bytes), expectation, in: &report)
      if rank(state) > rank(best.state) {
        best = (state, mirror + 1)
        if state == .malformed { bestLine = report.lines.count > said ? report.lines.last : nil }
      }
    }
    if let bestLine { report.lines.append(bestLine) }
    finish(&report, last, best.state)
    if expectation.generationReport == .always, report.lines.last == BtrfsVolume.ignoringGeneration {
      report.repeatedLines = report.lines.suffix(2)
    }
    guard best.mirror > 0, (try? read(into: &block, at: address, mirror: best.mirror)) != nil else {
      block.fill(0..<block.byteCount)
      return .lost
    }
    return best.state
  }

  private func state(of block: RawSpan, at address: UInt64, _ fault: Fault) -> TreeBlockState {
    switch fault {
    case .generation, .contents, .otherLevel: .malformed
    case .checksum: hasPlausibleHeader(block, at: address) ? .damaged : .lost
    case .address, .fileSystem, .level, .itemCount: .lost
    }
  }

  private static let ignoringGeneration = "Ignoring transid failure"

  private func rank(_ state: TreeBlockState) -> Int {
    switch state {
    case .good: 3
    case .malformed: 2
    case .damaged: 1
    case .lost: 0
    }
  }

  private func describe(
    _ fault: Fault, _ header: TreeBlockHeader, _ expectation: TreeBlockExpectation, in report: inout TreeBlockReport
  ) {
    switch fault {
    case .checksum(let stored, let computed):
      report.lines.append(
        "checksum verify failed on \(report.address) wanted 0x\(stored.hexadecimal) found 0x\(computed.hexadecimal)")
    case .generation(let found) where expectation.generationReport != .never:
      report.lines.append(
        "parent transid verify failed on \(report.address) wanted \(expectation.generation ?? 0) found \(found)")
    case .contents(.emptyNode): break
    case .contents(let fault): report.lines.append(fault.line(of: header))
    default: break
    }
  }

  /// The reference tries a copy once more when all have failed, and then says why it gives up.
  private func finish(_ report: inout TreeBlockReport, _ last: Fault?, _ state: TreeBlockState) {
    switch last {
    case .checksum:
      if state == .malformed { return }
      if let line = report.lines.last { report.lines.append(line) }
      report.lines.append("Csum didn't match")
    case .address(let found):
      report.lines.append("bad tree block \(report.address), bytenr mismatch, want=\(report.address), have=\(found)")
    case .fileSystem(let found):
      report.lines.append(
        "bad tree block \(report.address), fsid mismatch, want=\(superblock.metadataUUID), have=\(found)")
    case .level(let found):
      report.lines.append("bad tree block \(report.address), bad level, \(found) > 8")
    case .itemCount(let found):
      report.lines.append("bad tree block \(report.address), invalid nr_items: \(found)")
    case .generation:
      if !report.lines.isEmpty { report.lines.append(BtrfsVolume.ignoringGeneration) }
    case .contents(.emptyNode):
      report.lines.append("bad tree block \(report.address), invalid nr_items: 0")
    case .contents, .otherLevel, nil: break
    }
  }
}
