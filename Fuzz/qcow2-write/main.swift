import FuzzSupport
import ImageCore

// A guest and its administrator at work on an image that may be damaged: write, zero, resize, close. Any error will do;
// a trap or a hang will not. An image that was sound stays sound, and what was written is read back.
fuzz { bytes in
  let storage = MemoryStorage(bytes.array(0..<bytes.byteCount), limit: 32 << 20)
  let wasSound = isSound(storage)
  guard let image = openQcow2(storage, use: .write) as? any WritableDiskImage else { return }
  // The image's last bytes say what is done: there lies guest data, so that mutations there leave the tables alone.
  let script = bytes.array(max(0, bytes.byteCount - 64)..<bytes.byteCount)
  var isComplete = true
  for step in stride(from: 0, to: script.count - 3, by: 4) {
    do throws(ImageError) {
      try perform(Array(script[step..<step + 4]), on: image, isSound: wasSound)
    } catch {
      isComplete = false
      break
    }
  }
  do throws(ImageError) { try image.close() } catch { isComplete = false }
  if wasSound && isComplete { precondition(isSound(storage), "a sound image was damaged") }
}

/// One step: what, where (a fraction of the disk), how much.
func perform(_ step: [UInt8], on image: any WritableDiskImage, isSound: Bool) throws(ImageError) {
  let size = image.virtualSize
  let place = UInt64(step[1]) << 8 | UInt64(step[2])
  let offset = size.multipliedFullWidth(by: place << 48).high
  let length = min(size - offset, UInt64(step[3]) * 700 + 1)
  switch step[0] % 6 {
  case 0, 1, 2:
    guard length > 0 else { return }
    let content = [UInt8](repeating: step[3] | 1, count: Int(length))
    try image.write(content.rawBytes, at: offset)
    guard isSound else { return }
    var buffer = Buffer(Int(length))
    var window = buffer.mutableBytes
    try image.read(into: &window, at: offset)
    precondition(buffer.bytes.elementsEqual(content.rawBytes), "other bytes came back")
  case 3:
    try image.writeZeros(offset..<offset + length, mayUnmap: step[3] & 1 == 0)
  case 4:
    try image.flush()
  default:
    try image.resize(to: (size / 2 + offset).roundedDown(to: 512), preallocation: .off)
  }
}

/// Whether a check finds nothing that endangers data. Leaks do not count: an image may claim clusters behind its file's
/// end, where no check looks, and they become leaks when it grows.
func isSound(_ storage: MemoryStorage) -> Bool {
  guard let image = openQcow2(storage, use: .read, isCheck: true) as? any CheckableImage,
    let result = try? image.check(repair: .none, message: { _ in })
  else { return false }
  return result.corruptions == 0 && result.checkErrors == 0
}
