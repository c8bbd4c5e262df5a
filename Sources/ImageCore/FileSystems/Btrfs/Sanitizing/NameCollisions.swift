import Bytes
import Codecs

/// Finds names of the same length and the same hash (btrfs-image §13.2).
///
/// The hash is a CRC: the register after the last byte is an affine function of all bytes. The last four bytes that lead
/// to a given register are therefore the register four steps before it, exclusive-or the register after the bytes in
/// front of them; and a change of one of those bytes changes that register by a value that depends on the change and
/// the byte's place alone. So each candidate costs one look into a table, whatever the name's length, and of 55
/// candidates one has four printable bytes at its end.
package final class NameCollisions: Sendable {
  /// The register that hashes of directory entries and extended attributes begin with (§2.3). Names that collide with
  /// this one collide with every other.
  package static let seed: UInt32 = 0xFFFF_FFFE
  /// The longest name in bytes.
  package static let longestName = 255
  /// Bytes at a name's end that are computed rather than chosen.
  static let computedBytes = 4

  /// What a new name may consist of.
  package struct Choice: Sendable {
    /// The least byte: `0x20`, or `0x21` without blanks. The greatest is `0x7E`; `/` is left out.
    package var least: UInt8
    /// Bytes at the name's beginning that stay as they are.
    package var kept = 0

    package init(least: UInt8, kept: Int = 0) {
      self.least = least
      self.kept = kept
    }
  }

  /// How many of the chosen bytes are varied: 94^4 candidates are enough for all names that have so many.
  private static let variedBytes = 4
  private static let greatest: UInt8 = 0x7E
  private static let slash: UInt8 = 0x2F

  /// What a byte's change, followed by so many more bytes, changes in the register: 256 values for each distance.
  private let changes: [UInt32]
  /// For the top byte of a register, what undoes a step.
  private let inverse: [UInt32]

  package init() {
    let table = (0..<256).map { byte in CRC32C.update(0, [UInt8(byte)].rawBytes) }
    var inverse = [UInt32](repeating: 0, count: 256)
    for byte in 0..<256 { inverse[Int(table[byte] >> 24)] = table[byte] << 8 ^ UInt32(byte) }
    var changes = table
    changes.reserveCapacity(NameCollisions.longestName * 256)
    for index in 256..<NameCollisions.longestName * 256 {
      let before = changes[index - 256]
      changes.append(before >> 8 ^ table[Int(before & 0xFF)])
    }
    self.inverse = inverse
    self.changes = changes
  }

  /// The hash of a name.
  package static func hash(_ name: RawSpan) -> UInt32 { CRC32C.update(seed, name) }

  /// Replaces `name` by another one of the same length and a given hash, its own for example.
  ///
  /// - Parameters:
  ///   - name: the name; unchanged when there is no other.
  ///   - choice: what the new name may consist of.
  ///   - start: called with the positions of the bytes that are chosen: the bytes from which the search begins.
  /// - Returns: whether there is such a name. Names of up to four bytes have none, names of five not always.
  @_lifetime(name: copy name)
  package func replace(
    _ name: inout MutableRawSpan, hash: UInt32, _ choice: Choice, start: (_ position: Int) -> UInt8
  ) -> Bool {
    let count = name.byteCount
    let end = count - NameCollisions.computedBytes
    guard end > choice.kept, count <= NameCollisions.longestName else { return false }
    var original = InlineArray<256, UInt8>(repeating: 0)
    for position in 0..<count { original[position] = name.bytes[position] }
    let wanted = stepsBack(hash, 4)
    for position in choice.kept..<end { name.storeBytes(of: start(position), toByteOffset: position, as: UInt8.self) }
    var register = CRC32C.update(NameCollisions.seed, name.bytes.slice(0..<end))
    // Where each varied byte began: it has been all around when it comes back there.
    let varied = choice.kept..<min(end, choice.kept + NameCollisions.variedBytes)
    var first = SIMD4<UInt8>()
    for position in varied { first[position - varied.lowerBound] = name.bytes[position] }
    while true {
      let suffix = wanted ^ register
      if isChosen(suffix, choice, count: 4) {
        name.storeLittleEndian(suffix, at: end)
        if !(0..<count).allSatisfy({ name.bytes[$0] == original[$0] }) { return true }
      }
      var position = varied.lowerBound
      while true {
        guard position < varied.upperBound else {
          for position in 0..<count { name.storeBytes(of: original[position], toByteOffset: position, as: UInt8.self) }
          return false
        }
        let old = name.bytes[position]
        let new = successor(of: old, choice)
        register ^= changes[(end - 1 - position) << 8 | Int(old ^ new)]
        name.storeBytes(of: new, toByteOffset: position, as: UInt8.self)
        if new != first[position - varied.lowerBound] { break }
        position += 1
      }
    }
  }

  /// Replaces `name` by the first one of the same hash in the reference's order: blanks in front, the first byte changes
  /// fastest.
  @_lifetime(name: copy name)
  package func replace(_ name: inout MutableRawSpan) -> Bool {
    replace(&name, hash: NameCollisions.hash(name.bytes), Choice(least: 0x20)) { _ in 0x20 }
  }

  /// Replaces a name of three to seven bytes by one whose hash is as near as possible, but another.
  ///
  /// - Returns: whether there is one; there always is one of printable bytes.
  @_lifetime(name: copy name)
  package func replaceByNeighbor(_ name: inout MutableRawSpan, _ choice: Choice) -> Bool {
    let count = name.byteCount
    guard (3...7).contains(count) else { return false }
    let hash = NameCollisions.hash(name.bytes)
    for distance in 1...UInt32(1) << 20 {
      for (target, isBeyond) in [hash.addingReportingOverflow(distance), hash.subtractingReportingOverflow(distance)]
      where !isBeyond {
        if count > NameCollisions.computedBytes {
          if replace(&name, hash: target, choice, start: { _ in choice.least }) { return true }
          continue
        }
        // What the bytes must be, and zeros where there are no bytes.
        let bytes = stepsBack(target, count) ^ NameCollisions.seed
        guard count == 4 || bytes >> UInt32(count * 8) == 0, isChosen(bytes, choice, count: count) else { continue }
        for index in 0..<count {
          name.storeBytes(
            of: UInt8(truncatingIfNeeded: bytes >> UInt32(index * 8)), toByteOffset: index, as: UInt8.self)
        }
        return true
      }
    }
    return false
  }

  private func successor(of byte: UInt8, _ choice: Choice) -> UInt8 {
    guard byte < NameCollisions.greatest else { return choice.least }
    return byte + 1 == NameCollisions.slash ? byte + 2 : byte + 1
  }

  private func isChosen(_ suffix: UInt32, _ choice: Choice, count: Int) -> Bool {
    var rest = suffix
    for _ in 0..<count {
      let byte = UInt8(truncatingIfNeeded: rest)
      guard byte >= choice.least, byte <= NameCollisions.greatest, byte != NameCollisions.slash else { return false }
      rest >>= 8
    }
    return true
  }

  /// The register from which `count` zero bytes lead to `register`.
  private func stepsBack(_ register: UInt32, _ count: Int) -> UInt32 {
    var register = register
    for _ in 0..<count { register = register << 8 ^ inverse[Int(register >> 24)] }
    return register
  }
}
