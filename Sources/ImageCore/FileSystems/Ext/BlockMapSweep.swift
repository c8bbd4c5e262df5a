import Bytes
import Storage

/// Walks many block maps at once, reading their parts in the order in which they lie on the device.
///
/// What an image needs is a set, and how often something is marked is a sum (ext4-e2image §4): neither depends on the
/// order. So the parts that maps name are collected, sorted and read in one sweep, neighbours in one request; what they
/// name in turn makes the next sweep. Messages are not told here, because they do depend on the order.
final class BlockMapSweep {
  /// Whose map it is, and what is wanted of it.
  struct Owner {
    var inode: UInt32
    var isDirectory: Bool
    /// The blocks that hold contents are wanted too.
    var takesData: Bool
    fileprivate var hasExtents: Bool

    init(inode: UInt32, isDirectory: Bool, takesData: Bool, hasExtents: Bool) {
      self.inode = inode
      self.isDirectory = isDirectory
      self.takesData = takesData
      self.hasExtents = hasExtents
    }
  }

  /// What the sweep tells: blocks that a map holds, in no particular order, and what is wrong with one.
  enum Event {
    /// An item, and how often the map names it.
    case item(BlockMapItem, times: UInt64)
    case damage(ImageError)
  }

  /// A block of a map that has been named and is still to be read.
  private struct Part {
    var block: UInt64
    var owner: Owner
    /// How many levels of the map are below it: 0 for one that names contents.
    var level: UInt16
    /// How many blocks of the map lead to it.
    var depth: Int
    /// Those blocks, from the root on, in a tree of extents: one that leads back to them is a cycle.
    var path: InlineArray<4, UInt64> = [0, 0, 0, 0]
    /// How often the map leads here in the same way: more than once in a damaged one only.
    var times: UInt64 = 1

    /// Whether `other` is the same part of the same map.
    func isSame(as other: Part) -> Bool {
      block == other.block && owner.inode == other.owner.inode && level == other.level && depth == other.depth
        && path.indices.allSatisfy { path[$0] == other.path[$0] }
    }
  }

  /// Parts that lie near each other: they are read in one request.
  private struct Window {
    var parts: Range<Int>
    var blocks: ClosedRange<UInt64>
  }

  private let volume: ExtVolume
  private let budget: BlockMapBudget
  /// Parts are swept when there are this many: 2 MiB for each level of a map.
  private let limit: Int
  static let defaultLimit = 32768
  /// A request is no longer than this, and reads through gaps of that length, both in bytes.
  private static let longestWindow = 256 << 10
  private var windowSize: Int { max(BlockMapSweep.longestWindow, volume.superblock.blockSize) }
  private static let gapSize = 16 << 10
  /// Windows that the storage hears about ahead of time.
  private static let windowsAhead = 32

  private var pending: [Part] = []

  init(_ volume: ExtVolume, limit: Int = BlockMapSweep.defaultLimit) {
    self.volume = volume
    self.limit = limit
    budget = BlockMapBudget(volume)
  }

  /// Whether it is time for ``drain(_:)``.
  var isFull: Bool { pending.count >= limit }

  /// Takes the root of a map (60 bytes); its parts are read later.
  func begin(_ inode: ExtInode, _ map: RawSpan, _ owner: Owner, _ tell: (Event) -> Void) {
    if inode.translatorBlock != 0 { tell(.item(.index(inode.translatorBlock), times: 1)) }
    let root = Part(block: 0, owner: owner, level: 0, depth: 0)
    guard inode.hasExtents else {
      BlockMap.forEachRun(of: map.slice(0..<48)) { tell(.item($0, times: 1)) }
      for level in 1...3 {
        add(UInt64(map.littleEndian(at: 44 + level * 4, as: UInt32.self)), to: &pending, below: root, level, tell)
      }
      return
    }
    if map.isZero { return }
    guard let header = BlockMap.NodeHeader(map) else { return tell(.damage(ExtError.corruptExtentHeader)) }
    var top = root
    top.level = UInt16(header.depth)
    takeNode(map, header, top, &pending, tell)
  }

  /// Reads everything that is pending, and what that leads to.
  func drain(_ tell: (Owner, Event) -> Void) {
    let parts = pending
    pending = []
    if parts.isEmpty { return }
    var buffer = Buffer(windowSize)
    sweep(parts, &buffer, tell)
    budget.renew()
  }

  /// In the order of the device; what a map names more than once is there once.
  private func ordered(_ parts: [Part]) -> [Part] {
    let parts = parts.sorted {
      $0.block != $1.block ? $0.block < $1.block : ($0.owner.inode, $0.level) < ($1.owner.inode, $1.level)
    }
    var result: [Part] = []
    result.reserveCapacity(parts.count)
    for part in parts {
      if let last = result.last, last.isSame(as: part) {
        result[result.count - 1].times = last.times.saturatingAdd(part.times)
      } else {
        result.append(part)
      }
    }
    return result
  }

  // MARK: One sweep

  /// Reads `parts` in ascending order, then what they lead to, or before that where it gets too much. Calls itself for
  /// each level of the deepest map, which are few.
  private func sweep(_ parts: [Part], _ buffer: inout Buffer, _ tell: (Owner, Event) -> Void) {
    let parts = ordered(parts)
    var children: [Part] = []
    let windows = windows(of: parts)
    for window in windows.prefix(BlockMapSweep.windowsAhead) { prefetch(window) }
    for (index, window) in windows.enumerated() {
      let ahead = index + BlockMapSweep.windowsAhead
      if ahead < windows.count { prefetch(windows[ahead]) }
      read(window, of: parts, &buffer, &children, tell)
      if children.count >= limit {
        sweep(children, &buffer, tell)
        children = []
      }
    }
    if !children.isEmpty { sweep(children, &buffer, tell) }
  }

  private func windows(of parts: [Part]) -> [Window] {
    let size = UInt64(volume.superblock.blockSize)
    let most = UInt64(windowSize) / size
    let gap = UInt64(BlockMapSweep.gapSize) / size
    var windows: [Window] = []
    for (index, part) in parts.enumerated() {
      if let last = windows.last, part.block - last.blocks.lowerBound < most,
        part.block - last.blocks.upperBound <= gap + 1
      {
        windows[windows.count - 1] = Window(
          parts: last.parts.lowerBound..<index + 1, blocks: last.blocks.lowerBound...part.block)
      } else {
        windows.append(Window(parts: index..<index + 1, blocks: part.block...part.block))
      }
    }
    return windows
  }

  /// The bytes of a window in the storage; nil when they are not all there.
  private func range(of window: Window) -> Range<UInt64>? {
    let start = volume.offset(ofBlock: window.blocks.lowerBound)
    let count = UInt64(window.blocks.count) * UInt64(volume.superblock.blockSize)
    let (end, overflow) = start.addingReportingOverflow(count)
    return overflow || end > volume.storage.length ? nil : start..<end
  }

  private func prefetch(_ window: Window) {
    if let range = range(of: window) { volume.storage.prefetch(range) }
  }

  /// Reads a window.
  ///
  /// - Returns: false when something in it cannot be read.
  private func fill(_ buffer: inout Buffer, with window: Window) -> Bool {
    guard let range = range(of: window) else { return false }
    var all = buffer.mutableBytes
    var bytes = all.slice(0..<Int(range.upperBound - range.lowerBound))
    do throws(ImageError) {
      try volume.storage.read(into: &bytes, at: range.lowerBound)
    } catch {
      return false
    }
    return true
  }

  private func read(
    _ window: Window, of parts: [Part], _ buffer: inout Buffer, _ children: inout [Part],
    _ tell: (Owner, Event) -> Void
  ) {
    let size = volume.superblock.blockSize
    let isRead = fill(&buffer, with: window)
    for part in parts[window.parts] {
      do throws(ImageError) {
        try budget.spend(
          of: part.owner.inode, otherwise: part.owner.hasExtents ? ExtError.extentCycle : ExtError.badIndirect)
        if isRead {
          let start = Int(part.block - window.blocks.lowerBound) * size
          try take(part, buffer.bytes.slice(start..<start + size), &children, tell)
        } else {
          let bytes = try volume.readBlock(part.block)
          try take(part, bytes.rawBytes, &children, tell)
        }
      } catch {
        tell(part.owner, .damage(error))
      }
    }
  }

  // MARK: What a part names

  private func take(
    _ part: Part, _ bytes: RawSpan, _ children: inout [Part], _ tell: (Owner, Event) -> Void
  ) throws(ImageError) {
    guard part.owner.hasExtents else {
      if part.level == 0 {
        BlockMap.forEachRun(of: bytes) { tell(part.owner, .item($0, times: part.times)) }
        return
      }
      for offset in stride(from: 0, to: bytes.byteCount, by: 4) {
        add(UInt64(bytes.littleEndian(at: offset, as: UInt32.self)), to: &children, below: part, Int(part.level)) {
          tell(part.owner, $0)
        }
      }
      return
    }
    guard let header = BlockMap.NodeHeader(bytes) else { throw ExtError.corruptExtentHeader }
    if header.entryCount == 0 { throw ExtError.emptyExtentNode }
    takeNode(bytes, header, part, &children) { tell(part.owner, $0) }
  }

  /// Adds a block of indirect numbers.
  ///
  /// - Parameter level: 1 for a block that names contents, 2 and 3 for those above.
  private func add(
    _ block: UInt64, to children: inout [Part], below part: Part, _ level: Int, _ tell: (Event) -> Void
  ) {
    if block == 0 { return }
    tell(.item(.index(block), times: part.times))
    guard (volume.superblock.firstDataBlock..<volume.superblock.blockCount).contains(block) else {
      return tell(.damage(ExtError.badIndirect))
    }
    children.append(
      Part(block: block, owner: part.owner, level: UInt16(level - 1), depth: part.depth + 1, times: part.times))
  }

  /// Takes a node of a tree of extents, or its root.
  private func takeNode(
    _ node: RawSpan, _ header: BlockMap.NodeHeader, _ part: Part, _ children: inout [Part], _ tell: (Event) -> Void
  ) {
    for entry in 0..<header.entryCount {
      if part.level == 0 {
        tell(.item(BlockMap.extent(node, entry), times: part.times))
        continue
      }
      let block = BlockMap.child(node, entry)
      tell(.item(.index(block), times: part.times))
      var child = part
      child.block = block
      child.level -= 1
      child.depth += 1
      if part.depth > 0 {
        // The part itself is on the path of what is below it.
        let isCycle = part.block == block || (0..<part.depth - 1).contains { part.path[$0] == block }
        guard !isCycle else {
          tell(.damage(ExtError.extentCycle))
          continue
        }
        guard part.depth < BlockMap.depthLimit else {
          tell(.damage(ExtError.corruptExtentHeader))
          continue
        }
        child.path[part.depth - 1] = part.block
      }
      children.append(child)
    }
  }
}
