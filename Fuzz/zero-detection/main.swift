import Bytes
import FuzzSupport

// The wide loops must agree with the obvious one.
fuzz { bytes in
  var first: Int?
  for index in 0..<bytes.byteCount where bytes[index] != 0 {
    first = index
    break
  }
  precondition(bytes.isZero == (first == nil))
  for size in [1, 7, 8, 64, 100, 512] {
    precondition(bytes.firstNonZeroBlock(of: size) == first.map { $0 / size })
  }
}
