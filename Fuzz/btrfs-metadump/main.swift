import FuzzSupport
import ImageCore
import Synchronization

// A dump: read as a disk, and restored to one device, the old way, and to as many devices as it names.
//
// A checksum that the fuzzer cannot guess would keep it from everything behind the superblock: it is made right first.
fuzz { bytes in
  var dump = bytes.array(0..<bytes.byteCount)
  let place = ClusterHeader.size
  if dump.count >= place + BtrfsSuperblock.size, dump[20] == 0,
    let superblock = try? BtrfsSuperblock(dump.rawBytes.slice(place..<dump.count)).bytesWithChecksum()
  {
    dump.replaceSubrange(place..<place + BtrfsSuperblock.size, with: superblock)
  }
  readAsDisk(dump)
  for isOld in [false, true] { restore(dump, isOld: isOld) }
}

private func readAsDisk(_ dump: [UInt8]) {
  let context = OpenContext(
    filename: "dump", use: .read, openDependent: { (_) throws(ImageError) in throw ImageError("none") },
    notify: { _ in })
  guard let image = try? BtrfsImageFormat.open(MemoryStorage(dump), context) else { return }
  _ = try? image.information()
  var offset: UInt64 = 0
  var buffer = Buffer(4096)
  for _ in 0..<64 where offset < image.virtualSize {
    guard let extent = try? image.layerExtent(at: offset, limit: image.virtualSize - offset) else { return }
    precondition(extent.length > 0 && extent.length <= image.virtualSize - offset)
    var target = buffer.mutableBytes
    _ = try? image.read(into: &target, at: offset)
    offset += extent.length
  }
}

/// Restores to memory; a target that would become too large refuses.
private func restore(_ dump: [UInt8], isOld: Bool) {
  let report = RestoreReport(problem: { _ in }, warn: { _ in }, progress: { _ in })
  let input = StorageInput(MemoryStorage(dump))
  guard let restorer = try? DumpRestorer(input, workers: 1, report: report) else { return }
  if isOld {
    try? restorer.restoreOld(to: BoundedStorage())
    let count = restorer.scan.devices.count
    if count > 1, count < 5 {
      try? restorer.restore(toDevices: (0..<count).map { _ in BoundedStorage() }) { (_, _) in }
    }
  } else {
    try? restorer.restore(to: BoundedStorage())
  }
}

/// A device of any size that keeps what lies in its first MiB.
private final class BoundedStorage: WritableStorage {
  let name = "target"
  let requestAlignment = 1
  let identity: FileIdentity? = nil
  let growsWithZeros = true
  let allocatedSize: UInt64? = nil
  private let memory = MemoryStorage()
  private static let limit: UInt64 = 1 << 20

  var length: UInt64 { memory.length }

  func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    try memory.read(into: &buffer, at: offset)
  }
  func extent(at offset: UInt64, limit: UInt64) throws(ImageError) -> StorageExtent {
    try memory.extent(at: offset, limit: limit)
  }
  func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
    let end = offset.addingReportingOverflow(UInt64(bytes.byteCount))
    precondition(!end.overflow)
    if end.partialValue <= BoundedStorage.limit { try memory.write(bytes, at: offset) }
  }
  func zero(_ range: Range<UInt64>, mayUnmap: Bool) throws(ImageError) {}
  func discard(_ range: Range<UInt64>) throws(ImageError) {}
  func allocate(_ range: Range<UInt64>) throws(ImageError) {}
  func resize(to length: UInt64) throws(ImageError) {}
  func flush() throws(ImageError) {}
}
