import Bytes
import Codecs
import Images
import Storage
import Synchronization

extension Qcow2Image {
  public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    try corruption.check()
    let size = virtualSize
    let inside = offset < size ? Int(min(UInt64(buffer.byteCount), size - offset)) : 0
    buffer.fill(inside..<buffer.byteCount)
    var done = 0
    while done < inside {
      let position = offset + UInt64(done)
      let mapping = try mapping(at: position, limit: UInt64(inside - done))
      // At least 1 and at most what was asked for, which fits Int.
      let end = done + Int(mapping.length)
      var part = buffer.slice(done..<end)
      try read(mapping, into: &part, at: position)
      done = end
    }
  }

  /// Fills `buffer`, which is as long as the run, with the run at guest offset `offset`.
  private func read(_ mapping: Mapping, into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    switch mapping.kind {
    case .unallocated:
      try readBacking(into: &buffer, at: offset)
    case .zero:
      buffer.fill(0..<buffer.byteCount)
    case .data(let hostOffset):
      guard let dataStorage else { throw ImageError("'data-file' is required for this image") }
      try dataStorage.read(into: &buffer, at: hostOffset)
    case .compressed(let data):
      try decompression.read(
        data, from: storage, into: &buffer, at: Int(offset % UInt64(decompression.clusterSize)))
    }
  }
}

/// Reads compressed clusters; keeps the last few that were read in part, because small sequential reads come back.
final class ClusterDecompression: Sendable {
  /// Size of a cluster in bytes.
  let clusterSize: Int
  private let type: Qcow2Header.CompressionType
  private let idle = Mutex<[Workspace]>([])
  private let recent = Mutex<[Recent]>([])
  private static let recentLimit = 4

  /// A decompressed cluster.
  private struct Recent: Sendable {
    var data: CompressedData
    var cluster: SharedBuffer
  }

  /// A buffer that is filled before it is shared, and only read afterwards.
  private final class SharedBuffer: Sendable {
    private let buffer: Buffer
    init(_ buffer: consuming Buffer) { self.buffer = buffer }

    func copy(_ range: Range<Int>, to output: inout MutableRawSpan) { SharedBuffer.copy(buffer, range, to: &output) }

    /// A span of what an object owns cannot leave it; one of a borrowed argument can be used here.
    private static func copy(_ buffer: borrowing Buffer, _ range: Range<Int>, to output: inout MutableRawSpan) {
      output.copy(buffer.bytes.slice(range), at: 0)
    }
  }

  init(_ type: Qcow2Header.CompressionType, clusterSize: Int) {
    self.type = type
    self.clusterSize = clusterSize
  }

  /// Fills `output` with a part of the cluster that `data` describes, beginning `start` bytes into the cluster.
  func read(_ data: CompressedData, from storage: any Storage, into output: inout MutableRawSpan, at start: Int)
    throws(ImageError)
  {
    if start == 0 && output.byteCount == clusterSize {
      return try decompress(data, from: storage, into: &output)
    }
    let range = start..<start + output.byteCount
    if let found = recent.withLock({ $0.first { $0.data == data }?.cluster }) {
      found.copy(range, to: &output)
      return
    }
    var cluster = Buffer(clusterSize)
    var whole = cluster.mutableBytes
    try decompress(data, from: storage, into: &whole)
    output.copy(cluster.bytes.slice(range), at: 0)
    let entry = Recent(data: data, cluster: SharedBuffer(cluster))
    recent.withLock { recent in
      if recent.count >= ClusterDecompression.recentLimit { recent.removeFirst() }
      recent.append(entry)
    }
  }

  /// Forgets clusters: their places in the file may be used anew.
  func forget() { recent.withLock { $0.removeAll() } }

  private func decompress(_ data: CompressedData, from storage: any Storage, into output: inout MutableRawSpan)
    throws(ImageError)
  {
    // A descriptor can name bytes past what any image may have; nothing is there.
    guard data.offset < Qcow2Header.hostOffsetLimit, data.length <= 2 * UInt64(clusterSize) else {
      throw .system(5 /* EIO */)
    }
    let workspace: Workspace
    if let free = idle.withLock({ $0.popLast() }) {
      workspace = free
    } else {
      workspace = try Workspace(type, clusterSize: clusterSize)
    }
    defer { idle.withLock { $0.append(workspace) } }
    try workspace.decompress(data, from: storage, into: &output)
  }

  /// A decompressor with its input buffer. Used by one thread at a time.
  private final class Workspace: @unchecked Sendable {
    // Sendable because it is either in `idle` or with the one thread that took it from there.
    private var input: Buffer
    private let codec: Codec

    private enum Codec {
      case deflate(Inflater)
      case zstd(ZstdDecompressor)
    }

    init(_ type: Qcow2Header.CompressionType, clusterSize: Int) throws(ImageError) {
      // Room for the longest descriptor.
      input = Buffer(2 * clusterSize)
      switch type {
      case .zlib: codec = .deflate(try Inflater())
      case .zstd: codec = .zstd(try ZstdDecompressor())
      }
    }

    func decompress(_ data: CompressedData, from storage: any Storage, into output: inout MutableRawSpan)
      throws(ImageError)
    {
      try Workspace.decompress(data, from: storage, by: codec, through: &input, into: &output)
    }

    /// `input` is lent as an argument, because a span of what an object owns cannot be used within its methods.
    private static func decompress(
      _ data: CompressedData, from storage: any Storage, by codec: Codec, through input: inout Buffer,
      into output: inout MutableRawSpan
    ) throws(ImageError) {
      let count = Int(data.length)
      var bytes = input.mutableBytes
      var target = bytes.slice(0..<count)
      try storage.read(into: &target, at: data.offset)
      let source = input.bytes.slice(0..<count)
      let isWhole: Bool
      switch codec {
      case .deflate(let inflater): isWhole = inflater.inflate(source, into: &output)
      case .zstd(let decompressor): isWhole = decompressor.decompress(source, into: &output)
      }
      guard isWhole else { throw .system(5 /* EIO */, path: storage.name, offset: data.offset) }
    }
  }
}
