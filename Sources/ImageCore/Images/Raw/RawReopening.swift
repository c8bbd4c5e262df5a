import Bytes
import Images
import Storage

extension RawImage: ReopenableImage {
  public func reopenForWriting() throws(ImageError) {
    guard let file = storage.file else {
      throw ImageError("Block node is read-only", errno: 30 /* EROFS */)
    }
    try file.reopenForWriting(.writeRawAlone)
    if let looksRaw, let storage = storage as? any WritableStorage {
      guarded.withLock { $0 = FirstSectorGuard(storage, looksRaw: looksRaw) }
    }
  }
}
