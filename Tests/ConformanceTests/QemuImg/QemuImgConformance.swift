import Foundation
import Testing

/// Our `qemu-img` beside the reference: one table a subcommand.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["CONFORMANCE"] == "all"))
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
}
