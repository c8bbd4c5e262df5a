import Bytes

/// Replaces the names in directory blocks by names without meaning (ext4-e2image §8).
///
/// Blocks must come in ascending order: names are numbered over the whole run.
package struct DirectoryScrambler: Sendable {
  /// For each length of a name, how many were replaced.
  private var counters = [UInt64](repeating: 0, count: 256)

  package init() {}

  /// Scrambles one block.
  ///
  /// - Parameter corrupt: called with what is wrong with an entry, without the block's number.
  package mutating func scramble(_ block: inout MutableRawSpan, corrupt: (String) -> Void) {
    let size = block.byteCount
    var position = 0
    while position < size - 8 {
      let raw = UInt32(block.bytes.littleEndian(at: position + 4, as: UInt16.self))
      var length = raw == 0 || raw == 65535 ? UInt32(size) : raw & 0xFFFC | (raw & 3) << 16
      if length < 8 || length % 4 != 0 || position + Int(length) > size {
        corrupt("bad rec_len (\(length))")
        // The entry takes the rest of the block. Names there cannot be told apart any more: nothing of them is shown.
        length = UInt32(size - position)
        block.storeLittleEndian(length == 65536 ? 0xFFFF : UInt16(length), at: position + 4)
        block.fill(position + 8..<size)
        return
      }
      let end = position + Int(length)
      let nameLength = Int(block.bytes[position + 6])
      if nameLength + 8 > Int(length) {
        corrupt("bad name_len (\(nameLength))")
        block.storeLittleEndian(UInt8(truncatingIfNeeded: length - 8), at: position + 6)
        block.fill(position + 8..<end, with: UInt8(ascii: "A"))
      } else {
        let name = position + 8..<position + 8 + nameLength
        block.fill(name.upperBound..<end)
        if !isDots(block.bytes.slice(name)) { replace(&block, name) }
      }
      position = end
    }
  }

  private func isDots(_ name: RawSpan) -> Bool {
    (1...2).contains(name.byteCount) && (0..<name.byteCount).allSatisfy { name[$0] == UInt8(ascii: ".") }
  }

  private mutating func replace(_ block: inout MutableRawSpan, _ name: Range<Int>) {
    block.fill(name, with: UInt8(ascii: "A"))
    var value = counters[name.count]
    counters[name.count] += 1
    var position = name.lowerBound
    while value > 0, position < name.upperBound {
      block.storeLittleEndian(UInt8(ascii: "A") + UInt8(value % 26), at: position)
      value /= 26
      position += 1
    }
  }
}
