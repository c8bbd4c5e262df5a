import Btrfs
import Bytes
import Copying
import Storage
import Threads

/// Restores the file system that a dump holds (btrfs-image §14).
///
/// All blocks are put in their places first; then trees are changed that no longer fit the devices; the superblocks come
/// last, so that what was not finished is no file system.
package struct DumpRestorer: Sendable {
  /// What is known of the dump.
  package let scan: MetadumpScan
  private let input: any MetadumpInput
  private let report: RestoreReport
  /// Number of items under way at once.
  private let workers: Int

  /// Reads the beginning of a dump.
  ///
  /// - Throws: the last line about what makes it unusable.
  package init(_ input: any MetadumpInput, workers: Int, report: RestoreReport) throws(ImageError) {
    self.input = input
    self.report = report
    self.workers = workers
    scan = try MetadumpScan(input, report: report.problem)
  }

  /// Puts all items in their places; when nothing more can be read or written, everything before has been restored.
  private func copyItems(to target: RestoreTarget, _ repair: BlockRepair) {
    (input as? StreamInput)?.stopKeeping()
    let selection = RestoreSelection(input, report)
    let sink = RestoreSink(input, selection.places, target, repair, report)
    do throws(ImageError) {
      var engine = CopyEngine(workers: workers, bufferSize: 0)
      engine.completed = { report.progress($0.offset + $0.length) }
      try engine.run(selection, from: NoSource(), to: sink)
    } catch {
      // What was restored is worth having: the rest of the work goes on.
      report.problem(error)
    }
  }

  /// Takes away the superblock that a device has: from here on it is no file system until the restore is done.
  private func invalidate(_ storage: any WritableStorage) throws(ImageError) {
    guard !storage.growsWithZeros else { return }
    do throws(ImageError) {
      try storage.write([UInt8](repeating: 0, count: BtrfsSuperblock.size), at: BtrfsSuperblock.offsets[0])
      try storage.flush()
    } catch {
      throw ImageError("unable to write to device: \(errorText(error.errno))", errno: error.errno)
    }
  }

  // MARK: One device

  /// Restores to one device; a file system of several becomes one of one (§14.5, §14.6).
  package func restore(to storage: any WritableStorage) throws(ImageError) {
    let plan = try ChunkPlan(scan)
    let dumped = scan.superblock
    if plan.movesMirror {
      report.warn(
        "remapping a chunk that had a super mirror inside of it, clearing space cache so we don't end up with "
          + "corruption")
    }
    let target = RestoreTarget([storage], .oneDevice(plan.chunks))
    let repair = try BlockRepair(scan, chunks: plan.isSqueezed ? plan.chunks : nil)
    try invalidate(storage)
    // A file that need not grow is written faster.
    if storage.growsWithZeros { try setSize(of: storage, to: dumped.device.totalBytes, isExact: false) }
    copyItems(to: target, repair)
    let source = try TreeSource(dumped) { (buffer, address) throws(ImageError) in
      var bytes = buffer.mutableBytes
      try target.read(into: &bytes, at: address)
    }
    if plan.isSqueezed {
      do throws(ImageError) {
        for block in try plan.rebuiltBlocks(source, dumped) {
          _ = try target.write(block.bytes.rawBytes, at: block.address)
        }
      } catch {
        report.problem(error)
        report.problem(
          ImageError("failed to fix chunks and devices mapping, the fs may not be mountable", errno: error.errno))
      }
    }
    let superblock = try plan.superblock(dumped, version: scan.version)
    try setSize(of: storage, to: superblock.device.totalBytes, isExact: plan.isSqueezed)
    try write(superblock, to: storage, size: superblock.device.totalBytes)
    try storage.flush()
    try check(source, superblock, name: storage.name)
  }

  /// No file system has addresses beyond this, in bytes: where the chunk tree is not complete.
  private static let lastAddress: UInt64 = 1 << 50

  /// Restores without regard to the chunk tree: each block where its logical address says (§14.8).
  package func restoreOld(to storage: any WritableStorage) throws(ImageError) {
    // What lies behind the last chunk would make the target grow without end.
    let end = scan.isComplete ? scan.chunks.chunks.last?.end : nil
    let target = RestoreTarget([storage], .identity(end: end ?? DumpRestorer.lastAddress))
    let repair = try BlockRepair(scan, chunks: nil)
    try invalidate(storage)
    copyItems(to: target, repair)
    var superblock = scan.superblock
    superblock.flags |= SuperblockFlag.metadump
    var item = scan.chunks.chunks[0].item
    item.length = .max
    item.owner = 2
    item.stripeLength = ChunkItem.stripeLength
    item.type = .system
    (item.ioAlign, item.ioWidth, item.sectorSize) =
      (superblock.sectorSize, superblock.sectorSize, superblock.sectorSize)
    item.subStripes = 0
    let device = superblock.device
    item.stripes = [ChunkItem.Stripe(device: device.id, offset: 0, deviceUUID: device.uuid)]
    // The reference leaves what is behind the array's end.
    let array = BtrfsSuperblock.systemChunkArray(of: [Chunk(logical: 0, item: item)])
    superblock.replace(811..<811 + array.count, with: array)
    superblock.systemChunkSize = UInt32(array.count)
    // Where further copies would be there may be blocks.
    try write(superblock, to: storage, size: 0)
    try storage.flush()
    let source = try TreeSource(scan.superblock) { (buffer, address) throws(ImageError) in
      var bytes = buffer.mutableBytes
      try target.read(into: &bytes, at: address)
    }
    try check(source, scan.superblock, name: storage.name)
  }

  // MARK: Several devices

  /// Restores each device of the file system, in the order of their numbers (§14.9).
  ///
  /// - Parameter wrote: called with the device's place in the list and its number when its superblock is going to be
  ///   written.
  package func restore(
    toDevices storages: [any WritableStorage], wrote: (_ index: Int, _ device: UInt64) -> Void
  ) throws(ImageError) {
    let devices = scan.devices
    guard devices.count == storages.count else {
      throw ImageError("it needs \(devices.count) devices but has only \(storages.count)")
    }
    var numbers: [UInt64: Int] = [:]
    for (index, device) in devices.enumerated() { numbers[device.id] = index }
    let target = RestoreTarget(storages, .devices(scan.chunks, numbers))
    let repair = try BlockRepair(scan, chunks: nil)
    for storage in storages { try invalidate(storage) }
    copyItems(to: target, repair)
    try target.writeParity()
    for (index, device) in devices.enumerated() {
      try setSize(of: storages[index], to: device.totalBytes, isExact: false)
    }
    let source = try TreeSource(scan.superblock) { (buffer, address) throws(ImageError) in
      var bytes = buffer.mutableBytes
      try target.read(into: &bytes, at: address)
    }
    for (index, device) in devices.enumerated() {
      wrote(index, device.id)
      var superblock = scan.superblock
      superblock.device = device
      superblock.device.fsid = superblock.metadataUUID
      try write(superblock, to: storages[index], size: device.totalBytes)
      try storages[index].flush()
    }
    try check(source, scan.superblock, name: storages[0].name)
  }

  // MARK: The end

  /// Gives a file the size of its device.
  private func setSize(of storage: any WritableStorage, to size: UInt64, isExact: Bool) throws(ImageError) {
    guard storage.growsWithZeros else {
      if storage.length < size {
        report.problem(
          ImageError("device \(storage.name) of \(storage.length) bytes is too small for \(size) bytes", errno: 28))
      }
      return
    }
    guard isExact ? storage.length != size : storage.length < size else { return }
    do throws(ImageError) {
      try storage.resize(to: size)
    } catch {
      throw ImageError(
        "failed to enlarge result image file from \(storage.length) to \(size): \(errorText(error.errno))",
        errno: error.errno)
    }
  }

  /// Writes the copies of the superblock that a device of this size has; the first one in any case.
  private func write(
    _ superblock: BtrfsSuperblock, to storage: any WritableStorage, size: UInt64
  ) throws(ImageError) {
    let end = storage.growsWithZeros ? size : min(size, storage.length)
    for (index, offset) in BtrfsSuperblock.offsets.enumerated().reversed()
    where index == 0 || offset + UInt64(BtrfsSuperblock.size) <= end {
      var copy = superblock
      copy.address = offset
      do throws(ImageError) {
        try storage.write(try copy.bytesWithChecksum(), at: offset)
      } catch {
        let text = errorText(error.errno)
        throw ImageError(
          index == 0
            ? "unable to write to device: \(text)" : "problem writing out backup super block \(index): \(text)",
          errno: error.errno)
      }
    }
  }

  /// Looks whether the restored file system can be opened: the trees that everything begins with are there.
  ///
  /// - Throws: `open ctree failed in NAME`.
  private func check(_ source: TreeSource, _ superblock: BtrfsSuperblock, name: String) throws(ImageError) {
    do throws(ImageError) {
      if let text = superblock.featureFault { throw ImageError(text) }
      _ = try source.block(at: superblock.chunkRoot, level: superblock.chunkRootLevel)
      _ = try source.block(at: superblock.root, level: superblock.rootLevel)
      for tree in [
        ObjectID.extentTree, ObjectID.deviceTree, ObjectID.fileSystemTree, ObjectID.checksumTree,
      ] {
        let root = try source.root(of: tree, superblock)
        _ = try source.block(at: root.address, level: root.level)
      }
    } catch {
      report.problem(error)
      throw ImageError("open ctree failed in \(name)", errno: 5)
    }
  }
}

/// The sink reads for itself.
private final class NoSource: CopySource {
  @_lifetime(buffer: copy buffer)
  func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {}
}
