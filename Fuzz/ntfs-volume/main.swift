import FuzzSupport
import ImageCore
import Synchronization

// A volume whose boot sector, $MFT and $MFTMirr are the input's; the other clusters repeat the input, but for $UpCase,
// whose place the input names. Opened, surveyed and copied as metadata; every part by itself as well.
final class Patchwork: Storage {
  let name = "volume"
  let length: UInt64 = 1 << 26
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

  private func byte(_ offset: UInt64) -> UInt8 {
    let records = UInt64(input.count - 516)
    if offset < 512 { return input[Int(offset)] }
    if offset >= table, offset - table < records { return input[516 + Int(offset - table)] }
    if offset >= mirror, offset - mirror < min(records, max(4096, clusterSize)) {
      return input[516 + Int(offset - mirror)]
    }
    if offset >= upCase, offset - upCase < 131072 {
      let code = (offset - upCase) / 2
      let upper = (0x61...0x7A).contains(code) ? code - 0x20 : code
      return UInt8(truncatingIfNeeded: (offset - upCase) % 2 == 0 ? upper : upper >> 8)
    }
    return input[Int(offset % UInt64(input.count))]
  }

  func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    for index in 0..<buffer.byteCount {
      buffer.storeBytes(of: byte(offset &+ UInt64(index)), toByteOffset: index, as: UInt8.self)
    }
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
        _ = try? AttributeListEntry.parse(record.bytes.slice(attribute.value))
      }
    }
    var statistics = WipeStatistics()
    for number in [5, 30] as [UInt64] {
      var buffer = Buffer(1024)
      var target = buffer.mutableBytes
      target.copy(record.bytes, at: 0)
      _ = Wiper(keepsTimes: false).wipeRecord(&target, number: number, &statistics)
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
