import Bytes
import Foundation
import Testing

@testable import Storage

/// A file in a folder of its own, removed at the end.
private final class Scratch {
  let folder: String
  var path: String { folder + "/image" }

  init(_ contents: [UInt8]? = []) {
    folder = NSTemporaryDirectory() + "FileStorageTests-" + UUID().uuidString
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    if let contents { _ = FileManager.default.createFile(atPath: path, contents: Data(contents)) }
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  var contents: [UInt8] { FileManager.default.contents(atPath: path).map(Array.init) ?? [] }
}

private func message(_ body: () throws(ImageError) -> Void) -> String? {
  do throws(ImageError) { try body() } catch { return error.message }
  return nil
}

struct FileStorageTests {
  @Test func readsPastTheEndAsZeros() throws {
    let scratch = Scratch([1, 2, 3])
    let file = try FileStorage(path: scratch.path, writable: false)
    #expect(file.length == 3)
    #expect(try file.readArray(at: 1, count: 5) == [2, 3, 0, 0, 0])
    #expect(try file.readArray(at: 1 << 62, count: 2) == [0, 0])
    #expect(try file.readArray(at: .max - 1, count: 4) == [0, 0, 0, 0])
  }

  /// Zeros would pass for what the file has held.
  @Test func saysThatTheFileWasCut() throws {
    let scratch = Scratch([UInt8](repeating: 9, count: 16384))
    let file = try FileStorage(path: scratch.path, writable: false)
    #expect(unsafe truncate(scratch.path, 5000) == 0)
    #expect(try file.readArray(at: 4000, count: 1000) == [UInt8](repeating: 9, count: 1000))
    #expect(throws: ImageError.self) { try file.readArray(at: 4096, count: 4096) }
    #expect(throws: ImageError.self) { try file.dataStart(at: 8192, limit: 4096) }
    var buffer = Buffer(8192)
    #expect(throws: ImageError.self) {
      var bytes = buffer.mutableBytes
      try file.read(into: &bytes, places: [0..<4096, 4096..<8192], at: 0)
    }
    // Nothing has ever been behind the end.
    #expect(try file.readArray(at: 16384, count: 3) == [0, 0, 0])
    // A file that became longer, by us or by others, has lost nothing.
    let own = try FileStorage(path: scratch.path, writable: true)
    try own.resize(to: 100)
    #expect(try own.readArray(at: 99, count: 3) == [9, 0, 0])
  }

  @Test(arguments: [CacheMode.writeback, .none, .unsafe])
  func writesAtAnyOffset(cache: CacheMode) throws {
    var model = [UInt8]((0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* 7) })
    let scratch = Scratch(model)
    let file: FileStorage
    do throws(ImageError) {
      file = try FileStorage(path: scratch.path, writable: true, cache: cache)
    } catch {
      // Some file systems (an old tmpfs) refuse O_DIRECT; everything else is a failure.
      #expect(cache.isDirect && error.errno == 22)
      return
    }
    for (offset, count) in [(0, 1), (511, 3), (4095, 2), (5000, 4096), (8192, 4096), (19_999, 5), (30_000, 1)] {
      let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: count &+ offset), count: count)
      try file.write(bytes, at: UInt64(offset))
      if model.count < offset + count { model += [UInt8](repeating: 0, count: offset + count - model.count) }
      model.replaceSubrange(offset..<offset + count, with: bytes)
      #expect(file.length == UInt64(model.count))
    }
    try file.flush()
    #expect(try file.readArray(at: 4000, count: 5000) == Array(model[4000..<9000]))
    #expect(scratch.contents == model)
  }

  /// Threads that write different parts of the same block do not undo each other's, nor what lies behind.
  @Test(arguments: ["none", "directsync", "writeback"].compactMap { CacheMode($0) }) func neighboursInOneBlock(
    cache: CacheMode
  ) async throws {
    let scratch = Scratch([UInt8](repeating: 0, count: 5000))
    let file: FileStorage
    do throws(ImageError) {
      file = try FileStorage(path: scratch.path, writable: true, cache: cache)
    } catch {
      #expect(cache.isDirect && error.errno == 22)
      return
    }
    await withTaskGroup { group in
      for worker in 0..<8 {
        group.addTask {
          for piece in stride(from: worker, to: 400, by: 8) {
            try? file.write([UInt8](repeating: UInt8(piece % 251 + 1), count: 700), at: UInt64(piece * 700))
          }
        }
      }
    }
    try file.flush()
    var model: [UInt8] = []
    for piece in 0..<400 { model += [UInt8](repeating: UInt8(piece % 251 + 1), count: 700) }
    #expect(scratch.contents == model)
  }

  @Test func zeroesDiscardsAndResizes() throws {
    let scratch = Scratch([UInt8](repeating: 9, count: 16384))
    let file = try FileStorage(path: scratch.path, writable: true)
    try file.zero(100..<200, mayUnmap: false)
    try file.zero(4096..<12288, mayUnmap: true)
    try file.zero(16000..<20000, mayUnmap: true)
    var model = [UInt8](repeating: 9, count: 16384) + [UInt8](repeating: 0, count: 20000 - 16384)
    for range in [100..<200, 4096..<12288, 16000..<20000] {
      model.replaceSubrange(range, with: repeatElement(0, count: range.count))
    }
    #expect(scratch.contents == model)
    try file.resize(to: 5)
    #expect(file.length == 5)
    try file.allocate(0..<8192)
    #expect(scratch.contents == [9, 9, 9, 9, 9] + [UInt8](repeating: 0, count: 8187))
  }

  @Test func findsHoles() throws {
    let scratch = Scratch([])
    let file = try FileStorage(path: scratch.path, writable: true)
    try file.resize(to: 1 << 20)
    try file.write([UInt8](repeating: 1, count: 65536), at: 1 << 18)
    var extents: [(UInt64, Bool)] = []
    var offset: UInt64 = 0
    while offset < file.length {
      let extent = try file.extent(at: offset, limit: file.length - offset)
      extents.append((extent.length, extent.isData))
      offset += extent.length
    }
    #expect(extents.map(\.0) == [1 << 18, 65536, (1 << 20) - (1 << 18) - 65536])
    #expect(extents.map(\.1) == [false, true, false])
    #expect(try file.extent(at: 2 << 20, limit: 10) == StorageExtent(length: 10, isData: false))
  }

  @Test func refusesWhatIsNoImage() {
    let scratch = Scratch(nil)
    let path = scratch.path
    #expect(
      message { () throws(ImageError) in _ = try FileStorage(path: "", writable: false) }
        == "The 'file' block driver requires a file name")
    #expect(
      message { () throws(ImageError) in _ = try FileStorage(path: path, writable: false) }
        == "Could not open '\(path)': No such file or directory")
    let folder = scratch.folder
    #expect(
      message { () throws(ImageError) in _ = try FileStorage(path: folder, writable: false) }
        == "'file' driver requires '\(folder)' to be a regular file")
    #expect(
      message { () throws(ImageError) in _ = try FileStorage(path: "/dev/null", writable: false, kind: .regular) }
        == "'file' driver requires '/dev/null' to be a regular file")
    _ = unsafe mkfifo(path, 0o600)
    #expect(
      message { () throws(ImageError) in _ = try FileStorage(path: path, writable: false) }
        == "'file' driver requires '\(path)' to be a regular file")
  }

  @Test func locksExcludeAsTheTableSays() throws {
    let scratch = Scratch([0])
    let path = scratch.path
    let writer = try FileStorage(path: path, writable: true)
    let other = try FileStorage(path: path, writable: true)
    try writer.lock(.write)
    #expect(message { () throws(ImageError) in try other.lock(.read) } == "Failed to get shared \"write\" lock")
    #expect(message { () throws(ImageError) in try other.lock(.write) } == "Failed to get \"write\" lock")
    #expect(message { () throws(ImageError) in try other.lock(.create) } == "Failed to get \"write\" lock")
    #expect(message { () throws(ImageError) in try other.lock(.shared) } == nil)
    try writer.lock(.read)
    #expect(message { () throws(ImageError) in try other.lock(.read) } == nil)
    #expect(message { () throws(ImageError) in try writer.lock(.write) } == "Failed to get \"write\" lock")
    try other.lock(.none)
    #expect(message { () throws(ImageError) in try writer.lock(.write) } == nil)
  }

  @Test func copiesWithinTheKernel() throws {
    let contents = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let from = Scratch(contents)
    let to = Scratch([])
    let source = try FileStorage(path: from.path, writable: false)
    let target = try FileStorage(path: to.path, writable: true)
    switch try target.copy(from: source, 1000..<90_000, at: 0) {
    case .copied(let count):
      #expect(count == 89_000)
      #expect(to.contents == Array(contents[1000..<90_000]))
    case .refused:
      #expect(to.contents.isEmpty)
    }
  }
}
