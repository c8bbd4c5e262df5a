import ImageCore

/// A QCOW2 image as source (`-r`): its disk is written as a raw image, whatever is on it (ext4-e2image §10.2).
struct Qcow2Source {
  private let name: String
  private let image: any DiskImage
  private let arguments: Arguments
  private let voice: Voice

  private static let magic: UInt32 = 0x5146_49FB

  /// Opens the source if it is a QCOW2 image of version 2 or 3; nil for anything else.
  static func open(_ name: String, _ arguments: Arguments, _ voice: Voice) throws(Stop) -> Qcow2Source? {
    guard let storage = try? openSource(name), storage.length >= 72,
      let head = try? storage.readArray(at: 0, count: 72),
      head.rawBytes.bigEndian(at: 0, as: UInt32.self) == magic,
      (2...3).contains(head.rawBytes.bigEndian(at: 4, as: UInt32.self))
    else { return nil }
    try check(head.rawBytes, name)
    let opener = ImageOpener.standard { notice in
      switch notice {
      case .warning(let text): voice.warn(text)
      case .error(let text): voice.report(ImageError(text))
      case .line(let text): voice.note(text)
      }
    }
    var options = OpenOptions()
    options.format = "qcow2"
    options.forceShare = true
    options.readsDiskOnly = true
    do throws(ImageError) {
      let image = try opener.openWithoutPrefix(name, options)
      try checkTables(head.rawBytes, storage)
      return Qcow2Source(name: name, image: image, arguments: arguments, voice: voice)
    } catch {
      throw .failure(failure(error, name, arguments))
    }
  }

  /// Checks what there are words for.
  private static func check(_ head: RawSpan, _ name: String) throws(Stop) {
    func u32(_ offset: Int) -> UInt32 { head.bigEndian(at: offset) }
    let bits = u32(20)
    guard u32(32) == 0 else { throw .finished("Image (\(name)) is encrypted") }
    let corrupted = Stop.finished("Image (\(name)) is corrupted")
    guard (9...21).contains(bits) else { throw corrupted }
    let clusterSize = UInt64(1) << UInt64(bits)
    let size: UInt64 = head.bigEndian(at: 24)
    guard head.bigEndian(at: 40, as: UInt64.self) % clusterSize == 0, size % 512 == 0,
      UInt64(u32(36)) <= (size >> (2 * UInt64(bits) - 3)).saturatingAdd(clusterSize)
    else { throw corrupted }
  }

  /// Checks that the L1 table and the L2 tables that it names are in the file: what lies behind the end reads as zeros,
  /// and would pass for a disk without data.
  private static func checkTables(_ head: RawSpan, _ storage: any Storage) throws(ImageError) {
    let clusterSize = UInt64(1) << UInt64(head.bigEndian(at: 20, as: UInt32.self))
    let size: UInt64 = head.bigEndian(at: 24)
    let count = min(
      UInt64(head.bigEndian(at: 36, as: UInt32.self)), size.dividedUp(by: clusterSize * clusterSize / 8))
    let offset: UInt64 = head.bigEndian(at: 40)
    guard offset.saturatingAdd(count * 8) <= storage.length else { throw ExtError.shortRead }
    let table = try storage.readArray(at: offset, count: Int(count * 8))
    for index in 0..<Int(count) {
      let entry = table.rawBytes.bigEndian(at: index * 8, as: UInt64.self) & 0x00FF_FFFF_FFFF_FE00
      guard entry == 0 || entry.saturatingAdd(clusterSize) <= storage.length else { throw ExtError.shortRead }
    }
  }

  private static func failure(_ error: ImageError, _ name: String, _ arguments: Arguments) -> ImageError {
    error.suffixed("while trying to convert qcow2 image (\(name)) into raw image (\(arguments.image))")
  }

  /// Writes the disk.
  func convert() throws(Stop) {
    if arguments.isDryRun {
      let selection = DiskSelection(image)
      let size = image.clusterSize ?? 65536
      try converting { () throws(ImageError) in
        while let segment = try selection.next() {
          guard segment.kind == .data else { continue }
          for block in segment.offset / size..<(segment.offset + segment.length).dividedUp(by: size) {
            voice.line("Writing block \(block)")
          }
        }
      }
      return
    }
    let start = arguments.targetOffset
    guard !arguments.isToStandardOutput || start == 0 else { throw .finished("seek_set: Illegal seek") }
    let target = try stopping("while trying to open \(arguments.image)") { () throws(ImageError) in
      try ImageTarget(arguments.image, sources: image.layers.compactMap(\.storage.identity), empties: start == 0)
    }
    try target.finishing(arguments.image) { () throws(Stop) in
      try converting { () throws(ImageError) in
        if start > 0, let file = target.file, file.growsWithZeros {
          let end = min(file.length, start.saturatingAdd(image.virtualSize))
          if start < end { try file.zero(start..<end, mayUnmap: true) }
        }
        let sink = ExtRawSink(
          target.output, at: start, blockSize: 4096, byteCount: image.virtualSize,
          zeros: target.file.map { $0.growsWithZeros } ?? true ? .left : .written, namesBlocks: false)
        let engine = CopyEngine(bufferSize: ExtBlockSelection.pieceSize)
        try engine.run(DiskSelection(image), from: ConcatenatedImages([image]), to: sink)
      }
    }
  }

  private func converting(_ body: () throws(ImageError) -> Void) throws(Stop) {
    do throws(ImageError) {
      try body()
    } catch {
      throw .failure(Qcow2Source.failure(error, name, arguments))
    }
  }
}

/// The whole of a disk, its layers below included; data that the file does not have is an error.
private final class DiskSelection: Selection {
  private let image: any DiskImage
  private var offset: UInt64 = 0

  init(_ image: any DiskImage) { self.image = image }

  func next() throws(ImageError) -> Segment? {
    guard offset < image.virtualSize else { return nil }
    let limit = min(image.virtualSize - offset, UInt64(ExtBlockSelection.pieceSize))
    let extent = try image.chainExtent(at: offset, limit: limit).extent
    let length = max(1, min(extent.length, limit))
    let isData = extent.flags.contains(.data) && !extent.flags.contains(.zero)
    if isData, let place = extent.hostOffset, let host = extent.host, place.saturatingAdd(length) > host.length {
      throw ExtError.shortRead
    }
    defer { offset += length }
    return Segment(offset: offset, length: length, kind: isData ? .data : .zero)
  }
}
