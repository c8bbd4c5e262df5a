import Bytes

/// The header extensions of an image (qcow2-qcow-qed §3).
package struct HeaderExtensions: Sendable, Equatable {
  /// Magic numbers of the known extensions.
  package enum Magic {
    /// Ends the list.
    package static let end: UInt32 = 0
    /// Backing format name.
    package static let backingFormat: UInt32 = 0xE279_2ACA
    /// Name of the external data file ("DATA").
    package static let dataFile: UInt32 = 0x4441_5441
    /// Where the LUKS header lies.
    package static let encryptionHeader: UInt32 = 0x0537_BE77
    /// Feature name table.
    package static let featureNames: UInt32 = 0x6803_F857
    /// Bitmap directory.
    package static let bitmaps: UInt32 = 0x2385_2875
  }

  /// Where the encryption header lies in the file.
  package struct EncryptionHeader: Sendable, Hashable {
    /// Offset in bytes, a multiple of the cluster size.
    package var offset: UInt64
    /// Length in bytes.
    package var length: UInt64

    package init(offset: UInt64, length: UInt64) {
      self.offset = offset
      self.length = length
    }
  }

  /// Where the bitmap directory lies in the file.
  package struct BitmapDirectoryPointer: Sendable, Hashable {
    /// Number of bitmaps, at least 1.
    package var count: UInt32
    /// Size of the directory in bytes.
    package var directorySize: UInt64
    /// Offset of the directory in bytes, a multiple of the cluster size.
    package var directoryOffset: UInt64

    package init(count: UInt32, directorySize: UInt64, directoryOffset: UInt64) {
      self.count = count
      self.directorySize = directorySize
      self.directoryOffset = directoryOffset
    }
  }

  /// An extension that we do not know: kept as it is.
  package struct Unknown: Sendable, Hashable {
    /// Magic number.
    package var magic: UInt32
    /// Contents without padding.
    package var data: [UInt8]

    package init(magic: UInt32, data: [UInt8]) {
      self.magic = magic
      self.data = data
    }
  }

  /// Format of the backing file, if recorded.
  package var backingFormat: String?
  /// Name of the external data file, if recorded.
  package var dataFile: String?
  /// The encryption header, if there is one.
  package var encryptionHeader: EncryptionHeader?
  /// Names of feature bits as the image has them; nil without a table.
  package var featureNames: [FeatureName]?
  /// The bitmap directory; nil when there is none, or when it cannot be trusted (see ``hasStaleBitmaps``).
  package var bitmaps: BitmapDirectoryPointer?
  /// A bitmaps extension was found whose autoclear bit is not set: a program without bitmap support wrote the image.
  package var hasStaleBitmaps = false
  /// All other extensions, in the order of the image.
  package var unknown: [Unknown] = []

  /// No extensions.
  package init() {}

  /// Most bitmaps an image may have.
  package static let bitmapLimit: UInt32 = 65535
  /// Largest bitmap directory in bytes.
  package static let bitmapDirectoryLimit: UInt64 = 65535 * 1024

  /// Reads the extensions in `bytes[start..<end]` of the first cluster (§14, 23).
  init(_ bytes: RawSpan, from start: Int, to end: Int, header: Qcow2Header) throws(ImageError) {
    try HeaderExtensions.walk(bytes, from: start, to: end) { (magic, data) throws(ImageError) in
      switch magic {
      case Magic.backingFormat:
        guard data.byteCount < 16 else {
          throw ImageError("ERROR: ext_backing_format: len=\(data.byteCount) too large (>=16)")
        }
        // A name of no characters is none: the layer below is probed.
        backingFormat = data.text.isEmpty ? nil : data.text
      case Magic.dataFile:
        dataFile = data.text
      case Magic.encryptionHeader:
        encryptionHeader = try HeaderExtensions.encryptionHeader(data, header)
      case Magic.featureNames:
        featureNames = FeatureName.table(data)
      case Magic.bitmaps:
        try readBitmaps(data, header)
      default:
        unknown.append(Unknown(magic: magic, data: data.array(0..<data.byteCount)))
      }
    }
  }

  /// The feature name table alone, wherever the rest of the header may be wrong.
  static func featureNames(_ bytes: RawSpan, from start: Int, to end: Int) -> [FeatureName] {
    var names: [FeatureName] = []
    // Damage further on does not matter here: what was found so far is named.
    try? walk(bytes, from: start, to: end) { (magic, data) throws(ImageError) in
      if magic == Magic.featureNames { names = FeatureName.table(data) }
    }
    return names
  }

  private static func walk(
    _ bytes: RawSpan, from start: Int, to end: Int,
    _ body: (_ magic: UInt32, _ data: RawSpan) throws(ImageError) -> Void
  ) throws(ImageError) {
    var offset = start
    // `end` is at most a cluster (2 MiB): nothing here comes near an overflow but the length, which is compared first.
    while end - offset >= 8 {
      let magic = bytes.bigEndian(at: offset, as: UInt32.self)
      let length = bytes.bigEndian(at: offset + 4, as: UInt32.self)
      offset += 8
      guard UInt64(length) <= UInt64(end - offset) else { throw ImageError("Header extension too large") }
      if magic == Magic.end { return }
      try body(magic, bytes.slice(offset..<offset + Int(length)))
      offset += (Int(length) + 7) & ~7
    }
  }

  private static func encryptionHeader(_ data: RawSpan, _ header: Qcow2Header) throws(ImageError) -> EncryptionHeader {
    guard header.encryption == .luks else {
      throw ImageError("CRYPTO header extension only expected with LUKS encryption method")
    }
    guard data.byteCount == 16 else {
      throw ImageError("CRYPTO header extension size \(data.byteCount), but expected size 16")
    }
    let offset = data.bigEndian(at: 0, as: UInt64.self)
    guard offset % header.clusterSize == 0 else {
      throw ImageError(
        "Encryption header offset '\(offset)' is not a multiple of cluster size '\(header.clusterSize)'")
    }
    return EncryptionHeader(offset: offset, length: data.bigEndian(at: 8))
  }

  private mutating func readBitmaps(_ data: RawSpan, _ header: Qcow2Header) throws(ImageError) {
    guard data.byteCount == 24 else { throw ImageError("bitmaps_ext: Invalid extension length") }
    guard header.autoclearFeatures.contains(.bitmaps) else {
      hasStaleBitmaps = true
      return
    }
    let count = data.bigEndian(at: 0, as: UInt32.self)
    let size = data.bigEndian(at: 8, as: UInt64.self)
    let offset = data.bigEndian(at: 16, as: UInt64.self)
    guard data.bigEndian(at: 4, as: UInt32.self) == 0 else {
      throw ImageError("bitmaps_ext: Reserved field is not zero")
    }
    guard count <= HeaderExtensions.bitmapLimit else {
      throw ImageError(
        "bitmaps_ext: Image has \(count) bitmaps, exceeding the QEMU supported maximum of "
          + "\(HeaderExtensions.bitmapLimit)")
    }
    guard count > 0 else { throw ImageError("found bitmaps extension with zero bitmaps") }
    guard offset % header.clusterSize == 0 else { throw ImageError("bitmaps_ext: invalid bitmap directory offset") }
    guard size <= HeaderExtensions.bitmapDirectoryLimit else {
      throw ImageError(
        "bitmaps_ext: bitmap directory size (\(size)) exceeds the maximum supported size "
          + "(\(HeaderExtensions.bitmapDirectoryLimit))")
    }
    bitmaps = BitmapDirectoryPointer(count: count, directorySize: size, directoryOffset: offset)
  }
}

extension RawSpan {
  /// All bytes up to the first NUL as text.
  fileprivate var text: String { String(rawBytes: array(0..<byteCount).prefix { $0 != 0 }) }
}
