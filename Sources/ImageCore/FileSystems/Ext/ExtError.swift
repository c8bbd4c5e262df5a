import Bytes

/// What can be wrong with an ext2, ext3 or ext4 file system, in the words that its users know (ext4-e2image §1.4, §4.4).
package enum ExtError {
  package static let badMagic = ImageError("Bad magic number in super-block")
  package static let revisionTooHigh = ImageError("Filesystem revision too high")
  package static let unsupportedFeatures = ImageError("Filesystem has unsupported feature(s)")
  package static let corruptSuperblock = ImageError("The ext2 superblock is corrupt")
  package static let badDescriptorSize = ImageError("Block group descriptor size incorrect")
  package static let unexpectedBlockSize = ImageError("Filesystem has unexpected block size")
  package static let invalidArgument = ImageError("Invalid argument passed to ext2 library")
  package static let shortRead = ImageError(
    "Attempt to read block from filesystem resulted in short read", errno: 5 /* EIO */)
  package static let noMemory = ImageError("Memory allocation failed", errno: 12 /* ENOMEM */)
  package static let tableOutside = ImageError("Corrupt group descriptor: bad block for inode table")
  package static let missingTable = ImageError("A block group is missing an inode table")
  package static let unreadableInode = ImageError("Can't read next inode", errno: 5)
  package static let corruptExtentHeader = ImageError("Corrupt extent header")
  package static let emptyExtentNode = ImageError("No 'down' extent")
  package static let extentCycle = ImageError("Found cyclic loop in extent tree")
  package static let badIndirect = ImageError("Illegal indirect block found")
  package static let badDoubleIndirect = ImageError("Illegal doubly indirect block found")
  package static let badTripleIndirect = ImageError("Illegal triply indirect block found")
  package static let unreadableBlockBitmap = ImageError("Can't read a block bitmap", errno: 5)
  package static let unreadableInodeBitmap = ImageError("Can't read an inode bitmap", errno: 5)
  package static let badImageMagic = ImageError("Wrong magic number for Ext2 Image Header")
}
