import Bytes
import Images

/// How large a qcow2 image is (qemu-img-cli-1 §13.7, qcow2-qcow-qed §19.7).
struct Qcow2Measure {
  /// Cluster size in bytes.
  var clusterSize: UInt64 = 65536
  /// Width of a reference count in bits.
  var refcountBits: UInt64 = 16
  /// Size of an L2 entry in bytes: 8, or 16 with subclusters.
  var l2EntrySize: UInt64 = 8

  /// Bytes of the file once every byte of a disk of `size` bytes is stored.
  ///
  /// - Throws: when the L1 table would become too large.
  func fullyAllocated(size: UInt64) throws(ImageError) -> (file: UInt64, disk: UInt64) {
    let tooLarge = ImageError("The image size is too large (try using a larger cluster size)", errno: 27 /* EFBIG */)
    guard let disk = size.roundedUp(to: clusterSize), disk <= 1 << 63,
      let l2Entries = (disk / clusterSize).roundedUp(to: clusterSize / l2EntrySize)
    else { throw tooLarge }
    let l2Bytes = l2Entries * l2EntrySize
    let l1Bytes = (l2Bytes / clusterSize * 8).roundedUp(to: clusterSize) ?? .max
    guard l1Bytes <= Qcow2Header.l1TableLimit else { throw tooLarge }
    // The L1 limit keeps the sums below 2^63 + 2^60.
    let tables = clusterSize + l2Bytes + l1Bytes
    return (tables + refcounts(clusters: (tables + disk) / clusterSize) + disk, disk)
  }

  /// Bytes of the refcount blocks and table that count `clusters` and themselves.
  private func refcounts(clusters: UInt64) -> UInt64 {
    var blocks: UInt64 = 0
    var table: UInt64 = 0
    while true {
      let newBlocks = (clusters + table + blocks).dividedUp(by: clusterSize * 8 / refcountBits)
      let newTable = newBlocks.dividedUp(by: clusterSize / 8)
      if newBlocks == blocks, newTable == table { return (blocks + table) * clusterSize }
      // Both only grow, and each step adds less than the one before.
      blocks = newBlocks
      table = newTable
    }
  }

  /// Bytes of the target's clusters that `source` has data for, all layers taken together.
  func dataBytes(_ source: any DiskImage) throws(ImageError) -> UInt64 {
    let size = source.virtualSize
    var offset: UInt64 = 0
    var total: UInt64 = 0
    while offset < size {
      let extent = try source.chainExtent(at: offset, limit: size - offset).extent
      var end = offset + max(extent.length, 1)
      if extent.flags.contains(.data), !extent.flags.contains(.zero) {
        // Whole clusters: the one in which the data begins is counted from its start.
        end = end.roundedUp(to: clusterSize) ?? size
        total += end - offset.roundedDown(to: clusterSize)
      }
      offset = end
    }
    return total
  }

  /// Bytes that copies of the source's persistent bitmaps take (qemu-img-cli-1 §13.8).
  func bitmapBytes(_ bitmaps: [BitmapDescription], size: UInt64) -> UInt64 {
    var total: UInt64 = 0
    var directory: UInt64 = 0
    for bitmap in bitmaps {
      let bits = size.dividedUp(by: max(bitmap.granularity, 1))
      let clusters = bits.dividedUp(by: 8).dividedUp(by: clusterSize)
      let table = (clusters * 8).roundedUp(to: clusterSize) ?? 0
      total = total.saturatingAdd(clusters * clusterSize).saturatingAdd(table)
      directory += (24 + UInt64(bitmap.name.rawBytes.count)).roundedUp(to: 8) ?? 0
    }
    return total.saturatingAdd(directory.roundedUp(to: clusterSize) ?? 0)
  }
}

extension Qcow2Format: MeasurableFormat {
  package static func measure(_ options: OptionValues, size: UInt64, source: (any DiskImage)?) throws(ImageError)
    -> ImageMeasure
  {
    var measure = Qcow2Measure()
    let isVersion3 = try measure.read(options)
    guard let preallocation = Preallocation(rawValue: options.text("preallocation") ?? "off") else {
      throw ImageError("invalid parameter value: \(options.text("preallocation") ?? "")")
    }
    if options.text("encrypt.format") == "luks" {
      throw ImageError("Parameter 'encrypt.key-secret' is required for cipher")
    }
    let full = try measure.fullyAllocated(size: size)
    var data: UInt64 = 0
    if preallocation == .falloc || preallocation == .full || (source != nil && options["backing_file"] != nil) {
      data = full.disk
    } else if let source {
      data = try measure.dataBytes(source)
    }
    var result = ImageMeasure(
      required: full.file - full.disk + min(data, full.disk), fullyAllocated: full.file)
    if isVersion3, let source = source as? any BitmapImage, source.supportsBitmaps {
      result.bitmaps = measure.bitmapBytes(source.bitmaps, size: size)
    }
    return result
  }
}

extension Qcow2Measure {
  /// Takes over what the options say about the layout; answers whether it is version 3.
  fileprivate mutating func read(_ options: OptionValues) throws(ImageError) -> Bool {
    clusterSize = options.number("cluster_size") ?? clusterSize
    guard clusterSize.nonzeroBitCount == 1, clusterSize >= 512, clusterSize <= 2 << 20 else {
      throw ImageError("Cluster size must be a power of two between 512 and 2048k")
    }
    if options.boolean("extended_l2") == true {
      guard clusterSize >= 16384 else {
        throw ImageError("Extended L2 entries are only supported with cluster sizes of at least 16384 bytes")
      }
      l2EntrySize = 16
    }
    let compat = options.text("compat") ?? "1.1"
    guard ["0.10", "v2", "1.1", "v3"].contains(compat) else {
      throw ImageError("Invalid compatibility level: '\(compat)'")
    }
    let isVersion3 = compat == "1.1" || compat == "v3"
    refcountBits = options.number("refcount_bits") ?? refcountBits
    guard refcountBits.nonzeroBitCount == 1, refcountBits <= 64 else {
      throw ImageError("Refcount width must be a power of two and may not exceed 64 bits")
    }
    guard isVersion3 || refcountBits == 16 else {
      throw ImageError(
        "Different refcount widths than 16 bits require compatibility level 1.1 or above (use compat=1.1 or greater)")
    }
    return isVersion3
  }
}
