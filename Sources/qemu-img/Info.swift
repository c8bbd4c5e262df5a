import ImageCore

/// `qemu-img info` (qemu-img-cli-1 §8).
enum InfoCommand: Command {
  static let name = "info"
  static let synopsis =
    "[--object objectdef] [--image-opts] [-f fmt] [--output=ofmt] [--backing-chain] [-U] filename"

  private static let options: [CommandOption<Option>] =
    CommandOption.common + [
      CommandOption(.format, "f", "format", .required),
      .output, .forceShare, .imageOptions,
      CommandOption(.backingChain, nil, "backing-chain"),
      CommandOption(.cache, "t", "cache", .required, isAddition: true),
      CommandOption(.limits, nil, "limits", isAddition: true),
    ]

  static func run(_ words: [String], _ tool: Tool) throws(Stop) -> Int32 {
    let arguments = try Arguments(words, options, tool)
    let operand = try arguments.singleOperand()
    let json = try arguments.wantsJSON()
    let cache = try arguments.cacheMode(.cache, message: "Invalid cache option")
    let (reports, failure) = try chain(operand, arguments, cache, tool)
    if json {
      if arguments.has(.backingChain) {
        if failure == nil || !reports.isEmpty {
          tool.console.printLine(DataTree.array(reports.map(\.json)).prettyJSON())
        }
      } else if let report = reports.first {
        tool.console.printLine(report.json.prettyJSON())
      }
    } else {
      tool.console.print(reports.map { $0.human(tool.console.shown) }.joined(separator: "\n"))
    }
    guard let failure else { return 0 }
    throw .failed(failure)
  }

  /// The image, and with `--backing-chain` those below it. A layer that cannot be opened does not hide the ones above
  /// it: what was found comes back beside the error.
  private static func chain(
    _ operand: String, _ arguments: Arguments, _ cache: CacheMode, _ tool: Tool
  ) throws(Stop) -> ([ImageReport], ImageError?) {
    func adjust(_ options: inout OpenOptions) {
      options.use = .inspect
      options.cache = cache
    }
    var image = try tool.open(operand, arguments, adjust)
    var reports: [ImageReport] = []
    // Names, as the reference compares them; the same file under other names ends at the depth limit.
    var seen: Set<String> = [image.filename]
    while true {
      let report = try stopping { () throws(ImageError) in try ImageReport(image) }
      reports.append(report)
      guard arguments.has(.backingChain), let next = report.fullBackingName else { return (reports, nil) }
      guard seen.insert(next).inserted else {
        throw .failed("Backing file '\(next)' creates an infinite loop.")
      }
      do throws(ImageError) {
        guard reports.count <= ImageOpener.depthLimit else { throw ImageError("Backing chain too deep", errno: 40) }
        var options = OpenOptions()
        adjust(&options)
        options.forceShare = arguments.has(.forceShare)
        options.format = image.backingReference?.format
        image = try tool.opener.open(next, options)
      } catch {
        return (reports, error)
      }
    }
  }
}

/// What `info` says about one image.
struct ImageReport {
  private let image: any DiskImage
  private let information: ImageInformation
  /// The name by which the layer below would be opened.
  let fullBackingName: String?

  /// Asks the image.
  init(_ image: any DiskImage) throws(ImageError) {
    self.image = image
    information = try image.information()
    fullBackingName = image.backingReference.map { ImageName.resolve($0.name, relativeTo: image.storage.nameOfFile) }
  }

  /// The lines of the human form.
  ///
  /// - Parameter shown: how names are shown.
  func human(_ shown: (String) -> String) -> String {
    var text = """
      image: \(shown(image.filename))
      file format: \(image.format)
      virtual size: \(humanSize(image.virtualSize)) (\(image.virtualSize) bytes)
      disk size: \(image.allocatedSize.map(humanSize) ?? "unavailable")

      """
    if information.isEncrypted { text += "encrypted: yes\n" }
    if let size = image.clusterSize { text += "cluster_size: \(size)\n" }
    if information.isDirty == true { text += "cleanly shut down: no\n" }
    if let backing = image.backingReference {
      text += "backing file: \(shown(backing.name))"
      if let full = fullBackingName, full != backing.name { text += " (actual path: \(shown(full)))" }
      text += "\n"
      if let format = backing.format { text += "backing file format: \(shown(format))\n" }
    }
    if !information.snapshots.isEmpty {
      text += "Snapshot list:\n" + snapshotTable(information.snapshots.map { SnapshotRow($0, shown) })
    }
    if let specific = information.formatSpecific {
      text += "Format specific information:\n" + specific.humanLines(shown: shown)
    }
    return text
  }

  /// The JSON object.
  var json: DataTree {
    var members: [DataTree.Member] = [
      ("virtual-size", .number(image.virtualSize)), ("filename", .string(image.filename)),
      ("format", .string(image.format)),
    ]
    if let size = image.allocatedSize { members.append(("actual-size", .number(size))) }
    if information.isEncrypted { members.append(("encrypted", true)) }
    if let size = image.clusterSize { members.append(("cluster-size", .number(size))) }
    if let dirty = information.isDirty { members.append(("dirty-flag", .boolean(dirty))) }
    if let backing = image.backingReference {
      members.append(("backing-filename", .string(backing.name)))
      if let full = fullBackingName { members.append(("full-backing-filename", .string(full))) }
      if let format = backing.format { members.append(("backing-filename-format", .string(format))) }
    }
    if !information.snapshots.isEmpty {
      members.append(("snapshots", .array(information.snapshots.map(\.json))))
    }
    if let specific = information.formatSpecific {
      members.append(("format-specific", ["type": .string(information.formatSpecificType), "data": specific]))
    }
    return .object(members)
  }
}

extension Snapshot {
  fileprivate var json: DataTree {
    var members: [DataTree.Member] = [
      ("id", .string(id)), ("name", .string(name)), ("vm-state-size", .number(Int64(bitPattern: vmStateSize))),
      ("date-sec", .number(seconds)), ("date-nsec", .number(nanoseconds)),
      ("vm-clock-sec", .number(vmClock / 1_000_000_000)), ("vm-clock-nsec", .number(vmClock % 1_000_000_000)),
    ]
    if let instructionCount { members.append(("icount", .number(Int64(bitPattern: instructionCount)))) }
    return .object(members)
  }
}

extension SnapshotRow {
  /// The row of a recorded snapshot.
  init(_ snapshot: Snapshot, _ shown: (String) -> String) {
    self.init(
      id: shown(snapshot.id), name: shown(snapshot.name), stateSize: snapshot.vmStateSize, date: snapshot.seconds,
      clock: snapshot.vmClock, instructionCount: snapshot.instructionCount)
  }
}
