/// A generator whose sequence is the same in every run and on every machine (SplitMix64).
package struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  /// The sequence that begins at a state.
  package init(_ state: UInt64) { self.state = state }

  /// The sequence of a seed; neighbouring seeds begin far from each other.
  package init(seed: Int) { state = UInt64(bitPattern: Int64(seed)) &* 0xD134_2543_DE82_EF95 }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
