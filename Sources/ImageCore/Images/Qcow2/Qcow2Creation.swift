import Bytes
import Images
import Storage

extension Qcow2Format {
  /// How a qcow2 image is made (qcow2-qcow-qed §10).
  public struct Creation: Sendable {
    /// Size of the disk in bytes; rounded up to 512.
    public var size: UInt64
    /// 2 or 3.
    public var version: UInt32 = 3
    /// Size of a cluster in bytes: a power of two, 512 bytes to 2 MiB.
    public var clusterSize: UInt64 = 65536
    /// Width of a reference count in bits: a power of two, 1 to 64.
    public var refcountBits: UInt64 = 16
    /// Set the feature bit "lazy refcounts".
    public var hasLazyRefcounts = false
    /// L2 entries of 16 bytes that describe 32 subclusters.
    public var hasExtendedL2 = false
    /// Compress with Zstandard rather than deflate.
    public var isZstd = false
    /// How the space is prepared.
    public var preallocation = Preallocation.off
    /// Name of the layer below, stored as it is.
    public var backingFile: String?
    /// Format of the layer below.
    public var backingFormat: String?
    /// Name of an external data file, stored as it is; the file is made in the current directory.
    public var dataFile: String?
    /// The data file must stay a raw image by itself.
    public var isDataFileRaw = false
    /// Turn off copy-on-write (btrfs).
    public var nocow = false
    /// Smallest extent to ask the file system for.
    public var extentSizeHint = ExtentSizeHint.usual

    /// Encryption was asked for, which is refused.
    package struct Encryption: Sendable {
      /// Whether a key was named.
      package var hasKey: Bool
    }
    package var encryption: Encryption?

    /// A sparse image with default geometry.
    public init(size: UInt64) { self.size = size }

    /// The preallocation that is done: a raw data file needs its tables.
    var effectivePreallocation: Preallocation {
      isDataFileRaw && preallocation == .off ? .metadata : preallocation
    }
  }

  /// Makes a qcow2 image, or makes an existing file one. What is asked for is checked before anything is touched, and a
  /// file that this call has made is removed when it fails.
  ///
  /// - Throws: the texts of §10.2.
  public static func create(_ name: String, _ creation: Creation, warn: (String) -> Void = { _ in }) throws(ImageError)
  {
    let header = try creation.header()
    try FileCreation.make(name, nocow: creation.nocow, extentSizeHint: creation.extentSizeHint, warn: warn) {
      (file) throws(ImageError) in
      guard let dataName = creation.dataFile else {
        return try fill(file, data: file, header, creation, name)
      }
      try FileCreation.make(dataName) { (data) throws(ImageError) in
        try fill(file, data: data, header, creation, name)
        FileCreation.writeFirstBlock(data, size: header.size)
        try data.flush()
      }
    }
  }

  private static func fill(
    _ file: FileStorage, data: FileStorage, _ header: Qcow2Header, _ creation: Creation, _ name: String
  ) throws(ImageError) {
    do throws(ImageError) {
      let image = try Qcow2Image(
        unfinishedOn: file, data: data, header, filename: name, preallocation: creation.effectivePreallocation)
      try image.close()
    } catch {
      throw fullDisk(error, file, header.clusterSize)
    }
  }

  /// Names what there was no room for in the order in which clusters were always taken: header, refcount table and block,
  /// L1 table.
  private static func fullDisk(_ error: ImageError, _ file: FileStorage, _ clusterSize: UInt64) -> ImageError {
    guard error.errno == 28 /* ENOSPC */ || error.errno == 122 /* EDQUOT */, !file.isDevice,
      let room = file.allocatedSize
    else { return error }
    let reason = ImageError.system(error.errno)
    if room < clusterSize { return reason.prefixed("Could not write qcow2 header: ") }
    if room < 3 * clusterSize { return reason.prefixed("Could not write refcount table: ") }
    return error.message == reason.message
      ? reason.prefixed("Could not resize image: Failed to grow the L1 table: ") : error
  }
}

extension Qcow2Image {
  /// Lays out a new image on an empty storage (§10). It is valid once it has been closed.
  ///
  /// - Parameters:
  ///   - data: the storage for the guest's clusters; ``storage`` itself without an external data file.
  ///   - header: the header without tables, with the disk's size.
  package convenience init(
    unfinishedOn storage: any WritableStorage, data: any WritableStorage, _ header: Qcow2Header, filename: String,
    preallocation: Preallocation
  ) throws(ImageError) {
    var start = header
    start.size = 0
    start.refcountTableOffset = header.clusterSize
    start.refcountTableClusters = 1
    self.init(
      storage, dataStorage: data, header: start, snapshots: [], bitmaps: [], filename: filename, use: .write,
      notify: { _ in })
    let size = header.size
    let corruption = self.corruption
    try tables.withLock { (tables) throws(ImageError) in
      var metadata = MetadataMap()
      metadata.set(.refcountTable, 1..<2)
      let refcounts = Refcounts(
        storage: storage, header: start, table: Array(repeating: 0, count: Int(header.clusterSize / 8)),
        metadata: metadata, isUnfinished: true, corruption: corruption)
      try refcounts.layOut()
      tables.writing = Qcow2Writing(storage: storage, dataStorage: data, refcounts: refcounts, header: header)
      do throws(ImageError) {
        try tables.makeL1Room(for: size)
        try tables.prepareSpace(0..<size, preallocation)
        try tables.setSize(size)
      } catch {
        throw error.prefixed("Could not resize image: ")
      }
      try tables.commit()
      // Whoever opens an image begins its search for free clusters at the start of the file.
      refcounts.resetCursors()
    }
    setVirtualSize(size)
  }
}

extension Refcounts {
  /// The first three clusters of a new image: header, table, first block.
  fileprivate func layOut() throws(ImageError) {
    let block = insertBlock(0, offset: 2 * clusterSize)
    setTableEntry(0, block.offset)
    // The table is written whole.
    changedTableEntries = table.indices
    width.setOnes(&block.words, 0..<3)
  }

  /// Begins all searches anew, as if the image had just been opened.
  func resetCursors() {
    cursor = 0
    byteCursor = 0
  }
}

extension Qcow2Format.Creation {
  /// The header of the new image, without tables; checks everything that was asked for, in the order of §10.2.
  package func header() throws(ImageError) -> Qcow2Header {
    let tooLarge = ImageError(
      "Could not resize image: Failed to grow the L1 table: File too large", errno: 27 /* EFBIG */)
    guard let size = size.roundedUp(to: 512), size <= UInt64(Int64.max) else { throw tooLarge }
    if version < 3 && hasExtendedL2 { throw needsVersion3("Extended L2 entries are") }
    guard clusterSize.nonzeroBitCount == 1, (9...21).contains(clusterSize.trailingZeroBitCount) else {
      throw ImageError("Cluster size must be a power of two between 512 and 2048k")
    }
    if hasExtendedL2 && clusterSize < 16384 {
      throw ImageError("Extended L2 entries are only supported with cluster sizes of at least 16384 bytes")
    }
    if preallocation != .off && backingFile != nil && !hasExtendedL2 {
      throw ImageError("Backing file and preallocation can only be used at the same time if extended_l2 is on")
    }
    if backingFormat != nil && backingFile == nil {
      throw ImageError("Backing format cannot be used without backing file")
    }
    if version < 3 && hasLazyRefcounts {
      throw ImageError(
        "Lazy refcounts only supported with compatibility level 1.1 and above (use version=v3 or greater)")
    }
    guard refcountBits.nonzeroBitCount == 1, refcountBits <= 64 else {
      throw ImageError("Refcount width must be a power of two and may not exceed 64 bits")
    }
    if version < 3 && refcountBits != 16 {
      throw ImageError(
        "Different refcount widths than 16 bits require compatibility level 1.1 or above (use version=v3 or greater)")
    }
    if isDataFileRaw {
      if dataFile == nil { throw ImageError("data-file-raw requires data-file") }
      if backingFile != nil {
        throw ImageError("Backing file and data-file-raw cannot be used at the same time")
      }
    }
    if version < 3 && dataFile != nil { throw needsVersion3("External data files are") }
    if version < 3 && isZstd { throw needsVersion3("Non-zlib compression type is") }

    var header = Qcow2Header()
    header.version = version
    header.clusterBits = UInt32(clusterSize.trailingZeroBitCount)
    header.refcountOrder = UInt32(refcountBits.trailingZeroBitCount)
    header.size = size
    header.headerLength = version < 3 ? Qcow2Header.lengthOfVersion2 : Qcow2Header.lengthOfVersion3
    if hasLazyRefcounts { header.compatibleFeatures.insert(.lazyRefcounts) }
    if isZstd {
      header.compressionType = .zstd
      header.incompatibleFeatures.insert(.compressionType)
    }
    if hasExtendedL2 { header.incompatibleFeatures.insert(.extendedL2) }
    if let dataFile {
      header.incompatibleFeatures.insert(.externalDataFile)
      header.extensions.dataFile = dataFile
      if isDataFileRaw { header.autoclearFeatures.insert(.rawExternalData) }
    }
    header.backingFile = backingFile
    header.extensions.backingFormat = backingFormat
    guard header.l1EntriesNeeded(for: size) <= Qcow2Header.l1TableLimit / 8 else {
      throw ImageError("Could not resize image: Failed to grow the L1 table: File too large", errno: 27)
    }
    if let encryption {
      guard encryption.hasKey else { throw ImageError("Parameter 'encrypt.key-secret' is required for cipher") }
      throw ImageError("Encrypted images cannot be made yet", errno: 95 /* ENOTSUP */)
    }
    do throws(ImageError) {
      _ = try header.firstCluster()
    } catch {
      guard let backingFile else { throw error }
      throw error.prefixed("Could not assign backing file '\(backingFile)' with format '\(backingFormat ?? "")': ")
    }
    return header
  }

  private func needsVersion3(_ subject: String) -> ImageError {
    ImageError("\(subject) only supported with compatibility level 1.1 and above (use version=v3 or greater)")
  }
}
