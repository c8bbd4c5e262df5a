import Bytes
import Foundation
import Synchronization
import TestSupport
import Testing
import Threads

@testable import Storage

/// Files in /dev/shm, which is a tmpfs everywhere.
struct MemoryFileLaneTests {
  private func withFile(_ body: (String) throws -> Void) throws {
    let path = "/dev/shm/MemoryFileLaneTests-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: path) }
    try body(path)
  }

  @Test func whatManyThreadsWriteIsAllThere() throws {
    try withFile { path in
      let size = 24 << 20
      let file = try FileStorage(
        path: path, flags: O_RDWR | O_CREAT, cache: .writeback, kind: .regular, locking: false)
      try file.resize(to: UInt64(size))
      // Pieces of any length, one behind the other, so that they begin and end within pages.
      var random = SplitMix64(seed: 7)
      var pieces: [Range<Int>] = []
      while let start = pieces.last?.upperBound ?? 0 as Int?, start < size {
        pieces.append(start..<min(size, start + Int.random(in: 1...(700 << 10), using: &random)))
      }
      let next = Atomic<Int>(0)
      let failures = Atomic<Int>(0)
      Crew.run(4, atMost: 4) { [pieces] _ in
        while true {
          let index = next.add(1, ordering: .relaxed).oldValue
          guard index < pieces.count else { return }
          let bytes = pieces[index].map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 13) }
          do throws(ImageError) {
            try file.write(bytes, at: UInt64(pieces[index].lowerBound))
          } catch {
            failures.add(1, ordering: .relaxed)
          }
        }
      }
      #expect(failures.load(ordering: .relaxed) == 0)
      let contents = try #require(FileManager.default.contents(atPath: path))
      #expect(contents.count == size)
      #expect(contents.enumerated().allSatisfy { $1 == UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 13) })
    }
  }

  @Test func onlyMissingPagesAreFilled() throws {
    try withFile { path in
      let size = 1 << 20
      let file = try FileStorage(path: path, flags: O_RDWR | O_CREAT, cache: .writeback, kind: .regular, locking: false)
      try file.resize(to: UInt64(size))
      let lane = MemoryFileLane(file.number)
      let page = Int(getpagesize())
      let bytes = [UInt8](repeating: 5, count: 16 * page)
      func stored(at offset: Int, _ count: Int? = nil) -> Range<Int> {
        lane.store(bytes.rawBytes.slice(0..<(count ?? bytes.count)), at: UInt64(offset), fileLength: UInt64(size))
      }
      #expect(stored(at: 100) == page - 100..<16 * page - 100)
      #expect(try file.readArray(at: UInt64(page - 1), count: 3) == [0, 5, 5])
      #expect(try file.readArray(at: UInt64(16 * page - 1), count: 3) == [5, 0, 0])
      // A page that is there stays as it is, and ends what can be done.
      try file.write([7], at: UInt64(40 * page))
      #expect(stored(at: 32 * page) == 0..<8 * page)
      #expect(try file.readArray(at: UInt64(40 * page - 1), count: 3) == [5, 7, 0])
      // Within a page there is nothing to fill.
      #expect(stored(at: 64 * page + 1, page).isEmpty)
      #expect(stored(at: 64 * page - 1, page).isEmpty)
      // Behind the end of the file as it was when it was mapped, and where it has been cut short since: no signal.
      #expect(stored(at: size - 8 * page).isEmpty)
      try #require(FileHandle(forWritingAtPath: path)).truncate(atOffset: 0)
      #expect(stored(at: size / 2).isEmpty)
    }
  }

  @Test func otherFileSystemsHaveNone() throws {
    let file = try FileStorage(path: "/proc/self/exe", writable: false)
    let bytes = [UInt8](repeating: 1, count: 1 << 20)
    #expect(MemoryFileLane(file.number).store(bytes.rawBytes, at: 0, fileLength: 1 << 20).isEmpty)
  }
}
