import ImageCore

/// What is copied: a volume, or a packed image of one.
enum Source: Sendable {
  case volume(OCFS2Volume)
  case packed(PackedImage)

  /// Opens a device or file.
  ///
  /// - Throws: what is wrong with it, without its name.
  init(_ name: String, isPacked: Bool) throws(ImageError) {
    guard !name.isEmpty else { throw .badDeviceName }
    let storage: FileStorage
    do throws(ImageError) {
      storage = try FileStorage(path: name, writable: false, locking: false)
    } catch {
      throw error.errno == 2 /* ENOENT */ ? .deviceNotFound : .channelError
    }
    self = isPacked ? .packed(try PackedImage(storage, filename: name)) : .volume(try OCFS2Volume(storage))
  }

  var superblock: Superblock {
    switch self {
    case .volume(let volume): volume.superblock
    case .packed(let image): image.superblock
    }
  }

  var storage: any Storage {
    switch self {
    case .volume(let volume): volume.storage
    case .packed(let image): image.storage
    }
  }

  /// The storage in which the volume's blocks lie at their own offsets.
  var plainStorage: (any Storage)? {
    if case .volume = self { storage } else { nil }
  }

  /// Whether it is a device that is in use as a file system.
  var isMounted: Bool {
    guard let file = storage as? FileStorage, file.isDevice else { return false }
    return (try? MountState(of: file.name).isMounted) ?? false
  }

  /// Fills `bytes` with the volume's contents at a byte offset that is a multiple of the block size.
  @Sendable func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    switch self {
    case .volume(let volume): try volume.read(into: &bytes, at: offset / UInt64(volume.superblock.blockSize))
    case .packed(let image): try image.read(into: &bytes, at: offset)
    }
  }
}
