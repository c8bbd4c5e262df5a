import Bytes

// Feature bits of the version 3 header (qcow2-qcow-qed §2).

/// Features that a program must know to open the image at all.
package struct IncompatibleFeatures: OptionSet, Sendable, Hashable {
  package let rawValue: UInt64
  @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }

  /// Reference counts may be stale: the image was not closed.
  package static let dirty = IncompatibleFeatures(rawValue: 1 << 0)
  /// Damage was found; only a check may write.
  package static let corrupt = IncompatibleFeatures(rawValue: 1 << 1)
  /// Guest clusters live in another file.
  package static let externalDataFile = IncompatibleFeatures(rawValue: 1 << 2)
  /// The compression type is not zlib.
  package static let compressionType = IncompatibleFeatures(rawValue: 1 << 3)
  /// L2 entries have 16 bytes and describe 32 subclusters.
  package static let extendedL2 = IncompatibleFeatures(rawValue: 1 << 4)

  /// All bits that have a meaning.
  package static let known: IncompatibleFeatures = [
    .dirty, .corrupt, .externalDataFile, .compressionType, .extendedL2,
  ]
}

/// Features that a program may ignore.
package struct CompatibleFeatures: OptionSet, Sendable, Hashable {
  package let rawValue: UInt64
  @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }

  /// Writers may let reference counts lag behind while the dirty bit is set.
  package static let lazyRefcounts = CompatibleFeatures(rawValue: 1 << 0)
}

/// Features that a program which does not know them must clear before it writes.
package struct AutoclearFeatures: OptionSet, Sendable, Hashable {
  package let rawValue: UInt64
  @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }

  /// The bitmaps extension is consistent with the image.
  package static let bitmaps = AutoclearFeatures(rawValue: 1 << 0)
  /// The data file is a valid raw image by itself.
  package static let rawExternalData = AutoclearFeatures(rawValue: 1 << 1)

  /// All bits that have a meaning.
  package static let known: AutoclearFeatures = [.bitmaps, .rawExternalData]
}

/// An entry of the feature name table: 48 bytes on disk.
package struct FeatureName: Sendable, Hashable {
  /// Which of the three words the bit belongs to: 0 incompatible, 1 compatible, 2 autoclear; others are ignored.
  package var kind: UInt8
  /// Number of the bit, 0...63.
  package var bit: UInt8
  /// Name, at most 46 bytes.
  package var name: String

  package init(_ kind: UInt8, _ bit: UInt8, _ name: String) {
    self.kind = kind
    self.bit = bit
    self.name = name
  }

  /// Size of an entry in bytes.
  package static let size = 48

  /// The table that is written, in its order (§3).
  package static let written: [FeatureName] = [
    FeatureName(0, 0, "dirty bit"), FeatureName(0, 1, "corrupt bit"), FeatureName(0, 2, "external data file"),
    FeatureName(0, 3, "compression type"), FeatureName(0, 4, "extended L2 entries"),
    FeatureName(1, 0, "lazy refcounts"), FeatureName(2, 0, "bitmaps"), FeatureName(2, 1, "raw external data"),
  ]

  /// The entries of a table; an incomplete last one is dropped.
  static func table(_ bytes: RawSpan) -> [FeatureName] {
    (0..<bytes.byteCount / size).map { index in
      let entry = bytes.array(index * size..<(index + 1) * size)
      return FeatureName(entry[0], entry[1], String(rawBytes: entry[2...].prefix { $0 != 0 }))
    }
  }

  /// The list that names unknown incompatible bits, for `Unsupported qcow2 feature(s): …` (§14, 11).
  static func list(_ table: [FeatureName], unknown bits: UInt64) -> String {
    var names: [String] = []
    var left = bits
    for entry in table where entry.kind == 0 && entry.bit < 64 && left & (1 << UInt64(entry.bit)) != 0 {
      names.append(entry.name)
      left &= ~(1 << UInt64(entry.bit))
    }
    if left != 0 { names.append("Unknown incompatible feature: " + String(left, radix: 16)) }
    return names.joined(separator: ", ")
  }
}
