import Bytes

/// $LogFile, as far as it says whether the volume was closed (spec §7).
package struct LogFile: Sendable {
  /// What the restart pages say.
  package struct State: Sendable, Equatable {
    package enum Kind: Sendable { case clean, unclean, garbage, cached }
    /// `unclean`: changes may be missing on the volume; `garbage`: neither restart pages nor empty; `cached`: Windows
    /// keeps metadata in memory (version 2.0).
    package var kind: Kind
    /// The library's lines about it.
    package var lines: [String] = []
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
  /// What a metadata clone keeps of the log: no restart page lies behind it.
  private static let headSize = 16384

  package func state() -> State {
    var isEmpty = true
    var newest: (sequence: UInt64, state: State)?
    var complaints: [String] = []
    var isFirst = true
    for offset in LogFile.probes(size) {
      guard let page = page(at: offset) else { continue }
      let magic = page.rawBytes.littleEndian(at: 0, as: UInt32.self)
      if magic == 0xFFFF_FFFF {
        isFirst = false
        continue
      }
      isEmpty = false
      // Restart pages are at the beginning and one page size further on.
      if magic == 0x5254_5352 /* RSTR */ || magic == 0x444B_4843 /* CHKD */ {
        if let found = restart(page, &complaints), found.sequence >= newest?.sequence ?? 0 { newest = found }
      } else if isFirst, offset > 0, magic == 0x4452_4352 /* RCRD */ {
        break
      }
      isFirst = false
    }
    if var state = newest?.state {
      state.lines = complaints + state.lines
      return state
    }
    if isEmpty { return State(kind: .clean, lines: complaints) }
    return State(
      kind: .garbage, lines: complaints + ["Did not find any restart pages in $LogFile and it was not empty."])
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
  private func restart(_ stored: [UInt8], _ complaints: inout [String]) -> (sequence: UInt64, state: State)? {
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
    let clients = bytes.littleEndian(at: area + 8, as: UInt16.self)
    let free = bytes.littleEndian(at: area + 10, as: UInt16.self)
    let inUse = bytes.littleEndian(at: area + 12, as: UInt16.self)
    let flags = bytes.littleEndian(at: area + 14, as: UInt16.self)
    for client in [free, inUse] where client != LogFile.none && client >= clients {
      complaints.append("$LogFile restart area specifies overflowing client free and/or in use lists.")
      return nil
    }
    var state = State(kind: .clean)
    if inUse != LogFile.none, flags & 2 == 0 {
      state = State(kind: .unclean, lines: ["The disk contains an unclean file system (\(inUse), \(flags))."])
    }
    if major == 2, minor == 0 {
      state.kind = .cached
      state.lines.append("Metadata kept in Windows cache, refused to mount.")
    }
    return (sequence, state)
  }

  /// No client.
  private static let none: UInt16 = 0xFFFF
}
