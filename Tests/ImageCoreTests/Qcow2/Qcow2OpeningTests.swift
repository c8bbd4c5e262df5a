import ImageCore
import Synchronization
import Testing

@Suite struct Qcow2Opening {
  private func failure(use: ImageUse = .read, isCheck: Bool = false, _ change: (inout Qcow2ImageBytes) -> Void)
    -> String?
  {
    var image = Qcow2ImageBytes()
    change(&image)
    do {
      _ = try image.open(use: use, isCheck: isCheck)
      return nil
    } catch {
      return error.message
    }
  }

  @Test func sound() throws {
    let image = try Qcow2ImageBytes().open()
    #expect(image.virtualSize == Qcow2ImageBytes.diskSize)
    #expect(image.clusterSize == 4096)
    #expect(image.backingReference == nil)
  }

  /// The texts of qcow2-qcow-qed §14.
  @Test func refusals() {
    #expect(failure { $0.put(UInt32(0), at: 0) } == "Image is not in qcow2 format")
    #expect(failure { $0.put(UInt32(7), at: 4) } == "Unsupported qcow2 version 7")
    #expect(failure { $0.put(UInt32(8), at: 20) } == "Unsupported cluster size: 2^8")
    #expect(failure { $0.put(UInt32(103), at: 100) } == "qcow2 header too short")
    #expect(failure { $0.put(UInt32(4097), at: 100) } == "qcow2 header exceeds cluster size")
    #expect(failure { $0.put(UInt64(4097), at: 8) } == "Invalid backing file offset")
    #expect(failure { $0.put(UInt8(2), at: 104) } == "qcow2: unknown compression type: 2")
    #expect(failure { $0.put(UInt32(7), at: 96) }?.hasPrefix("Reference count entry width too large") == true)
    #expect(failure { $0.put(UInt32(0), at: 56) } == "Image does not contain a reference count table")
    #expect(failure { $0.put(UInt64(1), at: 48) } == "Reference count table offset invalid")
    #expect(failure { $0.put(UInt32(65537), at: 60) } == "Snapshot table too large")
    #expect(failure { $0.put(UInt32(4_194_305), at: 36) } == "Active L1 table too large")
    #expect(failure { $0.put(UInt32(0), at: 36) } == "L1 table is too small")
    #expect(failure { $0.put(UInt32(3), at: 32) } == "Unsupported encryption method 3")
    #expect(failure { $0.put(UInt32(2), at: 32) } == "Missing CRYPTO header for crypt method 2")
    #expect(
      failure { $0.put(UInt64(0x140), at: 72) }
        == "Unsupported qcow2 feature(s): Unknown incompatible feature: 140")
  }

  @Test func checkOpensWhatOthersDoNot() {
    #expect(failure(isCheck: true) { $0.put(UInt32(0), at: 56) } == nil)
    #expect(failure(isCheck: true) { $0.put(UInt32(65537), at: 60) } == nil)
    #expect(
      failure(use: .write) { $0.put(UInt64(2), at: 72) } == "qcow2: Image is corrupt; cannot be opened read/write")
  }

  @Test func aFileThatIsCutReadsAsZeros() throws {
    var bytes = Qcow2ImageBytes()
    bytes.truncate(to: 512)
    let image = try bytes.open()
    #expect(try image.bytes(at: 0, count: 4096) == Array(repeating: 0, count: 4096))
  }

  @Test func unknownExtensionsAreKeptInOrder() throws {
    var bytes = Qcow2ImageBytes()
    bytes.put(UInt32(0x1234_5678), at: 112)
    bytes.put(UInt32(3), at: 116)
    bytes.put(UInt32(0x4142_4300), at: 120)
    bytes.put(UInt32(0x1111_1111), at: 128)
    bytes.put(UInt32(0), at: 132)
    let unknown = try bytes.open().header.extensions.unknown
    #expect(unknown.map(\.magic) == [0x1234_5678, 0x1111_1111])
    #expect(unknown.first?.data == [0x41, 0x42, 0x43])
  }

  @Test func extensionPastTheCluster() {
    #expect(
      failure {
        $0.put(UInt32(0x1234_5678), at: 112)
        $0.put(UInt32(4096), at: 116)
      } == "Header extension too large")
  }
}

@Suite struct Qcow2ReadingTests {
  @Test func dataAndHoles() throws {
    let image = try Qcow2ImageBytes().open()
    let bytes = try image.bytes(at: 4000, count: 10000)
    #expect(Array(bytes[0..<96]) == Array(repeating: 0x11, count: 96))
    #expect(Array(bytes[96..<4192]) == Array(repeating: 0x12, count: 4096))
    #expect(Array(bytes[4192..<8288]) == Array(repeating: 0x13, count: 4096))
    #expect(bytes[8288...].allSatisfy { $0 == 0 })
  }

  @Test func extentsAreMerged() throws {
    let image = try Qcow2ImageBytes().open()
    let data = try image.layerExtent(at: 0, limit: image.virtualSize)
    #expect(data.length == 3 * 4096 && data.flags.contains(.data) && data.hostOffset == 5 * 4096)
    let hole = try image.layerExtent(at: 3 * 4096, limit: image.virtualSize - 3 * 4096)
    #expect(hole.length == Qcow2ImageBytes.diskSize - 3 * 4096 && hole.flags.isEmpty)
  }

  @Test func damageIsToldOnce() throws {
    var bytes = Qcow2ImageBytes()
    bytes.put(UInt64(1) << 63 | 0x5200, at: Qcow2ImageBytes.l2)
    let lines = Mutex<[String]>([])
    let image = try bytes.open { notice in
      if case .line(let line) = notice { lines.withLock { $0.append(line) } }
    }
    for _ in 0..<2 {
      #expect(throws: ImageError.self) { try image.bytes(at: 0, count: 512) }
    }
    #expect(
      lines.withLock { $0 } == [
        "qcow2: Image is corrupt: Cluster allocation offset 0x5200 unaligned (L2 offset: 0x4000, L2 index: 0); "
          + "further non-fatal corruption events will be suppressed"
      ])
    // What is sound can still be read.
    #expect(try image.bytes(at: 4096, count: 1) == [0x12])
  }

  @Test func hugeDisksCostNothing() throws {
    var bytes = Qcow2ImageBytes()
    bytes.put(UInt32(21), at: 20)
    bytes.put(UInt64(2) << 60, at: 24)
    bytes.put(UInt32(4_194_304), at: 36)
    bytes.put(UInt64(1) << 30, at: 40)
    bytes.put(UInt64(1) << 21, at: 48)
    let image = try bytes.open()
    let hole = try image.layerExtent(at: 0, limit: image.virtualSize)
    #expect(hole.length == image.virtualSize)
  }
}
