import FuzzSupport
import ImageCore

// Directory blocks: the first byte chooses their size, the rest is their contents. Scrambled one after the other.
fuzz { bytes in
  guard bytes.byteCount > 1 else { return }
  let size = 1024 << Int(bytes[0] % 7)
  var scrambler = DirectoryScrambler()
  var position = 1
  while position < bytes.byteCount {
    let count = min(size, bytes.byteCount - position)
    var buffer = Buffer(size)
    var block = buffer.mutableBytes
    block.copy(bytes.slice(position..<position + count), at: 0)
    scrambler.scramble(&block) { _ in }
    position += count
  }
}
