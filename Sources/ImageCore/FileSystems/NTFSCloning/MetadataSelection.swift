import Bytes
import Copying
import NTFS

/// The metadata clusters of a volume, file by file in the order of $MFT; what a file's metadata will have lost is counted
/// on the way (spec §14.4, §15).
final class MetadataSelection: Selection {
  /// Numbers for the user.
  struct Outcome: Sendable {
    /// Files opened.
    var usedRecords: UInt64 = 0
    var statistics = WipeStatistics()
  }

  /// Where lines go.
  struct Voice: Sendable {
    var progress: @Sendable (UInt64) -> Void
    var warn: @Sendable (String) -> Void
    var log: @Sendable (String) -> Void
  }

  private let volume: Volume
  private let work: CloneWork
  private let rule: MetadataRule
  private let wiper: Wiper
  private let ignoresErrors: Bool
  private let voice: Voice
  private let finished: @Sendable (Outcome) -> Void
  private let walk: VolumeWalk
  private var outcome = Outcome()
  /// Clusters met so far, when conflicts are to be told once more.
  private var survey: VolumeSurvey?
  private let firstSurvey: VolumeSurvey
  /// Items that wait to be handed out, last one first.
  private var waiting: [CloneItem] = []
  /// Memory for a record that is wiped in order to count, and which of the file's records that is.
  private var scratch: Buffer
  private var recordInScratch = -1
  /// Memory for a directory's index.
  private var indexBlocks = Buffer(0)
  /// What was counted in the indexes of the present file that have been read to be copied.
  private var countedIndexes: [(name: [UInt16], statistics: WipeStatistics)] = []
  /// The cluster behind the last one selected.
  private var current: UInt64 = 0
  private enum Phase { case files, end, done }
  private var phase = Phase.files
  /// Whether something has been selected that may be found to be damaged when it is read.
  private var isTelling = false

  init(
    _ volume: Volume, _ work: CloneWork, _ rule: MetadataRule, _ wiper: Wiper, _ survey: VolumeSurvey,
    ignoresErrors: Bool, _ voice: Voice, finished: @escaping @Sendable (Outcome) -> Void
  ) {
    self.volume = volume
    self.work = work
    self.rule = rule
    self.wiper = wiper
    self.ignoresErrors = ignoresErrors
    self.voice = voice
    self.finished = finished
    firstSurvey = survey
    scratch = Buffer(volume.boot.recordSize)
    self.survey = ignoresErrors ? VolumeSurvey(volume) : nil
    walk = VolumeWalk(volume, log: voice.log)
  }

  func next() throws(ImageError) -> Segment? {
    // Small pieces of neighbouring files go together.
    var gathered: CloneItem?
    while true {
      if waiting.isEmpty {
        if isTelling {
          // What is said about these comes before what is said about the next file.
          if let gathered { return work.add(gathered) }
          work.awaitAnnouncements()
          isTelling = false
        }
        switch phase {
        case .files: try takeRecord()
        case .end: try takeEnd()
        case .done: return gathered.map(work.add)
        }
        waiting.reverse()
        continue
      }
      let item = waiting[waiting.count - 1]
      guard let before = gathered else {
        gathered = item
        waiting.removeLast()
        continue
      }
      guard before.canTake(item, limit: work.geometry.clustersPerItem) else { return work.add(before) }
      waiting.removeLast()
      gathered?.take(item)
    }
  }

  // MARK: Records

  private func takeRecord() throws(ImageError) {
    let number = walk.number
    if number < volume.recordCount { voice.progress(number) }
    switch try walk.next() {
    case nil:
      phase = .end
    case .other:
      break
    case .deleted(let record):
      // In an image they are counted when they are written.
      if !rule.isImage, number > Wiper.lastSystemRecord { countUnused(record) }
    case .inode(let inode):
      outcome.usedRecords += 1
      guard inode.records[0].baseRecord == nil else { return }
      recordInScratch = -1
      countedIndexes.removeAll(keepingCapacity: true)
      for item in inode.items {
        if item.attribute.isNonResident { try select(item, of: inode) }
        count(item, of: inode)
      }
      if let complaint = inode.complaint { voice.log(complaint) }
      if !rule.isImage {
        for record in inode.records where record.number > Wiper.lastSystemRecord { countUnused(record) }
      }
    }
  }

  private func countUnused(_ record: FileRecord) {
    MetadataSelection.change(&scratch, record) { (bytes) in wiper.wipeUnused(&bytes, record, &outcome.statistics) }
    recordInScratch = -1
  }

  /// Works on a copy of a record, or on one that is there already.
  private static func change(_ scratch: inout Buffer, _ record: FileRecord?, _ body: (inout MutableRawSpan) -> Void) {
    var bytes = scratch.mutableBytes
    if let record { bytes.copy(record.bytes, at: 0) }
    body(&bytes)
  }

  /// Counts what the wiping of a file's attribute takes out.
  private func count(_ item: Inode.Item, of inode: Inode) {
    let record = inode.records[item.record]
    let isSystem = inode.number <= Wiper.lastSystemRecord
    if !item.attribute.isNonResident {
      guard wiper.concerns(item.attribute.type) else { return }
      // A file's attributes do not overlap: one copy of the record serves all of them.
      MetadataSelection.change(&scratch, recordInScratch == item.record ? nil : record) { (bytes) in
        wiper.wipe(item.attribute, in: &bytes, isSystem: isSystem, &outcome.statistics)
      }
      recordInScratch = item.record
    } else if item.attribute.type == AttributeType.indexAllocation, !wiper.keepsTimes {
      if let counted = countedIndexes.first(where: { $0.name == item.attribute.name }) {
        outcome.statistics += counted.statistics
      } else {
        countIndex(named: item.attribute.name, of: inode)
      }
    }
  }

  /// A directory's index: the size of its blocks and which are in use; nil for an index of another kind.
  private func index(named name: [UInt16], of inode: Inode) -> (blockSize: Int, isUsed: [Bool])? {
    guard
      let root = try? inode.value(AttributeType.indexRoot, name, limit: 1 << 16, volume, log: voice.log),
      root.count >= 16, root.rawBytes.littleEndian(at: 0, as: UInt32.self) == AttributeType.fileName,
      let bitmap = try? inode.value(AttributeType.bitmap, name, limit: 1 << 20, volume, log: voice.log)
    else { return nil }
    let size = Int(root.rawBytes.littleEndian(at: 8, as: UInt32.self))
    guard size.nonzeroBitCount == 1, (512...1 << 20).contains(size) else { return nil }
    var isUsed: [Bool] = []
    isUsed.reserveCapacity(bitmap.count * 8)
    for byte in bitmap { for bit in 0..<8 { isUsed.append(byte >> UInt8(bit) & 1 == 1) } }
    return (size, isUsed)
  }

  /// Whether an index has what belongs to it; says what is missing.
  private func isComplete(_ name: [UInt16], of inode: Inode) -> Bool {
    let attributes = inode.items.map(\.attribute).filter { $0.name == name }
    let text = errorText(2)
    guard attributes.contains(where: { $0.type == AttributeType.indexRoot }) else {
      voice.log("Failed to lookup $INDEX_ROOT: \(text)")
      voice.warn("ERROR(2): Failed to read $INDEX_ROOT attribute of inode \(inode.number): \(text)")
      return false
    }
    guard attributes.contains(where: { $0.type == AttributeType.bitmap }) else {
      voice.log("ntfs_attr_open failed, inode \(inode.number) attr 0xb0: \(text)")
      voice.warn("ERROR(2): Failed to read $BITMAP attribute: \(text)")
      return false
    }
    return true
  }

  private func countIndex(named name: [UInt16], of inode: Inode) {
    guard isComplete(name, of: inode), let index = index(named: name, of: inode),
      let extent = inode.items.first(where: {
        $0.attribute.type == AttributeType.indexAllocation && $0.attribute.name == name && $0.attribute.lowestVCN == 0
      }),
      let runs = try? inode.allRuns(AttributeType.indexAllocation, name, volume, log: voice.log)
    else { return }
    let reader = RunReader(volume.storage, clusterSize: volume.boot.clusterSize, runs: runs)
    let mapped = reader.clusterCount * UInt64(volume.boot.clusterSize)
    let blocks = Int(min(UInt64(max(0, extent.attribute.dataSize)), mapped)) / index.blockSize
    let blocksAtOnce = max(1, (1 << 20) / index.blockSize)
    var buffer = Buffer(min(blocks, blocksAtOnce) * index.blockSize)
    var statistics = WipeStatistics()
    var first = 0
    while first < blocks {
      let count = min(blocksAtOnce, blocks - first)
      var bytes = buffer.mutableBytes
      var part = bytes.slice(0..<count * index.blockSize)
      guard (try? reader.read(into: &part, at: UInt64(first * index.blockSize))) != nil else { return }
      for number in 0..<count where first + number < index.isUsed.count && index.isUsed[first + number] {
        var block = part.slice(number * index.blockSize..<(number + 1) * index.blockSize)
        if case .torn(let damage) = wiper.wipeIndexBlock(&block, &statistics) {
          voice.log(damage.line)
          voice.warn(CloneFailure.damagedIndex(damage))
        }
      }
      first += count
    }
    outcome.statistics += statistics
  }

  // MARK: Clusters

  private func select(_ item: Inode.Item, of inode: Inode) throws(ImageError) {
    let attribute = item.attribute
    let runs = try SurveyedRuns.decode(
      item, of: inode, volume, ignoresErrors: ignoresErrors, warn: voice.warn, log: voice.log)
    if ignoresErrors {
      for run in runs {
        guard let lcn = run.lcn else { continue }
        try survey?.used.set(lcn..<lcn + run.count) { (cluster) throws(ImageError) in
          voice.warn("Cluster \(cluster) is referenced twice!")
        }
      }
    }
    if attribute.type == AttributeType.data, attribute.name.isEmpty, inode.number <= 1 {
      guard attribute.lowestVCN == 0 else { return }
      return try selectTable(inode)
    }
    if attribute.type == AttributeType.indexAllocation, try selectIndex(attribute, of: inode) { return }
    let size = UInt64(volume.boot.clusterSize)
    var selected: [Range<UInt64>] = []
    for run in runs {
      guard let lcn = run.lcn else { continue }
      let count = rule.criticalLength(run, type: attribute.type, of: inode.number, clusterSize: size)
      if count > 0 { selected.append(lcn..<lcn + count) }
    }
    if inode.number == 2, attribute.type == AttributeType.data {
      for cluster in rule.logSteps(runs, clusterSize: size) {
        // A cluster that was written just now is not written again.
        let last = selected.last?.upperBound ?? current
        if cluster + 1 != last { selected.append(cluster..<cluster + 1) }
      }
    }
    // What overlaps $MFT would put its records back as they were.
    if ignoresErrors, !rule.isImage { selected = outsideTable(selected) }
    append(selected, .plain)
  }

  /// The parts of runs that are not clusters of $MFT.
  private func outsideTable(_ runs: [Range<UInt64>]) -> [Range<UInt64>] {
    var result = runs
    for run in volume.table.runs {
      guard let lcn = run.lcn else { continue }
      let taken = lcn..<lcn + run.count
      result = result.flatMap { part in
        part.overlaps(taken)
          ? [
            part.lowerBound..<max(part.lowerBound, taken.lowerBound),
            min(part.upperBound, taken.upperBound)..<part.upperBound,
          ].filter { !$0.isEmpty } : [part]
      }
    }
    return result
  }

  /// $MFT and $MFTMirr: all their clusters, as records.
  private func selectTable(_ inode: Inode) throws(ImageError) {
    let size = volume.boot.recordSize
    let runs = try complete(AttributeType.data, [], of: inode)
    let group = UInt64(max(1, size / volume.boot.clusterSize))
    let total = runs.reduce(0) { $0 + UInt64($1.count) }
    guard total % group == 0 else { throw ImageError("Short last MFT record", errno: 0) }
    if !rule.isImage, inode.number == 1 {
      // The copies follow $MFT itself.
      let count = Int(min(UInt64(volume.boot.mirroredRecords), volume.recordCount))
      var isFirst = true
      for part in sliced(runs, group: group) {
        append(part.runs, isFirst ? .mirror(count: count) : .plain)
        isFirst = false
      }
      return
    }
    // A copy keeps what lies behind the last record ever written; an image wipes what looks like a record there.
    let end = rule.isImage ? UInt64.max : volume.recordCount
    for part in sliced(runs, group: group) {
      append(part.runs, .records(first: part.start * UInt64(volume.boot.clusterSize) / UInt64(size), end: end))
    }
  }

  /// A directory's index blocks, all clusters at the first extent.
  ///
  /// - Returns: whether the attribute is such an index.
  private func selectIndex(_ attribute: AttributeRecord, of inode: Inode) throws(ImageError) -> Bool {
    let size: Int
    var isUsed: [Bool]?
    if rule.isImage {
      guard attribute.isNamed("$I30") else { return false }
      size = volume.boot.indexBlockSize
    } else {
      guard let index = index(named: attribute.name, of: inode) else { return false }
      size = index.blockSize
      isUsed = index.isUsed
    }
    // No part of an item could hold such a block.
    guard size <= work.geometry.bufferSize else { return false }
    guard attribute.lowestVCN == 0 else { return true }
    let runs = try complete(AttributeType.indexAllocation, attribute.name, of: inode)
    let group = UInt64(max(1, size / volume.boot.clusterSize))
    let total = runs.reduce(0) { $0 + UInt64($1.count) }
    guard total % group == 0 else { throw ImageError("Short last directory index record", errno: 0) }
    if total <= work.geometry.clustersPerItem, readIndex(attribute, runs, blockSize: size, of: inode) {
      append(runs, .known(indexBlocks.bytes.array(0..<Int(total) * volume.boot.clusterSize)))
      return true
    }
    for part in sliced(runs, group: group) {
      let first = Int(part.start) * volume.boot.clusterSize / size
      let count = part.runs.reduce(0) { $0 + $1.count } * volume.boot.clusterSize / size
      let used = isUsed.map { all in (first..<first + count).map { $0 < all.count && all[$0] } }
      append(part.runs, .blocks(size: size, isUsed: used))
    }
    return true
  }

  /// Reads a small index once for both: what is counted, and what is copied.
  ///
  /// - Returns: whether ``indexBlocks`` holds its blocks, wiped; not where anything in it calls for a message.
  private func readIndex(
    _ attribute: AttributeRecord, _ runs: [Range<UInt64>], blockSize: Int, of inode: Inode
  ) -> Bool {
    guard !wiper.keepsTimes, let found = index(named: attribute.name, of: inode), found.blockSize == blockSize
    else { return false }
    let geometry = work.geometry
    let length = runs.reduce(0) { $0 + Int(geometry.length(of: $1)) }
    guard length == runs.reduce(0, { $0 + $1.count }) * geometry.clusterSize else { return false }
    if indexBlocks.count < length { indexBlocks = Buffer(length) }
    var all = indexBlocks.mutableBytes
    var done = 0
    for run in runs {
      let next = done + Int(geometry.length(of: run))
      var part = all.slice(done..<next)
      guard (try? volume.storage.read(into: &part, at: geometry.offset(of: run.lowerBound))) != nil else {
        return false
      }
      done = next
    }
    let counted = min(length, Int(clamping: attribute.dataSize)) / blockSize
    var inMemory = WipeStatistics()
    var written = WipeStatistics()
    for number in 0..<length / blockSize {
      let isCounted = number < counted && number < found.isUsed.count && found.isUsed[number]
      // A copy of the volume keeps blocks that are not in use as they are.
      guard rule.isImage || isCounted else { continue }
      var block = all.slice(number * blockSize..<(number + 1) * blockSize)
      var statistics = WipeStatistics()
      if case .torn = wiper.wipeIndexBlock(&block, &statistics) { return false }
      written += statistics
      if isCounted { inMemory += statistics }
    }
    countedIndexes.append((attribute.name, inMemory))
    // An image counts what is written as well.
    if rule.isImage { outcome.statistics += written }
    return true
  }

  /// The real runs of an attribute over all its extents.
  private func complete(_ type: UInt32, _ name: [UInt16], of inode: Inode) throws(ImageError) -> [Range<UInt64>] {
    do throws(ImageError) {
      // $MFT's own list has been found when the volume was opened.
      let runs =
        inode.number == 0 && type == AttributeType.data
        ? volume.table.runs : try inode.allRuns(type, name, volume, log: voice.log)
      return runs.compactMap { run in run.lcn.map { $0..<$0 + run.count } }
    } catch {
      throw ImageError("ntfs_decompress_mapping_pairs: \(errorText(error.errno))", errno: error.errno)
    }
  }

  /// Runs in pieces of whole groups of clusters that fit an item. `start` counts clusters from the attribute's beginning.
  private func sliced(_ runs: [Range<UInt64>], group: UInt64) -> [(start: UInt64, runs: [Range<UInt64>])] {
    let limit = max(group, min(work.geometry.clustersPerItem, UInt64(CloneGeometry.runsPerItem)) / group * group)
    var result: [(start: UInt64, runs: [Range<UInt64>])] = []
    var start: UInt64 = 0
    var piece: [Range<UInt64>] = []
    var count: UInt64 = 0
    for run in runs {
      var next = run.lowerBound
      while next < run.upperBound {
        let end = min(run.upperBound, next + (limit - count))
        piece.append(next..<end)
        count += end - next
        next = end
        if count == limit {
          result.append((start, piece))
          start += count
          (piece, count) = ([], 0)
        }
      }
    }
    if count > 0 { result.append((start, piece)) }
    return result
  }

  /// Hands out runs, cut to the size of items.
  private func append(_ runs: [Range<UInt64>], _ treatment: Treatment, returnsToStart: Bool = false) {
    var returns = returnsToStart
    func push(_ runs: [Range<UInt64>]) {
      guard let last = runs.last else { return }
      waiting.append(
        CloneItem(
          parts: [ClonePart(runs: runs, treatment: treatment)], previous: current, returnsToStart: returns,
          isCounted: false))
      current = last.upperBound
      returns = false
    }
    if case .plain = treatment {
      for part in sliced(runs, group: 1) { push(part.runs) }
    } else {
      switch treatment {
      case .records, .blocks: isTelling = rule.isImage || isTelling
      default: break
      }
      push(runs)
    }
  }

  // MARK: The end

  /// The clusters that no file uses, and the backup boot sector.
  private func takeEnd() throws(ImageError) {
    phase = .done
    let end = volume.boot.clusterCount
    if ignoresErrors {
      if rule.isImage, var survey {
        voice.warn("Accounting clusters ...")
        let mismatches = try survey.account(warn: voice.warn)
        if mismatches > 0 { SurveyText.summary(mismatches, isOverruled: true).forEach(voice.warn) }
        append(survey.extra, .plain, returnsToStart: true)
        append([end..<end + 1], .plain, returnsToStart: true)
      } else {
        append(firstSurvey.extra, .plain)
        append([end..<end + 1], .plain)
      }
    } else {
      append([end..<end + 1], .plain)
    }
    finished(outcome)
  }
}

extension CloneItem {
  /// Whether `next`, which follows, can be copied together with this item.
  func canTake(_ next: CloneItem, limit: UInt64) -> Bool {
    !next.returnsToStart && runCount + next.runCount <= CloneGeometry.runsPerItem && clusters + next.clusters <= limit
  }

  /// Adds an item that follows.
  mutating func take(_ next: CloneItem) {
    for part in next.parts {
      if case .plain = part.treatment, let last = parts.last, case .plain = last.treatment {
        parts[parts.count - 1].runs += part.runs
      } else {
        parts.append(part)
      }
    }
  }
}

/// What is said about accounting errors.
package enum SurveyText {
  package static func summary(_ mismatches: UInt64, isOverruled: Bool) -> [String] {
    var lines = ["Totally \(mismatches) cluster accounting mismatches."]
    if isOverruled {
      lines.append("WARNING: The NTFS inconsistency was overruled by the --ignore-fs-check option.")
    }
    return lines
  }
}
