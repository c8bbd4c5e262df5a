import Bytes

/// Takes what nobody needs out of the copy of a tree block: unused space, and the contents of small files
/// (btrfs-image §10.2). The checksum is left as it is.
///
/// - Parameters:
///   - block: of the node size; the item count of its header lies within its capacity.
///   - keepsContents: whether the contents of small files stay.
///   - transform: what is done to the block besides; a leaf whose items do not lie within the block is emptied then.
/// - Returns: whether anything was changed.
@_lifetime(block: copy block)
package func scrub(
  _ block: inout MutableRawSpan, keepsContents: Bool = false, transform: (any TreeBlockTransform)?
) -> Bool {
  let header = TreeBlockHeader(block.bytes)
  let size = block.byteCount
  let isLeaf = header.isLeaf || header.itemCount == 0
  let tableEnd =
    TreeBlockHeader.size + header.itemCount * (isLeaf ? LeafItem.headerSize : KeyPointer.size)
  guard isLeaf, header.itemCount > 0 else {
    let isChanged = block.zero(tableEnd..<size)
    guard let transform, !isLeaf else { return isChanged }
    transform.apply(to: &block)
    return true
  }

  var isChanged = false
  var isOrderly = true
  var end = size
  for index in 0..<header.itemCount {
    let item = LeafItem(block.bytes, index)
    guard let range = item.range(nodeSize: size), range.upperBound == end, range.lowerBound >= tableEnd else {
      isOrderly = false
      break
    }
    end = range.lowerBound
    if scrub(&block, item.key.type, range, keepsContents) { isChanged = true }
  }
  if isOrderly {
    if block.zero(tableEnd..<end) { isChanged = true }
  } else if scrubDisorderly(
    &block, tableEnd, header.itemCount, keepsContents, isEmptied: transform != nil)
  {
    isChanged = true
  }
  if let transform, isOrderly {
    transform.apply(to: &block)
    isChanged = true
  }
  return isChanged
}

/// A leaf whose data is not packed: what no item claims is unused.
@_lifetime(block: copy block)
private func scrubDisorderly(
  _ block: inout MutableRawSpan, _ tableEnd: Int, _ count: Int, _ keepsContents: Bool, isEmptied: Bool
) -> Bool {
  var ranges: [Range<Int>] = []
  var isChanged = false
  for index in 0..<count where !isEmptied {
    let item = LeafItem(block.bytes, index)
    guard let range = item.range(nodeSize: block.byteCount), range.lowerBound >= tableEnd else { continue }
    if scrub(&block, item.key.type, range, keepsContents) { isChanged = true }
    ranges.append(range)
  }
  var start = tableEnd
  for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
    if range.lowerBound > start, block.zero(start..<range.lowerBound) { isChanged = true }
    start = max(start, range.upperBound)
  }
  if block.zero(start..<block.byteCount) { isChanged = true }
  return isChanged
}

/// Scrubs the data of one item.
@_lifetime(block: copy block)
private func scrub(
  _ block: inout MutableRawSpan, _ type: ItemType, _ range: Range<Int>, _ keepsContents: Bool
) -> Bool {
  switch type {
  case .legacyChecksum:
    return block.zero(range)
  case .extentData where !keepsContents:
    guard range.count >= InlineExtent.headerSize, block.bytes[range.lowerBound + InlineExtent.typeOffset] == 0 else {
      return false
    }
    return block.zero(range.lowerBound + InlineExtent.headerSize..<range.upperBound)
  default:
    return false
  }
}

/// A file extent item whose type is 0: file contents within the leaf (btrfs-image §6.1).
private enum InlineExtent {
  /// Bytes before the contents.
  static let headerSize = 21
  /// Where the type is.
  static let typeOffset = 20
}

extension MutableRawSpan {
  /// Makes `range` zeros, and tells whether it was not.
  @_lifetime(self: copy self)
  fileprivate mutating func zero(_ range: Range<Int>) -> Bool {
    if bytes.isZero(range) { return false }
    fill(range)
    return true
  }
}
