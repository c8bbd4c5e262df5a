import Foundation
import Testing

/// Our `e2image` beside the reference.
///
/// Host, device, inode and time in a normal image's header are overwritten before the files are compared.
@Suite struct E2imageConformance {
  @Test func commandLine() async throws {
    try await Conformance.compare("e2image", table: "e2image-command-line", e2imageCommandLineCases)
  }

  @Test func qcow2Sources() async throws {
    try await Conformance.compare("e2image", table: "e2image-qcow2", e2imageQcow2SourceCases)
  }

  @Test func targets() async throws {
    try await Conformance.compare("e2image", table: "e2image-targets", e2imageTargetCases)
  }

  @Test func environment() async throws {
    try await Conformance.compare("e2image", table: "e2image-environment", e2imageEnvironmentCases)
  }

  @Test func damagedVolumes() async throws {
    try await Conformance.compare("e2image", table: "e2image-damage", e2imageDamageCases)
  }

  @Test func hostileInput() async throws {
    try await Conformance.compare("e2image", table: "e2image-hostile", e2imageHostileCases)
  }

  @Test func volumes() async throws {
    try await Conformance.compare("e2image", table: "e2image-volumes", e2imageVolumeCases)
  }
}

/// Functions of a shell that the setup steps and commands of the cases use; the file is named before each of them.
enum E2imageScript {
  /// `make NAME SIZE OPTIONS...`: a file system whose identifiers do not change from run to run.
  static let make = """
    make() { n=$1; s=$2; shift 2; rm -f $n; truncate -s $s $n; E2FSPROGS_FAKE_TIME=1700000000 mke2fs -q -F \
    -U 11111111-2222-3333-4444-555555555555 -E lazy_itable_init=1,hash_seed=11111111-2222-3333-4444-555555555556 \
    "$@" $n </dev/null; }

    """

  /// `enter IMAGE [OPTIONS]` mounts at `$m`, `attach IMAGE` makes it the loop device `$d`; `leave` undoes both, and so does
  /// the end of the shell, whatever it is. What scans new devices can keep a file system busy for a while.
  static let devices =
    "m=; d=; leave() { trap - EXIT; n=0; if [ -n \"$m\" ]; then while mountpoint -q $m && ! umount $m 2>/dev/null && "
    + "[ $n -lt 60 ]; do n=$((n + 1)); sleep 0.25; done; rmdir $m; m=; fi; "
    + "if [ -n \"$d\" ]; then blockdev --flushbufs $d; losetup -d $d; d=; fi; }; "
    + "guard() { trap leave EXIT; trap 'exit 143' TERM; }; "
    + "enter() { m=$(mktemp -d); guard; mount -o ${2:-loop} $1 $m; }; "
    + "attach() { d=$(losetup -f --show $1); guard; }; "

  /// `mounted NAME COMMANDS`: runs commands in the mounted file system.
  static let mounted =
    devices + """
      mounted() { enter $1; s=0; (cd $m && eval "$2") || s=$?; leave; return $s; }

      """

  /// A tree with a bit of everything.
  static let tree = """
    mkdir -p d/e/f/g/h; for i in $(seq 1 200); do echo $i >d/e/a-file-with-number-$i; done; \
    for i in $(seq 1 66); do rm d/e/a-file-with-number-$((i * 3 - 1)); done; \
    ln -s $(printf 'x%.0s' $(seq 1 180)) d/slow; ln -s short d/fast; mknod d/null c 1 3; mkfifo d/fifo; \
    head -c 700000 /dev/urandom >data; head -c 3000 /dev/urandom >small; \
    for i in $(seq 0 30); do echo $i | dd of=sparse bs=1k seek=$((i * i * 29)) conv=notrunc status=none; done; \
    for i in $(seq 1 12); do for f in one two three; do head -c 4096 /dev/urandom >>$f; done; sync -f .; done; rm two; \
    fallocate -l 300k reserved 2>/dev/null || :

    """

  /// `image OPTIONS... SOURCE`: makes an image, and prints its status, length and checksum.
  static let image = """
    image() { e2image "$@" x; s=$?; case "$1" in -*) ;; *) [ ! -f x ] || \
    dd if=/dev/zero of=x bs=1 seek=240 count=12 conv=notrunc status=none ;; esac; \
    [ $s != 0 ] || echo "$* $s $(stat -c %s x) $(sha1sum <x)"; rm -f x; };
    """

  /// Makes each kind of image of `name`, and with a copy of its superblock, and lists what would be written, as one
  /// command of a case.
  static func everyImage(
    _ name: String,
    kinds: [String] = ["", "-r ", "-ra ", "-rs ", "-ras ", "-Q ", "-Qa ", "-Qs ", "-Qas ", "-r -O 5000 "]
  ) -> String {
    let copy =
      "b=$(dumpe2fs \(name) 2>/dev/null | sed -n 's/.*Backup superblock at \\([0-9]*\\).*/\\1/p' | head -1); "
      + "s=$(dumpe2fs -h \(name) 2>/dev/null | sed -n 's/^Block size: *//p'); "
      + "if [ -n \"$b\" ]; then image -r -b $b -B $s \(name); image -Qa -b $b -B $s \(name); fi; "
    return "sh \(image) "
      + kinds.map { "image \($0)\(name); " }.joined()
      + copy + "e2image -ran \(name) - | sha1sum"
  }
}

/// Hides what is the machine's in the progress display: time, speed, and how often it was renewed.
let progressMask = Mask(
  #"(\u0008+[0-9]+ / [0-9]+ blocks \([0-9]+%\)[^\r\u0008]*)*\rCopied ([0-9]+ / [0-9]+ blocks \([0-9]+%\)) "#
    + #"in [0-9:]+ (at [0-9.]+ MB/s)?       "#, "\rCopied $2 in …")
