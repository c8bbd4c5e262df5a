import Bytes
import Images
import Storage

/// A comparison of two disks (qemu-img-cli-1 §12), done by the copy engine: reading both sides and comparing them is the
/// work, and nothing is written.
public struct Comparison: Sendable {
  /// How two disks compare.
  public enum Outcome: Sendable, Equatable {
    /// The compared range is the same.
    case identical
    /// The first differing 512-byte sector, in bytes.
    case contentMismatch(offset: UInt64)
    /// Strict mode: the first extent that is allocated in another way, in bytes.
    case statusMismatch(offset: UInt64)
  }

  /// What kept two disks from being compared.
  public enum Failure: Error {
    /// The block status of a disk could not be found out: number of the disk (0 or 1), and why.
    case status(Int, ImageError)
    /// A disk could not be read: its number, the piece's offset in bytes, and why.
    case read(Int, offset: UInt64, ImageError)
  }

  let images: [any DiskImage]
  /// Whether the way in which the disks are allocated counts too.
  public var isStrict = false
  /// Called with the number of bytes that have been compared.
  public var completed: (@Sendable (UInt64) -> Void)?

  /// A piece is read and compared at most this long, in bytes.
  static let pieceSize = 2 << 20
  /// Both sides are read in blocks of this many bytes, so that they are still in the processor's cache when compared.
  static let blockSize = 256 << 10

  /// A comparison of two disks.
  public init(_ first: any DiskImage, _ second: any DiskImage) { images = [first, second] }

  /// Compares the bytes of `range`; what lies beyond a disk's end counts as zeros.
  public func run(_ range: Range<UInt64>) throws(Failure) -> Outcome {
    let sink = ComparingSink(images)
    var engine = CopyEngine(bufferSize: 0)
    if let completed {
      engine.completed = { (segment) throws(ImageError) in completed(segment.length) }
    }
    do throws(ImageError) {
      try engine.run(ComparisonSelection(images, range, isStrict: isStrict), from: sink, to: sink)
      return .identical
    } catch {
      // The engine carries only errors: what was found travels as one, told apart by its (impossible) number.
      let offset = error.offset ?? 0
      switch error.errno {
      case Found.content: return .contentMismatch(offset: offset)
      case Found.status: return .statusMismatch(offset: offset)
      default: break
      }
      let side = error.path == Found.second ? 1 : 0
      if error.hint == Found.statusFailure { throw .status(side, ImageError(error.message, errno: error.errno)) }
      throw .read(side, offset: offset, ImageError(error.message, errno: error.errno))
    }
  }

  /// How findings are told apart from failures on their way through the engine.
  enum Found {
    static let content: Int32 = -1
    static let status: Int32 = -2
    static let second = "second"
    static let statusFailure = "status"

    static func at(_ offset: UInt64, _ what: Int32) -> ImageError {
      var error = ImageError("different", errno: what)
      error.offset = offset
      return error
    }

    static func failed(_ error: ImageError, side: Int, at offset: UInt64, isStatus: Bool) -> ImageError {
      var error = error
      error.path = side == 1 ? second : "first"
      error.offset = offset
      error.hint = isStatus ? statusFailure : nil
      return error
    }
  }
}

/// The ranges in which at least one side holds data.
private final class ComparisonSelection: Selection {
  private let images: [any DiskImage]
  private let isStrict: Bool
  private var offset: UInt64
  private let end: UInt64
  private var dataEnd: UInt64

  init(_ images: [any DiskImage], _ range: Range<UInt64>, isStrict: Bool) {
    self.images = images
    self.isStrict = isStrict
    offset = range.lowerBound
    dataEnd = offset
    end = range.upperBound
  }

  func next() throws(ImageError) -> Segment? {
    guard offset < end else { return nil }
    let start = offset
    if start >= dataEnd {
      let (length, holdsData) = try findRun()
      guard holdsData else {
        offset += length
        return Segment(offset: start, length: length, kind: .zero)
      }
      dataEnd = start + length
    }
    offset = min(dataEnd, start + UInt64(Comparison.pieceSize))
    return Segment(offset: start, length: offset - start, kind: .data)
  }

  /// The shorter of what both sides say about the present offset, and whether either holds data there.
  private func findRun() throws(ImageError) -> (UInt64, Bool) {
    var length = end - offset
    var holdsData = false
    var flags: [Extent.Flags] = []
    var hasOffset: [Bool] = []
    for (side, image) in images.enumerated() {
      guard offset < image.virtualSize else { continue }
      let extent: Extent
      do throws(ImageError) {
        extent = try image.chainExtent(at: offset, limit: end - offset).extent
      } catch {
        throw Comparison.Found.failed(error, side: side, at: offset, isStatus: true)
      }
      length = min(length, max(extent.length, 1))
      if extent.flags.contains(.allocated) && !extent.flags.contains(.zero) { holdsData = true }
      // Where the answer came from is no property of the disk.
      flags.append(extent.flags.subtracting(.recurse))
      hasOffset.append(extent.hostOffset != nil)
    }
    if isStrict && flags.count == 2 && (flags[0] != flags[1] || hasOffset[0] != hasOffset[1]) {
      throw Comparison.Found.at(offset, Comparison.Found.status)
    }
    return (length, holdsData)
  }
}

/// Reads both sides block by block and compares them.
private final class ComparingSink: CopySource, CopySink {
  private let images: [any DiskImage]

  init(_ images: [any DiskImage]) { self.images = images }

  /// One block of each side.
  struct Blocks: ~Copyable {
    var first = Buffer(Comparison.blockSize)
    var second = Buffer(Comparison.blockSize)
  }

  // The engine's buffer is not used: a piece is compared block by block.
  func read(into buffer: inout MutableRawSpan, at offset: UInt64) {}
  func makeScratch() -> Blocks { Blocks() }

  func prepare(_ segment: Segment, _ bytes: RawSpan, _ blocks: inout Blocks) throws(ImageError) {
    guard segment.kind == .data else { return }
    var offset = segment.offset
    let end = segment.offset + segment.length
    while offset < end {
      let count = Int(min(end - offset, UInt64(Comparison.blockSize)))
      try read(0, into: &blocks.first, count, at: offset, segment)
      try read(1, into: &blocks.second, count, at: offset, segment)
      let first = blocks.first.bytes.slice(0..<count)
      let second = blocks.second.bytes.slice(0..<count)
      if !first.elementsEqual(second) {
        var sector = 0
        while first.slice(sector..<min(sector + 512, count)).elementsEqual(
          second.slice(sector..<min(sector + 512, count)))
        { sector += 512 }
        throw Comparison.Found.at(offset + UInt64(sector), Comparison.Found.content)
      }
      offset += UInt64(count)
    }
  }

  private func read(
    _ side: Int, into buffer: inout Buffer, _ count: Int, at offset: UInt64, _ segment: Segment
  ) throws(ImageError) {
    var all = buffer.mutableBytes
    var bytes = all.slice(0..<count)
    guard offset < images[side].virtualSize else {
      bytes.fill(0..<count)
      return
    }
    do throws(ImageError) {
      try images[side].read(into: &bytes, at: offset)
    } catch {
      throw Comparison.Found.failed(error, side: side, at: segment.offset, isStatus: false)
    }
  }

  func place(_ segment: Segment, _ prepared: Void, waitForPuts: () throws(ImageError) -> Void) {}
  func put(_ segment: Segment, _ bytes: RawSpan, _ placement: Void, _ blocks: inout Blocks) {}
  func finish() {}
}
