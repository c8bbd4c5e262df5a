import ImageCore
import Testing

/// AES-256 and base64, by the vectors of FIPS 197, SP 800-38A and RFC 4648.
struct AES256Tests {
  private func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = Array(hexadecimal)
    return stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
  }

  @Test func oneBlock() {
    let cipher = AES256(key: (0..<32).map { $0 })
    let plain = cipher.decryptCBC(
      bytes("8ea2b7ca516745bfeafc49904b496089"), vector: [UInt8](repeating: 0, count: 16))
    #expect(plain == bytes("00112233445566778899aabbccddeeff"))
  }

  @Test func chainedBlocks() {
    let cipher = AES256(key: bytes("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"))
    let plain = cipher.decryptCBC(
      bytes("f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"), vector: (0..<16).map { $0 })
    #expect(plain == bytes("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"))
  }

  @Test func base64() {
    #expect(decodeBase64("Zm9vYmFy".rawBytes) == "foobar".rawBytes)
    #expect(decodeBase64("Zm9vYmE=".rawBytes) == "fooba".rawBytes)
    #expect(decodeBase64("Zm9v\nYg==\r\n".rawBytes) == "foob".rawBytes)
    #expect(decodeBase64([]) == [])
    for text in ["Zm9vYg=", "Zm9vYg", "Zm9v=", "Z", "Zm=v", "Zm9v!", " Zm9v"] {
      #expect(decodeBase64(text.rawBytes) == nil, "\(text)")
    }
  }
}
