import FuzzSupport
import ImageCore

// --image-opts texts and json: names, up to the point where a file would be opened: the file's name is emptied.
let opener = ImageOpener.standard { _ in }

fuzz { bytes in
  let text = String(rawBytes: bytes.array(0..<bytes.byteCount))
  // The same bytes as rules for blkdebug, and as a secret.
  var rules = BlkdebugRules()
  try? rules.read(text.rawBytes)
  _ = decodeBase64(text.rawBytes)
  guard let tree = try? opener.optionTree(text) else { return }
  var options = tree
  try? rules.take(from: &options)
  _ = tree.nested.compactJSON()
  var copy = tree
  for child in ["file", "backing", "file.file"] { _ = copy.takeSubtree(child) }
  precondition(copy.members.count <= tree.members.count)
  for member in tree.members { precondition(tree[member.key] == member.value) }
}
