import Foundation

/// File work that keeps holes: the images of the tests are mostly empty, and where their holes are matters.
enum Folders {
  // The Glibc module leaves these out: their macros need _GNU_SOURCE.
  private static let seekData: Int32 = 3
  private static let seekHole: Int32 = 4

  /// Copies the files of `source` (or only those in `chosen`) into `target`, holes included. Symbolic links are copied
  /// as links.
  static func copy(_ source: URL, to target: URL, only chosen: Set<String>? = nil) throws {
    try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
    for name in try names(in: source) where chosen?.contains(name) ?? true {
      let from = source.appendingPathComponent(name).path
      let to = target.appendingPathComponent(name).path
      var information = stat()
      guard lstat(from, &information) == 0 else { throw HarnessError("\(from): \(String(cString: strerror(errno)))") }
      switch information.st_mode & S_IFMT {
      case S_IFDIR: try copy(URL(fileURLWithPath: from), to: URL(fileURLWithPath: to))
      case S_IFREG: try copyFile(from, to, mode: information.st_mode & 0o7777)
      case S_IFIFO: mkfifo(to, 0o644)
      default:
        let link = try FileManager.default.destinationOfSymbolicLink(atPath: from)
        try FileManager.default.createSymbolicLink(atPath: to, withDestinationPath: link)
      }
    }
  }

  /// Sorted names of a folder's entries.
  static func names(in folder: URL) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
  }

  private static func copyFile(_ from: String, _ to: String, mode: mode_t) throws {
    let input = open(from, O_RDONLY)
    let output = open(to, O_RDWR | O_CREAT | O_TRUNC, mode)
    defer {
      close(input)
      close(output)
    }
    guard input >= 0, output >= 0 else { throw HarnessError("cannot copy \(from) to \(to)") }
    var information = stat()
    guard fstat(input, &information) == 0, ftruncate(output, information.st_size) == 0 else {
      throw HarnessError("cannot size \(to): \(String(cString: strerror(errno)))")
    }
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    for range in dataRanges(input, length: information.st_size) {
      var offset = range.lowerBound
      while offset < range.upperBound {
        let wanted = Int(min(range.upperBound - offset, off_t(buffer.count)))
        let count = pread(input, &buffer, wanted, offset)
        guard count > 0, pwrite(output, buffer, count, offset) == count else {
          throw HarnessError("cannot copy \(from) to \(to): \(String(cString: strerror(errno)))")
        }
        offset += off_t(count)
      }
    }
  }

  /// The ranges of a file that are not holes.
  static func dataRanges(_ descriptor: Int32, length: off_t) -> [Range<off_t>] {
    var ranges: [Range<off_t>] = []
    var offset: off_t = 0
    while offset < length {
      let start = lseek(descriptor, offset, seekData)
      if start < 0 { break }
      let end = lseek(descriptor, start, seekHole)
      ranges.append(start..<(end < 0 ? length : end))
      offset = end < 0 ? length : end
    }
    return ranges
  }

  /// `nil` when both files have the same length and bytes, else what differs first.
  static func difference(_ first: String, _ second: String) throws -> String? {
    let one = open(first, O_RDONLY)
    let two = open(second, O_RDONLY)
    defer {
      close(one)
      close(two)
    }
    var a = stat()
    var b = stat()
    guard one >= 0, two >= 0, fstat(one, &a) == 0, fstat(two, &b) == 0 else {
      throw HarnessError("cannot open \(first) and \(second)")
    }
    var report: [String] = []
    if a.st_size != b.st_size { report.append("length \(a.st_size) became \(b.st_size)") }
    // Where both have holes there is nothing to compare.
    let ranges = (dataRanges(one, length: a.st_size) + dataRanges(two, length: b.st_size)).sorted {
      $0.lowerBound < $1.lowerBound
    }
    var position: off_t = 0
    var left = [UInt8](repeating: 0, count: 1 << 18)
    var right = left
    for range in ranges {
      position = max(position, range.lowerBound)
      while position < range.upperBound {
        let wanted = Int(min(range.upperBound - position, off_t(left.count)))
        let gotLeft = max(0, pread(one, &left, wanted, position))
        let gotRight = max(0, pread(two, &right, wanted, position))
        let common = min(gotLeft, gotRight)
        if memcmp(left, right, common) != 0 {
          let index = (0..<common).first { left[$0] != right[$0] } ?? 0
          let from = index & ~15
          let dump = { (bytes: [UInt8]) in
            bytes[from..<min(from + 32, common)].map { String(format: "%02x", $0) }.joined(separator: " ")
          }
          report.append(
            "first difference at \(position + off_t(index)), from \(position + off_t(from)):\n"
              + "      - \(dump(left))\n      + \(dump(right))")
          return report.joined(separator: "; ")
        }
        if common < wanted { break }
        position += off_t(wanted)
      }
    }
    return report.isEmpty ? nil : report.joined(separator: "; ")
  }
}
