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
        path: path, flags: O_RDWR | O_CREAT, cache: .writeback, kind: .regular, locking: false, manyWriters: true)
      try file.resize(to: UInt64(size))
      // Pieces of any length, one behind the other, so that windows end within some of them.
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

  @Test func aFileThatWasCutShortIsRefusedWithoutASignal() throws {
    try withFile { path in
      let size = 1 << 20
      let file = try FileStorage(path: path, flags: O_RDWR | O_CREAT, cache: .writeback, kind: .regular, locking: false)
      try file.resize(to: UInt64(size))
      let lane = try #require(MemoryFileLane(file.number))
      let bytes = [UInt8](repeating: 5, count: 256 << 10)
      func isStored(at offset: Int) -> Bool { lane.store(bytes.rawBytes, at: UInt64(offset)) }
      #expect(isStored(at: 100))
      #expect(try file.readArray(at: 99, count: 3) == [0, 5, 5])
      try #require(FileHandle(forWritingAtPath: path)).truncate(atOffset: 0)
      #expect(!isStored(at: size / 2))
      // Once refused, it is not tried again.
      try file.resize(to: UInt64(size))
      #expect(!isStored(at: 0))
    }
  }

  @Test func otherFileSystemsHaveNone() throws {
    let file = try FileStorage(path: "/proc/self/exe", writable: false)
    #expect(MemoryFileLane(file.number) == nil)
  }
}
