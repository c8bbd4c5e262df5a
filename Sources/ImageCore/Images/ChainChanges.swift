import Bytes
import Storage

// What rebase and commit need of the layers of a chain (qemu-img-cli-2 §2, §3).

/// An image whose layer below can be exchanged.
public protocol RebasableImage: WritableDiskImage {
  /// Whether ``changeBacking(to:)`` can succeed, without changing anything.
  ///
  /// - Throws: EINVAL for a name that is too long, ENOSPC where the header has no room for it.
  func checkBackingChange(to reference: BackingReference?) throws(ImageError)
  /// Records another layer below, or none. Everything written before is durable first, and the record changes at once:
  /// whoever opens the image at any time finds the one or the other, and the contents that go with it.
  func changeBacking(to reference: BackingReference?) throws(ImageError)
}

/// An image that can give up all that it holds, and show the layer below.
public protocol EmptyableImage: WritableDiskImage {
  /// Empties the image. At every moment it reads as before or as the layer below, piece by piece.
  func makeEmpty() throws(ImageError)
}

/// An image that can be written to after it was opened for reading.
public protocol ReopenableImage: WritableDiskImage {
  /// Opens the image's files anew for writing, and takes a writer's locks.
  ///
  /// - Throws: `Failed to get … lock`, `Could not open …`; the image can be read as before then.
  func reopenForWriting() throws(ImageError)
}

extension DiskImage {
  /// The layer below this one that `name` names (§8.6): found by the recorded name where that has a protocol or the user's
  /// does, else by the file that it leads to from the folder of the layer that records it.
  public func layer(named name: String) -> (any DiskImage)? {
    var upper: any DiskImage = self
    while let lower = upper.backing {
      if name == lower.filename, ImageName.protocolPrefix(of: name) != nil { return lower }
      if let recorded = upper.backingReference?.name {
        if ImageName.protocolPrefix(of: name) != nil || ImageName.protocolPrefix(of: recorded) != nil {
          if name == recorded { return lower }
        } else if !name.isEmpty, let identity = lower.storage.identity,
          FileStorage.identity(of: ImageName.resolve(name, relativeTo: upper.storage.nameOfFile)) == identity
        {
          return lower
        }
      }
      upper = lower
    }
    return nil
  }

  /// The layers between this one and `base`, neither counted, from the top down.
  public func layers(above base: any DiskImage) -> [any DiskImage] {
    var result: [any DiskImage] = []
    var layer = backing
    while let next = layer, next !== base {
      result.append(next)
      layer = next.backing
    }
    return result
  }
}
