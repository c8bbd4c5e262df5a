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

  @Test func garbageIsConsistentAndPrintable() {
    let one = NameSanitizer(.garbage, secret: 1)
    let two = NameSanitizer(.garbage, secret: 2)
    func replaced(_ name: [UInt8], _ sanitizer: NameSanitizer, kept: Int = 0) -> (name: [UInt8], keepsHash: Bool) {
      var buffer = Buffer(name.count)
      var bytes = buffer.mutableBytes
      bytes.copy(name.rawBytes, at: 0)
      let keepsHash = sanitizer.replace(&bytes, kept: kept)
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
      let keepsHash = sanitizer.replace(&bytes)
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
      _ = sanitizer.replace(&target)
      let other = buffer.bytes.array(0..<name.count)
      #expect(other != name)
      #expect(other != [0x2E] && other != [0x2E, 0x2E])
      seen.insert(other)
    }
    // Of an odd number one goes where its neighbor goes; `..` was left out.
    #expect(seen.count >= names.count - 3)
  }
}
