import Bytes

/// What a metadata clone has taken out, in bytes (spec §15.4).
package struct WipeStatistics: Sendable {
  package var unused: UInt64 = 0
  package var deleted: UInt64 = 0
  package var resident: UInt64 = 0
  package var timestamps: UInt64 = 0

  package init() {}

  package static func += (sum: inout WipeStatistics, part: WipeStatistics) {
    sum.unused += part.unused
    sum.deleted += part.deleted
    sum.resident += part.resident
    sum.timestamps += part.timestamps
  }
}

/// Takes contents and times out of metadata (spec §15.3). Everything that does not make sense is left alone; what is
/// counted are bytes that were not zero before, and whole timestamps.
package struct Wiper: Sendable {
  /// The last of the records that belong to the file system itself.
  package static let lastSystemRecord: UInt64 = 11
  /// What wiped times become: 1970, in units of 100 ns since 1601.
  private static let epoch: UInt64 = 0x019D_B1DE_D53E_8000

  /// Whether times stay (`--preserve-timestamps`).
  package let keepsTimes: Bool

  package init(keepsTimes: Bool) { self.keepsTimes = keepsTimes }

  /// Sets a range to zero, clipped to the span.
  /// - Returns: the number of bytes that were not zero.
  private func zero(_ bytes: inout MutableRawSpan, _ range: Range<Int>) -> UInt64 {
    let range = range.clamped(to: 0..<bytes.byteCount)
    // Most of what is unused has never been used.
    if bytes.bytes.isZero(range) { return 0 }
    var count = 0
    var offset = range.lowerBound
    while range.upperBound - offset >= 8 {
      // The highest bit of each byte that is not zero.
      let word = bytes.bytes.littleEndian(at: offset, as: UInt64.self)
      let low: UInt64 = 0x7F7F_7F7F_7F7F_7F7F
      count += (((word & low) + low | word) & ~low).nonzeroBitCount
      offset += 8
    }
    for offset in offset..<range.upperBound where bytes.bytes[offset] != 0 { count += 1 }
    bytes.fill(range)
    return UInt64(count)
  }

  private func storeEpoch(_ bytes: inout MutableRawSpan, at offset: Int, count: Int) {
    for index in 0..<count { bytes.storeLittleEndian(Wiper.epoch, at: offset + 8 * index) }
  }

  // MARK: Records of $MFT

  /// Wipes a record as it is stored; fix-ups are taken off and put back under the same number. Of what is no record, or
  /// has attributes that cannot be followed, nothing is kept that might be a file's: that is not counted.
  ///
  /// - Parameter isWritten: whether a record has ever been there; space that $MFT only has in reserve is left alone.
  /// - Returns: the library's line when the record is damaged; it is then wiped as it stands.
  package func wipeRecord(
    _ record: inout MutableRawSpan, number: UInt64, isWritten: Bool, _ statistics: inout WipeStatistics
  ) -> String? {
    guard record.byteCount >= 512 else { return nil }
    guard record.bytes.littleEndian(at: 0, as: UInt32.self) == 0x454C_4946 else {
      if isWritten, number > Wiper.lastSystemRecord { _ = zero(&record, FileRecord.headerSize..<record.byteCount) }
      return nil
    }
    let outcome = FixUps.remove(&record)
    let copy = FileRecord(number: number, contents: record.bytes.array(0..<record.byteCount))
    if number > Wiper.lastSystemRecord {
      wipeUnused(&record, copy, &statistics)
    }
    var complaint: String?
    if copy.isInUse {
      let (attributes, ending) = copy.walk()
      if ending != .regular { complaint = "ntfs_attr_find: Corrupt inode (-1): \(errorText(5))" }
      for attribute in attributes {
        wipe(attribute, in: &record, isSystem: number <= Wiper.lastSystemRecord, &statistics)
      }
      if ending != .regular, number > Wiper.lastSystemRecord {
        _ = zero(&record, (attributes.last?.end ?? FileRecord.headerSize)..<record.byteCount)
      }
    }
    switch outcome {
    case .done:
      _ = FixUps.restore(&record)
      return complaint
    // It is read without a word, and cannot be protected again.
    case .unacceptable: return "ntfs_mst_pre_write_fixup: \(errorText(22))"
    case .torn(let line): return line
    }
  }

  /// Clears what a record does not use; of a deleted record everything behind the header.
  package func wipeUnused(_ bytes: inout MutableRawSpan, _ record: FileRecord, _ statistics: inout WipeStatistics) {
    let used = min(Int(record.bytesInUse), bytes.byteCount)
    if !record.isInUse, used > FileRecord.headerSize {
      statistics.deleted += zero(&bytes, FileRecord.headerSize..<used)
    }
    statistics.unused += zero(&bytes, max(used, FileRecord.headerSize)..<bytes.byteCount)
  }

  /// Whether resident attributes of this type are wiped.
  package func concerns(_ type: UInt32) -> Bool {
    [
      AttributeType.data, AttributeType.standardInformation, AttributeType.fileName, AttributeType.indexRoot,
    ].contains(type)
  }

  /// Wipes a resident attribute in its record (rules 1 to 3).
  package func wipe(
    _ attribute: AttributeRecord, in bytes: inout MutableRawSpan, isSystem: Bool, _ statistics: inout WipeStatistics
  ) {
    guard !attribute.isNonResident, attribute.value.upperBound <= bytes.byteCount else { return }
    let value = attribute.value
    // What the length of a value says is not asked where the value has a form.
    let room = min(attribute.end, bytes.byteCount) - value.lowerBound
    switch attribute.type {
    case AttributeType.data:
      if !isSystem { statistics.resident += zero(&bytes, value) }
    case AttributeType.standardInformation where !keepsTimes && room >= 32:
      storeEpoch(&bytes, at: value.lowerBound, count: 4)
      statistics.timestamps += 32
    case AttributeType.fileName where !keepsTimes && room >= 40:
      storeEpoch(&bytes, at: value.lowerBound + 8, count: 4)
      statistics.timestamps += 32
    case AttributeType.indexRoot where !keepsTimes && room >= 32:
      let type = bytes.bytes.littleEndian(at: value.lowerBound, as: UInt32.self)
      let first = Int(bytes.bytes.littleEndian(at: value.lowerBound + 16, as: UInt32.self))
      if type == AttributeType.fileName {
        wipeEntries(&bytes, from: value.lowerBound + 16 + first, to: value.lowerBound + room, .directory, &statistics)
      } else if attribute.isNamed("$Q") {
        wipeEntries(&bytes, from: value.lowerBound + 16 + first, to: value.lowerBound + room, .quota, &statistics)
      }
    default: break
    }
  }

  // MARK: Indexes

  private enum Index { case directory, quota }

  /// Wipes the times of index entries up to the end mark.
  private func wipeEntries(
    _ bytes: inout MutableRawSpan, from start: Int, to end: Int, _ index: Index, _ statistics: inout WipeStatistics
  ) {
    var offset = start
    while offset + 16 <= end {
      let length = Int(bytes.bytes.littleEndian(at: offset + 8, as: UInt16.self))
      let flags = bytes.bytes.littleEndian(at: offset + 12, as: UInt16.self)
      guard flags & 2 == 0, length >= 16, length <= end - offset else { return }
      switch index {
      case .directory:
        if length >= 0x38 {
          storeEpoch(&bytes, at: offset + 0x18, count: 4)
          statistics.timestamps += 32
        }
      case .quota:
        let data = Int(bytes.bytes.littleEndian(at: offset, as: UInt16.self))
        if data + 24 <= length, bytes.bytes.littleEndian(at: offset + data, as: UInt32.self) == 2 {
          storeEpoch(&bytes, at: offset + data + 16, count: 1)
          statistics.timestamps += 4
        }
      }
      offset += length
    }
  }

  /// What came of an index block.
  package enum BlockOutcome {
    case done
    case notAnIndexBlock
    case torn(FixUps.Damage)
  }

  /// Wipes the times of a directory's index block as it is stored; a torn one is wiped as it stands.
  package func wipeIndexBlock(_ block: inout MutableRawSpan, _ statistics: inout WipeStatistics) -> BlockOutcome {
    guard !keepsTimes, block.byteCount >= 0x28, block.bytes.littleEndian(at: 0, as: UInt32.self) == 0x5844_4E49 else {
      return .notAnIndexBlock
    }
    let first = block.bytes.littleEndian(at: 0x18, as: UInt32.self)
    let allocated = block.bytes.littleEndian(at: 0x20, as: UInt32.self)
    guard first >= 16, Int(first) < block.byteCount - 0x18, allocated <= block.byteCount else {
      return .notAnIndexBlock
    }
    let outcome = FixUps.remove(&block)
    wipeEntries(&block, from: 0x18 + Int(first), to: block.byteCount, .directory, &statistics)
    switch outcome {
    case .done:
      _ = FixUps.restore(&block)
      return .done
    case .unacceptable: return .torn(FixUps.Damage(errno: 22, line: FixUps.complaint(block.bytes)))
    case .torn(let line): return .torn(FixUps.Damage(errno: 5, line: line))
    }
  }
}
