import Foundation

/// A qcow2 image without what differs for no reason that matters: clusters that nothing refers to, which keep whatever was
/// in them, and the dates of snapshots.
struct UsedClusters {
  private(set) var bytes: [UInt8]

  /// Reads an image; other files are taken as they are. Files of tests are small.
  init(path: String) throws {
    bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    guard bytes.count >= 104, bytes.starts(with: [0x51, 0x46, 0x49, 0xFB]) else { return }
    forgetDates()
    forgetFreeClusters()
  }

  /// `nil` when both hold the same.
  static func difference(_ first: String, _ second: String) throws -> String? {
    let (one, two) = (try UsedClusters(path: first).bytes, try UsedClusters(path: second).bytes)
    if one == two { return nil }
    let place = zip(one, two).enumerated().first { $0.element.0 != $0.element.1 }?.offset
    return "clusters in use: length \(one.count) became \(two.count), first difference at "
      + (place.map { String($0, radix: 16) } ?? "the end")
  }

  private func number(_ offset: Int, _ width: Int) -> Int {
    guard offset >= 0, offset <= bytes.count - width else { return 0 }
    return bytes[offset..<offset + width].reduce(0) { $0 &<< 8 | Int($1) }
  }

  private mutating func forgetDates() {
    var offset = number(64, 8)
    for _ in 0..<min(number(60, 4), 1000) {
      offset = (offset + 7) & ~7
      guard offset >= 0, offset + 40 <= bytes.count else { return }
      for index in offset + 16..<offset + 24 { bytes[index] = 0 }
      offset += 40 + number(offset + 12, 2) + number(offset + 14, 2) + number(offset + 36, 4)
    }
  }

  private mutating func forgetFreeClusters() {
    let size = 1 << max(9, min(number(20, 4), 21))
    let order = number(4, 4) >= 3 ? min(number(96, 4), 6) : 4
    let perBlock = (size * 8) >> order
    let table = number(48, 8)
    for cluster in 0..<(bytes.count + size - 1) / size {
      let block = number(table + cluster / perBlock * 8, 8) & ~0x1FF
      let bit = (cluster % perBlock) << order
      let isUsed =
        order >= 3
        ? number(block + bit / 8, 1 << (order - 3)) != 0
        : number(block + bit / 8, 1) >> (bit % 8) & ((1 << (1 << order)) - 1) != 0
      if block != 0 && isUsed { continue }
      for index in cluster * size..<min((cluster + 1) * size, bytes.count) { bytes[index] = 0 }
    }
  }
}
