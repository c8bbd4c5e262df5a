import Synchronization
import Testing

/// Dumps of our `btrfs-image` beside the reference's.
@Suite struct BtrfsImageDumpConformance {
  @Test func commandLine() async throws {
    try await Conformance.compare("btrfs-image", table: "btrfs-image-command-line", btrfsCommandLineCases)
  }

  @Test func volumes() async throws {
    try await Conformance.compare("btrfs-image", table: "btrfs-image-volumes", btrfsVolumeCases)
  }

  @Test func severalDevices() async throws {
    try await Conformance.compare("btrfs-image", table: "btrfs-image-devices", btrfsDeviceCases)
  }

  @Test func superblocks() async throws {
    try await Conformance.compare("btrfs-image", table: "btrfs-image-superblocks", btrfsSuperblockCases)
  }

  @Test func damagedTrees() async throws {
    try await Conformance.compare("btrfs-image", table: "btrfs-image-damage", btrfsDamageCases)
  }
}

/// Where the scripts are that make, attach and damage volumes.
let btrfsFixtures = fixtureFolder("btrfs")

/// A volume of `make-volume`, made when the first case asks for it; the same for all cases.
func btrfsFixture(_ volume: String) -> Fixture {
  fixtures.withLock { fixtures in
    if let known = fixtures[volume] { return known }
    let fixture = Fixture("btrfs-\(volume)", [.shell("\(btrfsFixtures)/make-volume \(volume)")])
    fixtures[volume] = fixture
    return fixture
  }
}

private let fixtures = Mutex<[String: Fixture]>([:])

/// Numbers that differ from volume to volume: addresses, checksums, file system ids.
let btrfsMasks = [
  Mask("0x[0-9a-f]{8}", "CHECKSUM"), Mask("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"), Mask("[0-9]{7,}", "N"),
  // Loop devices of others that come and go while the reference looks at them.
  Mask("ERROR: cannot scan [^\n]*\n", "", id: "B-17"),
]
