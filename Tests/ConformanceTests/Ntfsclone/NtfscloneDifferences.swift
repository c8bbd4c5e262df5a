import Foundation

/// Differences that we want and that have no better place, logs that are not clean, pipes that end (spec §15.2, §19).
let ntfscloneDifferenceCases: [Case] = allLogCases + serialCases + hibernationCases + fileCases + pipeCases

private let fileCases: [Case] = [
  // A log that is not clean and is kept: the clone is wiped all the same.
  Case(
    "sh ntfsclone -q -m --full-logfile -o o w.img >/dev/null 2>&1; grep -c secret-contents o || :",
    name: "contents with an unclean log", fixture: NtfsVolumes.fixture,
    setup: [
      .shell(
        "cp s512-c4k.img w.img; mkdir m; ntfs-3g w.img m; echo secret-contents >m/small; umount m; rmdir m; "
          + "rm s512-c4k.img; head -c 4096 /dev/zero | tr '\\0' Z | "
          + "dd of=w.img bs=4096 seek=1536 conv=notrunc status=none")
    ], deviation: Deviation("N-6", stdout: "0\n", stderr: "", status: 0, files: .unchecked)),
  // A gap without end, to stdout.
  Case(
    "sh ntfsclone -q -r -o - special.img | wc -c", name: "gap of 2^60 clusters to stdout", fixture: NtfsVolumes.fixture,
    setup: [Step(line: "patch special.img 4153 u8 0 0 0 0 0 0 0 0 16")],
    deviation: Deviation(
      "N-15", stdout: "4096\n",
      stderr: NtfscloneTexts.banner + NtfscloneTexts.restoring
        + "ERROR: restore_image: corrupt image at input offset 4153\n", status: 0, files: .unchecked)),
  // A link that leads nowhere.
  Case(
    "sh ln -s x o; ntfsclone -q -s -o o v.img && exit 9; [ ! -e x ]", fixture: NtfsVolumes.fixture,
    deviation: Deviation(
      "N-18", stdout: NtfscloneTexts.opened + "ERROR(17): Opening file 'o' failed: File exists\n",
      stderr: NtfscloneTexts.banner, status: 0, files: .unchecked)),
  Case(
    "sh ln -s x o; ntfsclone -q -m -s -o o v.img && exit 9; [ ! -e x ]", fixture: NtfsVolumes.fixture,
    deviation: Deviation(
      "N-18", stdout: NtfscloneTexts.opened + "ERROR(17): Opening file 'o' failed: File exists\n",
      stderr: NtfscloneTexts.banner, status: 0, files: .unchecked)),
  // A locale that does not exist.
  Case(
    "sh LC_ALL=xx_YY.UTF-8 ntfsclone -o o v.img", fixture: NtfsVolumes.fixture,
    deviation: Deviation("N-26", stderr: "ntfsclone v2022.10.3 (libntfs-3g)\n", status: 0)),
  // Nothing unwiped is ever in a metadata clone, whenever its making ends.
  Case(
    "sh mkdir m; cp v.img w.img; ntfs-3g w.img m; echo secret-contents >m/small; umount m; grep -q secret-contents w.img;"
      + " for n in $(seq 1 14); do rm -f o; FAULT_AT=$n FAULT_ERRNO=28 LD_PRELOAD=\(FaultLibrary.path)"
      + " ntfsclone -q -m -o o w.img >/dev/null 2>&1 || true; if grep -q secret-contents o; then echo FOUND; fi; done; rm -f o w.img",
    fixture: NtfsVolumes.fixture, deviation: Deviation("N-27", stdout: "", status: 0, files: .unchecked)
  ).oursAlone(),
]

private let pipeCases: [Case] = [
  // Two images on one pipe.
  Case(
    // How much of the second image is left is a matter of chance.
    "sh cat special.img special.img | { ntfsclone -q -rn - && { ntfsclone -q -rn - || echo second; }; } >log; "
      + "head -n 7 log; rm log", fixture: NtfsVolumes.fixture,
    deviation: Deviation(
      "N-28", stdout: NtfscloneTexts.restoring, stderr: NtfscloneTexts.banner + NtfscloneTexts.banner, status: 0)),
  // Pipes that end too early, on either side.
  Case(
    "sh { ntfsclone -q -s -o - v.img; echo $? >status; } | head -c 100 | wc -c; cat status",
    fixture: NtfsVolumes.fixture),
  Case(
    "sh { ntfsclone -q -o - v.img; echo $? >status; } | head -c 100000 | wc -c; cat status",
    fixture: NtfsVolumes.fixture),
  Case(
    "sh { ntfsclone -q -r -o - special.img; echo $? >status; } | head -c 100000 | wc -c; cat status",
    fixture: NtfsVolumes.fixture),
  Case(
    // What there is of the last cluster is written as well.
    "sh head -c 50000 special.img | ntfsclone -q -r -o o - || echo $?; stat -c %s o; cmp -n 24572 o v.img",
    fixture: NtfsVolumes.fixture,
    deviation: Deviation(
      "N-11", stdout: NtfscloneTexts.restoring + "ERROR: Short image file...\n1\n1594105\n",
      stderr: NtfscloneTexts.banner, status: 0, files: .unchecked)),
  // Killed in the middle: what is there is no image.
  Case(
    "sh mkfifo f; cp s512-c64k.img o; ntfsclone -q -s -O o c512-fragmented.img >/dev/null & sleep 0.0$((RANDOM % 9));"
      + " kill -9 $! 2>/dev/null; wait; [ $(stat -c %s o) = 0 ] || [ \"$(head -c 16 o | tail -c 15)\" != ntfsclone-image ]"
      + " || ntfsclone -q -rn o",
    fixture: NtfsVolumes.fixture, deviation: Deviation("N-27", stdout: nil, status: 0, anyText: true, files: .unchecked)
  ).oursAlone(),
]

// MARK: Logs

/// Restart pages at the beginning of $LogFile, which is at cluster 1536 of v.img.
private let allLogCases: [Case] =
  [
    Log(flags: 0, inUse: 0), Log(flags: 2, inUse: 0xFFFF), Log(flags: 2, inUse: 0), Log(flags: 0, inUse: 0xFFFF),
    Log(flags: 1, inUse: 0), Log(flags: 5, inUse: 1), Log(flags: 0, inUse: 0, version: 2),
    Log(flags: 2, inUse: 0xFFFF, version: 2),
  ].flatMap { logCases("log \($0)", $0.page, isClean: $0.isClean) }
  + logCases("log garbage", [UInt8](repeating: 0x5A, count: 4096), isClean: false)

private func logCases(_ name: String, _ page: [UInt8], isClean: Bool) -> [Case] {
  ["-q -m -o o v.img", "-q -m --full-logfile -o o v.img", "-q -ms -o o v.img", "-q -s -o o v.img"].map { command in
    // The reference opens the clone read-only then, and wipes nothing in it.
    let isUnwiped = command.contains("full") && !isClean
    return Case(
      commands: [command], name: "\(name): \(command)", fixture: NtfsVolumes.fixture,
      setup: [0, 4096].map { .patch(file: "v.img", offset: 1536 * 4096 + $0, bytes: page) },
      deviation: isUnwiped ? Deviation("N-6", expected: [:], files: .unchecked) : nil)
  }
}

/// A restart page of 4 KiB (spec §7).
private struct Log {
  var flags: UInt16
  /// First of the clients in use, 0xFFFF for none.
  var inUse: UInt16
  var version: UInt64 = 1

  var isClean: Bool { version == 1 && (flags & 2 != 0 || inUse == 0xFFFF) }

  var page: [UInt8] {
    var page = [UInt8](repeating: 0, count: 4096)
    func store(_ value: UInt64, _ offset: Int, _ count: Int) {
      for index in 0..<count { page[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    }
    page.replaceSubrange(0..<4, with: Array("RSTR".utf8))
    store(0x1E, 4, 2)
    store(9, 6, 2)
    store(4096, 16, 4)
    store(4096, 20, 4)
    store(0x30, 24, 2)
    store(version == 2 ? 0 : 1, 26, 2)
    store(version, 28, 2)
    let area = 0x30
    store(0x1000, area, 8)
    store(1, area + 8, 2)
    store(inUse == 0xFFFF ? 0 : 0xFFFF, area + 10, 2)
    store(UInt64(inUse), area + 12, 2)
    store(UInt64(flags), area + 14, 2)
    store(45, area + 16, 4)
    store(0x30 + 160, area + 20, 2)
    store(0x30, area + 22, 2)
    store(2_097_152, area + 24, 8)
    store(0x30, area + 36, 2)
    store(0x40, area + 38, 2)
    store(1, area + 40, 4)
    let client = area + 0x30
    store(0x800, client, 8)
    store(0x1000, client + 8, 8)
    store(0xFFFF, client + 16, 2)
    store(0xFFFF, client + 18, 2)
    store(8, client + 28, 4)
    page.replaceSubrange(client + 32..<client + 40, with: Array("N\0T\0F\0S\0".utf8))
    // Fix-ups under number 7.
    store(7, 0x1E, 2)
    for block in 0..<8 { store(7, 512 * block + 510, 2) }
    return page
  }
}

// MARK: Serial numbers

private let serialCases: [Case] = [
  // Random, the same in both places, and only there; the half keeps the lower half.
  serial("-m --new-serial -o o v.img", "v.img", 12_582_400),
  serial("--new-serial -o o v.img", "v.img", 12_582_400),
  serial("--new-half-serial -o o v.img", "v.img", 12_582_400, isHalf: true),
  serial("-m --new-half-serial -o o v.img", "v.img", 12_582_400, isHalf: true),
  serial("-r --new-serial -o o special.img", "v.img", 12_582_400),
  serial("-r --new-half-serial -o o special.img", "v.img", 12_582_400, isHalf: true),
  // The backup is where the boot sector says, not at the device's end.
  serial("--new-serial -o o sector-more.img", "sector-more.img", 12_582_400),
]

private func serial(_ command: String, _ source: String, _ backup: Int, isHalf: Bool = false) -> Case {
  let field = { (file: String, place: Int) in "$(od -An -tx1 -j \(place + 0x48) -N 8 \(file))" }
  let low = { (file: String) in "$(od -An -tx1 -j 72 -N 4 \(file))" }
  return Case(
    "sh ntfsclone -q \(command) >log; new=\"\(field("o", 0))\"; [ \"$new\" = \"\(field("o", backup))\" ];"
      + " [ \"$new\" != \"\(field(source, 0))\" ]; [ \"$new\" != ' 00 00 00 00 00 00 00 00' ];"
      + (isHalf ? " [ \"\(low("o"))\" = \"\(low(source))\" ];" : "")
      + " grep -c 'New serial number' log", fixture: NtfsVolumes.fixture,
    deviation: Deviation("N-8", stdout: "1\n", status: 0, files: .unchecked))
}

// MARK: Hibernation

/// The reference mounts its clone and stumbles over what it takes for a hibernated system.
private let hibernationCases: [Case] =
  ["-q -m -o o w.img", "-q -ms -o o w.img", "-q -m --full-logfile -o o w.img", "-q -s -o o w.img"].flatMap {
    (command: String) -> [Case] in
    [
      hibernated("hibr", 0, command, isRefused: !command.contains("s -o")), hibernated("hibr", 8000, command),
      hibernated("RSTR", 8000, command), hibernated("none", 0, command, isRefused: !command.contains("s -o")),
    ]
  }

private func hibernated(_ magic: String, _ size: Int, _ command: String, isRefused: Bool = false) -> Case {
  Case(
    commands: [command], name: "hiberfil.sys with \(magic) and \(size) zeros: \(command)", fixture: NtfsVolumes.fixture,
    setup: [
      .shell(
        "cp s512-c4k.img w.img; mkdir m; ntfs-3g w.img m; { printf \(magic); head -c \(size) /dev/zero; } >m/hiberfil.sys;"
          + " umount m; rmdir m; rm s512-c4k.img")
    ],
    masks: isRefused ? [NtfscloneTexts.deletedMask] : [],
    deviation: isRefused
      ? Deviation("N-27", stdout: hibernatedCopy, stderr: NtfscloneTexts.banner, status: 0, files: .unchecked) : nil)
}

private let hibernatedCopy =
  NtfscloneTexts.scanned + "Space in use       : 3 MB (20.8%)   \nSyncing ...\n" + NtfscloneTexts.sizes
  + "Scanning volume ...\n" + NtfscloneTexts.statistics(records: 65, used: 20, resident: 4, timestamps: 1672)
  + "Syncing ...\n"

extension Case {
  /// Run by ours alone: the shell of the reference's side ends at once.
  func oursAlone() -> Case {
    var test = self
    test.commands = commands.map { command in
      let line = command.hasPrefix("sh ") ? String(command.dropFirst(3)) : "ntfsclone \(command)"
      return "sh case $PATH in *bin-reference*) exit \(deviation?.expected[0]?.status ?? 0);; esac; \(line)"
    }
    return test
  }
}
