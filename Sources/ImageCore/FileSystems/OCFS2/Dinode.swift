import Bytes

/// The fields of a dinode that decide which other blocks belong to it (ocfs2-o2image §5).
package struct Dinode: Sendable, Equatable {
  static let signature = "INODE01"
  /// Where the union begins that holds an extent list, a chain list, inline data, …
  static let unionOffset = 0xC0

  /// Type and permissions, as in stat(2).
  package var mode: UInt16
  /// Properties of the inode.
  package var flags: Flags
  /// How the contents and attributes are stored.
  package var dynamicFeatures: DynamicFeatures
  /// Size in bytes.
  package var size: UInt64
  /// Block with extended attributes, 0 for none.
  package var xattrBlock: UInt64
  /// Root block of the directory index, 0 for none.
  package var indexRoot: UInt64
  /// Bytes at the block's end that hold attributes.
  package var inlineXattrSize: Int

  /// Properties of an inode.
  package struct Flags: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package static let system = Flags(rawValue: 0x10)
    package static let superblock = Flags(rawValue: 0x20)
    package static let localAllocation = Flags(rawValue: 0x40)
    package static let chain = Flags(rawValue: 0x400)
    package static let deallocation = Flags(rawValue: 0x800)
  }

  /// How contents and attributes are stored.
  package struct DynamicFeatures: OptionSet, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }
    package static let inlineData = DynamicFeatures(rawValue: 0x1)
    package static let hasXattr = DynamicFeatures(rawValue: 0x2)
    package static let inlineXattr = DynamicFeatures(rawValue: 0x4)
    package static let indexedDirectory = DynamicFeatures(rawValue: 0x8)
  }

  /// Whether it is a directory.
  package var isDirectory: Bool { mode & 0o170000 == 0o040000 }

  /// The dinode in `bytes`, a block.
  ///
  /// - Throws: `Bad magic number in inode`. What else is in it is judged by whoever uses it.
  package init(_ bytes: RawSpan) throws(ImageError) {
    guard bytes.hasSignature(Dinode.signature) else { throw .badInodeMagic }
    mode = bytes.littleEndian(at: 0x28)
    flags = Flags(rawValue: bytes.littleEndian(at: 0x2C))
    dynamicFeatures = DynamicFeatures(rawValue: bytes.littleEndian(at: 0x76))
    size = bytes.littleEndian(at: 0x20)
    xattrBlock = bytes.littleEndian(at: 0x78)
    indexRoot = bytes.littleEndian(at: 0x88)
    inlineXattrSize = Int(bytes.littleEndian(at: 0x12, as: UInt16.self))
  }

  /// Where the union ends in a block of `blockSize` bytes: at the inline attributes, if there are any.
  package func unionEnd(blockSize: Int) -> Int {
    guard dynamicFeatures.isSuperset(of: [.hasXattr, .inlineXattr]),
      inlineXattrSize <= blockSize - Dinode.unionOffset
    else { return blockSize }
    return blockSize - inlineXattrSize
  }
}
