import Bytes
import Codecs

/// Finds names of the same length and the same hash (btrfs-image §13.2).
///
/// The hash is a CRC: the register after the last byte is an affine function of all bytes. The last four bytes that lead
/// to a given register are therefore the register four steps before it, exclusive-or the register after the bytes in
/// front of them; and a change of one of those bytes changes that register by a value that depends on the change and
/// the byte's place alone. Of 55 candidates one has four printable bytes at its end; a table tells which values of a byte
/// give each of those four the top bits of a printable one, so that nearly all that are looked at are found good.
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
  private static let blank: UInt8 = 0x20
  private static let greatest: UInt8 = 0x7E
  private static let slash: UInt8 = 0x2F

  /// What a byte's change, followed by so many more bytes, changes in the register: 256 values for each distance.
  private let changes: [UInt32]
  /// For the top byte of a register, what undoes a step.
  private let inverse: [UInt32]
  /// Which values of a byte, followed by so many more bytes, make a computed byte one of 0x20 to 0x7F: a set for each
  /// distance, each computed byte, and each value of the top three bits that it has if the byte is 0.
  private let printable: [ByteSet]
  /// The register after so many blanks.
  private let blanks: [UInt32]

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
    var printable = [ByteSet](repeating: ByteSet(), count: NameCollisions.longestName * 32)
    for distance in 0..<NameCollisions.longestName {
      for byte in NameCollisions.blank...NameCollisions.greatest where byte != NameCollisions.slash {
        let change = changes[distance << 8 | Int(byte)]
        for place in 0..<4 {
          let top = Int(change >> UInt32(8 * place + 5) & 7)
          for wanted in 1...3 { printable[NameCollisions.index(distance, place) | top ^ wanted].insert(byte) }
        }
      }
    }
    var blanks = [NameCollisions.seed]
    for count in 0..<NameCollisions.longestName {
      let before = blanks[count]
      blanks.append(before >> 8 ^ table[Int((before ^ UInt32(NameCollisions.blank)) & 0xFF)])
    }
    self.inverse = inverse
    self.changes = changes
    self.printable = printable
    self.blanks = blanks
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
    guard let chosen = chosenPositions(name.byteCount, choice) else { return false }
    let old = Ending(name.bytes, chosen)
    var original = InlineArray<256, UInt8>(repeating: 0)
    var isRestSame = true
    for position in chosen {
      original[position] = name.bytes[position]
      let new = start(position)
      if position >= chosen.lowerBound + NameCollisions.variedBytes, new != original[position] { isRestSame = false }
      name.storeBytes(of: new, toByteOffset: position, as: UInt8.self)
    }
    let register = CRC32C.update(NameCollisions.seed, name.bytes.slice(0..<chosen.upperBound))
    let found = search(hash, choice, chosen, register, Ending(name.bytes, chosen), not: isRestSame ? old : nil)
    guard let found else {
      for position in chosen { name.storeBytes(of: original[position], toByteOffset: position, as: UInt8.self) }
      return false
    }
    found.store(in: &name, chosen)
    return true
  }

  /// Replaces `name` by the first other one of a given hash, in the reference's order: blanks in front (or the least byte
  /// that is allowed), the first byte changes fastest.
  ///
  /// - Returns: whether there is such a name.
  @_lifetime(name: copy name)
  package func replace(_ name: inout MutableRawSpan, hash: UInt32, _ choice: Choice) -> Bool {
    guard choice.least == NameCollisions.blank, choice.kept == 0 else {
      return replace(&name, hash: hash, choice, start: { _ in choice.least })
    }
    guard let chosen = chosenPositions(name.byteCount, choice) else { return false }
    let isRestSame = chosen.dropFirst(NameCollisions.variedBytes).allSatisfy { name.bytes[$0] == NameCollisions.blank }
    let start = Ending(varied: SIMD4(repeating: NameCollisions.blank), suffix: 0)
    let old = isRestSame ? Ending(name.bytes, chosen) : nil
    guard let found = search(hash, choice, chosen, blanks[chosen.count], start, not: old) else { return false }
    name.fill(chosen, with: NameCollisions.blank)
    found.store(in: &name, chosen)
    return true
  }

  /// Replaces `name` by the first other one of the same hash in the reference's order.
  @_lifetime(name: copy name)
  package func replace(_ name: inout MutableRawSpan) -> Bool {
    replace(&name, hash: NameCollisions.hash(name.bytes), Choice(least: NameCollisions.blank))
  }

  /// Positions of the bytes that are chosen; the computed ones follow. Nil where there is nothing to choose.
  private func chosenPositions(_ count: Int, _ choice: Choice) -> Range<Int>? {
    let end = count - NameCollisions.computedBytes
    return end > choice.kept && count <= NameCollisions.longestName ? choice.kept..<end : nil
  }

  /// What a search changes of a name: the first chosen bytes, and the computed ones.
  private struct Ending {
    /// In their order; what is more than the name has does not matter.
    var varied: SIMD4<UInt8>
    /// Little-endian.
    var suffix: UInt32

    init(varied: SIMD4<UInt8>, suffix: UInt32) {
      self.varied = varied
      self.suffix = suffix
    }

    init(_ name: RawSpan, _ chosen: Range<Int>) {
      // There are at least four bytes behind the first chosen one.
      let bytes: UInt32 = name.littleEndian(at: chosen.lowerBound)
      varied = SIMD4(truncatingIfNeeded: SIMD4(bytes, bytes >> 8, bytes >> 16, bytes >> 24))
      suffix = name.littleEndian(at: chosen.upperBound)
    }

    @_lifetime(name: copy name)
    func store(in name: inout MutableRawSpan, _ chosen: Range<Int>) {
      for index in 0..<min(chosen.count, NameCollisions.variedBytes) {
        name.storeBytes(of: varied[index], toByteOffset: chosen.lowerBound + index, as: UInt8.self)
      }
      name.storeLittleEndian(suffix, at: chosen.upperBound)
    }
  }

  /// Varies the first chosen bytes until printable bytes behind the chosen ones lead to `hash`.
  ///
  /// - Parameters:
  ///   - register: what the first candidate's chosen bytes lead to.
  ///   - first: how the first candidate's chosen bytes begin.
  ///   - original: what may not be found.
  private func search(
    _ hash: UInt32, _ choice: Choice, _ chosen: Range<Int>, _ register: UInt32, _ first: Ending,
    not original: Ending?
  ) -> Ending? {
    let count = min(chosen.count, NameCollisions.variedBytes)
    let distance = chosen.count - 1
    let first = first.varied
    var varied = first
    // What the computed bytes are when the fastest byte is 0.
    var suffix = stepsBack(hash, NameCollisions.computedBytes) ^ register ^ changes[distance << 8 | Int(first[0])]
    while true {
      let bytes = printableBytes(distance, suffix)
      var rest = bytes.from(first[0])
      var isSecondPart = false
      while true {
        guard let byte = rest.popFirst() else {
          if isSecondPart { break }
          isSecondPart = true
          rest = bytes.from(choice.least).below(first[0])
          continue
        }
        let candidate = suffix ^ changes[distance << 8 | Int(byte)]
        guard NameCollisions.isPrintable(candidate, choice.least) else { continue }
        varied[0] = byte
        if let original, original.suffix == candidate, isSame(original.varied, varied, count) { continue }
        return Ending(varied: varied, suffix: candidate)
      }
      // The next byte moves on, and the one behind it when that has been all around.
      var index = 1
      while true {
        guard index < count else { return nil }
        let new = successor(of: varied[index], choice)
        suffix ^= changes[(distance - index) << 8 | Int(varied[index] ^ new)]
        varied[index] = new
        if new != first[index] { break }
        index += 1
      }
    }
  }

  /// Whether a name of three or four bytes has this hash, as people write them.
  func mayBeShort(_ hash: UInt32) -> Bool {
    (3...4).contains { count in
      let word = stepsBack(hash, count) ^ NameCollisions.seed
      guard count == 4 || word >> 24 == 0 else { return false }
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: word >> UInt32(8 * $0)) }
      return bytes.allSatisfy { $0 >= NameCollisions.blank && $0 != NameCollisions.slash && $0 != 0x7F }
        && String(validating: bytes, as: UTF8.self) != nil
    }
  }

  private func isSame(_ a: SIMD4<UInt8>, _ b: SIMD4<UInt8>, _ count: Int) -> Bool {
    (0..<count).allSatisfy { a[$0] == b[$0] }
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
      for isBelow in [false, true] {
        let (target, isBeyond) =
          isBelow ? hash.subtractingReportingOverflow(distance) : hash.addingReportingOverflow(distance)
        if isBeyond { continue }
        if count > NameCollisions.computedBytes {
          if replace(&name, hash: target, choice) { return true }
          continue
        }
        // What the bytes must be, and a zero where there is none.
        let bytes = stepsBack(target, count) ^ NameCollisions.seed
        let filled = count == 4 ? bytes : bytes | UInt32(choice.least) << 24
        guard count == 4 || bytes >> 24 == 0, filled & 0x8080_8080 == 0,
          NameCollisions.isPrintable(filled, choice.least)
        else { continue }
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

  private static func index(_ distance: Int, _ place: Int) -> Int { (distance << 2 | place) << 3 }

  /// Which values of a byte, followed by `distance` more, make all four computed bytes 0x20 to 0x7F, when they are
  /// `suffix` for the value 0.
  private func printableBytes(_ distance: Int, _ suffix: UInt32) -> ByteSet {
    var set = printable[NameCollisions.index(distance, 0) | Int(suffix >> 5 & 7)]
    set.formIntersection(printable[NameCollisions.index(distance, 1) | Int(suffix >> 13 & 7)])
    set.formIntersection(printable[NameCollisions.index(distance, 2) | Int(suffix >> 21 & 7)])
    set.formIntersection(printable[NameCollisions.index(distance, 3) | Int(suffix >> 29)])
    return set
  }

  /// Whether four bytes below 0x80 may stand in a name. No sum carries into the next byte.
  private static func isPrintable(_ word: UInt32, _ least: UInt8) -> Bool {
    let ones: UInt32 = 0x0101_0101
    let top: UInt32 = 0x8080_8080
    let isEnough = word &+ (0x80 - UInt32(least)) &* ones
    let isTooMuch = word &+ (0x7F - UInt32(greatest)) &* ones
    let isNoSlash = (word ^ UInt32(slash) &* ones) &+ 0x7F &* ones
    return isEnough & isNoSlash & ~isTooMuch & top == top
  }

  /// The register from which `count` zero bytes lead to `register`.
  private func stepsBack(_ register: UInt32, _ count: Int) -> UInt32 {
    var register = register
    for _ in 0..<count { register = register << 8 ^ inverse[Int(register >> 24)] }
    return register
  }
}

/// A set of bytes below 128.
private struct ByteSet {
  private var low: UInt64 = 0
  private var high: UInt64 = 0

  init() {}

  mutating func insert(_ byte: UInt8) {
    if byte < 64 { low |= 1 << UInt64(byte) } else { high |= 1 << UInt64(byte - 64) }
  }

  mutating func formIntersection(_ other: ByteSet) {
    low &= other.low
    high &= other.high
  }

  /// The bytes that are not less than this one.
  func from(_ byte: UInt8) -> ByteSet {
    var set = self
    // Shifts by 64 and more give 0.
    set.low &= .max << UInt64(byte)
    if byte >= 64 { set.high &= .max << UInt64(byte - 64) }
    return set
  }

  /// The bytes that are less than this one.
  func below(_ byte: UInt8) -> ByteSet {
    var set = self
    set.low &= ~(.max << UInt64(byte))
    set.high &= byte >= 64 ? ~(.max << UInt64(byte - 64)) : 0
    return set
  }

  /// Takes the least byte away.
  mutating func popFirst() -> UInt8? {
    if low != 0 {
      defer { low &= low - 1 }
      return UInt8(low.trailingZeroBitCount)
    }
    guard high != 0 else { return nil }
    defer { high &= high - 1 }
    return UInt8(64 + high.trailingZeroBitCount)
  }
}
