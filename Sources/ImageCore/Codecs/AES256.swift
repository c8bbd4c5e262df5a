import Bytes

/// Decryption with AES of 256-bit keys in CBC mode (FIPS 197, NIST SP 800-38A): for secrets, which are short. Not meant for
/// a disk's contents: it is neither fast nor free of timing differences.
package struct AES256 {
  package static let keySize = 32
  package static let blockSize = 16
  private static let rounds = 14

  private let roundKeys: [UInt8]

  /// Multiplication in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1.
  private static func multiply(_ a: UInt8, _ b: UInt8) -> UInt8 {
    var (a, b, product) = (a, b, UInt8(0))
    while b != 0 {
      if b & 1 != 0 { product ^= a }
      a = a << 1 ^ (a & 0x80 != 0 ? 0x1B : 0)
      b >>= 1
    }
    return product
  }

  /// The S-box and its inverse.
  private static let boxes: (forward: [UInt8], inverse: [UInt8]) = {
    var forward = [UInt8](repeating: 0, count: 256)
    var inverse = forward
    for value in UInt8.min...UInt8.max {
      // a^254 is the inverse of a, and 0 for 0.
      var reciprocal: UInt8 = 1
      for _ in 0..<254 { reciprocal = multiply(reciprocal, value) }
      var image = reciprocal
      for shift in 1...4 { image ^= reciprocal << UInt8(shift) | reciprocal >> UInt8(8 - shift) }
      image ^= 0x63
      forward[Int(value)] = image
      inverse[Int(image)] = value
    }
    return (forward, inverse)
  }()

  /// - Parameter key: ``keySize`` bytes.
  package init(key: [UInt8]) {
    precondition(key.count == AES256.keySize)
    var words = key
    var constant: UInt8 = 1
    while words.count < AES256.blockSize * (AES256.rounds + 1) {
      var word = Array(words.suffix(4))
      let place = words.count % AES256.keySize
      if place == 0 {
        word = [word[1], word[2], word[3], word[0]].map { AES256.boxes.forward[Int($0)] }
        word[0] ^= constant
        constant = AES256.multiply(constant, 2)
      } else if place == 16 {
        word = word.map { AES256.boxes.forward[Int($0)] }
      }
      for index in 0..<4 { words.append(words[words.count - AES256.keySize] ^ word[index]) }
    }
    roundKeys = words
  }

  /// One block.
  private func decrypt(_ block: ArraySlice<UInt8>) -> [UInt8] {
    var state = Array(block)
    func addRoundKey(_ round: Int) {
      for index in 0..<16 { state[index] ^= roundKeys[16 * round + index] }
    }
    addRoundKey(AES256.rounds)
    for round in (0..<AES256.rounds).reversed() {
      var shifted = state
      for column in 0..<4 {
        for row in 0..<4 {
          shifted[4 * ((column + row) % 4) + row] = AES256.boxes.inverse[Int(state[4 * column + row])]
        }
      }
      state = shifted
      addRoundKey(round)
      if round == 0 { break }
      for column in 0..<4 {
        let old = Array(state[4 * column..<4 * column + 4])
        for row in 0..<4 {
          state[4 * column + row] =
            AES256.multiply(old[row], 14) ^ AES256.multiply(old[(row + 1) % 4], 11)
            ^ AES256.multiply(old[(row + 2) % 4], 13) ^ AES256.multiply(old[(row + 3) % 4], 9)
        }
      }
    }
    return state
  }

  /// Decrypts whole blocks in CBC mode.
  ///
  /// - Parameters:
  ///   - bytes: a multiple of ``blockSize``.
  ///   - vector: the initialisation vector, ``blockSize`` bytes.
  package func decryptCBC(_ bytes: [UInt8], vector: [UInt8]) -> [UInt8] {
    precondition(bytes.count % AES256.blockSize == 0 && vector.count == AES256.blockSize)
    var output: [UInt8] = []
    var previous = vector[...]
    for start in stride(from: 0, to: bytes.count, by: AES256.blockSize) {
      let block = bytes[start..<start + AES256.blockSize]
      output += zip(decrypt(block), previous).map { $0 ^ $1 }
      previous = block
    }
    return output
  }
}
