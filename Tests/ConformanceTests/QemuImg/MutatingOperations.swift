import Foundation

/// A command that changes images, for the tests that interrupt it or make it fail.
struct MutatingOperation: Sendable, CustomStringConvertible {
  let description: String
  /// Makes the files that every run starts from.
  let setup: String
  let command: String
  /// The images that must be sound at any moment: the reference's `check` finds leaks at most.
  var sound: [String] = []
  /// The images that show, at any moment, what they showed before or what they show afterwards.
  var shown: [String] = []
  /// The images that show what an undisturbed run leaves, once a further run has completed.
  var completed: [String]
  /// The file that must be the same after a short write as after an undisturbed run; nil if the time of the run is in it.
  var target: String?
  /// Whether the command can be given again once it has had its effect.
  var isRepeatable = true
  /// Prints a line for everything else that is wrong afterwards.
  var verify = ""

  /// A command that changes the image `target`, which is sound before.
  fileprivate init(
    _ description: String, _ setup: String, _ command: String, isRepeatable: Bool = true, isDated: Bool = false
  ) {
    self.init(
      description: description, setup: setup, command: command, sound: ["target"], shown: ["target"],
      completed: ["target"], target: isDated ? nil : "target", isRepeatable: isRepeatable)
  }

  private init(
    description: String, setup: String, command: String, sound: [String] = [], shown: [String] = [],
    completed: [String], target: String?, isRepeatable: Bool = true, verify: String = ""
  ) {
    self.description = description
    self.setup = setup
    self.command = command
    self.sound = sound
    self.shown = shown
    self.completed = completed
    self.target = target
    self.isRepeatable = isRepeatable
    self.verify = verify
  }

  /// Every operation on disks of some 64 units, or those that have the text of OPERATIONS in their names.
  /// - Parameter unit: in KiB, at least 4.
  static func all(unit: Int) -> [MutatingOperation] {
    let texts = SetupTexts(unit: unit)
    let all =
      copies(texts) + resizes(texts) + repairs(texts) + snapshots(texts) + bitmaps(texts) + amendments(texts)
      + rebases(texts) + commits(texts)
    guard let wanted = ProcessInfo.processInfo.environment["OPERATIONS"] else { return all }
    return all.filter { $0.description.contains(wanted) }
  }

  // MARK: Copies

  private static func copies(_ texts: SetupTexts) -> [MutatingOperation] {
    /// Into a file that is not there before: what is left is nothing, or no image, or an image without corruption.
    func new(_ description: String, _ command: String, _ setup: String) -> MutatingOperation {
      MutatingOperation(
        description: description, setup: setup, command: command, completed: ["target"], target: "target",
        verify: """
          [ ! -f source ] || cmp source ../given/source
          [ ! -s target ] || qemu-img check -q target >new.log 2>&1 || [ $? != 2 ] || cat new.log
          """)
    }
    let u = texts.u
    return [
      new("convert raw to raw", "convert -O raw source target", texts.source),
      new("convert raw to qcow2", "convert -O qcow2 source target", texts.source),
      new("convert -c", "convert -c -O qcow2 source target", texts.source),
      new("dd", "dd if=source of=target bs=64k", texts.source),
      new(
        "create", "create -q -f qcow2 -o preallocation=metadata,cluster_size=4k target \(u(128))", "touch source"),
      MutatingOperation(
        description: "convert -n over a complete image",
        setup: texts.source + """

          qemu-img create -q -f qcow2 -o cluster_size=4k target \(u(64)); qemu-io -c 'write -P 9 \(u(16)) \(u(32))' target
          qemu-img snapshot -c before target; qemu-img convert -O raw -l before target ../before.raw
          """,
        command: "convert -n -O qcow2 source target", sound: ["target"], completed: ["target"], target: "target",
        verify: """
          cmp source ../given/source
          qemu-img convert -O raw -l before target before.raw && cmp before.raw ../before.raw
          """),
    ]
  }

  // MARK: Size

  private static func resizes(_ texts: SetupTexts) -> [MutatingOperation] {
    let u = texts.u
    let small = """
      qemu-img create -q -f qcow2 -o cluster_size=512 target \(u(16)); qemu-img bitmap --add target old
      qemu-io -c 'write -P 9 \(u(4)) \(u(10))' target; qemu-img snapshot -c first target
      """
    let large = """
      qemu-img create -q -f qcow2 -o cluster_size=4k target \(u(64))
      qemu-io -c 'write -P 9 \(u(1)) \(u(5))' -c 'write -P 7 \(u(8)) \(u(50))' target
      """
    return [
      MutatingOperation("resize, larger", small, "resize -q target \(u(1024))"),
      MutatingOperation(
        "resize --preallocation=metadata", small, "resize -q --preallocation=metadata target \(u(80))",
        isRepeatable: false),
      MutatingOperation(
        "resize --preallocation=falloc", large, "resize -q --preallocation=falloc target \(u(80))", isRepeatable: false),
      MutatingOperation(
        "resize --preallocation=full", large, "resize -q --preallocation=full target \(u(80))", isRepeatable: false),
      MutatingOperation("resize, smaller", large, "resize -q --shrink target \(u(7))"),
      MutatingOperation(
        "resize, smaller, of bitmaps",
        """
        qemu-img create -q -f qcow2 -o cluster_size=512 target \(u(64)); qemu-img bitmap --add -g 512 target old
        qemu-img bitmap --add --disable target other
        qemu-io -c 'write -P 9 \(u(1)) \(u(5))' -c 'write -P 7 \(u(8)) \(u(50))' target
        """, "resize -q --shrink target \(u(7))"),
    ]
  }

  // MARK: Repair

  private static func repairs(_ texts: SetupTexts) -> [MutatingOperation] {
    let u = texts.u
    let image =
      "qemu-img create -q -f qcow2 -o cluster_size=4k target \(u(64)); qemu-io -c 'write -P 9 0 \(u(40))' target\n"
    // Header, refcount table, refcount block, L1 table, L2 table.
    let leaks = image + "dd if=/dev/zero of=target bs=4096 seek=4 count=1 conv=notrunc 2>/dev/null"
    func damaged(_ description: String, _ damage: String) -> MutatingOperation {
      var operation = MutatingOperation(description, image + damage, "check -q -r all target")
      operation.sound = []
      operation.verify = "[ ! -f repaired ] || qemu-img check target | grep -q 'No errors' || qemu-img check target"
      return operation
    }
    return [
      MutatingOperation("check -r all of leaks", leaks, "check -q -r all target"),
      MutatingOperation("check -r leaks", leaks, "check -q -r leaks target"),
      damaged(
        "check -r all of counts that are missing",
        "dd if=/dev/zero of=target bs=1 seek=8210 count=40 conv=notrunc 2>/dev/null"),
      damaged(
        "check -r all without a refcount block",
        "dd if=/dev/zero of=target bs=1 seek=4096 count=8 conv=notrunc 2>/dev/null"),
      damaged(
        "check -r all of flags", "dd if=/dev/zero of=target bs=1 seek=12288 count=1 conv=notrunc 2>/dev/null"),
    ]
  }

  // MARK: Snapshots

  private static func snapshots(_ texts: SetupTexts) -> [MutatingOperation] {
    [
      MutatingOperation(
        "snapshot -c", texts.versions, "snapshot -c third target", isRepeatable: false, isDated: true),
      MutatingOperation("snapshot -d", texts.versions, "snapshot -d first target", isRepeatable: false),
      MutatingOperation("snapshot -a", texts.versions, "snapshot -a first target"),
    ]
  }

  // MARK: Bitmaps

  private static func bitmaps(_ texts: SetupTexts) -> [MutatingOperation] {
    let u = texts.u
    let two = """
      qemu-img create -q -f qcow2 -o cluster_size=512 target \(u(256)); qemu-img bitmap --add -g 512 target old
      qemu-img bitmap --add -g 4k target other; qemu-io -c 'write -z \(u(1)) \(u(200))' target
      qemu-img bitmap --disable target other
      qemu-img create -q -f qcow2 -o cluster_size=4k source \(u(256)); qemu-img bitmap --add -g 1k source far
      qemu-io -c 'write -z 0 \(u(7))' source
      """
    func bitmap(_ words: String, isRepeatable: Bool = true) -> MutatingOperation {
      MutatingOperation("bitmap \(words)", two, "bitmap \(words)", isRepeatable: isRepeatable)
    }
    return [
      bitmap("--add -g 512 target new", isRepeatable: false),
      bitmap("--remove target old", isRepeatable: false),
      bitmap("--remove --add -g 4k target old"),
      bitmap("--clear target old"),
      bitmap("--disable target old"),
      bitmap("--enable target other"),
      bitmap("--merge other target old"),
      bitmap("--merge far -b source -F qcow2 target old"),
      bitmap("--add --merge other -g 512 target new", isRepeatable: false),
    ]
  }

  // MARK: Amendments

  private static func amendments(_ texts: SetupTexts) -> [MutatingOperation] {
    let u = texts.u
    let zeroClusters = """
      qemu-img create -q -f raw base \(u(64))
      qemu-img create -q -f qcow2 -o cluster_size=4k,refcount_bits=8,lazy_refcounts=on -b base -F raw target \(u(64))
      qemu-io -c 'write -P 9 0 \(u(20))' -c 'write -z \(u(30)) \(u(4))' -c 'write -z \(u(8)) \(u(1))' target
      """
    let old = """
      qemu-img create -q -f qcow2 -o cluster_size=4k,compat=0.10 target \(u(64))
      qemu-io -c 'write -P 9 0 \(u(20))' target; qemu-img snapshot -c first target
      qemu-io -c 'write -P 7 \(u(10)) \(u(20))' target
      """
    let marked = """
      qemu-img create -q -f qcow2 -o cluster_size=4k target \(u(64)); qemu-img bitmap --add -g 512 target old
      qemu-io -c 'write -P 9 0 \(u(20))' target
      """
    let dataFile = """
      qemu-img create -q -f qcow2 -o data_file=data,data_file_raw=on target \(u(64))
      qemu-io -c 'write -P 9 0 \(u(20))' target; cp data copy
      """
    return [
      MutatingOperation(
        "amend to version 2, of zero clusters", zeroClusters,
        "amend -o lazy_refcounts=off,refcount_bits=16,size=\(u(72)),compat=0.10 target"),
      MutatingOperation("amend to version 2, of bitmaps", marked, "amend -o compat=0.10 target"),
      MutatingOperation("amend to version 3, with snapshots", old, "amend -o compat=1.1 target"),
      MutatingOperation("amend refcount_bits=64", texts.versions, "amend -o refcount_bits=64 target"),
      MutatingOperation("amend refcount_bits=4", texts.versions, "amend -o refcount_bits=4 target"),
      MutatingOperation("amend lazy_refcounts=on", texts.versions, "amend -o lazy_refcounts=on target"),
      MutatingOperation("amend lazy_refcounts=off", zeroClusters, "amend -o lazy_refcounts=off target"),
      MutatingOperation("amend size", marked, "amend -o size=\(u(4096)) target"),
      MutatingOperation("amend data_file", dataFile, "amend -o data_file=copy target"),
      MutatingOperation("amend data_file_raw", dataFile, "amend -o data_file_raw=off target"),
    ]
  }

  // MARK: Chains

  private static func rebases(_ texts: SetupTexts) -> [MutatingOperation] {
    func rebase(_ description: String, _ words: String) -> MutatingOperation {
      MutatingOperation(
        description: description, setup: texts.chain, command: "rebase \(words) top.qcow2", sound: ["top.qcow2"],
        shown: ["top.qcow2"], completed: ["top.qcow2"], target: "top.qcow2")
    }
    return [
      rebase("rebase onto another image", "-b other.raw -F raw"),
      rebase("rebase onto a layer of the chain", "-b base.raw -F raw"),
      rebase("rebase onto none", "-b ''"),
      rebase("rebase -c", "-c -b other.raw -F raw"),
      rebase("rebase -u", "-u -b mid.qcow2 -F qcow2"),
    ]
  }

  private static func commits(_ texts: SetupTexts) -> [MutatingOperation] {
    let u = texts.u
    func commit(_ description: String, _ words: String, into target: String, after: String = "") -> MutatingOperation {
      MutatingOperation(
        description: description, setup: texts.chain + after, command: "commit -q \(words) top.qcow2",
        sound: ["top.qcow2", "mid.qcow2"], shown: ["top.qcow2"], completed: ["top.qcow2", target], target: target)
    }
    return [
      commit("commit", "", into: "mid.qcow2"),
      commit("commit -d", "-d", into: "mid.qcow2"),
      commit("commit -r", "-r 200M", into: "mid.qcow2"),
      commit("commit -b, past a layer", "-b base.raw", into: "base.raw"),
      commit(
        "commit of an image with a snapshot", "", into: "mid.qcow2",
        after: "\nqemu-img snapshot -c s top.qcow2; qemu-io -c 'write -P 7 \(u(20)) \(u(1))' top.qcow2"),
      // A large L1 table, and so many counts that their table has grown.
      commit(
        "commit of an image whose tables have moved", "", into: "mid.qcow2",
        after: """

          rm top.qcow2
          qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=64 -b mid.qcow2 -F qcow2 top.qcow2 \(u(28))
          qemu-img resize -q top.qcow2 \(u(128)); qemu-io -c 'write -P 7 100k 2300k' top.qcow2
          """),
      commit(
        "commit of a compressed image into one with a snapshot", "", into: "mid.qcow2",
        after: """

          mv top.qcow2 plain.qcow2; qemu-img snapshot -c s mid.qcow2
          qemu-img convert -c -O qcow2 -o cluster_size=64k -B mid.qcow2 -F qcow2 plain.qcow2 top.qcow2; rm plain.qcow2
          """),
    ]
  }
}

/// What the operations start from.
private struct SetupTexts {
  let unit: Int

  /// So many units, as a size.
  func u(_ count: Int) -> String { "\(count * unit)k" }

  var source: String {
    """
    qemu-img create -q -f raw source \(u(64))
    qemu-io -f raw -c 'write -P 1 0 \(u(22))' -c 'write -P 2 \(u(32)) \(u(5))' source
    """
  }

  /// A disk of two sizes and contents, both in snapshots.
  var versions: String {
    """
    qemu-img create -q -f qcow2 -o cluster_size=4k target \(u(48)); qemu-io -c 'write -P 9 0 \(u(40))' target
    qemu-img snapshot -c first target; qemu-img resize -q target \(u(64))
    qemu-io -c 'write -P 7 \(u(10)) \(u(50))' target; qemu-img snapshot -c second target
    """
  }

  /// A raw base, another one that differs in places, and two layers above, each larger.
  var chain: String {
    """
    qemu-img create -q -f raw base.raw \(u(24)); qemu-io -f raw -c 'write -P 1 0 \(u(24))' base.raw; cp base.raw other.raw
    qemu-io -f raw -c 'write -P 2 1k \(unit - 1)k' -c 'write -P 3 \(6 * unit + 1)k \(u(1))' other.raw
    qemu-io -f raw -c 'write -P 2 \(9 * unit + 2)k \(u(1))' -c 'write -P 4 \(u(18)) \(u(2))' other.raw
    qemu-img create -q -f qcow2 -o cluster_size=4k -b base.raw -F raw mid.qcow2 \(u(28))
    qemu-io -c 'write -P 3 \(u(4)) \(u(8))' -c 'write -z \(u(16)) \(u(2))' -c 'write -P 4 \(u(24)) \(u(2))' mid.qcow2
    qemu-img create -q -f qcow2 -o cluster_size=4k -b mid.qcow2 -F qcow2 top.qcow2 \(u(32))
    qemu-io -c 'write -P 5 \(u(2)) \(u(6))' -c 'write -z \(u(10)) \(u(2))' -c 'write -P 6 \(u(28)) \(u(1))' top.qcow2
    """
  }
}
