import Bytes
import Images
import Storage

extension Qcow2Image: CheckableImage {
  /// Checks in the order and with the texts of qcow2-qcow-qed §16; what is done otherwise on purpose is in
  /// docs/DIFFERENCES.md.
  public func check(repair: RepairMode, message: (String) -> Void) throws(ImageError) -> CheckResult {
    try check(repair: repair, isOpening: false, message: message)
  }

  /// `isOpening`: the image is brought up to date because it was not closed, which nobody needs to be told then.
  func check(repair: RepairMode, isOpening: Bool, message: (String) -> Void) throws(ImageError) -> CheckResult {
    let (result, header, snapshots) = try withoutActuallyEscaping(message) {
      (message) throws(ImageError) -> (CheckResult, Qcow2Header, [SnapshotRecord]) in
      let check = try Qcow2Check(self, repair: repair, message: message)
      if !isOpening { check.tellOfUnclosedImage() }
      try check.run()
      return (check.result, check.header, check.snapshots)
    }
    if repair != .none {
      // The tables were changed in the file, behind what is in memory.
      let storage = self.storage
      tables.withLock { tables in
        tables.header = header
        tables.snapshots = snapshots
        tables.l1 = LazyTable(storage, offset: header.l1TableOffset, count: Int(header.l1Size))
        tables.l2.removeAll()
      }
      decompression.forget()
    }
    return result
  }
}

/// One check, from the first message to the result.
final class Qcow2Check {
  let storage: any Storage
  /// The storage to repair; nil when nothing may be changed.
  let writable: (any WritableStorage)?
  let repair: RepairMode
  let message: (String) -> Void
  let notify: @Sendable (Notice) -> Void
  let rules: EntryRules
  let clusterSize: UInt64
  let bitmaps: [BitmapRecord]

  var header: Qcow2Header
  var snapshots: [SnapshotRecord] = []
  /// Length of the snapshot table in bytes.
  var snapshotTableSize: UInt64 = 0
  /// The table's clusters, as far as they were counted.
  var snapshotTableClusters: Range<UInt64> = 0..<0
  /// Whether the snapshot table has faults that are set right by writing it anew.
  var rewritesSnapshots = false
  var result = CheckResult()

  /// Length of the file in bytes, rounded up to 512.
  var fileLength: UInt64 = 0
  /// Clusters of the file, those beyond its end that a table reaches included.
  var clusters: UInt64 = 0
  /// References that were found.
  var references = ReferenceCounts(clusters: 0)
  /// Counts that the image has stored, for clusters below ``clusters`` that are not in ``equalBlocks``.
  var stored = ReferenceCounts(clusters: 0)
  /// Indices of refcount blocks that could not be read.
  var unreadableBlocks: Set<UInt64> = []
  /// Indices of refcount blocks that say what was counted, and the one that was asked for last.
  var equalBlocks: Set<UInt64> = []
  var lastEqualBlock = UInt64.max
  /// The L2 tables that were walked.
  var walked = ClusterSet()
  /// L2 tables that were met again: so many more times.
  var repeated: [UInt64: UInt64] = [:]
  /// How often L2 tables were met after the first time.
  var visits: [UInt64: UInt64] = [:]
  /// L2 tables with so many faults that they may be none.
  var suspects: Set<UInt64> = []
  /// Entries that may be repaired once everything is counted.
  var entryRepairs: [EntryRepair] = []
  /// Tables that were read, for the check of the flags; bounded.
  var recentTables: [UInt64: [UInt64]] = [:]
  /// The refcount table cannot be used as it is.
  var needsRebuild = false
  /// A table could not be followed: clusters without references may be what it refers to, and must not be given back.
  var hidesReferences = false
  /// The refcount blocks that can be read, by their index.
  var refcountTable: LazyTable
  /// Whether refcount blocks are met that are not aligned, which was told already.
  var toldOfBadBlock = false

  /// How long the file may become to hold refcount blocks that lie beyond its end, in bytes: 8 MiB, or twice what it is.
  let extensionLimit: UInt64
  /// Bytes of L2 tables that are kept from the count to the check of the flags.
  static let recentTablesLimit = 32 << 20

  /// An entry that can be set right without changing what is read.
  struct EntryRepair {
    /// Offset of the L2 table; nil for an entry of an L1 table.
    var l2Table: UInt64?
    /// Where the entry's first word is in the file, and what it should be.
    var position: UInt64
    var word: UInt64
    /// The finding, without the words in front; and those that stand there when it cannot be repaired.
    var fault: String
    var refusal: String
    /// A preallocated cluster at an impossible offset (bytes): so often it counts if it stays.
    var misplaced: (offset: UInt64, times: UInt64, isActive: Bool)?
  }

  init(_ image: Qcow2Image, repair: RepairMode, message: @escaping (String) -> Void) throws(ImageError) {
    storage = image.storage
    extensionLimit = max(storage.length.saturatingAdd(storage.length), 8 << 20)
    self.repair = repair
    self.message = message
    notify = image.notify
    (header, bitmaps) = image.tables.withLock { ($0.header, $0.bitmaps) }
    rules = EntryRules(header)
    clusterSize = header.clusterSize
    writable = repair == .none ? nil : image.storage as? any WritableStorage
    refcountTable = LazyTable(storage, offset: header.refcountTableOffset, count: Int(header.refcountTableEntries))
    if repair != .none && writable == nil { throw ImageError("Block node is read-only", errno: 30 /* EROFS */) }
  }

  func tellOfUnclosedImage() {
    guard header.incompatibleFeatures.contains(.dirty) else { return }
    message("The image was not closed: its reference counts may lag behind, which is no damage ('-r all' updates them)")
  }

  func run() throws(ImageError) {
    try readSnapshots()
    result.totalClusters = header.guestClusters
    try count()
    let counted = result
    try compare(fix: nil)
    if repair != .none { try repairCounts(counted) }
    try checkFlags()
    if rewritesSnapshots { try rewriteSnapshots() }
    if repair != .none { try clearUnknownAutoclearBits() }
    if repair != .none && result.corruptions == 0 && result.checkErrors == 0 { try clearMarks() }
  }

  /// Something that is wrong with the image.
  func corruption(_ text: String) {
    message(text)
    result.corruptions += 1
  }

  /// Something that was wrong with the image; `count` things at once.
  func repaired(_ text: String, count: Int = 1) {
    message(text)
    result.corruptionsFixed += count
  }

  /// Counts everything anew, as at the beginning or after a change of the tables.
  func count() throws(ImageError) {
    fileLength = storage.length.roundedUp(to: 512) ?? storage.length
    clusters = fileLength.dividedUp(by: clusterSize)
    references = ReferenceCounts(clusters: clusters)
    walked = ClusterSet()
    repeated.removeAll()
    visits.removeAll()
    suspects.removeAll()
    recentTables.removeAll()
    needsRebuild = false
    hidesReferences = false
    result.allocatedClusters = 0
    result.compressedClusters = 0
    result.fragmentedClusters = 0
    try countReferences()
  }

  /// What unknown autoclear bits promise does not hold for an image that was changed.
  private func clearUnknownAutoclearBits() throws(ImageError) {
    let known = header.autoclearFeatures.intersection(.known)
    guard let writable, header.version >= 3, known != header.autoclearFeatures else { return }
    header.autoclearFeatures = known
    try writable.writeBigEndianWord(known.rawValue, at: 88)
  }

  /// The image is sound now: dirty, then corrupt bit are taken away.
  private func clearMarks() throws(ImageError) {
    guard let writable, header.version >= 3 else { return }
    for mark in [IncompatibleFeatures.dirty, .corrupt] where header.incompatibleFeatures.contains(mark) {
      try writable.flush()
      header.incompatibleFeatures.remove(mark)
      try writable.write([UInt8(truncatingIfNeeded: header.incompatibleFeatures.rawValue)], at: 79)
      try writable.flush()
    }
  }

  /// Lower-case hexadecimal digits without prefix.
  func hex(_ value: UInt64) -> String { String(value, radix: 16) }
}
