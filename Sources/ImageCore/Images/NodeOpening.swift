import Bytes
import Storage

// How an option tree becomes nodes (qemu-img-cli-2 §7). A format node interprets a storage; the storage is a file or
// device, or another format node.

extension OptionTree {
  /// The same options with the driver of files spelled out where only their names were given.
  fileprivate var withFileDrivers: OptionTree {
    var result = OptionTree()
    for member in members {
      if let path = member.key.hasSuffix("filename") ? member.key.dropLast("filename".count) : nil,
        path.isEmpty || path.hasSuffix("."), self[path + "driver"] == nil
      {
        result[path + "driver"] = "file"
      }
      result[member.key] = member.value
    }
    return result
  }
}

/// What one opening has met so far: loops and repeated names are found by it.
struct OpeningPath {
  /// The files on the way down from the top image: a repetition is a loop.
  var identities: Set<FileIdentity> = []
  /// Number of layers above.
  var depth = 0
  /// Number of nodes that stand on one another, in all layers.
  var nodes = 0
  /// Node names of the tree.
  var nodeNames: Set<String> = []
}

extension ImageOpener {
  /// Protocol drivers that can stand where a format is expected; they show the bytes as they are.
  static let protocols = ["file", "host_device", "host_cdrom", "null-co", "null-aio", "blkdebug"]

  /// A storage, and how it is told in an image's name.
  struct OpenedStorage {
    var storage: any Storage
    /// The options by which it would be opened again.
    var tree: DataTree
    /// Whether its name alone opens it again.
    var isPlain: Bool

    /// How it is told: its name, if that opens the same thing again, else the options.
    var shownName: String { isPlain ? storage.name : "json:" + tree.compactJSON() }
  }

  /// Opens a node that shows a disk.
  ///
  /// - Parameters:
  ///   - tree: the options of the node and its children.
  ///   - filename: a name as operands and headers have it; nil when the tree names the file.
  func openNode(
    _ tree: OptionTree, filename: String?, _ options: OpenOptions, _ path: inout OpeningPath
  ) throws(ImageError) -> any DiskImage {
    var tree = tree
    var options = options
    var filename = filename
    if let name = filename, name.utf8.starts(with: "json:".utf8) {
      tree = try jsonTree(name)
      filename = nil
    }
    let given = tree
    try NodeOptions.take(from: &tree, &options, names: &path.nodeNames, warn: warn)
    if let driver = tree.take("driver"), case .string(let name) = driver, options.format == nil {
      options.format = name
    }
    if let driver = options.format, ImageOpener.protocols.contains(driver) {
      return try openProtocolNode(driver, &tree, filename: filename, options, &path)
    }
    let isKnown = options.format.map { self.format($0) != nil } ?? true
    guard isKnown else { throw ImageError("Unknown driver '\(options.format ?? "")'") }

    let opened = try openChild(&tree, key: "file", filename: filename, options, &path)
    if let identity = opened.storage.identity {
      guard path.identities.insert(identity).inserted else {
        throw ImageError(
          "Backing file '\(opened.storage.name)' creates an infinite loop.", errno: 40 /* ELOOP */)
      }
    }
    let backing = try takeBackingChoice(&tree, options)
    let format = try chooseFormat(opened.storage, options)
    let values = try takeOptions(format.runtimeOptions, from: &tree, warn: warn)
    let dataFile = format.takesDataFile ? takeDataFile(&tree, options, path) : nil
    let shown = shownName(opened, format, given, values, backing)
    let image = try openFormat(format, opened.storage, filename: shown, options, values, dataFile: dataFile)
    (opened.storage as? BlkdebugStorage)?.beginUse()
    try giveBack(backing, to: &tree, image, options)
    if let key = tree.firstKey {
      throw ImageError("Block format '\(format.name)' does not support the option '\(key)'")
    }
    try openBacking(of: image, backing, options, &path)
    return image
  }

  private func opensLayers(_ options: OpenOptions) -> Bool { options.opensBacking ?? (options.use != .inspect) }

  private func warn(_ text: String) { notify(.warning(text)) }

  // MARK: Files

  private func openProtocolNode(
    _ driver: String, _ tree: inout OptionTree, filename: String?, _ options: OpenOptions, _ path: inout OpeningPath
  ) throws(ImageError) -> any DiskImage {
    guard let raw = format("raw") else { throw ImageError("Unknown driver '\(driver)'") }
    var tree = tree
    let opened = try openFile(driver, &tree, filename: filename, options, &path)
    var context = context(for: opened.shownName, options)
    context.driver = driver
    if let file = opened.storage.file { try file.lock(lock(of: raw, options)) }
    let image = try raw.open(opened.storage, context)
    (opened.storage as? BlkdebugStorage)?.beginUse()
    return image
  }

  /// Opens what a node stands on: the child `file` of a format, or `image`.
  func openChild(
    _ tree: inout OptionTree, key: String, filename: String?, _ options: OpenOptions, _ path: inout OpeningPath
  ) throws(ImageError) -> OpenedStorage {
    // Names and options can be nested as deeply as they are long.
    path.nodes += 1
    guard path.nodes <= 8 * ImageOpener.depthLimit else { throw ImageError("Too many nodes", errno: 40 /* ELOOP */) }
    var child = tree.takeSubtree(key)
    if case .string(let reference)? = tree.take(key) {
      guard child.isEmpty, filename == nil else {
        throw ImageError("Cannot reference an existing block device with additional options or a new filename")
      }
      throw ImageError("Cannot find device='\(reference)' nor node-name='\(reference)'")
    }
    if child.isEmpty, filename == nil {
      throw ImageError(
        options.format == nil
          ? "Must specify either driver or file" : "A block device must be specified for \"\(key)\"")
    }
    var options = options
    options.format = nil
    try NodeOptions.take(from: &child, &options, names: &path.nodeNames, warn: warn)
    var driver: String?
    if case .string(let name)? = child.take("driver") { driver = name }
    if let driver, !ImageOpener.protocols.contains(driver) {
      // A format over a format: the inner disk is the outer one's file.
      options.format = driver
      let image = try openNode(child, filename: nil, options, &path)
      let tree: DataTree = [
        "driver": .string(driver), "file": ["driver": "file", "filename": .string(image.storage.name)],
      ]
      return OpenedStorage(storage: ImageStorage(image), tree: tree, isPlain: false)
    }
    return try openFile(driver, &child, filename: filename, options, &path)
  }

  /// Opens what a protocol leads to: a file, a device, or none of them.
  private func openFile(
    _ driver: String?, _ tree: inout OptionTree, filename: String?, _ options: OpenOptions, _ path: inout OpeningPath
  ) throws(ImageError) -> OpenedStorage {
    var spoken = driver
    if driver == nil, let filename, FileSystemEntry(path: filename) != .device {
      spoken = ImageName.protocolPrefix(of: filename).map(String.init)
    }
    switch spoken {
    case "null-co", "null-aio": return try openNull(spoken ?? "", &tree, filename: filename, options)
    case "blkdebug": return try openBlkdebug(&tree, filename: filename, options, &path)
    default: break
    }
    let definitions = [
      OptionDefinition("filename", .text, ""), OptionDefinition("aio", .text, ""),
      OptionDefinition("locking", .text, ""), OptionDefinition("pr-manager", .text, ""),
      OptionDefinition("drop-cache", .boolean, ""), OptionDefinition("x-check-cache-dropped", .boolean, ""),
    ]
    // A name must be text; a number counts as none.
    if let value = tree["filename"], case .string = value {} else { tree["filename"] = nil }
    let values = try takeOptions(definitions, from: &tree, warn: warn)
    let literal = values["filename"]?.text
    if literal != nil, filename != nil {
      throw ImageError("Can't specify 'file' and 'filename' options at the same time")
    }
    guard let name = filename ?? literal ?? (driver == nil ? nil : "") else {
      throw ImageError("Must specify either driver or file")
    }
    for (option, allowed) in [("aio", ["threads", "native", "io_uring"]), ("locking", ["on", "off", "auto"])] {
      if let value = values[option]?.text, !allowed.contains(value) {
        throw ImageError("invalid parameter value: \(value)")
      }
    }
    let kind = try fileKind(driver, of: name, isOperand: filename != nil)
    try NodeOptions.checkSharing(options)
    let storage: FileStorage
    do throws(ImageError) {
      storage = try FileStorage(
        path: filename == nil ? name : ImageName.localPath(name), writable: options.use.isWriting,
        cache: options.cache, kind: kind, locking: values["locking"]?.text != "off")
    } catch {
      let other = "'host_device'"
      guard spoken == "host_cdrom", error.message.hasPrefix(other) else { throw error }
      throw ImageError("'host_cdrom'" + error.message.dropFirst(other.count), errno: error.errno)
    }
    guard storage.length <= ImageOpener.largestFile else {
      throw ImageError.system(27 /* EFBIG */).prefixed("Could not refresh total sector count: ")
    }
    if let key = tree.firstKey {
      throw ImageError(
        "Block protocol '\(storage.isDevice ? "host_device" : "file")' doesn't support the option '\(key)'")
    }
    let shown: DataTree = [
      "driver": .string(storage.isDevice ? "host_device" : "file"), "filename": .string(storage.name),
    ]
    return OpenedStorage(storage: storage, tree: shown, isPlain: true)
  }

  /// What sort of file the driver, or the name's protocol, asks for.
  private func fileKind(_ driver: String?, of name: String, isOperand: Bool) throws(ImageError) -> FileStorage.Kind {
    switch driver {
    case "file": return .regular
    case .some: return .device
    case nil: break
    }
    // A device is known by what it is, whatever its name looks like.
    guard isOperand, FileSystemEntry(path: name) != .device, let prefix = ImageName.protocolPrefix(of: name) else {
      return .either
    }
    switch prefix {
    case "file": return .regular
    case "host_device", "host_cdrom": return .device
    default: throw ImageError("Unknown protocol '\(prefix)'")
    }
  }

  /// How the node is opened that is to hold the data instead of the file that the header names; nil when the tree does
  /// not say, or the image is only looked at.
  private func takeDataFile(
    _ tree: inout OptionTree, _ options: OpenOptions, _ path: OpeningPath
  ) -> (@Sendable () throws(ImageError) -> any Storage)? {
    let key = "data-file"
    var child = OptionTree()
    child.put(tree.takeSubtree(key), under: key)
    if case .string(let reference)? = tree.take(key) { child[key] = .string(reference) }
    guard !child.isEmpty, options.use != .inspect else { return nil }
    return { [child, path] () throws(ImageError) in
      var (child, path) = (child, path)
      return try openChild(&child, key: key, filename: nil, options, &path).storage
    }
  }

  // MARK: Layers below

  /// What the tree says about the layer below.
  enum BackingChoice {
    /// Nothing: the header decides.
    case recorded
    /// There is to be none.
    case none
    /// An existing node, of which there are none.
    case reference(String)
    /// These options instead of, or beside, what the header says.
    case node(OptionTree)
  }

  private func takeBackingChoice(_ tree: inout OptionTree, _ options: OpenOptions) throws(ImageError) -> BackingChoice {
    let subtree = tree.takeSubtree("backing")
    switch tree.take("backing") {
    case nil: return subtree.isEmpty ? .recorded : .node(subtree)
    case .string("")?:
      warn("Use of \"backing\": \"\" is deprecated; use \"backing\": null instead")
      return .none
    case .string(let name)?: return .reference(name)
    default: return .none
    }
  }

  /// Options of a layer below that will not be opened are options that nobody knows.
  private func giveBack(
    _ choice: BackingChoice, to tree: inout OptionTree, _ image: any DiskImage, _ options: OpenOptions
  ) throws(ImageError) {
    switch choice {
    case .recorded, .none: return
    case .node where opensLayers(options) && !image.supportsBacking:
      throw ImageError("Driver doesn't support backing files")
    case .node(let subtree):
      if !opensLayers(options) { tree.put(subtree, under: "backing") }
    case .reference(let name):
      if !opensLayers(options) || !image.supportsBacking { tree["backing"] = .string(name) }
    }
  }

  private func openBacking(
    of image: any DiskImage, _ choice: BackingChoice, _ options: OpenOptions, _ path: inout OpeningPath
  ) throws(ImageError) {
    guard opensLayers(options), image.supportsBacking else { return }
    var below = options
    below.format = image.backingReference?.format
    below.use = options.use == .inspect ? .inspect : .read
    below.isCheck = false
    var tree = OptionTree()
    var name = image.backingReference.map { ImageName.resolve($0.name, relativeTo: image.storage.nameOfFile) }
    switch choice {
    case .recorded: break
    case .none: return
    case .reference(let name):
      throw ImageError("Could not open backing file: Cannot find device='\(name)' nor node-name='\(name)'")
    case .node(let options):
      tree = options
      if case .string? = tree["driver"] { below.format = nil }
      if tree.hasSubtree("file") || tree["file"] != nil || tree["filename"] != nil { name = nil }
    }
    if name == nil, tree.isEmpty { return }
    path.depth += 1
    guard path.depth <= ImageOpener.depthLimit else { throw ImageError("Backing chain too deep", errno: 40) }
    do throws(ImageError) {
      image.attachBacking(try openNode(tree, filename: name, below, &path))
    } catch {
      // The reference words every level of a failing chain; a loop is told once.
      throw error.errno == 40 ? error : error.prefixed("Could not open backing file: ")
    }
  }

  // MARK: Names

  /// The tree of a `json:` name.
  private func jsonTree(_ name: String) throws(ImageError) -> OptionTree {
    let value: DataTree
    do throws(ImageError) {
      value = try parseJSON(Array(name.rawBytes.dropFirst("json:".utf8.count)))
    } catch {
      throw error.prefixed("Could not parse the JSON options: ")
    }
    guard case .object(let members) = value else { throw ImageError("Invalid JSON object given") }
    return OptionTree(members)
  }

  /// The name by which the image is shown: the file's, if that opens the same thing again (§7.9).
  private func shownName(
    _ opened: OpenedStorage, _ format: any ImageFormat.Type, _ given: OptionTree, _ values: OptionValues,
    _ backing: BackingChoice
  ) -> String {
    var isPlain = opened.isPlain
    var members: [DataTree.Member] = [("driver", .string(format.name)), ("file", opened.tree)]
    for name in format.contentOptions where values[name] != nil {
      isPlain = false
      // Shown as it was given: text from --image-opts, a number from json:.
      members.append((name, given[name] ?? .null))
    }
    if case .node(let subtree) = backing {
      isPlain = false
      members.append(("backing", subtree.withFileDrivers.nested))
    }
    if isPlain { return opened.storage.name }
    let text = "json:" + DataTree.object(members).compactJSON()
    return text.utf8.count <= 4095 ? text : String(text.prefix(4092)) + "..."
  }

  // MARK: --image-opts

  /// The tree of an `--image-opts` text (§7.6).
  package func optionTree(_ text: String) throws(ImageError) -> OptionTree {
    var members: [DataTree.Member] = []
    for (index, item) in optionItems(text.rawBytes, firstIsValue: true).enumerated() {
      switch item.value {
      case let value?:
        members.append((item.name.isEmpty && index == 0 ? "file" : item.name, .string(value)))
      case nil:
        let isOff = item.name.utf8.starts(with: "no".utf8)
        let name = isOff ? String(rawBytes: item.name.rawBytes.dropFirst(2)) : item.name
        let value = isOff ? "off" : "on"
        // A wish for help is in order without a value, although nobody answers it here.
        if item.name != "help" && item.name != "?" {
          notify(.warning("short-form boolean option '\(item.name)' deprecated"))
          notify(.line("Please use \(name)=\(value) instead"))
        }
        members.append((name, .string(value)))
      }
    }
    if let id = members.last(where: { $0.key == "id" })?.value.text, !isIdentifier(id) { throw identifierError }
    return OptionTree(members)
  }
}
