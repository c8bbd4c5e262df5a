import Bytes
import CLinux
import Glibc
import Synchronization

extension FileStorage {
  /// Makes a file that was opened for reading writable, and changes the claim on it to `lock`
  /// (qemu-img-cli-2 §10.4). Whoever reads it meanwhile notices nothing.
  ///
  /// - Throws: `Failed to get … lock` or `Could not open 'PATH': …`; file and claim are as before then.
  public func reopenForWriting(_ lock: ImageLock) throws(ImageError) {
    if isWritable { return try self.lock(lock) }
    let path = name
    do throws(ImageError) {
      let new = try FileDescriptor(
        path: path, flags: O_RDWR | O_NONBLOCK | (cache.isDirect ? clinux_o_direct() : 0))
      // Another file may have the name by now.
      guard FileIdentity(try new.status()) == identity else { throw ImageError.system(ESTALE, path: path) }
      try replace(with: new, claiming: lock)
    } catch {
      // Locks are told as they are; the kernel's errors in the words of an opening.
      throw error.hint == nil ? error.prefixed("Could not open '\(path)': ") : error
    }
    writable.store(true, ordering: .relaxed)
  }

  private func replace(with new: FileDescriptor, claiming lock: ImageLock) throws(ImageError) {
    // The new claim is made on the old descriptor first: there our own locks are in nobody's way.
    try self.lock(lock)
    let held = locks.withLock { $0.held }
    var adopted = FileLocks(descriptor: new.number)
    try adopted.adopt(held, path: name)
    // The number stays, the file behind it is opened anew; with the old one its locks go.
    guard clinux_replace(new.number, number) >= 0 else { throw .system(errno, path: name) }
    if let cached {
      let again = try FileDescriptor(again: new, path: name, flags: O_RDWR)
      guard clinux_replace(again.number, cached.number) >= 0 else { throw .system(errno, path: name) }
    }
  }
}
