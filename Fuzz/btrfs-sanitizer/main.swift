import FuzzSupport
import ImageCore

// A leaf of 4 KiB with any contents, scrubbed and sanitized both ways. Its keys keep their order; entries that have no place any more go.
private let sanitizers = [NameSanitizer.Style.garbage, .collisions].map { Sanitizer($0, secret: 1, warn: { _ in }) }

fuzz { bytes in
  let size = 4096
  for sanitizer in sanitizers {
    var buffer = Buffer(size)
    var block = buffer.mutableBytes
    block.copy(bytes.slice(0..<min(size, bytes.byteCount)), at: 0)
    let count = TreeBlockHeader(block.bytes).itemCount % (TreeBlockHeader(block.bytes).capacity(nodeSize: size) + 1)
    block.storeLittleEndian(UInt32(count), at: 96)
    let wasWellFormed = TreeBlockHeader(block.bytes).isLeaf && isWellFormedLeaf(block.bytes, count: count)
    _ = scrub(&block, transform: sanitizer)
    let left = TreeBlockHeader(block.bytes).itemCount
    precondition(left <= count && (left > 0) == (count > 0))
    precondition(!wasWellFormed || isWellFormedLeaf(block.bytes, count: left))
  }
}
