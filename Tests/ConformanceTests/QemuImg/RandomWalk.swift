import Foundation
import TestSupport
import Testing

/// Long random sequences of operations on a chain: ours does everything but the guest's writes, which are `qemu-io`'s.
/// After every step each layer must show what a plain model says, and the reference's `check` must find nothing.
///
/// RANDOM_WALKS is the number of sequences (300 are a thorough run), RANDOM_WALK_STEPS their length, RANDOM_WALK_SEED the
/// first seed: a failure names its own.
struct RandomWalk {
  /// The last ones once found that a rebase with compression stored over subclusters that the image held.
  static let seeds =
    (0..<Trial.setting("RANDOM_WALKS", 12)).map { Trial.setting("RANDOM_WALK_SEED", 1) + $0 } + [7011, 7047]

  @Test(arguments: seeds) func sequence(seed: Int) async throws {
    try await Slots.sequences.withSlot {
      _ = Totals.announceAtExit
      let tools = try Tools(tool: "qemu-img")
      let folder = Tools.memoryWorkFolder.appendingPathComponent("walk-\(seed)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      var walk = Walk(seed: seed, tools: tools, folder: folder)
      do {
        try await walk.start()
        for _ in 0..<Trial.setting("RANDOM_WALK_STEPS", 30) { try await walk.step() }
      } catch let fault as WalkFault {
        let text = "seed \(seed) in \(folder.path):\n" + walk.history.joined(separator: "\n") + "\n\(fault.message)"
        Totals.failures.withLock { $0.append(text) }
        Issue.record(Comment(rawValue: text))
        return
      }
      try FileManager.default.removeItem(at: folder)
    }
  }
}

/// What went wrong in a step.
private struct WalkFault: Error {
  let message: String
}

/// A disk's contents: one byte value for each block.
private struct Disk: Equatable {
  static let block = 1024
  var blocks: [UInt8]

  init(_ count: Int) { blocks = Array(repeating: 0, count: count) }

  mutating func resize(to count: Int) {
    if count < blocks.count {
      blocks.removeLast(blocks.count - count)
    } else {
      blocks += Array(repeating: 0, count: count - blocks.count)
    }
  }

  /// The first block in which a dump of the disk differs.
  func firstDifference(from dump: Data) -> String? {
    if dump.count != blocks.count * Disk.block { return "\(dump.count) bytes instead of \(blocks.count * Disk.block)" }
    var expected = Data(capacity: dump.count)
    var start = 0
    while start < blocks.count {
      let end = blocks[start...].firstIndex { $0 != blocks[start] } ?? blocks.count
      expected.append(Data(repeating: blocks[start], count: (end - start) * Disk.block))
      start = end
    }
    if dump == expected { return nil }
    let index = zip(dump, expected).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? 0
    return "byte \(index) is \(dump[index]) instead of \(expected[index])"
  }
}

private struct Layer {
  var name: String
  var isRaw = false
  var version = 3
  /// nil when a commit past the layer has changed what it shows.
  var disk: Disk?
  var size: Int
  /// Internal snapshots; without contents once the layer below has changed.
  var snapshots: [(name: String, disk: Disk?, size: Int)] = []
  var bitmaps: [String] = []

  var format: String { isRaw ? "raw" : "qcow2" }
}

private struct Walk {
  let tools: Tools
  let folder: URL
  private(set) var history: [String] = []
  /// From the bottom up.
  private var layers: [Layer] = []
  private var generator: SplitMix64
  private var names = 0
  /// The subcommands that the tool has.
  private var commands: Set<String> = []

  init(seed: Int, tools: Tools, folder: URL) {
    self.tools = tools
    self.folder = folder
    generator = SplitMix64(seed: seed)
  }

  // MARK: Chance

  private mutating func random(_ bound: Int) -> Int {
    Int(generator.next() % UInt64(bound))
  }

  private mutating func choose<T>(_ values: [T]) -> T { values[random(values.count)] }

  /// A disk size in blocks.
  private mutating func randomSize() -> Int { 1024 + random(3000) }

  private mutating func name(_ prefix: String) -> String {
    names += 1
    return "\(prefix)\(names)"
  }

  // MARK: Commands

  private mutating func ours(_ command: String) async throws {
    history.append("qemu-img " + command)
    let output = try await Process.run(
      executable: tools.ours, name: "qemu-img", arguments: shellWords(command), in: folder, path: tools.oursPath)
    guard output.status == 0, output.stderr.isEmpty else {
      throw WalkFault(message: "status \(output.status): \(output.stderr)\(output.stdout)")
    }
  }

  private mutating func guest(_ commands: [String], on layer: Layer) async throws {
    let line =
      "qemu-io -f \(layer.format) " + commands.map { "-c '\($0)'" }.joined(separator: " ") + " \(layer.name) >/dev/null"
    history.append(line)
    let output = try await Process.run(shell: line, in: folder, path: tools.referencePath)
    guard output.status == 0, output.stderr.isEmpty else { throw WalkFault(message: "guest: \(output)") }
  }

  // MARK: The walk

  mutating func start() async throws {
    let help = try await Process.run(
      executable: tools.ours, name: "qemu-img", arguments: ["--help"], in: folder, path: tools.oursPath)
    commands = Set(
      help.stdout.split(separator: "\n").compactMap { line in
        line.hasPrefix("  ") ? line.dropFirst(2).split(separator: " ").first.map(String.init) : nil
      })
    var base = Layer(name: "base.raw", isRaw: true, size: randomSize())
    base.disk = Disk(base.size)
    history.append("truncate -s \(base.size * Disk.block) base.raw")
    try Data().write(to: folder.appendingPathComponent(base.name))
    truncate(folder.appendingPathComponent(base.name).path, off_t(base.size * Disk.block))
    layers = [base]
    try await write()
    try await addOverlay()
  }

  mutating func step() async throws {
    switch random(20) {
    case 0...2: layers.count < 6 ? try await addOverlay() : try await commit()
    case 3...7: try await write()
    case 8, 9: try await commit()
    case 10...12: try await rebase()
    case 13: try await resize()
    case 14...16: try await snapshot()
    case 17: try await bitmap()
    case 18: try await amend()
    default: try await ours("check -q -r all \(layers[layers.count - 1].name)")
    }
    try await verify()
  }

  private mutating func createOptions() -> (text: String, version: Int) {
    let cluster = choose(["512", "4k", "64k", "64k", "2M"])
    switch random(6) {
    case 0: return ("compat=0.10,cluster_size=\(cluster)", 2)
    case 1: return ("extended_l2=on", 3)
    case 2: return ("lazy_refcounts=on,cluster_size=\(cluster)", 3)
    case 3: return ("refcount_bits=\(choose([8, 32, 64])),cluster_size=\(cluster)", 3)
    default: return ("cluster_size=\(cluster)", 3)
    }
  }

  private mutating func addOverlay() async throws {
    let base = layers[layers.count - 1]
    let (options, version) = createOptions()
    let size = random(3) == 0 ? randomSize() : base.size
    var layer = Layer(name: name("layer") + ".qcow2", version: version, size: size)
    try await ours(
      "create -q -f qcow2 -o \(options) -b \(base.name) -F \(base.format) \(layer.name) \(size * Disk.block)")
    layer.disk = base.disk
    layer.disk?.resize(to: size)
    layers.append(layer)
  }

  /// The guest writes to the top layer.
  private mutating func write() async throws {
    var top = layers.removeLast()
    var commands: [String] = []
    for _ in 0...random(4) {
      let start = random(top.size)
      let count = min(top.size - start, 1 + random(random(3) == 0 ? 600 : 40))
      var value = UInt8(1 + random(255))
      if random(4) == 0 { value = 0 }
      commands.append(
        "write \(value == 0 ? "-z" : "-P \(value)") \(start * Disk.block) \(count * Disk.block)")
      top.disk?.blocks.replaceSubrange(start..<start + count, with: Array(repeating: value, count: count))
    }
    try await guest(commands, on: top)
    layers.append(top)
  }

  private mutating func commit() async throws {
    guard layers.count > 1 else { return try await addOverlay() }
    let top = layers.count - 1
    let target = random(3) == 0 ? random(top) : top - 1
    // Version 2 does not let a disk grow that has snapshots or lies over a larger one.
    if layers[target].version == 2 && layers[top].size > layers[target].size { return try await write() }
    let drops = target != top - 1 || random(4) == 0
    let base = target == top - 1 ? "" : "-b \(layers[target].name) "
    try await ours("commit -q \(drops && target == top - 1 ? "-d " : "")\(base)\(layers[top].name)")
    let size = max(layers[target].size, layers[top].size)
    var disk = layers[top].disk
    if let old = layers[target].disk, old.blocks.count > layers[top].size {
      disk?.blocks += old.blocks[layers[top].size...]
    } else if layers[target].size > layers[top].size {
      disk = nil
    }
    layers[target].disk = disk
    layers[target].size = size
    // What lies between sits on a changed base; what snapshots show of the layers below has changed, too.
    for index in target + 1..<top { layers[index].disk = nil }
    for index in target + 1...top {
      for number in layers[index].snapshots.indices { layers[index].snapshots[number].disk = nil }
    }
  }

  private mutating func rebase() async throws {
    guard layers.count > 1 else { return try await addOverlay() }
    var top = layers.removeLast()
    for number in top.snapshots.indices { top.snapshots[number].disk = nil }
    let options = random(4) == 0 ? "-c " : ""
    switch random(4) {
    case 0:
      try await ours("rebase \(options)-b '' \(top.name)")
      layers = []
    case 1:
      // Onto an image that has nothing to do with it.
      var base = Layer(name: name("new") + ".raw", isRaw: true, size: randomSize())
      base.disk = Disk(base.size)
      truncateNew(base)
      layers = [base]
      try await write()
      try await ours("rebase \(options)-b \(base.name) -F raw \(top.name)")
    default:
      let target = random(layers.count)
      try await ours("rebase \(options)-b \(layers[target].name) -F \(layers[target].format) \(top.name)")
      layers.removeSubrange((target + 1)...)
    }
    layers.append(top)
  }

  private func truncateNew(_ layer: Layer) {
    let path = folder.appendingPathComponent(layer.name).path
    _ = FileManager.default.createFile(atPath: path, contents: nil)
    truncate(path, off_t(layer.size * Disk.block))
  }

  private mutating func resize() async throws {
    var top = layers.removeLast()
    let size = randomSize()
    if top.isRaw || (top.version == 2 && (!top.snapshots.isEmpty || size > top.size)) {
      layers.append(top)
      return try await write()
    }
    try await ours("resize -q --shrink \(top.name) \(size * Disk.block)")
    top.disk?.resize(to: size)
    top.size = size
    layers.append(top)
  }

  private mutating func snapshot() async throws {
    var top = layers.removeLast()
    defer { layers.append(top) }
    if top.isRaw { return }
    let known = top.snapshots.filter { $0.disk != nil && (top.version == 3 || $0.size == top.size) }
    switch random(4) {
    case 0 where !known.isEmpty && top.bitmaps.isEmpty:
      let chosen = choose(known)
      try await ours("snapshot -q -a \(chosen.name) \(top.name)")
      top.disk = chosen.disk
      top.size = chosen.size
    case 1 where !top.snapshots.isEmpty:
      let index = random(top.snapshots.count)
      try await ours("snapshot -d \(top.snapshots[index].name) \(top.name)")
      top.snapshots.remove(at: index)
    default:
      guard top.snapshots.count < 4 else { return }
      let snapshot = name("snap")
      try await ours("snapshot -c \(snapshot) \(top.name)")
      top.snapshots.append((snapshot, top.disk, top.size))
    }
  }

  private mutating func bitmap() async throws {
    var top = layers.removeLast()
    defer { layers.append(top) }
    if top.isRaw || top.version == 2 || !commands.contains("bitmap") { return }
    if let present = top.bitmaps.last, random(2) == 0 {
      let action = choose(["--remove", "--clear", "--enable", "--disable"])
      try await ours("bitmap \(action) \(top.name) \(present)")
      if action == "--remove" { top.bitmaps.removeLast() }
    } else if top.bitmaps.count < 3 {
      let bitmap = name("bitmap")
      try await ours("bitmap --add \(top.name) \(bitmap)")
      top.bitmaps.append(bitmap)
    }
  }

  private mutating func amend() async throws {
    var top = layers.removeLast()
    defer { layers.append(top) }
    if top.isRaw || !commands.contains("amend") { return }
    if top.version == 2 {
      try await ours("amend -o compat=1.1 \(top.name)")
      top.version = 3
    } else {
      try await ours(
        "amend -o \(choose(["lazy_refcounts=on", "lazy_refcounts=off", "refcount_bits=32", "refcount_bits=16"])) \(top.name)"
      )
    }
  }

  // MARK: The judge

  private func verify() async throws {
    var script = ""
    var dumps: [(file: String, disk: Disk, what: String)] = []
    for layer in layers {
      if !layer.isRaw {
        script +=
          "qemu-img check -q \(layer.name) || { echo \"check of \(layer.name): $?\"; qemu-img check \(layer.name); }\n"
      }
      if let disk = layer.disk {
        dumps.append((layer.name + ".dump", disk, layer.name))
        script += "qemu-img convert -f \(layer.format) -O raw \(layer.name) \(layer.name).dump\n"
      }
      for snapshot in layer.snapshots {
        guard let disk = snapshot.disk, snapshot.size == layer.size else { continue }
        dumps.append(("\(layer.name)-\(snapshot.name).dump", disk, "\(layer.name), snapshot \(snapshot.name)"))
        script += "qemu-img convert -l \(snapshot.name) -O raw \(layer.name) \(layer.name)-\(snapshot.name).dump\n"
      }
    }
    let output = try await Process.run(shell: "{ \(script)} 2>&1", in: folder, path: tools.referencePath)
    guard output.status == 0, output.stdout.isEmpty else { throw WalkFault(message: output.stdout) }
    for dump in dumps {
      let path = folder.appendingPathComponent(dump.file)
      if let difference = dump.disk.firstDifference(from: try Data(contentsOf: path)) {
        throw WalkFault(message: "\(dump.what): \(difference)")
      }
      try FileManager.default.removeItem(at: path)
    }
  }
}
