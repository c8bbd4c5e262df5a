import Bytes

/// Follows the commands of a special image's body (spec §14.2) through its bytes as they come, in pieces of any size.
package struct BodyParser: Sendable {
  /// Bytes of a cluster, or of a part of one, that a piece holds.
  package struct Payload: Sendable, Equatable {
    /// Where they are in the piece.
    package var bytes: Range<Int>
    /// Where they belong on the volume.
    package var offset: UInt64

    package init(bytes: Range<Int>, offset: UInt64) {
      self.bytes = bytes
      self.offset = offset
    }
  }

  /// What a piece holds.
  package struct Contents: Sendable {
    package var payloads: [Payload] = []
    /// Clusters that were completed.
    package var clusters: UInt64 = 0
    /// Clusters that were left out.
    package var skipped: UInt64 = 0
    package init() {}
  }

  private enum State {
    case command
    case gap(read: Int, value: UInt64)
    case payload(left: Int)
    case end
  }

  private let header: NtfscloneHeader
  /// Positions in messages count from here: the body's place in the image, or from −1 where the input has no positions.
  private let isSeekable: Bool
  /// To a stream nothing can be written twice, and nothing left out at its beginning.
  private let isStrictlyAscending: Bool
  private var state = State.command
  private var position: UInt64 = 0
  private var inputOffset: UInt64

  package init(_ header: NtfscloneHeader, isSeekable: Bool, isStrictlyAscending: Bool) {
    self.header = header
    self.isSeekable = isSeekable
    self.isStrictlyAscending = isStrictlyAscending
    inputOffset = header.bodyOffset
  }

  /// Whether the body is complete.
  package var isAtEnd: Bool { if case .end = state { true } else { false } }
  /// Whether an image without the backup boot sector may end here.
  package var lacksOnlyBackup: Bool {
    if case .command = state { position == header.clusterCount } else { false }
  }

  /// Takes the next bytes; those behind the body's end are ignored.
  ///
  /// - Throws: errors with `errno` 0 for what the body has wrong.
  package mutating func parse(_ bytes: RawSpan) throws(ImageError) -> Contents {
    var contents = Contents()
    try parse(bytes, into: &contents)
    return contents
  }

  /// As above; what was found before an error is in `contents`.
  package mutating func parse(_ bytes: RawSpan, into contents: inout Contents) throws(ImageError) {
    var offset = 0
    loop: while offset < bytes.byteCount {
      switch state {
      case .end: break loop
      case .command:
        let code = bytes[offset]
        offset += 1
        switch code {
        case 0: state = .gap(read: 0, value: 0)
        case 1:
          begin(&contents)
        default:
          let place = isSeekable ? inputOffset + UInt64(offset) - 1 : UInt64(bitPattern: -2)
          throw ImageError(
            "Invalid command code \(Int8(bitPattern: code)) at input offset 0x\(String(place, radix: 16))", errno: 0)
        }
      case .gap(let read, let value):
        let value = value | UInt64(bytes[offset]) << UInt64(8 * read)
        offset += 1
        if read < 7 {
          state = .gap(read: read + 1, value: value)
        } else {
          contents.skipped += try skip(Int64(bitPattern: value), end: inputOffset + UInt64(offset))
          state = .command
        }
      case .payload(let left):
        let count = min(left, bytes.byteCount - offset)
        let done = header.length(of: position) - left
        contents.payloads.append(
          Payload(
            bytes: offset..<offset + count, offset: position * UInt64(header.clusterSize) + UInt64(done)))
        offset += count
        if count == left { endCluster(&contents) } else { state = .payload(left: left - count) }
      }
    }
    inputOffset += UInt64(offset)
  }

  private mutating func begin(_ contents: inout Contents) {
    let length = header.length(of: position)
    if length > 0 { state = .payload(left: length) } else { endCluster(&contents) }
  }

  private mutating func endCluster(_ contents: inout Contents) {
    contents.clusters += 1
    position += 1
    state = position > header.clusterCount ? .end : .command
  }

  /// - Parameter end: position in the image behind the command.
  /// - Returns: the number of clusters passed over.
  private mutating func skip(_ count: Int64, end: UInt64) throws(ImageError) -> UInt64 {
    // The input's own position, or lseek's answer where it has none.
    let told = isSeekable ? Int64(clamping: end) : -1
    guard count != 0 else {
      let place = String(UInt64(bitPattern: told - 9), radix: 16)
      throw ImageError("Bad offset at input location 0x\(place)", errno: 0)
    }
    if isStrictlyAscending, position == 0 || count < 0 {
      throw ImageError("Cannot restore a metadata image to stdout", errno: 0)
    }
    let (sum, overflow) = Int64(position).addingReportingOverflow(count)
    guard !overflow, sum >= 0, UInt64(sum) <= header.clusterCount else {
      throw ImageError("restore_image: corrupt image at input offset \(told - 9)", errno: 0)
    }
    position = UInt64(sum)
    return UInt64(max(count, 0))
  }
}
