import Bytes
import Storage

/// Something that is said while work goes on, or before it ends.
package enum BtrfsNotice: Sendable, Equatable {
  /// A line as it is.
  case line(String)
  /// An error, with its word in front.
  case error(String)
  /// A warning, with its word in front.
  case warning(String)
}

extension BtrfsVolume {
  /// Takes what there is to say.
  package typealias Notify = (BtrfsNotice) -> Void

  /// What every failure ends with.
  private static let failure = ImageError("open ctree failed", errno: 5)

  /// Opens a file system by the path of one of its devices for reading: superblock, chunks, and the other devices, which
  /// are looked for among the block devices, then among the files beside the first (btrfs-image §4.5, §10.1).
  ///
  /// - Parameters:
  ///   - notify: takes the lines that tell what is wrong.
  ///   - report: takes what there is to say about blocks.
  /// - Throws: `open ctree failed`, after the line that says why.
  package static func open(
    _ path: String, notify: Notify, report: (TreeBlockReport) -> Void
  ) throws(ImageError) -> BtrfsVolume {
    try open(openDevice(path, notify: notify), beside: path, notify: notify, report: report)
  }

  /// Opens a file system by one of its devices.
  ///
  /// - Parameters:
  ///   - device: has a validated superblock.
  ///   - path: the device's path; nil: other devices are not looked for.
  ///   - notify: takes the lines that tell what is wrong.
  ///   - report: takes what there is to say about blocks.
  /// - Throws: `open ctree failed`, after the line that says why.
  package static func open(
    _ device: BtrfsDevice, beside path: String?, notify: Notify, report: (TreeBlockReport) -> Void
  ) throws(ImageError) -> BtrfsVolume {
    var search = DeviceSearch(beside: path)
    let blockDevices = device.superblock.deviceCount > 1 ? search.blockDevices : []
    let newest = blockDevices.first { isNewer($0, than: device) } ?? device
    var volume = try load(newest, named: device, &search, notify: notify, report: report)
    // Files are looked at where a device is missing.
    if let newer = volume.devices.values.filter({ isNewer($0, than: newest) }).max(by: { isNewer($1, than: $0) }) {
      volume = try load(newer, named: device, &search, notify: notify, report: report)
    }
    volume.tellMissingDevices(notify)
    volume.compareSuperblocks(notify)
    for (id, other) in volume.devices.sorted(by: { $0.key < $1.key })
    where other.superblock.fsid == volume.superblock.fsid
      && other.superblock.generation < volume.superblock.generation
    {
      notify(
        .warning(
          "device \(id) has missed writes, its superblock is of generation \(other.superblock.generation), "
            + "not \(volume.superblock.generation)"))
    }
    return volume
  }

  /// Whether another device of the same file system was written to when this one was away.
  private static func isNewer(_ other: BtrfsDevice, than device: BtrfsDevice) -> Bool {
    other.superblock.fsid == device.superblock.fsid && other.item.id != device.item.id
      && other.superblock.generation > device.superblock.generation
  }

  /// - Parameters:
  ///   - device: the one whose superblock counts.
  ///   - named: the one that is there in any case.
  private static func load(
    _ device: BtrfsDevice, named: BtrfsDevice, _ search: inout DeviceSearch, notify: Notify,
    report: (TreeBlockReport) -> Void
  ) throws(ImageError) -> BtrfsVolume {
    try check(device.superblock, notify: notify)
    var volume: BtrfsVolume
    do throws(ImageError) {
      volume = try BtrfsVolume(device)
    } catch {
      notify(.error(error.message))
      throw failure
    }
    volume.devices[named.item.id] = named
    volume.addDevices(from: &search)
    try volume.loadSystemChunks(notify: notify)
    volume.addDevices(from: &search)
    try volume.loadChunkTree(notify: notify, report: report)
    volume.addDevices(from: &search)
    return volume
  }

  private static func openDevice(_ path: String, notify: Notify) throws(ImageError) -> BtrfsDevice {
    let kind: FileFacts.Kind
    do throws(ImageError) {
      kind = try FileFacts(path: path).kind
    } catch {
      notify(.error("cannot stat '\(path)': \(errorText(error.errno))"))
      throw failure
    }
    guard kind == .regular || kind == .blockDevice else {
      notify(.error("not a regular file or block device: \(path)"))
      throw failure
    }
    let storage: FileStorage
    do throws(ImageError) {
      storage = try FileStorage(path: path, writable: false, locking: false)
    } catch {
      notify(.error("cannot open '\(path)': \(errorText(error.errno))"))
      throw failure
    }
    let place = BtrfsSuperblock.offsets[0]
    guard storage.length >= place else {
      notify(.error("superblock bytenr \(place) is larger than device size \(storage.length)"))
      throw failure
    }
    do throws(ImageError) {
      if let superblock = try BtrfsSuperblock.read(storage) { return BtrfsDevice(storage, superblock) }
    } catch {
      notify(.error(error.message))
      if let continuation = error.continuation { notify(.error(continuation)) }
    }
    // Zoned devices have a log of superblocks at their beginning instead.
    if let bytes = try? storage.readArray(at: 0, count: BtrfsSuperblock.size) {
      let superblock = BtrfsSuperblock(bytes.rawBytes)
      if superblock.magic == BtrfsSuperblock.magic, superblock.incompatibleFeatures.contains(.zoned) {
        notify(.error("zoned file systems are not supported"))
      }
    }
    notify(.line("No valid Btrfs found on \(path)"))
    throw failure
  }

  private static func check(_ superblock: BtrfsSuperblock, notify: Notify) throws(ImageError) {
    if let text = superblock.deviceCountWarning { notify(.warning(text)) }
    if superblock.flags & SuperblockFlag.changingFSID != 0 {
      notify(.error("Filesystem UUID change in progress"))
      throw failure
    }
    if let text = superblock.featureFault {
      notify(.line(text))
      if superblock.incompatibleFeatures.contains(.extentTreeV2) { notify(.error("extent-tree-v2 is not supported")) }
      throw failure
    }
  }

  // MARK: Chunks

  private mutating func loadSystemChunks(notify: Notify) throws(ImageError) {
    do throws(SystemChunkError) {
      for chunk in try superblock.systemChunks() {
        guard insert(chunk, isInSystemArray: true, notify: notify) else {
          notify(
            .error(
              "Superblock checksums match, but it has an invalid chunk, try btrfsck --repair -s <superblock> ie, 0,1,2")
          )
          throw SystemChunkError.badStripeCount(0, offset: -1)
        }
      }
    } catch {
      if case .badStripeCount(_, let offset) = error, offset < 0 { throw BtrfsVolume.failure }
      notify(.error(error.error(opening: true).message))
      throw BtrfsVolume.failure
    }
  }

  /// Adds a chunk that passes the checks; says what is wrong with one that does not.
  private mutating func insert(_ chunk: Chunk, isInSystemArray: Bool, notify: Notify) -> Bool {
    do throws(ImageError) {
      try chunk.item.validate(
        logical: chunk.logical, sectorSize: superblock.sectorSize, isInSystemArray: isInSystemArray)
      try chunks.insert(chunk)
      return true
    } catch {
      notify(.error(error.message))
      return false
    }
  }

  /// Reads the chunk tree: what it holds of good chunks is used whatever else is wrong with it. Where it cannot be read,
  /// its leaves are looked for.
  private mutating func loadChunkTree(
    notify: Notify, report: (TreeBlockReport) -> Void
  ) throws(ImageError) {
    var leaves = ChunkTreeLeaves(nodeSize: nodeSize)
    if readsChunkRoot(report: report) {
      let root = TreeRoot(address: superblock.chunkRoot, generation: superblock.chunkRootGeneration)
      withoutActuallyEscaping(report) { report in
        var walk = TreeWalk(self, report: report)
        try? walk.visit(root, readsLeaves: true, leaf: { _, leaf, count in leaves.add(leaf, count) })
        if walk.isIncomplete {
          notify(.line("Couldn't read chunk tree"))
          isDamaged = true
        }
      }
    } else {
      notify(.error("cannot read chunk root"))
      isDamaged = true
    }
    // An empty leaf may have a right checksum.
    if leaves.chunks.isEmpty && !isDamaged {
      notify(.line("Couldn't read chunk tree"))
      isDamaged = true
    }
    if isDamaged {
      scanTreeBlocks(in: .system) { _, block in
        let header = TreeBlockHeader(block)
        if header.isLeaf, header.owner == ObjectID.chunkTree { leaves.add(block, header.itemCount) }
      }
      guard !leaves.chunks.isEmpty else {
        tellMissingDevices(notify)
        throw BtrfsVolume.failure
      }
    }
    fileSystemIDs.formUnion(leaves.fileSystemIDs)
    for error in leaves.errors { notify(.error(error.message)) }
    if !leaves.errors.isEmpty { isDamaged = true }
    var hasBadChunk = false
    for (chunk, _) in leaves.chunks.values.sorted(by: { $0.chunk.logical < $1.chunk.logical })
    where !insert(chunk, isInSystemArray: false, notify: notify) {
      hasBadChunk = true
    }
    if hasBadChunk {
      notify(.error("Metadata checksums match, but it has an invalid chunk, "))
      isDamaged = true
    }
  }

  /// Whether the chunk tree's root can be read; says what is wrong with it.
  private func readsChunkRoot(report: (TreeBlockReport) -> Void) -> Bool {
    var buffer = Buffer(nodeSize)
    var block = buffer.mutableBytes
    var found = TreeBlockReport(superblock.chunkRoot)
    let expectation = TreeBlockExpectation(generation: superblock.chunkRootGeneration, generationReport: .once)
    let state = readTreeBlock(superblock.chunkRoot, into: &block, expectation, report: &found)
    if !found.lines.isEmpty { report(found) }
    return state == .good || state == .malformed
  }

  /// Says where a superblock disagrees with the chunk tree: no kernel mounts that.
  private mutating func compareSuperblocks(_ notify: Notify) {
    var strangers: Set<UInt64> = []
    for stripe in chunks.chunks.flatMap(\.item.stripes) {
      guard let item = device(of: stripe)?.item, item.id != stripe.device || item.uuid != stripe.deviceUUID
      else { continue }
      strangers.insert(stripe.device)
    }
    for id in strangers.sorted() {
      notify(.warning("device \(id) has another number or UUID in its superblock than in the chunk tree"))
    }
    let hasOtherChunks = !isDamaged && superblock.hasOtherSystemChunks(than: chunks)
    if hasOtherChunks { notify(.warning("the superblock has other system chunks than the chunk tree")) }
    if hasOtherChunks || !strangers.isEmpty { isDamaged = true }
  }

  // MARK: Devices

  /// The numbers of the devices that chunks lie on and that are not there.
  package var missingDevices: [UInt64] {
    var missing: Set<UInt64> = []
    for chunk in chunks.chunks {
      for stripe in chunk.item.stripes where device(of: stripe) == nil { missing.insert(stripe.device) }
    }
    return missing.sorted()
  }

  private func tellMissingDevices(_ notify: Notify) {
    for id in missingDevices { notify(.line("warning, device \(id) is missing")) }
  }

  private mutating func addDevices(from search: inout DeviceSearch) {
    guard superblock.deviceCount > 1 || !missingDevices.isEmpty else { return }
    for device in search.blockDevices
    where device.superblock.fsid == superblock.fsid && devices[device.item.id] == nil {
      devices[device.item.id] = device
    }
    // Seeds have other file systems' numbers; and another file system's copy may have a device's number.
    addDevices(among: search.blockDevices)
    if !missingDevices.isEmpty { addDevices(among: search.files) }
  }

  private mutating func addDevices(among candidates: [BtrfsDevice]) {
    for stripe in chunks.chunks.flatMap(\.item.stripes)
    where devices[stripe.device]?.item.uuid != stripe.deviceUUID && stripe.device != superblock.device.id {
      if let device = candidates.first(where: { $0.item.uuid == stripe.deviceUUID }) { devices[stripe.device] = device }
    }
  }

  /// The block devices that carry the file system of a superblock.
  package static func blockDevices(of superblock: BtrfsSuperblock) -> [BtrfsDevice] {
    var search = DeviceSearch(beside: "")
    return search.blockDevices.filter { $0.superblock.fsid == superblock.fsid }
  }

  /// The superblock that stands at the beginning of a dump: that of the device with the highest number but the named
  /// one, if there are several (btrfs-image §10.4).
  package var dumpedSuperblock: BtrfsSuperblock {
    let others = devices.values.filter {
      $0.item.uuid != superblock.device.uuid && $0.superblock.fsid == superblock.fsid
        && $0.superblock.generation == superblock.generation
    }
    return others.max { $0.item.id < $1.item.id }?.superblock ?? superblock
  }
}
