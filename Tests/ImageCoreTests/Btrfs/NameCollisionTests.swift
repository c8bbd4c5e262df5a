import Testing

@testable import Btrfs
@testable import ImageCore

@Suite struct NameCollisionTests {
  private let collisions = NameCollisions()

  private func collision(_ name: String) -> String? {
    var buffer = Buffer(name.utf8.count)
    var bytes = buffer.mutableBytes
    bytes.copy(Array(name.utf8).rawBytes, at: 0)
    guard collisions.replace(&bytes) else { return nil }
    return String(decoding: buffer.bytes.array(0..<buffer.count), as: UTF8.self)
  }

  private func hash(_ name: String) -> UInt32 { NameCollisions.hash(Array(name.utf8).rawBytes) }

  /// btrfs-image §2.3 and §13.2.
  @Test func knownVectors() {
    #expect(hash("default") == 0x8DBF_C2D2)
    #expect(hash("file_number_1") == 0x2C01_09B1)
    #expect(collision("default") == "j  HxiX")
    #expect(collision("file_number_1") == "}        QZjr")
    #expect(collision("secret_filename") == "<          vh=)")
    #expect(collision("hello") == "Aw9c7")
    #expect(collision("abcde") == "Hp6k=")
    #expect(collision("abcdef") == "5 q_}H")
    #expect(collision("top_secret_filename") == "S              ,X1c")
    #expect(collision("system.posix_acl_access") == "?\"                 ,NS-")
  }

  /// A name that begins as another one does has its own replacement.
  @Test func nameAndItsBeginning() {
    for name in ["hello", "hello_", "hello_world", "hello_world_and_more"] {
      let other = collision(name)
      #expect(other?.utf8.count == name.utf8.count)
      #expect(other.map(hash) == hash(name))
      #expect(other != name)
    }
  }

  @Test func allLengths() {
    for length in 0...255 {
      let name = String(repeating: "x", count: length)
      let other = collision(name)
      if length <= 4 {
        #expect(other == nil)
      } else if length >= 8 {
        #expect(other.map(hash) == hash(name))
      }
      if let other { #expect(other.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != 0x2F }) }
    }
  }

  /// The search as it is described in btrfs-image §13.2, candidate by candidate.
  private func searched(_ name: [UInt8]) -> [UInt8]? {
    func isAllowed(_ byte: UInt8) -> Bool { (0x20...0x7E).contains(byte) && byte != 0x2F }
    let wanted = NameCollisions.hash(name.rawBytes)
    var prefix = [UInt8](repeating: 0x20, count: name.count - 4)
    while true {
      let suffix = SuffixSearch.suffix(from: NameCollisions.hash(prefix.rawBytes), to: wanted)
      if suffix.allSatisfy(isAllowed), prefix + suffix != name { return prefix + suffix }
      guard let place = prefix.firstIndex(where: { $0 != 0x7E }) else { return nil }
      prefix[place] += prefix[place] == 0x2E ? 2 : 1
      for index in 0..<place { prefix[index] = 0x20 }
    }
  }

  private enum SuffixSearch {
    /// The last step's table index is the top byte of the register that it leads to.
    private static let table = (0..<256).map { CRC32C.update(0, [UInt8($0)].rawBytes) }

    static func suffix(from start: UInt32, to end: UInt32) -> [UInt8] {
      var indices: [Int] = []
      var register = end
      for _ in 0..<4 {
        let index = table.firstIndex { $0 >> 24 == register >> 24 } ?? 0
        indices.insert(index, at: 0)
        register = (register ^ table[index]) << 8
      }
      register = start
      return indices.map { index in
        let byte = UInt8(truncatingIfNeeded: register) ^ UInt8(index)
        register = register >> 8 ^ table[index]
        return byte
      }
    }
  }

  @Test func sameAsTheSearch() {
    var generator = SystemRandomNumberGenerator()
    for length in Array(5...40) + [100, 255] {
      for _ in 0..<8 {
        let name = (0..<length).map { _ in UInt8.random(in: 1...255, using: &generator) }
        var buffer = Buffer(length)
        var bytes = buffer.mutableBytes
        bytes.copy(name.rawBytes, at: 0)
        let isFound = collisions.replace(&bytes)
        #expect(searched(name) == (isFound ? buffer.bytes.array(0..<length) : nil), "\(name)")
        if !isFound { #expect(buffer.bytes.array(0..<length) == name) }
      }
    }
    // The first candidate is the name itself.
    let first = searched(Array("hello".utf8)) ?? []
    var buffer = Buffer(first.count)
    var bytes = buffer.mutableBytes
    bytes.copy(first.rawBytes, at: 0)
    #expect((collisions.replace(&bytes) ? buffer.bytes.array(0..<first.count) : nil) == searched(first))
  }

  @Test func garbageIsConsistentAndPrintable() {
    let one = NameSanitizer(.garbage, secret: 1)
    let two = NameSanitizer(.garbage, secret: 2)
    func replaced(
      _ name: [UInt8], _ sanitizer: NameSanitizer, kept: Int = 0
    ) -> (name: [UInt8], keepsHash: Bool) {
      var buffer = Buffer(name.count)
      var bytes = buffer.mutableBytes
      bytes.copy(name.rawBytes, at: 0)
      let keepsHash = sanitizer.replace(&bytes, of: 1, kept: kept)
      return (buffer.bytes.array(0..<name.count), keepsHash)
    }
    for length in 1...255 {
      let name = (0..<length).map { UInt8(0x61 + ($0 * 7 + length) % 26) }
      let first = replaced(name, one)
      #expect(first.name == replaced(name, one).name)
      #expect(first.name != name)
      #expect(first.name.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x2F })
      let isSame = NameCollisions.hash(first.name.rawBytes) == NameCollisions.hash(name.rawBytes)
      #expect(first.keepsHash == isSame)
      if length > 8 {
        #expect(first.keepsHash)
        #expect(first.name != replaced(name, two).name)
      }
    }
    let attribute = replaced(Array("user.secret_attribute".utf8), one, kept: 5)
    #expect(attribute.keepsHash)
    #expect(attribute.name.starts(with: Array("user.".utf8)))
    #expect(replaced(Array("user.abc".utf8), one, kept: 5).keepsHash)
  }

  /// Names too short for the same hash get one nearby.
  @Test func neighbors() {
    let sanitizer = NameSanitizer(.collisions, secret: 0)
    for (name, distance) in [("many", 5_000), ("Xy.z", 5_000), ("lib", 200_000), ("...", 200_000)] {
      var buffer = Buffer(name.utf8.count)
      var bytes = buffer.mutableBytes
      bytes.copy(Array(name.utf8).rawBytes, at: 0)
      let keepsHash = sanitizer.replace(&bytes, of: 1)
      #expect(!keepsHash)
      let other = NameCollisions.hash(buffer.bytes)
      #expect(other != hash(name))
      #expect(abs(Int64(other) - Int64(hash(name))) < distance)
    }
  }

  /// Names of one and two bytes change places: no two become the same.
  @Test func shortNamesAreExchanged() {
    let sanitizer = NameSanitizer(.garbage, secret: 0)
    let bytes: [UInt8] = (UInt8(0x21)...0x7E).filter { $0 != 0x2F }
    var names: [[UInt8]] = bytes.filter { $0 != 0x2E }.map { [$0] }
    for first in bytes { for second in bytes { names.append([first, second]) } }
    var seen: Set<[UInt8]> = []
    for name in names where name != [0x2E, 0x2E] {
      var buffer = Buffer(name.count)
      var target = buffer.mutableBytes
      target.copy(name.rawBytes, at: 0)
      _ = sanitizer.replace(&target, of: 1)
      let other = buffer.bytes.array(0..<name.count)
      #expect(other != name)
      #expect(other != [0x2E] && other != [0x2E, 0x2E])
      seen.insert(other)
    }
    // Of an odd number one goes where its neighbor goes; `..` was left out.
    #expect(seen.count >= names.count - 3)
  }
}
