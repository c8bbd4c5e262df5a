import Bytes

extension BtrfsSuperblock {
  /// Whether there is no superblock at all: nothing is said about that but what follows from it (btrfs-image §18).
  ///
  /// - Parameter place: where the copy was read in bytes.
  package func isAbsent(at place: UInt64 = BtrfsSuperblock.offsets[0]) -> Bool { address != place || magic == 0 }

  /// Checks everything that §18 of btrfs-image lists, in its order.
  ///
  /// - Parameter address: where the copy lies in bytes.
  /// - Throws: the first failing check; of those behind the checksum also the line that says so as `continuation`.
  package func validate(at address: UInt64 = BtrfsSuperblock.offsets[0]) throws(ImageError) {
    let magicError = ImageError("superblock magic doesn't match")
    guard magic != BtrfsSuperblock.temporaryMagic else { throw magicError }
    guard try checksumAlgorithm().verifies(bytes.rawBytes) else { throw ImageError("superblock checksum mismatch") }
    // Any other magic passed the check of old; nothing but a btrfs has this one.
    guard magic == BtrfsSuperblock.magic, !isAbsent(at: address) else { throw magicError }
    do throws(ImageError) {
      try validateMembers()
    } catch {
      var error = error
      error.continuation = "superblock checksum matches but it has invalid members"
      throw error
    }
  }

  private func validateMembers() throws(ImageError) {
    for (name, level) in [("tree", rootLevel), ("chunk", chunkRootLevel), ("log", logRootLevel)]
    where level >= TreeBlockHeader.levelLimit {
      throw ImageError("\(name)_root level too big: \(level) >= \(TreeBlockHeader.levelLimit)")
    }
    for (name, address) in [("tree", root), ("chunk", chunkRoot), ("log", logRoot)] where address % 4096 != 0 {
      throw ImageError("\(name)_root block unaligned: \(address)")
    }
    guard nodeSize >= 4096 else { throw ImageError("nodesize too small: \(nodeSize) < 4096") }
    guard nodeSize % 4096 == 0 else { throw ImageError("nodesize unaligned: \(nodeSize)") }
    guard sectorSize >= 4096 else { throw ImageError("sectorsize too small: \(sectorSize) < 4096") }
    guard sectorSize % 4096 == 0 else { throw ImageError("sectorsize unaligned: \(sectorSize)") }
    guard totalBytes != 0 else { throw ImageError("invalid total_bytes 0") }
    guard bytesUsed >= 6 * UInt64(nodeSize) else { throw ImageError("invalid bytes_used \(bytesUsed)") }
    // The format's limit, which the reference does not know.
    guard nodeSize <= 65536 else { throw ImageError("nodesize too big: \(nodeSize) > 65536") }
    guard stripeSize == 4096 || stripeSize == sectorSize else { throw ImageError("invalid stripesize \(stripeSize)") }
    guard device.fsid == metadataUUID else {
      // The reference names the field of metadata_uuid even where it is not in use.
      throw ImageError("dev_item UUID does not match fsid: \(device.fsid) != \(storedMetadataUUID)")
    }
    guard deviceCount != 0 else { throw ImageError("number of devices is 0") }
    guard systemChunkSize <= UInt32(BtrfsSuperblock.systemChunkCapacity) else {
      throw ImageError("system chunk array too big \(systemChunkSize) > \(BtrfsSuperblock.systemChunkCapacity)")
    }
    let smallest = UInt32(ItemKey.size + ChunkItem.smallestSize)
    guard systemChunkSize >= smallest else {
      throw ImageError("system chunk array too small \(systemChunkSize) < \(smallest)")
    }
  }

  /// `suspicious number of devices: N`, a warning; nil when there is nothing suspicious.
  package var deviceCountWarning: String? {
    deviceCount > 1 << 31 ? "suspicious number of devices: \(deviceCount)" : nil
  }

  /// Features that are understood (btrfs-image §3): of those that came later, raid-stripe-tree places data only, and
  /// simple quotas add references only.
  private static let knownFeatures: UInt64 = 0x1FFF | 1 << 14 | 1 << 16

  /// What is said of features without which the file system cannot be understood; nil if all are known.
  package var featureFault: String? {
    let unknown = incompatibleFeatures.rawValue & ~BtrfsSuperblock.knownFeatures
    return unknown == 0
      ? nil : "couldn't open because of unsupported option features (\(String(unknown, radix: 16)))."
  }
}
