import Foundation
import Testing

/// Our `ntfsclone` beside the reference, over all volumes and along the specification's tables.
struct NtfscloneConformance {
  @Test func volumes() async throws {
    try await Conformance.compare("ntfsclone", table: "ntfs-volumes", ntfscloneVolumeCases)
  }

  @Test func commandLine() async throws {
    try await Conformance.compare("ntfsclone", table: "ntfs-command-line", ntfscloneCommandLineCases)
  }

  @Test func damagedVolumes() async throws {
    try await Conformance.compare("ntfsclone", table: "ntfs-damage", ntfscloneDamageCases)
  }

  @Test func damagedAttributes() async throws {
    try await Conformance.compare("ntfsclone", table: "ntfs-attributes", ntfscloneAttributeCases)
  }

  @Test func hostileVolumes() async throws {
    try await Conformance.compare("ntfsclone", table: "ntfs-hostile", ntfscloneHostileCases)
  }

  @Test func rescue() async throws {
    try await Conformance.compare("ntfsclone", table: "ntfs-rescue", ntfscloneRescueCases)
  }

  @Test func devices() async throws {
    try await Conformance.compare("ntfsclone", table: "ntfs-devices", ntfscloneDeviceCases)
  }

  @Test func differences() async throws {
    try await Conformance.compare("ntfsclone", table: "ntfs-differences", ntfscloneDifferenceCases)
  }

  @Test func restored() async throws {
    try await Conformance.compare("ntfsclone", table: "ntfs-restored", ntfscloneRestoredCases)
  }

  @Test func images() async throws {
    try await Conformance.compare("ntfsclone", table: "ntfs-images", ntfscloneImageCases)
  }
}

/// Every volume in every form; restored again, it is the sparse clone.
let ntfscloneVolumeCases: [Case] = NtfsVolumes.names.flatMap { name -> [Case] in
  var commands = [
    "-s -o special \(name).img", "-o clone \(name).img", "-m -o metadata \(name).img",
    "-m -s -o meta-image \(name).img",
    "-mst -o meta-times \(name).img", "-m -t -o times \(name).img",
  ]
  let fixture = NtfsVolumes.alone[name]
  // Both refuse these two: there is nothing to restore.
  let isRefused = name == "c4k-cut-to-zero" || name == "c4k-dirty"
  if isRefused { return commands.map { Case($0, name: "\(name): \($0)", fixture: fixture) } }
  commands += [
    "-m --full-logfile -o log \(name).img", "-ms --full-logfile -o log-image \(name).img",
    "-s -f -q -O special \(name).img", "--rescue --ignore-fs-check -f -o rescued \(name).img",
    "-m --ignore-fs-check -f -o ignored \(name).img", "-ms --ignore-fs-check -f -o ignored-image \(name).img",
    "sh ntfsclone -f -o - \(name).img | cmp - rescued", "sh ntfsclone -f -s -o - \(name).img | cmp - special",
    "sh ntfsclone -f -s -q -o - \(name).img 2>/dev/null | ntfsclone -r -o piped -",
    "sh ntfsclone -r -o - special | cmp - rescued", "-rn special", "-r -o restored special", "-q -r -o thin meta-image",
    "sh [ ! -e clone ] || cmp clone restored", "sh stat -c '%n %a %s' *",
  ]
  return [Case(commands: commands, name: name, fixture: fixture)]
}
