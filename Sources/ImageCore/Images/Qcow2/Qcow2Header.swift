import Bytes
import Storage

/// The header of a qcow2 image with its extensions: what cluster 0 says (qcow2-qcow-qed §1 to §3).
///
/// All values are checked as far as the header alone allows; what follows from them (``Qcow2Header/clusterSize`` …) is
/// in Qcow2Geometry.swift.
package struct Qcow2Header: Sendable, Equatable {
  /// How the contents are encrypted.
  package enum Encryption: UInt32, Sendable {
    case none = 0
    /// AES-128 in CBC mode with the passphrase as key.
    case aes = 1
    case luks = 2
  }

  /// How compressed clusters are compressed.
  package enum CompressionType: UInt8, Sendable {
    /// Raw deflate.
    case zlib = 0
    /// Zstandard frames.
    case zstd = 1
  }

  /// `QFI\xFB`.
  package static let magic: UInt32 = 0x5146_49FB
  /// Length in bytes of a version 2 header.
  package static let lengthOfVersion2: UInt32 = 72
  /// Length in bytes of a version 3 header as it is written.
  package static let lengthOfVersion3: UInt32 = 112
  /// Longest backing file name in bytes.
  package static let backingNameLimit: UInt32 = 1023

  /// 2 or 3.
  package var version: UInt32 = 3
  /// Offset of the backing file's name in bytes, as recorded; 0 without a backing file.
  package var backingFileOffset: UInt64 = 0
  /// Length of the backing file's name in bytes, as recorded.
  package var backingFileSize: UInt32 = 0
  /// The base-two logarithm of the cluster size: 9...21.
  package var clusterBits: UInt32 = 16
  /// Size of the virtual disk in bytes as recorded; the low nine bits do not count.
  package var size: UInt64 = 0
  /// How the contents are encrypted.
  package var encryption = Encryption.none
  /// Entries of the active L1 table.
  package var l1Size: UInt32 = 0
  /// Offset of the active L1 table in bytes.
  package var l1TableOffset: UInt64 = 0
  /// Offset of the refcount table in bytes.
  package var refcountTableOffset: UInt64 = 0
  /// Size of the refcount table in clusters.
  package var refcountTableClusters: UInt32 = 0
  /// Number of internal snapshots.
  package var snapshotCount: UInt32 = 0
  /// Offset of the snapshot table in bytes.
  package var snapshotsOffset: UInt64 = 0
  /// Incompatible features, all of them known.
  package var incompatibleFeatures: IncompatibleFeatures = []
  /// Compatible features, unknown ones included.
  package var compatibleFeatures: CompatibleFeatures = []
  /// Autoclear features, unknown ones included.
  package var autoclearFeatures: AutoclearFeatures = []
  /// The base-two logarithm of a reference count's width in bits: 0...6.
  package var refcountOrder: UInt32 = 4
  /// Length of the header in bytes, as recorded (version 2: 72).
  package var headerLength: UInt32 = Qcow2Header.lengthOfVersion3
  /// How compressed clusters are compressed.
  package var compressionType = CompressionType.zlib
  /// Fields behind byte 112 that we do not know.
  package var unknownFields: [UInt8] = []
  /// The header extensions.
  package var extensions = HeaderExtensions()
  /// Name of the backing file, unresolved; nil without one.
  package var backingFile: String?

  /// The header of an empty version 3 image with default geometry.
  package init() {}

  /// What an image is opened for, as far as the checks of the header differ (§14).
  package struct Rules: Sendable {
    /// The image will be changed.
    package var isWriting: Bool
    /// Opened by `check`: damaged tables are reported later.
    package var isCheck: Bool
    /// Only the disk is read: refcounts and snapshots are not looked at.
    package var readsDiskOnly: Bool
    /// Only looked at: data file and keys do not matter.
    package var isInspecting: Bool
    /// The user named a data file.
    package var hasDataFileOption: Bool
    /// What the user set of ``Qcow2Format/runtimeOptions``.
    package var options: OptionValues

    package init(
      isWriting: Bool = false, isCheck: Bool = false, readsDiskOnly: Bool = false, isInspecting: Bool = false,
      hasDataFileOption: Bool = false, options: OptionValues = OptionValues([])
    ) {
      self.isWriting = isWriting
      self.isCheck = isCheck
      self.readsDiskOnly = readsDiskOnly
      self.isInspecting = isInspecting
      self.hasDataFileOption = hasDataFileOption
      self.options = options
    }
  }

  /// Reads and checks the header of an image, in the order and with the texts of §14.
  package init(_ storage: any Storage, _ rules: Rules) throws(ImageError) {
    // A cluster of the largest size holds all; most of a short file's or small cluster's buffer is never touched.
    var first = Buffer(4096)
    do throws(ImageError) {
      var target = first.mutableBytes
      try storage.read(into: &target, at: 0)
    } catch {
      throw error.prefixed("Could not read qcow2 header: ")
    }
    try readFixedFields(first.bytes)
    let end = Int(backingFileOffset == 0 ? clusterSize : backingFileOffset)
    let needed = max(end, Int(headerLength))
    if needed > first.count {
      first = Buffer(needed)
      do throws(ImageError) {
        var target = first.mutableBytes
        try storage.read(into: &target, at: 0)
      } catch {
        throw error.prefixed("Could not read unknown header fields: ")
      }
    }
    let bytes = first.bytes
    try checkFeatures(bytes, extensionsEnd: end, rules)
    try checkTables(bytes, rules)

    extensions = try HeaderExtensions(bytes, from: Int(headerLength), to: end, header: self)
    try checkDataFile(rules)
    if encryption == .luks && extensions.encryptionHeader == nil {
      throw ImageError("Missing CRYPTO header for crypt method 2")
    }
    backingFile = try readBackingFile(storage)
  }

  /// The fields that decide where everything else is (§14, 2 to 8).
  private mutating func readFixedFields(_ bytes: RawSpan) throws(ImageError) {
    guard bytes.bigEndian(at: 0, as: UInt32.self) == Qcow2Header.magic else {
      throw ImageError("Image is not in qcow2 format")
    }
    version = bytes.bigEndian(at: 4)
    guard version == 2 || version == 3 else {
      throw ImageError("Unsupported qcow2 version \(version)", errno: 95 /* ENOTSUP */)
    }
    clusterBits = bytes.bigEndian(at: 20)
    guard (9...21).contains(clusterBits) else { throw ImageError("Unsupported cluster size: 2^\(clusterBits)") }
    if version == 3 {
      incompatibleFeatures = IncompatibleFeatures(rawValue: bytes.bigEndian(at: 72))
      compatibleFeatures = CompatibleFeatures(rawValue: bytes.bigEndian(at: 80))
      autoclearFeatures = AutoclearFeatures(rawValue: bytes.bigEndian(at: 88))
      refcountOrder = bytes.bigEndian(at: 96)
      headerLength = bytes.bigEndian(at: 100)
      guard headerLength >= 104 else { throw ImageError("qcow2 header too short") }
    } else {
      headerLength = Qcow2Header.lengthOfVersion2
    }
    guard UInt64(headerLength) <= clusterSize else { throw ImageError("qcow2 header exceeds cluster size") }
    backingFileOffset = bytes.bigEndian(at: 8)
    backingFileSize = bytes.bigEndian(at: 16)
    // A name inside the fixed fields cannot be meant; the reference takes what it finds there (§24, 15).
    guard backingFileOffset <= clusterSize,
      backingFileOffset == 0 || backingFileSize == 0 || backingFileOffset >= UInt64(headerLength)
    else { throw ImageError("Invalid backing file offset") }
    let type = headerLength > 104 ? bytes[104] : 0
    guard let compression = CompressionType(rawValue: type) else {
      throw ImageError("qcow2: unknown compression type: \(type)", errno: 95)
    }
    compressionType = compression
  }

  /// Feature words and the widths that go with them (§14, 9 to 14).
  private mutating func checkFeatures(_ bytes: RawSpan, extensionsEnd: Int, _ rules: Rules) throws(ImageError) {
    if headerLength > Qcow2Header.lengthOfVersion3 {
      unknownFields = bytes.array(Int(Qcow2Header.lengthOfVersion3)..<Int(headerLength))
    }
    let hasBit = incompatibleFeatures.contains(.compressionType)
    if compressionType == .zlib && hasBit {
      throw ImageError("qcow2: Compression type incompatible feature bit must not be set")
    }
    if compressionType != .zlib && !hasBit {
      throw ImageError("qcow2: Compression type incompatible feature bit must be set")
    }
    let unknown = incompatibleFeatures.subtracting(.known)
    guard unknown.isEmpty else {
      let names = HeaderExtensions.featureNames(bytes, from: Int(headerLength), to: extensionsEnd)
      throw ImageError(
        "Unsupported qcow2 feature(s): " + FeatureName.list(names, unknown: unknown.rawValue), errno: 95)
    }
    if incompatibleFeatures.contains(.corrupt) && rules.isWriting && !rules.isCheck {
      throw ImageError("qcow2: Image is corrupt; cannot be opened read/write", errno: 13 /* EACCES */)
    }
    if hasSubclusters && subclusterSize < 512 {
      throw ImageError("Unsupported subcluster size: \(subclusterSize)")
    }
    guard refcountOrder <= 6 else {
      throw ImageError("Reference count entry width too large; may not exceed 64 bits")
    }
  }

  /// Places and sizes of the tables (§14, 15 to 22).
  private mutating func checkTables(_ bytes: RawSpan, _ rules: Rules) throws(ImageError) {
    size = bytes.bigEndian(at: 24)
    l1Size = bytes.bigEndian(at: 36)
    l1TableOffset = bytes.bigEndian(at: 40)
    refcountTableOffset = bytes.bigEndian(at: 48)
    refcountTableClusters = bytes.bigEndian(at: 56)
    snapshotCount = bytes.bigEndian(at: 60)
    snapshotsOffset = bytes.bigEndian(at: 64)

    if !rules.readsDiskOnly {
      if refcountTableClusters == 0 && !rules.isCheck {
        throw ImageError("Image does not contain a reference count table")
      }
      try checkTable(
        "Reference count table", offset: refcountTableOffset, entries: UInt64(refcountTableClusters),
        entrySize: clusterSize, limit: Qcow2Header.refcountTableLimit)
    }
    if !rules.isCheck && !rules.readsDiskOnly {
      try checkTable(
        "Snapshot table", offset: snapshotsOffset, entries: UInt64(snapshotCount), entrySize: 40,
        limit: UInt64(Qcow2Header.snapshotLimit) * 40)
    }
    try checkTable(
      "Active L1 table", offset: l1TableOffset, entries: UInt64(l1Size), entrySize: 8, limit: Qcow2Header.l1TableLimit)
    let (_, overflow) = size.addingReportingOverflow(bytesPerL1Entry - 1)
    if overflow { throw ImageError("Could not refresh total sector count: File too large", errno: 27 /* EFBIG */) }
    let needed = l1EntriesNeeded(for: size)
    guard needed <= UInt64(Int32.max) else { throw ImageError("Image is too big", errno: 27) }
    guard UInt64(l1Size) >= needed else { throw ImageError("L1 table is too small") }
    let method = bytes.bigEndian(at: 32, as: UInt32.self)
    guard let encryption = Encryption(rawValue: method) else {
      throw ImageError("Unsupported encryption method \(Int32(bitPattern: method))")
    }
    self.encryption = encryption
    try Qcow2Format.check(rules.options, self)
    try checkEncryptionFormat(rules.options.text("encrypt.format"))
  }

  /// What the user says about the encryption must be so.
  private func checkEncryptionFormat(_ named: String?) throws(ImageError) {
    guard let named else { return }
    let actual: String
    switch encryption {
    case .none: throw ImageError("No encryption in image header, but options specified format '\(named)'")
    case .aes: actual = "aes"
    case .luks: actual = "luks"
    }
    guard named == actual else {
      throw ImageError("Header reported '\(actual)' encryption format but options specify '\(named)'")
    }
  }

  /// Checks place and size of a table: `… too large`, `… offset invalid`.
  ///
  /// - Parameters:
  ///   - offset: offset of the table in bytes.
  ///   - entries: number of entries, each of `entrySize` bytes.
  ///   - limit: largest size in bytes.
  package func checkTable(_ name: String, offset: UInt64, entries: UInt64, entrySize: UInt64, limit: UInt64)
    throws(ImageError)
  {
    guard entries <= limit / entrySize else { throw ImageError("\(name) too large", errno: 27 /* EFBIG */) }
    let bytes = entries * entrySize
    guard offset <= UInt64(Int64.max) - bytes, offset % clusterSize == 0 else {
      throw ImageError("\(name) offset invalid")
    }
  }

  /// Data file name, option and bits must go together (§14, 24 to 26).
  private func checkDataFile(_ rules: Rules) throws(ImageError) {
    if rules.isInspecting { return }
    if incompatibleFeatures.contains(.externalDataFile) {
      if extensions.dataFile == nil && !rules.hasDataFileOption {
        throw ImageError("'data-file' is required for this image")
      }
    } else if autoclearFeatures.contains(.rawExternalData) && !rules.hasDataFileOption {
      throw ImageError("data-file-raw requires a data file")
    }
  }

  private func readBackingFile(_ storage: any Storage) throws(ImageError) -> String? {
    guard backingFileOffset != 0, backingFileSize != 0 else { return nil }
    guard UInt64(backingFileSize) <= min(UInt64(Qcow2Header.backingNameLimit), clusterSize - backingFileOffset) else {
      throw ImageError("Backing file name too long")
    }
    do throws(ImageError) {
      let bytes = try storage.readArray(at: backingFileOffset, count: Int(backingFileSize))
      let name = bytes.prefix { $0 != 0 }
      return name.isEmpty ? nil : String(rawBytes: name)
    } catch {
      throw error.prefixed("Could not read backing file name: ")
    }
  }
}
