import Foundation

/// Where the tools under test and the reference tools are, and where the cases run.
struct Tools: Sendable {
  let tool: String
  let reference: String
  let ours: String
  /// PATH with the reference tools first, for setup steps and for `sh` commands of the reference's side.
  let referencePath: String
  let oursPath: String
  let workFolder: URL
  /// TOOLS_DIR points at the reference: the harness compares the reference with itself, deviations do not apply.
  var isSelfTest: Bool { reference == ours }

  private static let environment = ProcessInfo.processInfo.environment

  /// - Parameter tool: the executable's name, e.g. `qemu-img`.
  init(tool: String) throws {
    self.tool = tool
    let systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    let folders = (Self.environment["REFERENCE_DIR"] ?? systemPath).split(separator: ":").map(String.init)
    let candidates = folders.map { $0 + "/" + tool }
    guard let reference = candidates.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
      throw HarnessError("the reference \(tool) is not installed (looked for \(candidates.joined(separator: ", ")))")
    }
    // The test bundle lies beside the products.
    let products = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let toolsFolder =
      Self.environment["TOOLS_DIR"] ?? URL(fileURLWithPath: products).deletingLastPathComponent().path
    let ours = toolsFolder + "/" + tool
    guard FileManager.default.isExecutableFile(atPath: ours) else {
      throw HarnessError("\(ours) does not exist: build it first, or set TOOLS_DIR")
    }
    self.reference = URL(fileURLWithPath: reference).resolvingSymlinksInPath().path
    self.ours = URL(fileURLWithPath: ours).resolvingSymlinksInPath().path
    self.workFolder = tool == "o2image" || tool == "ntfsclone" ? Self.memoryWorkFolder : Self.sharedWorkFolder

    // `sh` commands name the tool without a path: each side gets a folder with nothing but a link to its tool.
    func path(_ side: String, _ target: String) throws -> String {
      let folder = Self.sharedWorkFolder.appendingPathComponent("bin-\(side)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      let link = folder.appendingPathComponent(tool)
      if !FileManager.default.fileExists(atPath: link.path) {
        try? FileManager.default.createSymbolicLink(atPath: link.path, withDestinationPath: target)
      }
      return folder.path + ":" + systemPath
    }
    self.referencePath = try path("reference", self.reference)
    self.oursPath = try path("ours", self.ours)
  }

  /// A folder in memory for tools that read or write a block at a time, past the page cache or not: thirty times as fast as
  /// on a disk that others use as well. The shared one where memory is scarce, or cannot be read past the page cache.
  static let memoryWorkFolder: URL = {
    guard environment["CONFORMANCE_DIR"] == nil else { return sharedWorkFolder }
    var facts = statvfs()
    guard statvfs("/dev/shm", &facts) == 0, UInt64(facts.f_bavail) * UInt64(facts.f_frsize) >= 4 << 30 else {
      return sharedWorkFolder
    }
    var template = Array("/dev/shm/conformance.XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer { buffer in
      buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
    }
    guard let made else { return sharedWorkFolder }
    let directFlag: Int32 = 0x4000
    let probe = open(made + "/probe", O_RDWR | O_CREAT | directFlag, 0o600)
    guard probe >= 0 else {
      try? FileManager.default.removeItem(atPath: made)
      return sharedWorkFolder
    }
    close(probe)
    unlink(made + "/probe")
    return URL(fileURLWithPath: made)
  }()

  /// One folder for the whole run; failing cases leave their folders in it.
  static let sharedWorkFolder: URL = {
    let parent = environment["CONFORMANCE_DIR"] ?? environment["TMPDIR"] ?? "/tmp"
    var template = Array((parent + "/conformance.XXXXXX").utf8CString)
    let made = template.withUnsafeMutableBufferPointer { buffer in
      buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
    }
    return URL(fileURLWithPath: made ?? parent)
  }()
}
