import Bytes
import Storage

/// A storage that passes on to another one below it, and does something of its own on the way.
package protocol LayeredStorage: WritableStorage {
  /// The storage below.
  var base: any WritableStorage { get }
}

extension LayeredStorage {
  package var length: UInt64 { base.length }
  package var requestAlignment: Int { base.requestAlignment }
  package var allocatedSize: UInt64? { base.allocatedSize }
  package var identity: FileIdentity? { base.identity }
  package var growsWithZeros: Bool { base.growsWithZeros }
}

extension Storage {
  /// The file at the bottom; nil for storages that have none.
  package var file: FileStorage? { (self as? FileStorage) ?? (self as? any LayeredStorage)?.base.file }

  /// The name of what lies at the bottom: names that an image records are looked for from its folder
  /// (qemu-img-cli-2 §8.4).
  public var nameOfFile: String { (self as? any LayeredStorage)?.base.nameOfFile ?? name }
}
