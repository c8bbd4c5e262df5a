import ImageCore

/// The internal snapshot that `-l` names (qemu-img-cli-1 §11.4).
struct SnapshotChoice {
  private var id: String?
  private var name: String?
  /// Text that is an ID or, failing that, a name.
  private var either: String?

  /// Whether this choice counts when the option was given before as well: the last `snapshot.…` one; without any, the last.
  func replaces(_ earlier: SnapshotChoice?) -> Bool { either == nil || earlier?.either != nil || earlier == nil }

  /// Reads the argument: `snapshot.id=…,snapshot.name=…`, or an ID or name.
  init(_ text: String, _ console: Console) throws(Stop) {
    guard text.utf8.starts(with: "snapshot.".utf8) else {
      either = text
      return
    }
    for item in optionItems(text.rawBytes) {
      if item.value == nil { console.warnShortForm(item.name) }
      let value = item.value ?? "on"
      switch item.name {
      case "snapshot.id": id = value
      case "snapshot.name": name = value
      default:
        console.error("Invalid parameter '\(item.name)'")
        throw .failed("Failed in parsing snapshot param '\(text)'")
      }
    }
  }

  /// The disk as it was at that snapshot.
  func open(_ image: any DiskImage) throws(Stop) -> any DiskImage {
    do throws(ImageError) {
      guard let image = image as? any SnapshotImage else {
        throw ImageError(
          "Block format '\(image.format)' used by device '' does not support temporarily loading internal snapshots",
          errno: 95 /* ENOTSUP */)
      }
      guard let index = index(in: image.snapshots) else {
        throw ImageError("Can't find snapshot", errno: 2 /* ENOENT */)
      }
      return try image.openSnapshot(index)
    } catch {
      throw .failed(error.prefixed("Failed to load snapshot: "))
    }
  }

  private func index(in snapshots: [Snapshot]) -> Int? {
    if let either {
      return snapshots.firstIndex { $0.id == either } ?? snapshots.firstIndex { $0.name == either }
    }
    return snapshots.firstIndex { snapshot in
      (id == nil || snapshot.id == id) && (name == nil || snapshot.name == name)
    }
  }
}

extension Console {
  /// What is said about a word without `=` in an option list.
  func warnShortForm(_ name: String) {
    warn("short-form boolean option '\(name)' deprecated")
    note("Please use \(name)=on instead")
  }
}
