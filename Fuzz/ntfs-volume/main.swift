import FuzzSupport
import ImageCore
import Synchronization

// A volume whose boot sector, $MFT and $MFTMirr are the input's; the other clusters repeat the input, but for $UpCase,
// whose place the input names. Opened, surveyed and copied as metadata; every part by itself as well.
final class Patchwork: Storage {
  let name = "volume"
  // Small, because a run list may ask for all of it: an input takes a millisecond, not twenty.
  let length: UInt64 = 1 << 22
  let requestAlignment = 1
  let allocatedSize: UInt64? = nil
  let identity: FileIdentity? = nil
  private let input: [UInt8]
  private let clusterSize: UInt64
  private let table: UInt64
  private let mirror: UInt64
  private let upCase: UInt64

  init?(_ input: [UInt8]) {
    guard input.count > 520, let boot = try? BootSector(input.rawBytes, log: { _ in }) else { return nil }
    self.input = input
    clusterSize = UInt64(boot.clusterSize)
    table = boot.tableCluster * clusterSize
    mirror = boot.mirrorCluster * clusterSize
    upCase = UInt64(input.rawBytes.littleEndian(at: 512, as: UInt32.self)) * clusterSize
  }

  /// The bytes from `offset` on, as far as one place of the input has them: their position there, and how many.
  private func piece(at offset: UInt64) -> (start: Int, count: Int) {
    let records = UInt64(input.count - 516)
    let places = [
      (range: 0..<512 as Range<UInt64>, start: 0), (range: table..<table + records, start: 516),
      (range: mirror..<mirror + min(records, max(4096, clusterSize)), start: 516),
    ]
    if let place = places.first(where: { $0.range.contains(offset) }) {
      return (place.start + Int(offset - place.range.lowerBound), Int(place.range.upperBound - offset))
    }
    let start = Int(offset % UInt64(input.count))
    let next = places.map(\.range.lowerBound).filter { $0 > offset }.min() ?? .max
    return (start, Int(min(UInt64(input.count - start), next - offset)))
  }

  func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    let input = input
    var done = 0
    while done < buffer.byteCount {
      let place = piece(at: offset &+ UInt64(done))
      let count = min(place.count, buffer.byteCount - done)
      buffer.copy(input.rawBytes.slice(place.start..<place.start + count), at: done)
      done += count
    }
    // $UpCase lies over everything but the boot sector, $MFT and its mirror.
    let end = offset &+ UInt64(buffer.byteCount)
    guard offset < upCase + 131072, end > upCase else { return }
    for position in max(offset, upCase)..<min(end, upCase + 131072) where !isFixed(position) {
      let code = (position - upCase) / 2
      let upper = (0x61...0x7A).contains(code) ? code - 0x20 : code
      buffer.storeBytes(
        of: UInt8(truncatingIfNeeded: (position - upCase) % 2 == 0 ? upper : upper >> 8),
        toByteOffset: Int(position - offset), as: UInt8.self)
    }
  }

  private func isFixed(_ offset: UInt64) -> Bool {
    let records = UInt64(input.count - 516)
    return offset < 512 || (table..<table + records).contains(offset)
      || (mirror..<mirror + min(records, max(4096, clusterSize))).contains(offset)
  }

  func extent(at offset: UInt64, limit: UInt64) throws(ImageError) -> StorageExtent {
    StorageExtent(length: limit, isData: true)
  }
}

fuzz { bytes in
  let input = bytes.array(0..<min(bytes.byteCount, 40_000))
  for block in 0..<input.count / 1024 {
    let record = FileRecord(number: UInt64(block), contents: Array(input[block * 1024..<(block + 1) * 1024]))
    for attribute in record.attributes {
      if attribute.isNonResident {
        _ = try? RunList.decode(record.bytes, attribute, clusterSize: 512, log: { _ in })
      } else {
        _ = AttributeListEntry.parse(record.bytes.slice(attribute.value))
      }
    }
    var statistics = WipeStatistics()
    for number in [5, 30] as [UInt64] {
      var buffer = Buffer(1024)
      var target = buffer.mutableBytes
      target.copy(record.bytes, at: 0)
      _ = Wiper(keepsTimes: false).wipeRecord(&target, number: number, isWritten: true, &statistics)
      target.copy(record.bytes, at: 0)
      _ = Wiper(keepsTimes: false).wipeIndexBlock(&target, &statistics)
    }
  }
  guard let storage = Patchwork(input), let volume = try? Volume(storage, log: { _ in }) else { return }
  guard storage.length >= volume.boot.volumeSize else { return }
  var rule = VolumeSurvey.Rule()
  rule.ignoresErrors = true
  rule.metadata = MetadataRule(isImage: true, keepsLog: false)
  var survey = VolumeSurvey(volume)
  guard (try? survey.scan(rule, progress: { _ in }, warn: { _ in }, log: { _ in })) != nil else { return }
  _ = try? survey.account(warn: { _ in })
  _ = try? survey.excludeBadClusters(log: { _ in })
  if let log = try? LogFile(volume, log: { _ in }) { _ = log.state() }
  guard let sink = try? OutputStream(path: "/dev/null") else { return }
  let geometry = CloneGeometry(
    clusterSize: volume.boot.clusterSize, clusterCount: volume.boot.clusterCount, deviceSize: storage.length)
  let report = CloneReport(counted: { _ in }, line: { _ in }, library: { _ in })
  let header = NtfscloneHeader(
    clusterSize: volume.boot.clusterSize, deviceSize: storage.length, clusterCount: volume.boot.clusterCount,
    clustersInUse: 0)
  _ = try? VolumeCloner(volume, geometry, to: .stream(sink), header: header).copyMetadata(
    MetadataRule(isImage: true, keepsLog: false), survey, wiper: Wiper(keepsTimes: false), ignoresErrors: true,
    report: report, progress: { _ in }, log: { _ in })
}
