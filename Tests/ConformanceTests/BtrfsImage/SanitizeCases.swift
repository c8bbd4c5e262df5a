/// What must not be in a sanitized dump: names, contents, targets, values, the label.
private let secrets = [
  "directory_one", "sub_directory", "directory_many", "file_number_", "hard_link_name", "link_with_a_long_name",
  "symbolic_link", "secret_target", "big_file_name", "subvolume_name", "file_in_subvolume", "snapshot_name",
  "inline_contents", "file_contents", "secret_attribute", "secret_value", "second_attribute", "another_value",
  "user.abc", "value_of_abc", "volume_label", "logged_file", "logged_contents",
]

private let search = secrets.map { "-e \($0)" }.joined(separator: " ")

/// `look` knows the files by their numbers alone, so that it works for sanitized names too.
private let good = "clean\nsame\n"

let sanitizeCases: [Case] = wholeVolumeCases + specialCases

private let sanitizedVolumes: [String] = RestoreVolumes.single.map(\.name) + RestoreVolumes.checksums.map(\.name)
private let sanitizeOptions: [(String, String)] = [("-s", ""), ("-ss", ""), ("-s", " -c 9"), ("-ss", " -w")]

private let wholeVolumeCases: [Case] =
  sanitizedVolumes.flatMap { name -> [Case] in
    sanitizeOptions.map { option, other -> Case in
      // No short names: the dump is searched, restored, checked, mounted, and every file is looked at through its name.
      Case(
        "sh btrfs-image \(option)\(other) \(name).img d; btrfs-image -r d o; "
          + "for file in d o; do ! LC_ALL=C grep -a -o \(search) $file | sort | uniq -c; done; ./look o \(name).stats",
        name: "\(name) \(option)\(other)", fixture: RestoreVolumes.fixture,
        deviation: Deviation("B-101", stdout: good, stderr: "", status: 0, files: .unchecked))
    }
  }

private let specialCases: [Case] =
  [
    // Short names get a hash nearby, and their entries the key that belongs to it.
    Case(
      "sh \(withShortNames()); btrfs-image -ss short.img d 2>log; sort log; btrfs-image -r d o; ./look o short.stats; "
        + "! LC_ALL=C grep -a -o -e 'etc.' -e 'libs' d", name: "short names -ss", fixture: RestoreVolumes.fixture,
      deviation: Deviation(
        "B-105",
        stdout: shortNameWarnings + good, stderr: "", status: 0, files: .unchecked)),
    Case(
      "sh \(withShortNames(others: "n n1 n2_ n3_n é 名 '#!$%'")); btrfs-image -s short.img d; btrfs-image -r d o; "
        + "./look o short.stats",
      name: "short names -s", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-105", stdout: good, stderr: "", status: 0, files: .unchecked)),
    // Names of four bytes in directories of many leaves: the blocks above follow where such a name stands first.
    Case(
      "sh \(withFourByteNames); for o in -s -ss '-w -s' '-c1 -ss -w'; do btrfs-image $o four.img d 2>/dev/null; "
        + "btrfs-image -r d o; ./look o four.stats; done",
      name: "names of four bytes", fixture: RestoreVolumes.fixture,
      deviation: Deviation(
        "B-105", stdout: good + good + good + good, stderr: "", status: 0, files: .unchecked)),
    // What btrfs-convert leaves in the entries of directories: parts of other names.
    Case(
      "sh exec 9</dev/loop-control; flock 9; truncate -s 300M c.img; mkfs.ext4 -q -b 4096 c.img; mkdir m; "
        + "mount -o loop c.img m; mkdir m/ext_dir; for i in $(seq 30); do mkdir m/some_$i; touch m/another_long_name_$i; done; "
        + "umount m; rmdir m; exec 9<&-; btrfs-convert c.img >log 2>&1 || cat log; for o in -s -ss; do "
        + "btrfs-image $o c.img d 2>log; btrfs-image -r d o; btrfs check o >log 2>&1 || cat log; "
        + "! grep -a -o -e another -e ext_dir d; done",
      name: "converted", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-101", stdout: "", stderr: "", status: 0, files: .unchecked)),
    // Every name of one byte, in directories of many leaves: all are listed, and no leaf is refused, so that every name that
    // has another with its hash is found.
    Case(
      "sh \(withOneByteNames); for o in -s -ss; do btrfs-image $o one.img d 2>log; btrfs-image -r d o; mkdir m; "
        + "(flock 9; mount -o loop,ro o m; find m -mindepth 1 2>&1 | wc -l; "
        + "LC_ALL=C find m -mindepth 2 -name '?????*' -size -1M -printf 'found\\n' 2>&1 | sort | uniq -c; "
        + "LC_ALL=C ls -lR m 2>&1 >/dev/null | grep -vc 'No such file' || :; "
        + "umount m) 9</dev/loop-control; rmdir m; done",
      name: "names of one byte", fixture: RestoreVolumes.fixture,
      deviation: Deviation(
        "B-105", stdout: String(repeating: "1987\n   1800 found\n0\n", count: 2), stderr: "", status: 0,
        files: .unchecked)),
    // Names of every length that has collisions and in other scripts, attributes, targets, contents: none of it is found, and
    // every file is.
    Case(
      "sh \(withAllNames); for o in -s -ss '-ss -c9 -w'; do btrfs-image $o all.img d 2>log; btrfs-image -r d o; "
        + "for file in d o; do ! LC_ALL=C grep -a -o -F -f long $file | sort | uniq -c; done; ./look o all.stats; done",
      name: "names of all lengths", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-101", stdout: good + good + good, stderr: "", status: 0, files: .unchecked)),
    // Names of one length and one hash, in one directory and in one inode's attributes, stay different.
    Case(
      "sh \(withNamesOfOneHash); btrfs-image -s same.img d 2>log; btrfs-image -r d o; ./look o same.stats; "
        + "! LC_ALL=C grep -a -o -e name_hello -e name_Aw9c7 d; (flock 9; mkdir m; mount -o loop,ro o m; "
        + "find m -type f -exec getfattr {} + | grep -a ^user | sort -u | wc -l; umount m; rmdir m) 9</dev/loop-control",
      name: "names of one hash", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-121", stdout: good + "6\n", stderr: "", status: 0, files: .unchecked)),
    // What the kernel leaves in the reserved bytes of an inode.
    Case(
      "sh \(btrfsFixtures)/poke plain.img fs:leaf:0 12 16304 7374616c655f6e616d65 fix; for o in -s -ss; do "
        + "btrfs-image $o plain.img d; btrfs-image -r d o; grep -c -a stale_name d || :; ./look o plain.stats; done",
      name: "reserved bytes", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-101", stdout: "0\n" + good + "0\n" + good, stderr: "", status: 0, files: .unchecked)),
    // Nothing that a terminal would obey, and no blank.
    Case(
      "sh btrfs-image -s plain.img d; btrfs-image -r d o; exec 9</dev/loop-control; flock 9; mkdir m; "
        + "mount -o loop,ro o m; find m -mindepth 1 -printf '%f\\n' | LC_ALL=C grep -c '[^!-~]' || :; umount m; rmdir m",
      name: "garbage", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-106", stdout: "0\n", stderr: "", status: 0, files: .unchecked)),
    // The names are those that the reference's search finds.
    Case(
      "sh btrfs-image -ss plain.img d; btrfs-image -r d o; exec 9</dev/loop-control; flock 9; mkdir m; "
        + "mount -o loop,ro o m; ls m/* | grep -cxF '}        QZjr'; umount m; rmdir m",
      name: "known collisions", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-101", stdout: "1\n", stderr: "", status: 0, files: .unchecked)),
    // Two runs are alike with -ss and differ with -s.
    Case(
      "sh btrfs-image -ss plain.img d; btrfs-image -ss -t 1 plain.img e; cmp d e && echo alike; "
        + "btrfs-image -s plain.img f; btrfs-image -s plain.img g; cmp -s f g || echo different",
      name: "two runs", fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-101", stdout: "alike\ndifferent\n", stderr: "", status: 0, files: .unchecked)),
    // The log tree has names as well.
    Case(
      "sh btrfs-image -s log.img d; LC_ALL=C grep -a -o \(search) d | sort | uniq -c", name: "log tree",
      fixture: RestoreVolumes.fixture,
      deviation: Deviation("B-101", stdout: "", stderr: "", status: 0, files: .unchecked)),
  ]

private let shortNameWarnings: String = ["abc", "bin", "etc", "lib", "libs", "usr"].map {
  "WARNING: cannot find a hash collision for '\($0)', generating garbage, it won't match indexes\n"
}.joined()

/// A volume with names of up to four bytes, all in one leaf: between two, a hash nearby may belong into the other, and the
/// entry cannot follow it.
private func withShortNames(others: String = "") -> String {
  "exec 9</dev/loop-control; flock 9; truncate -s 140M short.img; mkfs.btrfs -q short.img >/dev/null; mkdir m; "
    + "mount -o loop,noatime short.img m; mkdir m/etc m/bin m/usr m/usr/lib m/usr/libs; echo x >m/usr/lib/abc; "
    + "for n in \(others); do echo z >m/$n; done; "
    + "echo y >m/usr/lib/longer_name; find m -mindepth 1 -printf '%y %m %U %G %n %s %b %T@ %C@\\n' | sort >short.stats; "
    + "umount m; rmdir m; exec 9<&-"
}

/// A volume with three directories of 600 long names, two of them with every printable name of one byte.
private let withOneByteNames =
  "exec 9</dev/loop-control; flock 9; truncate -s 140M one.img; mkfs.btrfs -q -n 4096 one.img >/dev/null; mkdir m; "
  + "mount -o loop,noatime one.img m; mkdir m/first_directory m/second_directory m/third_directory; "
  + "for d in first second third; do seq -f m/${d}_directory/long_name_%g 1 600 | xargs touch; done; "
  + "perl -e 'for $d (qw(first second)) { for (33..126) { next if /^4[67]$/; open F, qq(>m/${d}_directory/).chr or die } }'; "
  + "umount m; rmdir m; exec 9<&-"

/// A volume with names of 5 to 255 bytes and in UTF-8; `long` has all words that must not be found.
private let withAllNames =
  "exec 9</dev/loop-control; flock 9; truncate -s 140M all.img; mkfs.btrfs -q all.img >/dev/null; mkdir m; "
  + "mount -o loop,noatime all.img m; perl -e 'for (5..255) { print substr(\"n${_}_\" . \"name_with_so_many_bytes_\" x 11, 0, $_), "
  + "qq(\\n) } print \"$_\\n\" for \"M\\xC3\\xBCller_Stra\\xC3\\x9Fe\", "
  + "\"\\xE6\\x97\\xA5\\xE6\\x9C\\xAC\\xE8\\xAA\\x9E\", \"with blank\", \"#!%&()\"' >names; "
  + "while IFS= read -r n; do echo \"contents_of_$n\" >\"m/$n\"; ln -s \"target_of_$n\" \"m/link_$n\" 2>/dev/null || :; done <names; "
  + "setfattr -n user.an_attribute -v a_value_of_it m/n7_name; cp names long; "
  + "printf '%s\\n' contents_of_ target_of_ link_n an_attribute a_value_of >>long; "
  + "find m -mindepth 1 -printf '%y %m %U %G %n %s %b %T@ %C@\\n' | sort >all.stats; umount m; rmdir m; exec 9<&-"

/// A volume with pairs of names, also of attributes, that have one length and one hash.
private let withNamesOfOneHash =
  "exec 9</dev/loop-control; flock 9; truncate -s 140M same.img; mkfs.btrfs -q same.img >/dev/null; mkdir m; "
  + "mount -o loop,noatime same.img m; for p in a_ the_second_ another_of_these_long_; do for e in hello Aw9c7; do "
  + "echo $p >m/${p}name_$e; mkdir m/${p}folder_name_$e; done; done; for n in user.some_name_ trusted.one_name_; do "
  + "for e in hello Aw9c7; do setfattr -n $n$e -v value m/a_name_hello; done; done; "
  + "for n in user.some_name_ user.one_name_; do for e in hello Aw9c7; do setfattr -n $n$e -v value m/a_name_Aw9c7; done; done; "
  + "find m -mindepth 1 -printf '%y %m %U %G %n %s %b %T@ %C@\\n' | sort >same.stats; umount m; rmdir m; exec 9<&-"

/// A volume with a directory of 600 names of four bytes and as many longer ones, in leaves of 4 KiB.
private let withFourByteNames =
  "exec 9</dev/loop-control; flock 9; truncate -s 140M four.img; mkfs.btrfs -q -n 4096 four.img >/dev/null; mkdir m; "
  + "mount -o loop,noatime four.img m; mkdir m/directory_one; seq -f m/directory_one/long_name_%g 600 | xargs touch; "
  + "seq -f m/directory_one/n%g 100 699 | xargs touch; btrfs -q subvolume snapshot m m/snapshot_one; "
  + "find m -mindepth 1 -printf '%y %m %U %G %n %s %b %T@ %C@\\n' | sort >four.stats; umount m; rmdir m; exec 9<&-"
