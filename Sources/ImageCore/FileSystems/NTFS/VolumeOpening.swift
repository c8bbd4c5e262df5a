import Bytes
import Storage

/// The steps of opening a volume, before there is a ``Volume`` to ask (spec §11).
struct VolumeOpening {
  /// What the system files say.
  struct Facts {
    var bitmap: RunReader
    var bitmapSize: UInt64
    var majorVersion: UInt8
    var minorVersion: UInt8
    var flags: UInt16
  }

  private let storage: any Storage
  private let boot: BootSector
  private let isTolerant: Bool

  /// - Parameter isTolerant: copies may stand in for what is damaged; what is not needed may be damaged.
  init(_ storage: any Storage, _ boot: BootSector, isTolerant: Bool) {
    self.storage = storage
    self.boot = boot
    self.isTolerant = isTolerant
  }

  private func holds(_ runs: [Run]) -> Bool {
    runs.allSatisfy { run in
      run.lcn.map { $0 <= boot.clusterCount && run.count <= boot.clusterCount - $0 } ?? true
    }
  }

  private func decode(_ record: FileRecord, _ attribute: AttributeRecord, log: (String) -> Void) throws(ImageError)
    -> [Run]
  {
    let runs = try RunList.decode(record.bytes, attribute, clusterSize: boot.clusterSize, log: log)
    guard holds(runs) else { throw .system(5) }
    return runs
  }

  // MARK: $MFT

  /// $MFT's run list and its initialized size in bytes.
  func table(log: (String) -> Void) throws(ImageError) -> (runs: [Run], initializedSize: UInt64) {
    do throws(ImageError) {
      do throws(ImageError) {
        return try table(at: boot.tableCluster, log: log)
      } catch {
        // Told when the two are compared.
        guard isTolerant, let found = try? table(at: boot.mirrorCluster, log: { _ in }) else { throw error }
        return found
      }
    } catch {
      log("Failed to load $MFT: \(errorText(error.errno))")
      throw error
    }
  }

  /// As above, from the record 0 that begins at a cluster.
  private func table(at cluster: UInt64, log: (String) -> Void) throws(ImageError) -> ([Run], UInt64) {
    let count = UInt64(max(1, (boot.recordSize + boot.clusterSize - 1) / boot.clusterSize))
    let reader = RecordReader(
      RunReader(storage, clusterSize: boot.clusterSize, runs: [Run(vcn: 0, lcn: cluster, count: count)]),
      recordSize: boot.recordSize, count: 1)
    do throws(ImageError) {
      _ = try reader.stored(0)
    } catch {
      log("Error reading $MFT: \(errorText(error.errno))")
      throw error
    }
    let record = try reader.unchecked(0, log: log)
    try StrictCheck.check(record, log: log)
    return try table(of: record, log: log)
  }

  private func table(of record: FileRecord, log: (String) -> Void) throws(ImageError) -> ([Run], UInt64) {
    let attributes = record.attributes
    guard attributes.lookUp(AttributeType.standardInformation, []) != nil else {
      log("ntfs_attr_open failed, inode 0 attr 0x10: \(errorText(2))")
      log("Failed to get standard information of $MFT")
      throw .system(2)
    }
    guard let data = attributes.lookUp(AttributeType.data, nil) else {
      log("Failed to open ntfs attribute: \(errorText(2))")
      throw .system(2)
    }
    try checkFlags(of: data, in: record, "ntfs attribute", log: log)
    guard data.name.isEmpty else {
      log("$MFT/$DATA attribute not found.")
      throw .system(5)
    }
    guard data.isNonResident else {
      log("$MFT must be non-resident.")
      throw .system(5)
    }
    guard !data.isCompressed, !data.isEncrypted else {
      log("$MFT must be uncompressed and unencrypted.")
      throw .system(5)
    }
    var runs: [Run]
    do throws(ImageError) {
      guard data.lowestVCN == 0, data.dataSize >= 0, data.initializedSize >= 0 else { throw ImageError.system(5) }
      runs = try decode(record, data, log: log)
    } catch {
      log("ntfs_mapping_pairs_decompress() failed: \(errorText(error.errno))")
      throw error
    }
    guard runs.first?.lcn == boot.tableCluster else {
      log("The MFT is not self-contained: \(errorText(2))")
      throw .system(2)
    }
    if let list = attributes.first(where: { $0.type == AttributeType.attributeList }) {
      try addExtents(list, of: record, to: &runs, log: log)
    } else if let bitmap = attributes.lookUp(AttributeType.bitmap, nil) {
      try checkFlags(of: bitmap, in: record, "$MFT/$BITMAP", log: log)
    } else {
      log("Failed to open $MFT/$BITMAP: \(errorText(2))")
      throw .system(2)
    }
    let clusters = Int64(runs.last.map { $0.vcn + $0.count } ?? 0)
    let allocated = data.allocatedSize >> Int64(boot.clusterSize.trailingZeroBitCount)
    guard clusters == allocated else {
      log("Failed to load runlist for $MFT/$DATA.")
      let (highest, last) = (UInt64(bitPattern: clusters - 1), UInt64(bitPattern: allocated - 1))
      log("highest_vcn = 0x\(String(highest, radix: 16)), last_vcn - 1 = 0x\(String(last, radix: 16))")
      throw .system(5)
    }
    return (runs, min(UInt64(data.initializedSize), UInt64(data.dataSize)))
  }

  /// The run list's continuation: each extension record must lie in the part that is known by then.
  private func addExtents(
    _ list: AttributeRecord, of record: FileRecord, to runs: inout [Run], log: (String) -> Void
  ) throws(ImageError) {
    let contents = try contents(of: list, in: record, log: log)
    let (entries, isWhole) = AttributeListEntry.parse(contents.rawBytes)
    guard isWhole else {
      log("Corrupt attribute list entry in MFT record 0")
      throw .system(5)
    }
    for entry in entries
    where entry.type == AttributeType.data && entry.name.isEmpty && entry.lowestVCN > 0 {
      let known = RunReader(storage, clusterSize: boot.clusterSize, runs: runs)
      let count = known.clusterCount * UInt64(boot.clusterSize) / UInt64(boot.recordSize)
      guard entry.record < count else {
        log("MFT is corrupt, cannot read its unmapped extent record \(entry.record)")
        throw .system(5)
      }
      let reader = RecordReader(known, recordSize: boot.recordSize, count: count)
      let extending = try reader.record(entry.record, log: log)
      guard
        let part = extending.attributes.first(where: {
          $0.type == AttributeType.data && $0.name.isEmpty && $0.instance == entry.instance
        }), part.isNonResident, part.lowestVCN == Int64(known.clusterCount)
      else {
        log("Failed to load runlist for $MFT/$DATA.")
        throw .system(5)
      }
      runs += try decode(extending, part, log: log)
    }
  }

  /// The value of an attribute list.
  private func contents(of list: AttributeRecord, in record: FileRecord, log: (String) -> Void) throws(ImageError)
    -> [UInt8]
  {
    guard list.isNonResident else { return record.bytes.array(list.value) }
    guard (0...AttributeListEntry.sizeLimit).contains(list.dataSize), list.lowestVCN == 0 else { throw .system(5) }
    let reader = RunReader(storage, clusterSize: boot.clusterSize, runs: try decode(record, list, log: log))
    var buffer = Buffer(Int(list.dataSize))
    var bytes = buffer.mutableBytes
    try reader.read(into: &bytes, at: 0)
    return buffer.bytes.array(0..<buffer.count)
  }

  // MARK: $MFTMirr

  /// Compares the first records with their copies.
  ///
  /// - Returns: copies of records that are damaged in $MFT, as they are stored; without tolerance there are none.
  func checkMirror(_ table: RunReader, _ recordCount: UInt64, log: (String) -> Void) throws(ImageError)
    -> [UInt64: [UInt8]]
  {
    let reader = RecordReader(table, recordSize: boot.recordSize, count: recordCount)
    let count = min(UInt64(min(boot.mirroredRecords, 16)), recordCount)
    let mirrorRuns: [Run]
    let initializedSize: Int64
    do throws(ImageError) {
      let record = try checked(1, reader, "inode $MFTMirr", log: log)
      guard let data = record.attributes.lookUp(AttributeType.data, nil) else {
        log("Failed to open $MFTMirr/$DATA: \(errorText(2))")
        throw ImageError.system(2)
      }
      try checkFlags(of: data, in: record, "$MFTMirr/$DATA", log: log)
      initializedSize = data.initializedSize
      do throws(ImageError) {
        guard data.isNonResident else { throw ImageError.system(22) }
        mirrorRuns = try RunList.decode(record.bytes, data, clusterSize: boot.clusterSize, log: log)
      } catch {
        log("Failed to map runlist of $MFTMirr/$DATA: \(errorText(error.errno))")
        throw error
      }
      guard let lcn = mirrorRuns.first?.lcn, lcn == boot.mirrorCluster else {
        let found = mirrorRuns.first?.lcn.map { String($0, radix: 16) } ?? "ffffffffffffffff"
        log("Bad $MFTMirr lcn 0x\(found), want 0x\(String(boot.mirrorCluster, radix: 16))")
        throw ImageError.system(2)
      }
      guard holds(mirrorRuns) else { throw ImageError.system(5) }
    } catch {
      guard isTolerant else {
        log("Failed to load $MFTMirr: \(errorText(error.errno))")
        throw error
      }
      // Where the boot sector has it.
      let clusters = (count * UInt64(boot.recordSize)).dividedUp(by: UInt64(boot.clusterSize))
      return try substitutes(reader, [Run(vcn: 0, lcn: boot.mirrorCluster, count: clusters)], count, log: log)
    }
    if isTolerant { return try substitutes(reader, mirrorRuns, count, log: log) }
    // Both are read as a whole, and looked at one after the other before they are compared; of a mirror that cannot be
    // read to its end, what lies before counts.
    let all = min(UInt64(boot.mirroredRecords), recordCount)
    let readable = (0..<all).firstIndex { (try? reader.stored($0)) == nil }.map { UInt64($0) } ?? all
    guard readable == all else {
      log("Failed to read $MFT, unexpected length (\(readable) != \(all)).")
      throw .system(5)
    }
    let own = try sound(reader, all, checking: count, log: log)
    let mirror = RecordReader(
      RunReader(storage, clusterSize: boot.clusterSize, runs: mirrorRuns, initializedSize: initializedSize),
      recordSize: boot.recordSize, count: all)
    let copied = (0..<all).firstIndex { (try? mirror.stored($0)) == nil }.map { UInt64($0) } ?? all
    guard copied > 0 else {
      log("ntfs_attr_pread_i: ntfs_pread failed: \(errorText(5))")
      log("Failed to read $MFTMirr: \(errorText(5))")
      throw .system(5)
    }
    let copies = try sound(mirror, copied, checking: min(count, copied), log: log)
    for (number, (record, copy)) in zip(own, copies).prefix(Int(count)).enumerated() where !isSame(record, copy) {
      log("$MFTMirr does not match $MFT (record \(number)).")
      throw .system(5)
    }
    return [:]
  }

  /// The first `count` records without their fix-ups, of which the first `checked` must make sense.
  private func sound(_ reader: RecordReader, _ count: UInt64, checking checked: UInt64, log: (String) -> Void)
    throws(ImageError) -> [FileRecord]
  {
    var records: [FileRecord] = []
    for number in 0..<count { records.append(try reader.unchecked(number, log: log)) }
    for record in records.prefix(Int(checked)) where record.isInUse || record.number < 12 {
      try StrictCheck.check(record, log: log)
    }
    return records
  }

  private func isSame(_ own: FileRecord, _ copy: FileRecord) -> Bool {
    let length = min(Int(own.bytesInUse), boot.recordSize)
    return own.contents[..<length] == copy.contents[..<length]
  }

  /// The copies that stand in for damaged records.
  ///
  /// - Throws: `EIO` when neither the record nor its copy makes sense.
  private func substitutes(_ reader: RecordReader, _ mirrorRuns: [Run], _ count: UInt64, log: (String) -> Void)
    throws(ImageError) -> [UInt64: [UInt8]]
  {
    let mirror = RecordReader(
      RunReader(storage, clusterSize: boot.clusterSize, runs: mirrorRuns), recordSize: boot.recordSize, count: count)
    func sound(_ reader: RecordReader, _ number: UInt64) throws(ImageError) -> FileRecord {
      let record = try reader.unchecked(number, log: log)
      if record.isInUse || number < 12 { try StrictCheck.check(record, log: log) }
      return record
    }
    var result: [UInt64: [UInt8]] = [:]
    for number in 0..<count {
      let copy = try? sound(mirror, number)
      do throws(ImageError) {
        let own = try sound(reader, number)
        if copy.map({ !isSame(own, $0) }) ?? true {
          log("WARNING: $MFTMirr does not match $MFT (record \(number)).")
        }
      } catch {
        guard copy != nil else { throw error }
        log("WARNING: Record \(number) of $MFT is damaged, its copy in $MFTMirr is used.")
        result[number] = try mirror.stored(number)
      }
    }
    return result
  }

  /// A system file's record, which must make sense as a whole.
  ///
  /// - Parameter name: what the library's line calls the file; nil: there is none.
  private func checked(_ number: UInt64, _ reader: RecordReader, _ name: String?, log: (String) -> Void)
    throws(ImageError) -> FileRecord
  {
    do throws(ImageError) {
      let record = try reader.unchecked(number, log: log)
      try StrictCheck.check(record, log: log)
      guard record.isInUse else { throw ImageError.system(2) }
      guard record.attributes.lookUp(AttributeType.standardInformation, []) != nil else {
        log("No STANDARD_INFORMATION in base record \(number): \(errorText(2))")
        throw ImageError.system(2)
      }
      return record
    } catch {
      if let name { log("Failed to open \(name): \(errorText(error.errno))") }
      throw error
    }
  }

  // MARK: The other system files

  /// $Bitmap, $UpCase, $Volume, $AttrDef, in this order.
  func systemFiles(_ reader: RecordReader, log: (String) -> Void) throws(ImageError) -> Facts {
    func attribute(_ number: UInt64, _ type: UInt32, _ name: String?) throws(ImageError) -> (
      FileRecord, AttributeRecord
    ) {
      let record = try checked(number, reader, name, log: log)
      // Of the data, whatever its name is.
      guard let found = record.attributes.lookUp(type, type == AttributeType.data ? nil : []) else {
        let what =
          type == AttributeType.volumeInformation
          ? "$VOLUME_INFORMATION attribute not found in $Volume" : "Failed to open ntfs attribute"
        log("\(what): \(errorText(2))")
        throw .system(2)
      }
      if type == AttributeType.data { try checkFlags(of: found, in: record, "ntfs attribute", log: log) }
      return (record, found)
    }
    /// The bytes of a system file's data that lies in its base record's runs.
    func contents(_ number: UInt64, limit: Int64, _ file: String, _ name: String) throws(ImageError) -> [UInt8]? {
      let (record, data) = try attribute(number, AttributeType.data, name)
      guard data.dataSize >= 0, data.dataSize <= limit else { return nil }
      guard data.isNonResident else { return record.bytes.array(data.value) }
      do throws(ImageError) {
        let runs = try RunList.decode(record.bytes, data, clusterSize: boot.clusterSize, log: log)
        let reader = RunReader(
          storage, clusterSize: boot.clusterSize, runs: runs, initializedSize: data.initializedSize)
        var buffer = Buffer(Int(data.dataSize))
        var bytes = buffer.mutableBytes
        do throws(ImageError) {
          guard holds(runs) else { throw ImageError.system(5) }
          try reader.read(into: &bytes, at: 0)
        } catch {
          log("ntfs_attr_pread_i: ntfs_pread failed: \(errorText(error.errno))")
          throw error
        }
        return buffer.bytes.array(0..<buffer.count)
      } catch {
        log("Failed to read \(file), unexpected length (-1 != \(data.dataSize)).")
        throw error
      }
    }

    let (bitmapRecord, bitmap) = try attribute(6, AttributeType.data, "inode FILE_Bitmap")
    guard bitmap.isNonResident else { throw .system(5) }
    guard bitmap.dataSize <= bitmap.allocatedSize else {
      log("Corrupt cluster map size (\(bitmap.dataSize) > \(bitmap.allocatedSize))")
      throw .system(5)
    }
    // Its run list is wanted later: the scan comes upon what is wrong with it.
    var bitmapRuns = (try? decode(bitmapRecord, bitmap, log: { _ in })) ?? []
    try addBitmapExtents(bitmapRecord, to: &bitmapRuns, reader, log: log)

    try expendable("$UpCase", log) { () throws(ImageError) in
      guard let upCase = try contents(10, limit: 131072, "$UpCase", "inode FILE_UpCase"), upCase.count % 2 == 0 else {
        log("Error: Upcase table is invalid (want size even <= 131072).")
        throw .system(22)
      }
      for code in 0x20..<0x7F {
        let expected = (0x61...0x7A).contains(code) ? code - 0x20 : code
        guard 2 * code + 1 < upCase.count, Int(upCase[2 * code]) | Int(upCase[2 * code + 1]) << 8 == expected else {
          log("Corrupted file $UpCase")
          throw .system(5)
        }
      }
    }
    let (volumeRecord, information) = try attribute(3, AttributeType.volumeInformation, "inode FILE_Volume")
    guard !information.isNonResident, information.value.count >= 12 else { throw .system(5) }
    let start = information.value.lowerBound
    let bytes = volumeRecord.bytes
    try expendable("$AttrDef", log) { () throws(ImageError) in
      guard try contents(4, limit: 0xFFFFFF, "$AttrDef", "$AttrDef") != nil else {
        log("Attribute definition table is too big (max 24-bit allowed).")
        throw .system(22)
      }
    }
    if bytes[start + 8] >= 3 {
      try expendable("$Secure", log) { () throws(ImageError) in try checkSecure(reader, log: log) }
    }
    return Facts(
      bitmap: RunReader(
        storage, clusterSize: boot.clusterSize, runs: bitmapRuns, initializedSize: bitmap.initializedSize),
      bitmapSize: UInt64(max(0, bitmap.dataSize)), majorVersion: bytes[start + 8],
      minorVersion: bytes[start + 9], flags: bytes.littleEndian(at: start + 10))
  }

  /// Whether the flags of a system file's data go with those of the file, and with data that is simply there.
  ///
  /// - Parameter name: what the library's line calls the attribute.
  private func checkFlags(
    of data: AttributeRecord, in record: FileRecord, _ name: String, log: (String) -> Void
  ) throws(ImageError) {
    guard let information = record.attributes.lookUp(AttributeType.standardInformation, []),
      information.value.count >= 36, data.isNonResident
    else { return }
    let file = record.bytes.littleEndian(at: information.value.lowerBound + 32, as: UInt32.self)
    let isSparse = data.flags & 0x8000 != 0
    let flags = String(data.flags, radix: 16)
    var problem: String?
    if data.isEncrypted != (file & 0x4000 != 0) || (isSparse && file & 0x200 == 0) {
      problem = "Inode \(record.number) has corrupt attribute flags (0x\(flags) <> 0x\(String(file, radix: 16)))"
    } else {
      // The volume's version, which allows it or not, is known once $Volume has been read: for $AttrDef.
      let unit = record.bytes[data.offset + 34]
      if record.number != 4 {
        if data.isCompressed || unit != 0 {
          problem = "Compressed inode \(record.number) not allowed on NTFS 0.0"
        }
      } else if !data.isCompressed {
        problem = nil
      } else if unit == 0 {
        problem = "Compressed inode 4 attr 0x80 has no compression unit"
      } else if unit != 4 {
        problem = "Compressed inode 4 attr 0x80 has an unsupported compression unit \(unit)"
      }
    }
    guard let problem else { return }
    log("\(problem): \(errorText(5))")
    log("Failed to open \(name): \(errorText(5))")
    throw .system(5)
  }

  /// Looks at a file whose contents nothing depends on here: with tolerance it may be damaged.
  private func expendable(_ name: String, _ log: (String) -> Void, _ check: () throws(ImageError) -> Void)
    throws(ImageError)
  {
    do throws(ImageError) {
      try check()
    } catch {
      guard isTolerant else { throw error }
      log("WARNING: \(name) is damaged.")
    }
  }

  /// $Secure, by its name in the root directory: both must be readable.
  private func checkSecure(_ reader: RecordReader, log: (String) -> Void) throws(ImageError) {
    do throws(ImageError) {
      do throws(ImageError) {
        _ = try checked(5, reader, nil, log: log)
      } catch {
        // Whatever is wrong with the folder.
        throw .system(5)
      }
      _ = try checked(9, reader, nil, log: log)
    } catch {
      log("Failed to open $Secure: \(errorText(error.errno))")
      throw error
    }
  }

  /// A $Bitmap whose run list goes on in extension records.
  private func addBitmapExtents(
    _ record: FileRecord, to runs: inout [Run], _ reader: RecordReader, log: (String) -> Void
  ) throws(ImageError) {
    guard let list = record.attributes.first(where: { $0.type == AttributeType.attributeList }), !list.isNonResident
    else { return }
    let (entries, isWhole) = AttributeListEntry.parse(record.bytes.slice(list.value))
    guard isWhole else { throw .system(5) }
    for entry in entries
    where entry.type == AttributeType.data && entry.name.isEmpty && entry.lowestVCN > 0 {
      let part = try reader.record(entry.record, log: log)
      guard
        let found = part.attributes.first(where: {
          $0.type == AttributeType.data && $0.name.isEmpty && $0.instance == entry.instance && $0.isNonResident
        }), found.lowestVCN == Int64(runs.last.map { $0.vcn + $0.count } ?? 0)
      else { throw .system(5) }
      runs += try decode(part, found, log: log)
    }
  }
}
