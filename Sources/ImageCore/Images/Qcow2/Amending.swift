import Bytes
import Images
import Storage

extension Qcow2Format: AmendableFormat {
  /// Of the options of a new image, those that can be changed later; what is not mentioned stays as it is.
  private static let amendable: Set = [
    "encrypt.iter-time", "size", "compat", "backing_file", "backing_fmt", "data_file", "data_file_raw",
    "lazy_refcounts", "refcount_bits",
  ]

  package static let amendOptions =
    [
      OptionDefinition("encrypt.state", .text, "Select new state of affected keyslots (active/inactive)"),
      OptionDefinition("encrypt.keyslot", .number, "Select a single keyslot to modify explicitly"),
      OptionDefinition("encrypt.old-secret", .text, "Select all keyslots that match this password"),
      OptionDefinition(
        "encrypt.new-secret", .text, "New secret to set in the matching keyslots. Empty string to erase"),
    ]
    + creationOptions.filter { amendable.contains($0.name) }.map { OptionDefinition($0.name, $0.kind, $0.help) }
}

/// What an image is to become (qcow2-qcow-qed §19.5), nil where nothing changes.
struct Amendment {
  /// 2 or 3.
  var version: UInt32
  /// The base-two logarithm of the width of counts.
  var refcountOrder: UInt32
  var dataFile: String?
  var isRawDataFile: Bool?
  var isLazy: Bool?
  /// Size of the disk in bytes.
  var size: UInt64?

  /// Reads options for an image with this header, and checks what can be checked without looking at its tables.
  init(_ options: OptionValues, _ header: Qcow2Header) throws(ImageError) {
    version = header.version
    refcountOrder = header.refcountOrder
    if options.definitions.contains(where: { $0.name.hasPrefix("encrypt.") && options[$0.name] != nil }) {
      throw ImageError("Can't amend encryption options - encryption not present")
    }
    switch options["compat"]?.text {
    case nil: break
    case "0.10", "v2": version = 2
    case "1.1", "v3": version = 3
    case let text?: throw ImageError("Unknown compatibility level \(text)")
    }
    if let name = options["data_file"]?.text {
      guard header.hasDataFile else {
        throw ImageError("data-file can only be set for images that use an external data file")
      }
      dataFile = name
    }
    if let isRaw = options.boolean("data_file_raw") {
      guard !isRaw || header.hasRawDataFile else { throw ImageError("data-file-raw cannot be set on existing images") }
      isRawDataFile = isRaw
    }
    if let bits = options.number("refcount_bits") {
      guard bits.nonzeroBitCount == 1, bits <= 64 else {
        throw ImageError("Refcount width must be a power of two and may not exceed 64 bits")
      }
      refcountOrder = UInt32(bits.trailingZeroBitCount)
    }
    isLazy = options.boolean("lazy_refcounts")
    if let size = options.number("size"), size != 0 { self.size = size }
  }
}

extension Qcow2Image: AmendableImage {
  public func amend(_ options: OptionValues, progress: @Sendable (Float) -> Void) throws(ImageError) {
    try checkWritable()
    let header = self.header
    let change = try Amendment(options, header)
    let old = backingReference
    try tables.withLock { (tables) throws(ImageError) in
      try tables.checkBeforeAmending(
        change, backing: (options["backing_file"]?.text, options["backing_fmt"]?.text), old)
    }
    if let name = change.dataFile, name != header.extensions.dataFile { try checkDataFile(name) }

    if change.version >= 3 { try tables.withLock { (tables) throws(ImageError) in try tables.upgrade() } }
    if change.refcountOrder != header.refcountOrder {
      try tables.withLock { (tables) throws(ImageError) in
        try tables.loadBitmaps()
        try tables.changeRefcountOrder(to: change.refcountOrder) { progress($0 * 0.5) }
      }
    }
    try tables.withLock { (tables) throws(ImageError) in
      try tables.loadBitmaps()
      if let name = change.dataFile { tables.header.extensions.dataFile = name }
      if change.isRawDataFile == false { tables.header.autoclearFeatures.remove(.rawExternalData) }
      if let isLazy = change.isLazy {
        if isLazy {
          tables.header.compatibleFeatures.insert(.lazyRefcounts)
        } else {
          tables.header.compatibleFeatures.remove(.lazyRefcounts)
        }
      }
      try tables.commit()
      try tables.writeHeader()
    }
    if let size = change.size { try resize(to: size, preallocation: .off) }
    if change.version < 3 {
      let hasBacking = backing != nil
      try tables.withLock { (tables) throws(ImageError) in
        try tables.downgrade(hasBacking: hasBacking) { progress(0.5 + $0 * 0.5) }
      }
    }
  }

  /// A data file that cannot be opened would make the image one that cannot.
  private func checkDataFile(_ name: String) throws(ImageError) {
    guard !name.isEmpty else { throw ImageError("'data-file' is required for this image") }
    let file = try openDependent?(name)
    guard file?.identity == nil || file?.identity != storage.identity else {
      throw ImageError("The data file cannot be the image itself")
    }
  }
}

extension Qcow2Tables {
  /// Checks all that could refuse a change later, in the order of the changes, before the first one is made.
  fileprivate func checkBeforeAmending(
    _ change: Amendment, backing: (file: String?, format: String?), _ old: BackingReference?
  ) throws(ImageError) {
    if change.refcountOrder != header.refcountOrder {
      guard change.version >= 3 || change.refcountOrder == 4 else {
        throw ImageError(
          "Refcount widths other than 16 bits require compatibility level 1.1 or above (use compat=1.1 or greater)")
      }
      try checkCounts(fit: RefcountWidth(order: change.refcountOrder))
    }
    if backing.file != nil || backing.format != nil {
      guard backing.file == old?.name, backing.format == old?.format else {
        throw ImageError("Cannot amend the backing file", hint: "You can use 'qemu-img rebase' instead.")
      }
    }
    if change.isLazy == true && change.version < 3 {
      throw ImageError(
        "Lazy refcounts only supported with compatibility level 1.1 and above (use compat=1.1 or greater)")
    }
    if let size = change.size { try checkSize(size, version: max(change.version, header.version)) }
    if change.version < 3 && header.version >= 3 { try checkBeforeDowngrade(change) }
  }

  private func checkSize(_ size: UInt64, version: UInt32) throws(ImageError) {
    guard size <= UInt64(Int64.max) else { throw ImageError("Image size cannot be negative") }
    try ImageOpener.checkLength(size)
    guard size % 512 == 0 else { throw ImageError("The new size must be a multiple of 512") }
    if size == header.virtualSize { return }
    if version < 3 && !snapshots.isEmpty {
      throw ImageError("Can't resize a v2 image which has snapshots", errno: 95 /* ENOTSUP */)
    }
    try checkBitmapsBeforeResize()
    guard header.l1EntriesNeeded(for: size) <= Qcow2Header.l1TableLimit / 8 else {
      throw ImageError("Failed to grow the L1 table: File too large", errno: 27 /* EFBIG */)
    }
  }

  private func checkBeforeDowngrade(_ change: Amendment) throws(ImageError) {
    guard change.refcountOrder == 4 else { throw ImageError("compat=0.10 requires refcount_bits=16") }
    if header.hasDataFile { throw ImageError("Cannot downgrade an image with a data file") }
    let size = change.size ?? header.virtualSize
    for record in snapshots where record.vmStateSize > UInt64(UInt32.max) || (record.diskSize ?? size) != size {
      throw ImageError("Internal snapshots prevent downgrade of image")
    }
    let features = header.incompatibleFeatures.subtracting([.dirty, .compressionType])
    guard features.isEmpty else {
      throw ImageError(
        "Cannot downgrade an image with incompatible features 0x\(String(features.rawValue, radix: 16)) set")
    }
    if header.compressionType != .zlib, try hasCompressedClusters() {
      throw ImageError("Cannot downgrade an image with zstd compression type and existing compressed clusters")
    }
  }

  // MARK: The version

  /// Makes a version 2 image one of version 3, whose snapshots all say how large the disk was.
  fileprivate func upgrade() throws(ImageError) {
    if header.version >= 3 { return }
    try loadBitmaps()
    if snapshots.contains(where: { $0.extraData.count < SnapshotRecord.extraDataNeeded }) { try rewriteSnapshots() }
    try commit()
    header.version = 3
    try writeHeader()
    try writer().barrier()
  }

  /// Makes a version 3 image one of version 2: without zero clusters, bitmaps and features.
  fileprivate func downgrade(hasBacking: Bool, _ progress: @Sendable (Float) -> Void) throws(ImageError) {
    if header.version < 3 { return }
    let writing = try writer()
    try commit()
    l2.removeAll()
    do throws(ImageError) {
      try storeZeroClusters(hasBacking: hasBacking, progress)
    } catch {
      throw error.prefixed("Failed to turn zero into data clusters: ")
    }
    // Bitmaps have no place in version 2: nothing of them is left behind.
    writing.bitmaps = []
    writing.removedBitmaps = bitmaps
    try dropRemovedBitmaps()
    try writing.barrier()
    header.version = 2
    header.incompatibleFeatures = []
    header.compatibleFeatures = []
    header.autoclearFeatures = []
    header.compressionType = .zlib
    header.unknownFields = []
    try writeHeader()
    try writing.barrier()
    try reload(cursor: writing.refcounts.cursor)
  }

  /// The L1 tables of the disk and of all snapshots.
  private func allL1Tables(_ storage: any Storage) throws(ImageError) -> [LazyTable] {
    var tables = [l1]
    for record in snapshots {
      try header.checkTable(
        "Snapshot L1 table", offset: record.l1TableOffset, entries: UInt64(record.l1Size), entrySize: 8,
        limit: Qcow2Header.l1TableLimit)
      tables.append(LazyTable(storage, offset: record.l1TableOffset, count: Int(record.l1Size)))
    }
    return tables
  }

  /// Calls `body` with every L2 table once: its offset (bytes) and its words.
  private func forEachL2Table(_ body: (UInt64, [UInt64]) throws(ImageError) -> Void) throws(ImageError) {
    let writing = try writer()
    var seen: Set<UInt64> = []
    for var table in try allL1Tables(writing.storage) {
      var index = 0
      while true {
        index = try table.firstNonZero(index, below: table.count)
        if index == table.count { break }
        let offset = try table.word(index) & EntryBits.offset
        guard offset % header.clusterSize == 0 else {
          throw writing.refcounts.corruption.fatal(
            "L2 table offset \(alternateHex(offset)) unaligned (L1 index: \(alternateHex(UInt64(index))))")
        }
        if offset != 0, seen.insert(offset).inserted {
          try body(offset, try writing.storage.readBigEndianWords(at: offset, count: Int(header.clusterSize / 8)))
        }
        index += 1
      }
    }
  }

  private func hasCompressedClusters() throws(ImageError) -> Bool {
    try commit()
    var found = false
    try forEachL2Table { (_, words) throws(ImageError) in
      if words.contains(where: { $0 & EntryBits.compressed != 0 }) { found = true }
    }
    return found
  }

  /// Turns zero clusters into what version 2 knows: nothing where nothing is below, else zeros that are stored.
  private func storeZeroClusters(hasBacking: Bool, _ progress: @Sendable (Float) -> Void) throws(ImageError) {
    let writing = try writer()
    let refcounts = writing.refcounts
    let bits = UInt64(header.clusterBits)
    let size = header.clusterSize
    var changed: [(offset: UInt64, words: [UInt64])] = []
    /// Everything that tables point to is in the file before the tables are.
    func store() throws(ImageError) {
      try refcounts.writeBack()
      try writing.barrier()
      for table in changed { try writing.storage.writeBigEndianWords(table.words[...], at: table.offset) }
      changed = []
    }
    try forEachL2Table { (offset, words) throws(ImageError) in
      var words = words
      var isChanged = false
      // As many references as the table has, so many has each of its clusters.
      let owners = try refcounts.count(offset >> bits)
      for place in words.indices where words[place] & (EntryBits.compressed | EntryBits.zero) == EntryBits.zero {
        var host = words[place] & EntryBits.offset
        isChanged = true
        if host == 0 {
          guard hasBacking else {
            words[place] = 0
            continue
          }
          let cluster = try refcounts.allocate(1, for: .data)
          for _ in 1..<max(owners, 1) { _ = try refcounts.retain(cluster..<cluster + 1) }
          host = cluster << bits
        } else if host % size != 0 {
          throw refcounts.corruption.fatal(
            "Cluster allocation offset \(alternateHex(host)) unaligned (L2 offset: \(alternateHex(offset)), L2 index: "
              + "\(alternateHex(UInt64(place))))")
        } else if let kind = refcounts.metadata.overlap(host >> bits..<(host >> bits) + 1) {
          throw refcounts.overlap(kind)
        }
        try writing.storage.zero(host..<host + size, mayUnmap: false)
        words[place] = host | (try refcounts.count(host >> bits) == 1 ? EntryBits.copied : 0)
      }
      guard isChanged else { return }
      changed.append((offset, words))
      if changed.count * Int(size) >= Qcow2Writing.sliceLimit { try store() }
    }
    try store()
    try writing.barrier()
    l2.removeAll()
    progress(1)
  }
}
