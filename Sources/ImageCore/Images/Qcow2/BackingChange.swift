import Bytes
import Images
import Storage

// The recorded layer below changes (qcow2-qcow-qed §19.4), and images that are read become writable.

extension Qcow2Image: RebasableImage {
  public func checkBackingChange(to reference: BackingReference?) throws(ImageError) {
    try checkWritable()
    _ = try header.rebased(to: reference).firstCluster()
  }

  public func changeBacking(to reference: BackingReference?) throws(ImageError) {
    try checkBackingChange(to: reference)
    // The tables and what they point to go first: with the new layer below, they are what makes up the difference.
    try flush()
    try tables.withLock { (tables) throws(ImageError) in
      let before = tables.header
      tables.header = try before.rebased(to: reference)
      do throws(ImageError) {
        try tables.writeHeader()
      } catch {
        tables.header = before
        throw error
      }
      try tables.writer().barrier()
    }
  }
}

extension Qcow2Header {
  /// The header with another layer below.
  fileprivate func rebased(to reference: BackingReference?) throws(ImageError) -> Qcow2Header {
    // A raw data file must hold what the disk shows, all by itself.
    if hasRawDataFile && reference != nil { throw .system(22 /* EINVAL */) }
    var header = self
    header.backingFile = reference?.name
    header.extensions.backingFormat = reference?.format
    return header
  }
}

extension Qcow2Image: ReopenableImage {
  public func reopenForWriting() throws(ImageError) {
    guard let file = storage.file else {
      throw ImageError("Block node is read-only", errno: 30 /* EROFS */)
    }
    try file.reopenForWriting(Qcow2Format.lock(for: .write))
    if let data = dataStorage as? FileStorage, data !== file { try data.reopenForWriting(.writeRaw) }
    corruption.becomeWritable()
    currentUse.withLock { $0 = .write }
    // The reader's lock has kept writers away: header and tables in memory are those of the file.
    try dropUnkeptPromises()
    try beginWriting()
  }
}
