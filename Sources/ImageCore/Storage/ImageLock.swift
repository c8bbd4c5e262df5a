import Bytes
import CLinux
import Glibc

/// What a user of an image file may do with it; the numbers are QEMU's (qemu-img-cli-1 §6.1).
public struct ImagePermissions: OptionSet, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Read, and see no half-written state.
  public static let consistentRead = ImagePermissions(rawValue: 1)
  /// Change the contents.
  public static let write = ImagePermissions(rawValue: 2)
  /// Write what is there already.
  public static let writeUnchanged = ImagePermissions(rawValue: 4)
  /// Change the length.
  public static let resize = ImagePermissions(rawValue: 8)

  static let names = ["consistent read", "write", "write unchanged", "resize"]
}

/// The claims on a file that other processes can see: what we do, and what we do not tolerate.
public struct ImageLock: Sendable, Equatable {
  /// Permissions that we hold.
  public var wanted: ImagePermissions
  /// Permissions that nobody else may hold.
  public var unshared: ImagePermissions

  /// A claim.
  public init(wanted: ImagePermissions, unshared: ImagePermissions) {
    self.wanted = wanted
    self.unshared = unshared
  }

  // The combinations of qemu-img-cli-2 §10.2.
  /// No claim at all.
  public static let none = ImageLock(wanted: [], unshared: [])
  /// `info` on a format other than raw: reads nothing but the header, and wants nobody to write.
  public static let inspect = ImageLock(wanted: [], unshared: [.write, .resize])
  /// A reader of a format other than raw.
  public static let read = ImageLock(wanted: .consistentRead, unshared: [.write, .resize])
  /// A reader who tolerates everything: raw images, and everything under `-U`.
  public static let shared = ImageLock(wanted: .consistentRead, unshared: [])
  /// A writer of a format other than raw.
  public static let write = ImageLock(wanted: [.consistentRead, .write, .resize], unshared: [.write, .resize])
  /// A writer of a raw image, who tolerates others.
  public static let writeRaw = ImageLock(wanted: [.consistentRead, .write], unshared: [])
  /// Somebody who changes a raw image's length.
  public static let resizeRaw = ImageLock(wanted: [.consistentRead, .write, .resize], unshared: [])
  /// A writer of a raw image who tolerates no other: what is copied there must not be mixed with what a machine writes.
  public static let writeRawAlone = ImageLock(wanted: [.consistentRead, .write, .resize], unshared: [.write, .resize])
  /// A reader whose file loses its meaning for others: a layer between two that are made one.
  public static let readAlone = ImageLock(wanted: .consistentRead, unshared: [.consistentRead, .write, .resize])
  /// Around the truncation of a file that is being created.
  public static let create = ImageLock(wanted: [.write, .resize], unshared: .resize)
}

/// QEMU's byte-range locks on one descriptor (qemu-img-cli-1 §6, qemu-img-cli-2 §10.1): a read lock on byte 100+k says "I
/// hold permission k", on byte 200+k "I do not tolerate others holding it"; a conflict is found by testing.
struct FileLocks {
  private let descriptor: Int32
  private(set) var held = ImageLock.none

  init(descriptor: Int32) { self.descriptor = descriptor }

  /// Changes the claim to `lock`; on failure the old one stays.
  mutating func change(to lock: ImageLock, path: String) throws(ImageError) {
    let before = held
    let all = ImageLock(wanted: before.wanted.union(lock.wanted), unshared: before.unshared.union(lock.unshared))
    do throws(ImageError) {
      try set(all, path: path)
      try test(lock, path: path)
    } catch {
      release(except: before)
      throw error
    }
    release(except: lock)
  }

  /// Takes the locks of another descriptor of ours, which excludes whoever could be in conflict.
  mutating func adopt(_ lock: ImageLock, path: String) throws(ImageError) { try set(lock, path: path) }

  private mutating func set(_ lock: ImageLock, path: String) throws(ImageError) {
    for (base, new, old) in [
      (Int64(100), lock.wanted, held.wanted), (200, lock.unshared, held.unshared),
    ] {
      for k in 0..<4 where new.contains(bit(k)) && !old.contains(bit(k)) {
        var type = Int16(F_RDLCK)
        let status = unsafe clinux_ofd_lock(descriptor, clinux_f_ofd_setlk(), &type, off_t(base + Int64(k)), 1)
        if status != 0 {
          throw ImageError("Failed to lock byte \(base + Int64(k)): \(errorText(status))", errno: status)
        }
        if base == 100 { held.wanted.insert(bit(k)) } else { held.unshared.insert(bit(k)) }
      }
    }
  }

  private func test(_ lock: ImageLock, path: String) throws(ImageError) {
    for k in 0..<4 where lock.wanted.contains(bit(k)) && isHeldElsewhere(200 + Int64(k)) {
      throw conflict("Failed to get \"\(ImagePermissions.names[k])\" lock", path)
    }
    for k in 0..<4 where lock.unshared.contains(bit(k)) && isHeldElsewhere(100 + Int64(k)) {
      throw conflict("Failed to get shared \"\(ImagePermissions.names[k])\" lock", path)
    }
  }

  private func conflict(_ text: String, _ path: String) -> ImageError {
    ImageError(text, errno: EAGAIN, hint: "Is another process using the image [\(path)]?")
  }

  private func isHeldElsewhere(_ byte: Int64) -> Bool {
    var type = Int16(F_WRLCK)
    let status = unsafe clinux_ofd_lock(descriptor, clinux_f_ofd_getlk(), &type, off_t(byte), 1)
    return status == 0 && type != Int16(F_UNLCK)
  }

  private mutating func release(except lock: ImageLock) {
    for k in 0..<4 {
      if held.wanted.contains(bit(k)) && !lock.wanted.contains(bit(k)) { unlock(100 + Int64(k)) }
      if held.unshared.contains(bit(k)) && !lock.unshared.contains(bit(k)) { unlock(200 + Int64(k)) }
    }
    held = lock
  }

  private func unlock(_ byte: Int64) {
    var type = Int16(F_UNLCK)
    _ = unsafe clinux_ofd_lock(descriptor, clinux_f_ofd_setlk(), &type, off_t(byte), 1)
  }

  private func bit(_ k: Int) -> ImagePermissions { ImagePermissions(rawValue: 1 << UInt8(k)) }
}
