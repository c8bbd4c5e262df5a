import Bytes

/// $LogFile, as far as it says whether the volume was closed (spec §7).
package struct LogFile: Sendable {
  /// What the restart pages say.
  package enum State: Sendable {
    case clean
    /// Changes may be missing on the volume.
    case unclean
    /// Neither restart pages nor empty.
    case garbage
    /// Windows keeps metadata in memory (version 2.0).
    case cached
  }

  package let runs: [Run]
  package let clusterSize: UInt64
  private let reader: RunReader
  private let size: UInt64

  /// - Throws: `ENOENT` or `EIO` when there is no such file.
  package init(_ volume: Volume, log: @escaping (String) -> Void) throws(ImageError) {
    let records = volume.recordReader()
    let inode = try Inode.open(try records.record(2, log: log), volume, records, log: log)
    runs = try inode.allRuns(AttributeType.data, [], volume, log: log)
    guard let data = inode.items.first(where: { $0.attribute.type == AttributeType.data && $0.attribute.name.isEmpty })
    else { throw .system(2) }
    clusterSize = UInt64(volume.boot.clusterSize)
    reader = RunReader(volume.storage, clusterSize: volume.boot.clusterSize, runs: runs)
    size = min(UInt64(max(0, data.attribute.dataSize)), reader.clusterCount * clusterSize)
  }

  private static let pageSize = 4096
  /// What a metadata clone keeps of the log.
  private static let headSize = 16384

  /// - Parameter headOnly: whether only the part counts that a metadata clone keeps; the rest reads as zeros there.
  package func state(headOnly: Bool) -> State {
    var isEmpty = true
    var newest: (sequence: UInt64, state: State)?
    var isFirst = true
    for offset in LogFile.probes(size) {
      guard let page = page(at: offset) else { continue }
      let bytes = page.rawBytes
      let magic = bytes.littleEndian(at: 0, as: UInt32.self)
      if magic == 0xFFFF_FFFF {
        isFirst = false
        continue
      }
      isEmpty = false
      // Restart pages are at the beginning and one page size further on.
      if magic == 0x5254_5352 /* RSTR */ || magic == 0x444B_4843 /* CHKD */ {
        if let found = restart(page), found.sequence >= newest?.sequence ?? 0 { newest = found }
      } else if isFirst, offset > 0, magic == 0x4452_4352 /* RCRD */ {
        break
      }
      isFirst = false
    }
    if let newest { return newest.state }
    return isEmpty ? .clean : .garbage
  }

  /// Places where a restart page may be: 0, and every power of two from 512 on.
  private static func probes(_ size: UInt64) -> [UInt64] {
    var places: [UInt64] = [0]
    var offset: UInt64 = 512
    while offset < min(size, UInt64(headSize)) {
      places.append(offset)
      offset *= 2
    }
    return places
  }

  private func page(at offset: UInt64) -> [UInt8]? {
    guard offset + UInt64(LogFile.pageSize) <= size else { return nil }
    var buffer = Buffer(LogFile.pageSize)
    var bytes = buffer.mutableBytes
    guard (try? reader.read(into: &bytes, at: offset)) != nil else { return nil }
    return buffer.bytes.array(0..<buffer.count)
  }

  /// What one restart page says.
  private func restart(_ stored: [UInt8]) -> (sequence: UInt64, state: State)? {
    var buffer = Buffer(stored.count)
    var page = buffer.mutableBytes
    page.copy(stored.rawBytes, at: 0)
    guard FixUps.remove(&page) == .done else { return nil }
    let bytes = page.bytes
    let area = Int(bytes.littleEndian(at: 24, as: UInt16.self))
    let minor = bytes.littleEndian(at: 26, as: Int16.self)
    let major = bytes.littleEndian(at: 28, as: Int16.self)
    guard area >= 30, area + 48 <= bytes.byteCount else { return nil }
    let sequence = bytes.littleEndian(at: area, as: UInt64.self)
    if major == 2, minor == 0 { return (sequence, .cached) }
    let inUse = bytes.littleEndian(at: area + 12, as: UInt16.self)
    let flags = bytes.littleEndian(at: area + 14, as: UInt16.self)
    return (sequence, inUse == 0xFFFF || flags & 2 != 0 ? .clean : .unclean)
  }
}
