import Bytes
import Storage

/// A piece of an L2 table in memory: the whole table of small clusters, 64 KiB of the table of large ones.
package final class L2Slice {
  /// Offset of the piece in the file in bytes.
  package let hostOffset: UInt64
  /// The words, in native byte order; two a guest cluster with extended L2.
  package var words: [UInt64]
  /// Whether ``words`` were changed and are not in the file yet. Such slices stay in the cache.
  package var isDirty = false

  package init(hostOffset: UInt64, words: [UInt64]) {
    self.hostOffset = hostOffset
    self.words = words
  }
}

/// The most recently used pieces of L2 tables, by their offset in the file.
///
/// Not locked by itself: it belongs to ``Qcow2Tables``, which is.
package final class L2Cache {
  /// Largest piece of a table in bytes.
  package static let largestSlice: UInt64 = 64 << 10
  /// Memory that the words of clean slices may take, in bytes.
  package static let capacity = 8 << 20

  /// Size of a slice in bytes: a cluster, or 64 KiB of it.
  package let sliceSize: UInt64
  private let storage: any Storage
  private let slotLimit: Int

  /// A place in the cache and its neighbours in the order of use; −1 for none.
  private struct Slot {
    var slice: L2Slice
    var newer: Int
    var older: Int
  }
  private var slots: [Slot] = []
  private var slotOfOffset: [UInt64: Int] = [:]
  private var newest = -1
  private var oldest = -1

  package init(_ storage: any Storage, clusterSize: UInt64) {
    self.storage = storage
    sliceSize = min(clusterSize, L2Cache.largestSlice)
    slotLimit = L2Cache.capacity / Int(sliceSize)
  }

  /// Number of slices that could not be had without reading, since the beginning.
  package private(set) var misses = 0

  /// The slice at `hostOffset` (a multiple of ``sliceSize``), read from the file if it is not here.
  package func slice(at hostOffset: UInt64) throws(ImageError) -> L2Slice {
    if let slot = slotOfOffset[hostOffset] {
      touch(slot)
      return slots[slot].slice
    }
    misses += 1
    let words = try storage.readBigEndianWords(at: hostOffset, count: Int(sliceSize / 8))
    let slice = L2Slice(hostOffset: hostOffset, words: words)
    insert(slice)
    return slice
  }

  /// The slice at `hostOffset` if it is in memory.
  package func cachedSlice(at hostOffset: UInt64) -> L2Slice? {
    slotOfOffset[hostOffset].map { slots[$0].slice }
  }

  /// Puts a slice into the cache that the file does not have yet, or has other contents for.
  package func insert(_ slice: L2Slice) {
    let slot: Int
    if let present = slotOfOffset[slice.hostOffset] {
      slot = present
      unlink(slot)
      slots[slot].slice = slice
    } else if slots.count >= slotLimit, let victim = oldestClean() {
      slot = victim
      unlink(slot)
      slotOfOffset[slots[slot].slice.hostOffset] = nil
      slots[slot].slice = slice
    } else {
      slot = slots.count
      slots.append(Slot(slice: slice, newer: -1, older: -1))
    }
    slotOfOffset[slice.hostOffset] = slot
    linkAsNewest(slot)
  }

  /// The slices that are not in the file yet, by ascending offset.
  package var dirtySlices: [L2Slice] {
    slots.lazy.map(\.slice).filter(\.isDirty).sorted { $0.hostOffset < $1.hostOffset }
  }

  /// Forgets all slices, dirty ones included: the file was changed behind the cache.
  package func removeAll() {
    slots.removeAll()
    slotOfOffset.removeAll()
    newest = -1
    oldest = -1
  }

  /// Forgets the slices within `range` of the file (bytes), dirty ones included: what is there is a table no more.
  package func remove(_ range: Range<UInt64>) {
    var offset = range.lowerBound.roundedDown(to: sliceSize)
    while offset < range.upperBound {
      if let slot = slotOfOffset.removeValue(forKey: offset) {
        // The place is kept, with a slice that nothing can ask for, and is the next to be used again.
        slots[slot].slice = L2Slice(hostOffset: .max, words: [])
        unlink(slot)
        linkAsOldest(slot)
      }
      offset += sliceSize
    }
  }

  // MARK: The order of use

  private func touch(_ slot: Int) {
    if slot == newest { return }
    unlink(slot)
    linkAsNewest(slot)
  }

  private func oldestClean() -> Int? {
    var slot = oldest
    while slot >= 0 && slots[slot].slice.isDirty { slot = slots[slot].newer }
    return slot >= 0 ? slot : nil
  }

  private func unlink(_ slot: Int) {
    let newer = slots[slot].newer
    let older = slots[slot].older
    if newer >= 0 { slots[newer].older = older } else { newest = older }
    if older >= 0 { slots[older].newer = newer } else { oldest = newer }
  }

  private func linkAsNewest(_ slot: Int) {
    slots[slot].newer = -1
    slots[slot].older = newest
    if newest >= 0 { slots[newest].newer = slot } else { oldest = slot }
    newest = slot
  }

  private func linkAsOldest(_ slot: Int) {
    slots[slot].older = -1
    slots[slot].newer = oldest
    if oldest >= 0 { slots[oldest].older = slot } else { newest = slot }
    oldest = slot
  }
}
