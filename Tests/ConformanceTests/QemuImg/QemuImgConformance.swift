import Testing

/// Our `qemu-img` beside the reference: one table a subcommand.
struct QemuImgConformance {
  @Test func commandLine() async throws {
    try await Conformance.compare("qemu-img", table: "command-line", commandLineCases)
  }

  @Test func sizes() async throws {
    try await Conformance.compare("qemu-img", table: "sizes", sizeCases)
  }

  @Test func create() async throws {
    try await Conformance.compare("qemu-img", table: "create", createCases)
  }

  @Test func damage() async throws {
    try await Conformance.compare("qemu-img", table: "damage", damageCases)
  }

  @Test func info() async throws {
    try await Conformance.compare("qemu-img", table: "info", infoCases)
  }

  @Test func map() async throws {
    try await Conformance.compare("qemu-img", table: "map", mapCases)
  }

  @Test func check() async throws {
    try await Conformance.compare("qemu-img", table: "check", checkCases)
  }

  @Test func compare() async throws {
    try await Conformance.compare("qemu-img", table: "compare", compareCases)
  }

  @Test func measure() async throws {
    try await Conformance.compare("qemu-img", table: "measure", measureCases)
  }

  @Test func resize() async throws {
    try await Conformance.compare("qemu-img", table: "resize", resizeCases)
  }

  @Test func amend() async throws {
    try await Conformance.compare("qemu-img", table: "amend", amendCases)
  }

  @Test func bitmap() async throws {
    try await Conformance.compare("qemu-img", table: "bitmap", bitmapCases)
  }

  @Test func snapshot() async throws {
    try await Conformance.compare("qemu-img", table: "snapshot", snapshotCases)
  }

  @Test func dd() async throws {
    try await Conformance.compare("qemu-img", table: "dd", ddCases)
  }

  @Test func convert() async throws {
    try await Conformance.compare("qemu-img", table: "convert", convertCases)
  }

  @Test func rebase() async throws {
    try await Conformance.compare("qemu-img", table: "rebase", rebaseCases)
  }

  @Test func commit() async throws {
    try await Conformance.compare("qemu-img", table: "commit", commitCases)
  }

  @Test func bench() async throws {
    try await Conformance.compare("qemu-img", table: "bench", benchCases)
  }

  @Test func locks() async throws {
    try await Conformance.compare("qemu-img", table: "locks", lockCases)
  }

  @Test func nodeOptions() async throws {
    try await Conformance.compare("qemu-img", table: "node-options", nodeOptionCases)
  }

  @Test func names() async throws {
    try await Conformance.compare("qemu-img", table: "names", nameCases)
  }
}
