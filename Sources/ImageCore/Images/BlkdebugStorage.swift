import Bytes
import Storage
import Synchronization

/// The protocol `blkdebug`: a storage whose requests fail as rules have it, so that it can be seen what becomes of an image
/// when a disk fails.
final class BlkdebugStorage: LayeredStorage {
  let name: String
  let base: any WritableStorage
  let requestAlignment: Int
  // The reference does not tell either, and asks for holes accordingly.
  let allocatedSize: UInt64? = nil

  private struct State {
    var rules: BlkdebugRules
    /// Begins with 1; 0 stands for any state in rules.
    var number = 1
    /// The image is being opened: nobody reads or writes what a guest would.
    var isOpening = true
  }

  private let state: Mutex<State>

  init(_ base: any WritableStorage, name: String, _ rules: BlkdebugRules, alignment: Int) {
    self.base = base
    self.name = name
    requestAlignment = max(base.requestAlignment, alignment)
    state = Mutex(State(rules: rules))
  }

  /// The image has been opened.
  func beginUse() { state.withLock { $0.isOpening = false } }

  /// A request comes: the rules decide whether it fails.
  private func meet(_ kind: BlkdebugRules.Kind, _ range: Range<UInt64>?) throws(ImageError) {
    let code: Int32? = state.withLock { state in
      let events = kind.events.subtracting(state.isOpening ? ["read_aio", "write_aio"] : [])
      let index = state.rules.injections.firstIndex { rule in
        guard events.contains(rule.event), rule.state == 0 || rule.state == state.number, rule.kinds.contains(kind)
        else { return false }
        guard let sector = rule.sector else { return true }
        guard let range, !range.isEmpty else { return false }
        return range.lowerBound / 512 <= sector && sector <= (range.upperBound - 1) / 512
      }
      for rule in state.rules.transitions
      where events.contains(rule.event) && (rule.state == 0 || rule.state == state.number) {
        state.number = rule.newState
        break
      }
      guard let index else { return nil }
      let rule = state.rules.injections[index]
      if rule.once { state.rules.injections.remove(at: index) }
      return rule.errno == 0 ? nil : rule.errno
    }
    if let code { throw .system(code, path: name, offset: range?.lowerBound) }
  }

  func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(ImageError) {
    try meet(.read, offset..<offset.saturatingAdd(UInt64(buffer.byteCount)))
    try base.read(into: &buffer, at: offset)
  }

  func extent(at offset: UInt64, limit: UInt64) throws(ImageError) -> StorageExtent {
    try meet(.blockStatus, offset..<offset.saturatingAdd(limit))
    return try base.extent(at: offset, limit: limit)
  }

  func write(_ bytes: RawSpan, at offset: UInt64) throws(ImageError) {
    try meet(.write, offset..<offset.saturatingAdd(UInt64(bytes.byteCount)))
    try base.write(bytes, at: offset)
  }

  func zero(_ range: Range<UInt64>, mayUnmap: Bool) throws(ImageError) {
    try meet(.writeZeroes, range)
    try base.zero(range, mayUnmap: mayUnmap)
  }

  func discard(_ range: Range<UInt64>) throws(ImageError) {
    try meet(.discard, range)
    try base.discard(range)
  }

  func allocate(_ range: Range<UInt64>) throws(ImageError) { try base.allocate(range) }
  func resize(to length: UInt64) throws(ImageError) { try base.resize(to: length) }

  func flush() throws(ImageError) {
    try meet(.flush, nil)
    try base.flush()
  }
}
