import FuzzSupport
import ImageCore

// `check`, and `check -r all` on a copy: a repair may fail, but it must end, and what it calls sound must be.
fuzz { bytes in
  if let image = openQcow2(bytes, use: .read, isCheck: true) as? any CheckableImage {
    _ = try? image.check(repair: .none) { _ in }
  }
  let storage = MemoryStorage(bytes.array(0..<bytes.byteCount))
  guard let image = openQcow2(storage, use: .write, isCheck: true) as? any CheckableImage & WritableDiskImage else {
    return
  }
  let result = try? image.check(repair: .all) { _ in }
  try? image.close()
  guard let result, result.corruptions == 0, result.leaks == 0, result.checkErrors == 0 else { return }
  // A repaired image opens for writing.
  precondition(openQcow2(storage, use: .read) != nil, "repaired, and cannot be opened")
}
