import Bytes
import CChecksum
import Codecs
import Testing

@Suite struct Checksums {
  private static let bytes: [UInt8] = (0..<1000).map { UInt8(truncatingIfNeeded: $0 * 7 + 3) }

  private func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  @Test(
    arguments: [
      ("default", 0x8DBF_C2D2), ("file_number_1", 0x2C01_09B1), ("hello", 0x5D9F_2B1F),
      ("secret_filename", 0x2955_67A2), ("system.posix_acl_access", 0x797E_B1FF),
    ] as [(String, UInt32)])
  func crc32cOfNames(_ name: String, _ hash: UInt32) {
    #expect(CRC32C.update(0xFFFF_FFFE, Array(name.utf8).rawBytes) == hash)
  }

  @Test func crc32cCheckValue() {
    #expect(CRC32C.checksum(Array("123456789".utf8).rawBytes) == 0xE306_9283)
  }

  /// Lengths about the places where another way begins, and where a step of each ends.
  @Test(arguments: [
    0, 1, 7, 8, 9, 63, 1000, 1023, 1024, 1025, 1279, 1280, 1281, 1535, 1536, 1600, 3071, 3072, 4099, 16384,
  ])
  func crc32cInAllWays(_ count: Int) {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 7) }
    for register: UInt32 in [0, 5, .max] {
      let expected = CRC32C.update(register, bytes.rawBytes)
      let byWords = unsafe bytes.withUnsafeBytes {
        unsafe cchecksum_crc32c_by_words(register, $0.baseAddress, $0.count)
      }
      #expect(byWords == expected)
      let portable = unsafe bytes.withUnsafeBytes {
        unsafe cchecksum_crc32c_portable(register, $0.baseAddress, $0.count)
      }
      #expect(portable == expected)
    }
  }

  @Test(
    arguments: [
      ("", 0xEF46_DB37_51D8_E999), ("a", 0xD24E_C4F1_A98C_6E5B), ("abc", 0x44BC_2CF5_AD77_0999),
      ("Nobody inspects the spammish repetition", 0xFBCE_A83C_8A37_8BF1),
    ] as [(String, UInt64)])
  func xxhash(_ text: String, _ hash: UInt64) {
    #expect(XXHash64.hash(Array(text.utf8).rawBytes) == hash)
  }

  /// Made with Python's hashlib.
  @Test(arguments: [
    (
      0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"
    ),
    (
      64, "39e3d7b6b5d075d37d053ad89b24b41bef4f3c29760c84447cab3f3be1882241",
      "586c0dd87616ec042093edc5f87f880d37ca73618e99b03d5850ce9be478721f"
    ),
    (
      128, "d2742f1f4ac6bb7ca2b239ee18402ba8b3f9f8e652d2a72973c2b9ba11c08cf6",
      "f0501d06597880592bc49234eef100ec1ff349058d0e9d9b753504e24af86dd6"
    ),
    (
      129, "307f8fc2c1622b92762e818d39a185d4d667ad49a4b07ceae1f4afa008a93ec4",
      "a34a4e1e03c541dfbf3099c4b6c143c022ced65c28bd7e8a10e0a098461aecf0"
    ),
    (
      1000, "1e9bc38cbf860b9ec31918b065f9b52476c549a782e0e7990bed8ce3868d2371",
      "d62b6c768ce1afc8367e0498ab2f8e3f7c178c35b1429f14c4604b545d200f52"
    ),
  ])
  func digests(_ count: Int, _ sha256: String, _ blake2b: String) {
    let part = Array(Self.bytes.prefix(count))
    let sha = SHA256.digest(part.rawBytes)
    let shaBytes = (0..<8).flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: sha[word] >> UInt32(24 - 8 * $0)) }
    }
    #expect(hexadecimal(shaBytes) == sha256)
    let blake = BLAKE2b256.digest(part.rawBytes)
    let blakeBytes = (0..<4).flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: blake[word] >> UInt64(8 * $0)) }
    }
    #expect(hexadecimal(blakeBytes) == blake2b)
  }
}
