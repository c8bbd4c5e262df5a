import Bytes

// What can be wrong with a volume, in the words that its users know (ocfs2-o2image §14.5).

extension ImageError {
  package static let deviceNotFound = ImageError("Device name specified was not found", errno: 2 /* ENOENT */)
  package static let badDeviceName = ImageError("Illegal or malformed device name")
  package static let channelError = ImageError("I/O error on channel", errno: 5 /* EIO */)
  package static let noMemory = ImageError("Memory allocation failed", errno: 12 /* ENOMEM */)
  package static let olderVolume = ImageError("Device contains an OCFS volume")
  package static let badSuperblockMagic = ImageError("Bad magic number in superblock")
  package static let unexpectedBlockSize = ImageError("Filesystem has unexpected block size")
  package static let corruptSuperblock = ImageError("The OCFS2 superblock is corrupt")
  package static let unsupportedFeatures = ImageError("Unsupported feature(s) found")
  package static let badInodeMagic = ImageError("Bad magic number in inode")
  package static let badBlockNumber = ImageError("Invalid block number")
  package static let badExtentBlockMagic = ImageError("Bad magic number in extent block")
  package static let corruptExtentBlock = ImageError("Extent block is corrupt")
  package static let corruptDirectory = ImageError("OCFS2 directory corrupted")
  package static let notADirectory = ImageError("OCFS2 inode is not a directory")
  package static let entryNotFound = ImageError("Directory entry not found", errno: 2)
  package static let badGroupMagic = ImageError("Bad magic number in group descriptor")
  package static let badXattrMagic = ImageError("Bad magic number in xattr block")
  package static let badChecksum = ImageError("Bad CRC32")
  // The reference has no words for these: it crashes, or never ends.
  package static let corruptGroup = ImageError("Group descriptor is corrupt")
  package static let corruptChainList = ImageError("Chain list is corrupt")
  package static let repeatedGroup = ImageError("Group descriptor is in more than one place")
}

extension RawSpan {
  /// Whether the bytes begin with the text of a signature; the padding behind it is not compared (§2).
  func hasSignature(_ text: String) -> Bool { hasText(text, at: 0) }

  /// Whether the bytes of `text` are found at `offset`.
  package func hasText(_ text: String, at offset: Int) -> Bool {
    var position = offset
    for byte in text.utf8 {
      guard position < byteCount, self[position] == byte else { return false }
      position += 1
    }
    return true
  }
}
