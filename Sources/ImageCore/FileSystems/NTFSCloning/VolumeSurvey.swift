import Bytes
import NTFS

/// Which clusters the files of a volume use, by their run lists (spec §13.1, §13.2).
package struct VolumeSurvey: Sendable {
  /// What is counted, and what is forgiven.
  package struct Rule: Sendable {
    /// Go on after clusters used twice and after other accounting errors.
    package var ignoresErrors = false
    /// The count that a metadata image's header has, instead of all clusters.
    package var metadata: MetadataRule?
    package init() {}
  }

  /// Clusters in use; those from the volume's end on are set.
  package internal(set) var used: ClusterBitmap
  /// Clusters in use, as counted along the run lists.
  package internal(set) var inUse: UInt64 = 0
  /// Clusters that $Bitmap has in use but no file: copied as well when errors are ignored.
  package internal(set) var extra: [Range<UInt64>] = []

  private let volume: Volume

  package init(_ volume: Volume) {
    self.volume = volume
    let clusters = volume.boot.clusterCount
    // Whole bytes, as $Bitmap has them.
    used = ClusterBitmap(count: (clusters + 1).dividedUp(by: 8) * 8)
    for cluster in clusters..<used.count { used[cluster] = true }
  }

  /// Goes through all files.
  ///
  /// - Parameters:
  ///   - progress: called with the number of each record.
  ///   - warn: takes lines for the user; `log` those of the library.
  /// - Throws: errors with `errno` 0 for what is wrong with the volume.
  package mutating func scan(
    _ rule: Rule, progress: (UInt64) -> Void, warn: (String) -> Void, log: @escaping (String) -> Void
  ) throws(ImageError) {
    let walk = VolumeWalk(volume, log: log)
    while true {
      let number = walk.number
      guard number < volume.recordCount else { break }
      progress(number)
      guard let step = try walk.next() else { break }
      if case .inode(let inode) = step, inode.records[0].baseRecord == nil {
        try add(inode, rule, warn: warn, log: log)
      }
    }
  }

  private mutating func add(_ inode: Inode, _ rule: Rule, warn: (String) -> Void, log: (String) -> Void)
    throws(ImageError)
  {
    for index in inode.items.indices where inode.items[index].attribute.isNonResident {
      let item = inode.items[index]
      let runs = try SurveyedRuns.decode(
        item, of: inode, volume, ignoresErrors: rule.ignoresErrors, warn: warn, log: log)
      for run in runs {
        guard let lcn = run.lcn else { continue }
        try used.set(lcn..<lcn + run.count) { (cluster) throws(ImageError) in
          guard rule.ignoresErrors else {
            throw ImageError(
              "Cluster \(cluster) referenced twice!\nYou didn't shutdown your Windows properly?", errno: 0)
          }
          warn("Cluster \(cluster) is referenced twice!")
        }
        if rule.metadata == nil { inUse += run.count }
      }
      if let metadata = rule.metadata { inUse += metadata.count(item.attribute, runs, of: inode.number, volume) }
    }
    if let complaint = inode.complaint { log(complaint) }
  }

  // MARK: Accounting

  /// Compares the result with $Bitmap and tells about differences.
  ///
  /// - Returns: the number of differences.
  package mutating func account(warn: (String) -> Void) throws(ImageError) -> UInt64 {
    var mismatches: UInt64 = 0
    extra = []
    let needed = volume.boot.clusterCount.dividedUp(by: 8)
    let size = min(used.count / 8, volume.bitmapSize)
    var buffer = Buffer(1 << 18)
    var offset: UInt64 = 0
    while offset < size {
      let count = Int(min(UInt64(buffer.count), size - offset))
      var bytes = buffer.mutableBytes
      var part = bytes.slice(0..<count)
      do throws(ImageError) {
        try volume.bitmap.read(into: &part, at: offset)
      } catch {
        throw ImageError("Couldn't get $Bitmap $DATA: \(errorText(error.errno))", errno: error.errno)
      }
      compare(buffer.bytes.slice(0..<count), at: offset, &mismatches, warn)
      offset += UInt64(count)
    }
    guard volume.bitmapSize >= needed else {
      throw ImageError("$Bitmap size is smaller than expected (\(volume.bitmapSize) < \(needed))", errno: 0)
    }
    return mismatches
  }

  /// Compares a part of $Bitmap, which begins at byte `offset`, a multiple of 8.
  private mutating func compare(
    _ bytes: RawSpan, at offset: UInt64, _ mismatches: inout UInt64, _ warn: (String) -> Void
  ) {
    var position = 0
    while position < bytes.byteCount {
      let rest = min(8, bytes.byteCount - position)
      var theirs: UInt64 = 0
      if rest == 8 {
        theirs = bytes.littleEndian(at: position)
      } else {
        for index in 0..<rest { theirs |= UInt64(bytes[position + index]) << UInt64(8 * index) }
      }
      let word = (offset + UInt64(position)) / 8
      let valid: UInt64 = rest == 8 ? ~0 : (1 << UInt64(8 * rest)) - 1
      var different = (used.word(Int(word)) ^ theirs) & valid
      while different != 0 {
        let bit = UInt64(different.trailingZeroBitCount)
        different &= different - 1
        let cluster = word * 64 + bit
        let isExtra = theirs >> bit & 1 == 1
        if mismatches < 10 {
          warn(
            "Cluster accounting failed at \(cluster) (0x\(String(cluster, radix: 16))): "
              + "\(isExtra ? "extra" : "missing") cluster in $Bitmap")
        }
        mismatches += 1
        if isExtra { addExtra(cluster) }
      }
      position += rest
    }
  }

  private mutating func addExtra(_ cluster: UInt64) {
    if let last = extra.last, last.upperBound == cluster {
      extra[extra.count - 1] = last.lowerBound..<cluster + 1
    } else {
      extra.append(cluster..<cluster + 1)
    }
  }

  /// Marks the extra clusters as used, so that they are copied in their place.
  package mutating func adoptExtra() {
    for run in extra { for cluster in run { used[cluster] = true } }
  }

  // MARK: Bad clusters

  /// Takes the clusters of $BadClus out: they are never read.
  ///
  /// - Returns: how many $BadClus names.
  /// - Throws: when there is no $BadClus, or it has no list.
  package mutating func excludeBadClusters(log: @escaping (String) -> Void) throws(ImageError) -> UInt64 {
    let reader = volume.recordReader()
    let inode: Inode
    do throws(ImageError) {
      let record = try reader.record(8, log: log)
      guard record.isInUse else { throw ImageError.system(2) }
      inode = try Inode.open(record, volume, reader, log: log)
    } catch {
      throw ImageError("ntfs_open_inode: \(errorText(error.errno))", errno: error.errno)
    }
    // Types ascend: the search ends at a greater one.
    let bad = inode.items.prefix { $0.attribute.type <= AttributeType.data }.first {
      $0.attribute.type == AttributeType.data && $0.attribute.isNamed("$Bad")
    }
    guard let bad else {
      if let complaint = inode.complaint { log(complaint) }
      let number: Int32 = inode.complaint == nil ? 2 : 5
      throw ImageError("ntfs_attr_open: \(errorText(number))", errno: number)
    }
    guard bad.attribute.isNonResident else {
      throw ImageError("ntfs_attr_map_whole_runlist: \(errorText(22))", errno: 22)
    }
    guard let runs = try? inode.allRuns(AttributeType.data, Array("$Bad".utf16), volume, log: log) else { return 0 }
    var count: UInt64 = 0
    for run in runs {
      guard let lcn = run.lcn else { continue }
      count += run.count
      for cluster in lcn..<lcn + run.count where used[cluster] {
        used[cluster] = false
        inUse = inUse > 0 ? inUse - 1 : 0
      }
    }
    return count
  }
}

/// Run lists as the scan takes them.
enum SurveyedRuns {
  /// Decodes and bounds an extent's runs.
  ///
  /// - Throws: `ntfs_decompress_mapping_pairs` with the errno, or with `errno` 0 a run that leaves the volume.
  static func decode(
    _ item: Inode.Item, of inode: Inode, _ volume: Volume, ignoresErrors: Bool, warn: (String) -> Void,
    log: (String) -> Void
  ) throws(ImageError) -> [Run] {
    let record = inode.records[item.record]
    var runs: [Run]
    do throws(ImageError) {
      runs = try RunList.decode(record.bytes, item.attribute, clusterSize: volume.boot.clusterSize, log: log)
    } catch {
      throw ImageError("ntfs_decompress_mapping_pairs: \(errorText(error.errno))", errno: error.errno)
    }
    for index in runs.indices where !volume.holds(runs[index]) {
      let run = runs[index]
      let lcn = run.lcn ?? 0
      let text =
        "Corrupt runlist in inode \(inode.number) attr \(String(item.attribute.type, radix: 16))"
        + " LCN \(String(lcn, radix: 16)) length \(String(run.count, radix: 16))"
      guard ignoresErrors else { throw ImageError(text, errno: 0) }
      warn("ERROR: " + text)
      // Clipped to the volume.
      if lcn < volume.boot.clusterCount {
        runs[index].count = volume.boot.clusterCount - lcn
      } else {
        runs[index].lcn = nil
      }
    }
    return runs
  }
}
