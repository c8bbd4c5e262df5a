import Bytes

/// A run of bytes of a storage that is all of one kind.
public struct StorageExtent: Sendable, Equatable {
  /// Length in bytes, at least 1.
  public var length: UInt64
  /// Whether the bytes are stored; false for a hole, which reads as zeros.
  public var isData: Bool

  /// An extent of `length` bytes.
  public init(length: UInt64, isData: Bool) {
    self.length = length
    self.isData = isData
  }
}

/// Which file something is, whatever its name: device and inode number.
public struct FileIdentity: Sendable, Hashable {
  /// The device that holds the inode, or for a block device the device itself.
  public var device: UInt64
  /// The inode number; 0 for a block device.
  public var inode: UInt64
}

/// A randomly addressable run of bytes: a file, a block device, memory. Safe to call from many threads.
public protocol Storage: AnyObject, Sendable {
  /// The name that messages and `info` show.
  var name: String { get }
  /// Current length in bytes.
  var length: UInt64 { get }
  /// Offsets and lengths of requests are best multiples of this (bytes); others work, at a price. 1 for buffered files.
  var requestAlignment: Int { get }
  /// Space taken on the device in bytes, nil when unknown.
  var allocatedSize: UInt64? { get }
  /// The file behind, nil for storages that are none.
  var identity: FileIdentity? { get }

  /// Fills `buffer` with the bytes at `offset`. Bytes past the end read as zeros.
  func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError)
  /// The longest run of one kind that begins at `offset`, at most `limit` (> 0) bytes. Past the end: a hole.
  func extent(at offset: UInt64, limit: UInt64) throws(ImageError) -> StorageExtent
  /// Where data begins at or behind `offset`: at most `limit` bytes behind it, whatever is there. Cheaper than
  /// ``extent(at:limit:)``, which has to find where the data ends.
  func dataStart(at offset: UInt64, limit: UInt64) throws(ImageError) -> UInt64
  /// Says that `range` is going to be read soon; advice only.
  func prefetch(_ range: Range<UInt64>)
}

/// A storage that can be changed.
public protocol WritableStorage: Storage {
  /// Stores `bytes` at `offset`, extending the storage where needed.
  func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError)
  /// Makes `range` read as zeros, extending the storage where needed. `mayUnmap`: the space may be given back.
  func zero(_ range: Range<UInt64>, mayUnmap: Bool) throws(ImageError)
  /// Tells the storage that the bytes of `range` are not needed any more; what they read as is undefined.
  func discard(_ range: Range<UInt64>) throws(ImageError)
  /// Makes sure that space for `range` is reserved, without changing what is read; extends the storage where needed.
  func allocate(_ range: Range<UInt64>) throws(ImageError)
  /// Sets the length in bytes; new bytes read as zeros.
  func resize(to length: UInt64) throws(ImageError)
  /// Makes all completed writes durable, unless the cache mode says otherwise.
  func flush() throws(ImageError)
  /// Whether bytes beyond the present end read as zeros once the storage has grown (a regular file: yes, a device: no).
  var growsWithZeros: Bool { get }
}

extension Storage {
  public func prefetch(_ range: Range<UInt64>) {}

  public func dataStart(at offset: UInt64, limit: UInt64) throws(ImageError) -> UInt64 {
    let extent = try extent(at: offset, limit: limit)
    return extent.isData ? offset : offset + extent.length
  }

  /// The `count` bytes at `offset`, as an array; zeros past the end. For metadata whose size has been checked.
  package func readArray(at offset: UInt64, count: Int) throws(ImageError) -> [UInt8] {
    if count == 0 { return [] }
    var buffer = Buffer(count)
    var bytes = buffer.mutableBytes
    try read(into: &bytes, at: offset)
    return buffer.bytes.array(0..<count)
  }

  /// `count` big-endian 64-bit words at `offset`; zeros past the end. For tables whose size has been checked.
  package func readBigEndianWords(at offset: UInt64, count: Int) throws(ImageError) -> [UInt64] {
    if count == 0 { return [] }
    var buffer = Buffer(count * 8)
    var bytes = buffer.mutableBytes
    try read(into: &bytes, at: offset)
    var words = [UInt64]()
    words.reserveCapacity(count)
    for index in 0..<count { words.append(buffer.bytes.bigEndian(at: index * 8)) }
    return words
  }
}

extension WritableStorage {
  /// Stores the bytes of an array at `offset`.
  package func write(_ bytes: [UInt8], at offset: UInt64) throws(ImageError) {
    try write(bytes.rawBytes, at: offset)
  }

  /// Stores zeros as data, so that space is taken for all of `range`.
  package func writeZeros(_ range: Range<UInt64>) throws(ImageError) {
    let zeros = Buffer(Int(min(range.upperBound - range.lowerBound, 1 << 20)))
    var offset = range.lowerBound
    while offset < range.upperBound {
      let count = Int(min(range.upperBound - offset, UInt64(zeros.count)))
      try write(zeros.bytes.slice(0..<count), at: offset)
      offset += UInt64(count)
    }
  }
}
