/// A command of a shell that makes runs of bytes zeros, which differ from run to run or from device to device, so that
/// the rest of a file can be compared.
func zeroing(_ ranges: Range<Int>..., in file: String) -> String {
  ranges.map { "dd if=/dev/zero of=\(file) bs=1 seek=\($0.lowerBound) count=\($0.count) conv=notrunc status=none" }
    .joined(separator: " && ")
}
