import Bytes
import Storage

/// Looks for the devices of a file system, when one is wanted, and only once.
struct DeviceSearch {
  private let path: String?
  /// How many files beside the first are looked at.
  private static let fileLimit = 1024

  /// - Parameter path: of the first device; nil: there is nothing to be found.
  init(beside path: String?) { self.path = path }

  /// All block devices that hold a btrfs, those first that were written last.
  private(set) lazy var blockDevices = DeviceSearch.devices(path == nil ? [] : blockDevicePaths())
  /// The regular files in the folder of the first device that hold a btrfs, those first that were written last.
  private(set) lazy var files = DeviceSearch.devices(
    path.map { filesBeside($0, limit: DeviceSearch.fileLimit) } ?? [])

  private static func devices(_ paths: [String]) -> [BtrfsDevice] {
    paths.compactMap { path -> BtrfsDevice? in
      guard let storage = try? FileStorage(path: path, writable: false, locking: false),
        storage.length >= BtrfsSuperblock.offsets[0] + UInt64(BtrfsSuperblock.size),
        let superblock = try? BtrfsSuperblock.read(storage)
      else { return nil }
      return BtrfsDevice(storage, superblock)
    }.sorted { $0.superblock.generation > $1.superblock.generation }
  }
}

extension BtrfsSuperblock {
  /// The first superblock of a device; nil when there is none.
  ///
  /// - Throws: what is wrong with it, or that the device cannot be read.
  package static func read(_ storage: any Storage) throws(ImageError) -> BtrfsSuperblock? {
    let bytes = try storage.readArray(at: offsets[0], count: size)
    let superblock = BtrfsSuperblock(bytes.rawBytes)
    if superblock.isAbsent() { return nil }
    try superblock.validate()
    return superblock
  }
}
