import Bytes

/// Something that is done to the copy of a tree block before it goes into a dump: sanitizing. Safe to call from many
/// threads.
///
/// A dump calls it for every block that it stores, after unused space and inline file data have been zeroed and before
/// the checksum is computed, which is the caller's work. The header's item count lies within the block's capacity, and
/// the data of every item of a leaf lies behind the item table and within the block (a leaf of which that is not true is
/// emptied instead); nothing else has been checked. The work may not depend on the order of the calls.
package protocol TreeBlockTransform: AnyObject, Sendable {
  /// Changes `block`, a whole leaf or node of the file system's node size, in place.
  @_lifetime(block: copy block)
  func apply(to block: inout MutableRawSpan)

  /// Changes the superblock, whose checksum is the caller's work too.
  func apply(to superblock: inout BtrfsSuperblock)
}
