import Bytes
import Synchronization

/// Replaces names by others of the same length (btrfs-image §13). The name of an entry becomes the same other one wherever
/// it occurs, so that directories, their indexes and the inodes still agree; nothing has to be remembered for that.
///
/// Some directories have several names of one length and one hash. With garbage each entry's search begins elsewhere, so
/// that they stay different; the reference's names are the same for all of them (§20 D8).
package final class NameSanitizer: Sendable {
  /// What the new names look like.
  package enum Style: Sendable {
    /// Random bytes, different in each run (`-s`).
    case garbage
    /// The names that the reference chooses (`-ss`).
    case collisions
  }

  /// The style.
  package let style: Style
  private let secret: UInt64
  private let collisions = NameCollisions()
  private let shortNames = ShortNames()
  /// Names of three to seven bytes, with their lengths in the top byte, and those with a hash nearby: they are few, occur
  /// often, and take long to find.
  private let neighbors = Mutex<[UInt64: UInt64]>([:])
  /// So many are remembered.
  private static let neighborLimit = 1 << 16

  /// - Parameter secret: what makes one run's garbage different from another's.
  package init(_ style: Style, secret: UInt64) {
    self.style = style
    self.secret = secret
  }

  /// Replaces a name; its hash stays the same if that is possible, else it becomes one nearby: a directory entry then
  /// belongs under another key, which mostly does not change its place.
  ///
  /// - Parameters:
  ///   - name: at most 255 bytes; longer ones cannot be names, and become garbage.
  ///   - entry: tells the entries apart whose names may have one hash, for garbage.
  ///   - kept: bytes at its beginning that stay: an attribute's namespace.
  /// - Returns: whether the hash is the same.
  @_lifetime(name: copy name)
  package func replace(_ name: inout MutableRawSpan, of entry: UInt64, kept: Int = 0) -> Bool {
    let count = name.byteCount
    if count == 0 { return true }
    let hash = NameCollisions.hash(name.bytes)
    switch style {
    case .collisions:
      if collisions.replace(&name, hash: hash, NameCollisions.Choice(least: 0x20, kept: kept)) { return true }
    case .garbage:
      var random = RandomBytes(secret ^ UInt64(hash) ^ RandomBytes.mixed(entry))
      let choice = NameCollisions.Choice(least: RandomBytes.least, kept: kept)
      if collisions.replace(&name, hash: hash, choice, start: { _ in random.next() }) { return true }
    }
    // An attribute without its namespace is better than one that is not found.
    if kept > 0 { return replace(&name, of: entry) }
    if count <= 2 {
      shortNames.replace(&name)
    } else if !replaceByNeighbor(&name) {
      var random = RandomBytes(secret ^ UInt64(hash))
      for position in 0..<count { name.storeBytes(of: random.next(), toByteOffset: position, as: UInt8.self) }
    }
    return false
  }

  /// Whether an entry under this hash may have a name of three or four bytes, which becomes one with a hash nearby.
  func mayMove(_ hash: UInt32) -> Bool { collisions.mayBeShort(hash) }

  /// A short name of a given hash.
  func name(ofHash hash: UInt32) -> [UInt8]? {
    // One of five bytes exists mostly, one of six always.
    for count in 5...6 {
      var buffer = Buffer(count)
      var name = buffer.mutableBytes
      if collisions.replace(&name, hash: hash, NameCollisions.Choice(least: RandomBytes.least)) {
        return name.bytes.array(0..<count)
      }
    }
    return nil
  }

  /// As ``NameCollisions/replaceByNeighbor(_:_:)``.
  @_lifetime(name: copy name)
  private func replaceByNeighbor(_ name: inout MutableRawSpan) -> Bool {
    let count = name.byteCount
    guard count < 8 else { return false }
    var key = UInt64(count) << 56
    for position in 0..<count { key |= UInt64(name.bytes[position]) << UInt64(8 * position) }
    if let known = neighbors.withLock({ $0[key] }) {
      for position in 0..<count {
        name.storeBytes(
          of: UInt8(truncatingIfNeeded: known >> UInt64(8 * position)), toByteOffset: position, as: UInt8.self)
      }
      return true
    }
    guard collisions.replaceByNeighbor(&name, NameCollisions.Choice(least: RandomBytes.least)) else { return false }
    var found: UInt64 = 0
    for position in 0..<count { found |= UInt64(name.bytes[position]) << UInt64(8 * position) }
    neighbors.withLock { if $0.count < NameSanitizer.neighborLimit { $0[key] = found } }
    return true
  }

  /// Printable bytes without blanks, which a seed determines.
  private struct RandomBytes {
    static let least: UInt8 = 0x21
    private var state: UInt64
    /// Bits that have not been used yet.
    private var bits: UInt64 = 0
    private var bytesLeft = 0

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt8 {
      if bytesLeft == 0 {
        state &+= 0x9E37_79B9_7F4A_7C15
        bits = RandomBytes.mixed(state)
        bytesLeft = 4
      }
      bytesLeft -= 1
      // 93 bytes from 0x21 to 0x7E without the slash.
      let byte = RandomBytes.least + UInt8(((bits & 0xFFFF) * 93) >> 16)
      bits >>= 16
      return byte < UInt8(ascii: "/") ? byte : byte + 1
    }

    /// A finalizer: every bit depends on every other.
    static func mixed(_ value: UInt64) -> UInt64 {
      var value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
      value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
      return value ^ value >> 31
    }
  }
}
