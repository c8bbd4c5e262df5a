import Testing

/// Our `o2image` beside the reference.
///
/// The reference leaves stale memory in its images; MALLOC_PERTURB_=255 makes that memory zeros (ocfs2-o2image §21), and
/// the creation time of a packed image is overwritten before the files are compared.
@Suite struct O2imageConformance {
  @Test func commandLine() async throws {
    try await Conformance.compare("o2image", table: "o2image-command-line", o2imageCommandLineCases)
  }

  @Test func devices() async throws {
    try await Conformance.compare("o2image", table: "o2image-devices", o2imageDeviceCases)
  }

  @Test func kernelVolumes() async throws {
    try await Conformance.compare("o2image", table: "o2image-kernel", kernelVolumeCases)
  }

  @Test func madeVolumes() async throws {
    try await Conformance.compare("o2image", table: "o2image-made", madeVolumeCases)
  }

  @Test func damagedVolumes() async throws {
    try await Conformance.compare("o2image", table: "o2image-damage", damagedVolumeCases)
  }

  @Test func damagedImages() async throws {
    try await Conformance.compare("o2image", table: "o2image-packed", damagedImageCases)
  }
}

/// Where the compressed volumes and `list-tree` are.
let ocfs2Fixtures = fixtureFolder("ocfs2")

/// Commands of a shell that make a packed image without its creation time.
func packed(_ volume: String, _ image: String) -> String {
  "MALLOC_PERTURB_=255 o2image \(volume) \(image) && \(zeroing(4..<8, in: image))"
}

extension Deviation {
  /// What ours does, by the number of the command.
  init(_ id: String, _ expected: [Int: Expectation], files: FileComparison? = nil) {
    self.id = id
    self.expected = expected
    self.files = files
  }

  /// The case's commands with these numbers are all expected to print and return this.
  init(
    _ id: String, commands: [Int], stdout: String? = nil, stderr: String? = nil, status: Int32? = nil,
    anyText: Bool = false, files: FileComparison? = nil
  ) {
    let expectation = Expectation(stdout: stdout, stderr: stderr, status: status, anyText: anyText)
    self.id = id
    self.files = files
    expected = Dictionary(uniqueKeysWithValues: commands.map { ($0, expectation) })
  }
}
