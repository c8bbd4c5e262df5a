import CLinux
import ImageCore

/// `qemu-img snapshot` (qemu-img-cli-2 §1).
enum SnapshotCommand: Command {
  static let name = "snapshot"
  static let synopsis =
    "[--object objectdef] [--image-opts] [-U] [-q] [-l | -a snapshot | -c snapshot | -d snapshot] filename"

  private static let actions: Set<Option> = [.list, .apply, .createSnapshot, .delete]
  private static let options: [CommandOption<Option>] =
    CommandOption.common + [
      CommandOption(.list, "l", "list", isAddition: true),
      CommandOption(.apply, "a", "apply", .required, isAddition: true),
      CommandOption(.createSnapshot, "c", "create", .required, isAddition: true),
      CommandOption(.delete, "d", "delete", .required, isAddition: true),
      CommandOption(.format, "f", nil, .required, isAddition: true),
      CommandOption(.format, nil, "format", .required, isAddition: true),
      CommandOption(.quiet, "q", "quiet", isAddition: true),
      .forceShare, .imageOptions,
    ]

  static func run(_ words: [String], _ tool: Tool) throws(Stop) -> Int32 {
    var action: (option: Option, name: String)?
    let arguments = try Arguments(words, options, tool) { (option, value) throws(Stop) in
      guard actions.contains(option) else { return }
      guard action == nil else { throw .usage("Cannot mix '-l', '-a', '-c', '-d'") }
      action = (option, value)
    }
    let file = try arguments.singleOperand()
    // Without an action nothing is done, but the image is opened as if it were to be changed.
    let image = try tool.open(file, arguments) { if action?.option != .list { $0.use = .write } }
    guard let (option, name) = action else { return 0 }
    switch option {
    case .list: list(image, tool)
    case .apply: try apply(name, image)
    case .createSnapshot: try create(name, image)
    default: try delete(name, image)
    }
    return 0
  }

  private static func list(_ image: any DiskImage, _ tool: Tool) {
    guard let snapshots = (image as? any SnapshotImage)?.snapshots, !snapshots.isEmpty else { return }
    tool.console.print(
      "Snapshot list:\n" + snapshotTable(snapshots.map { SnapshotRow($0, tool.console.shown) }))
  }

  private static func create(_ name: String, _ image: any DiskImage) throws(Stop) {
    do throws(ImageError) {
      guard let image = image as? any WritableSnapshotImage else { throw ImageError.system(95 /* ENOTSUP */) }
      let now = clinux_microseconds_since_1970()
      try image.createSnapshot(
        name, seconds: UInt32(truncatingIfNeeded: now / 1_000_000), nanoseconds: UInt32(now % 1_000_000) * 1000)
      try image.close()
    } catch {
      throw .failed(
        ImageError(
          "Could not create snapshot '\(name)': -\(error.errno) (\(errorText(error.errno)))", errno: error.errno))
    }
  }

  private static func apply(_ name: String, _ image: any DiskImage) throws(Stop) {
    do throws(ImageError) {
      guard let image = image as? any WritableSnapshotImage else {
        throw ImageError("Block driver does not support snapshots", errno: 95)
      }
      try image.applySnapshot(name)
      try image.close()
    } catch {
      throw .failed(error.prefixed("Could not apply snapshot '\(name)': "))
    }
  }

  /// A name comes before an identifier.
  private static func delete(_ name: String, _ image: any DiskImage) throws(Stop) {
    do throws(ImageError) {
      let snapshots = (image as? any SnapshotImage)?.snapshots ?? []
      let stored = String(rawBytes: name.rawBytes.prefix(255))
      guard let image = image as? any WritableSnapshotImage,
        let index = snapshots.firstIndex(where: { $0.name == name }) ?? snapshots.firstIndex(where: {
          $0.name == stored
        })
          ?? snapshots.firstIndex(where: { $0.id == name })
      else { throw ImageError("snapshot not found", errno: 2 /* ENOENT */) }
      try image.deleteSnapshot(index)
      try image.close()
    } catch {
      throw .failed(error.prefixed("Could not delete snapshot '\(name)': "))
    }
  }
}
