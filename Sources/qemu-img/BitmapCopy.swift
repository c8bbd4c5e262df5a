import ImageCore

/// The persistent bitmaps of a conversion's source, copied into its target (`--bitmaps`, qemu-img-cli-1 §11.17).
struct BitmapCopy {
  private let source: any BitmapImage
  /// Which of the source's bitmaps are copied.
  private let indices: [Int]

  /// nil when bitmaps were not asked for.
  init?(_ sources: [any DiskImage], _ options: ConvertOptions, _ console: Console) throws(ImageError) {
    guard options.arguments.has(.bitmaps) else { return nil }
    guard sources.count == 1 else { throw ImageError("Copying bitmaps only possible with single source") }
    guard let source = sources[0] as? any BitmapImage, source.supportsBitmaps else {
      throw ImageError("Source lacks bitmap support", errno: 95 /* ENOTSUP */)
    }
    self.source = source
    var indices = [Int]()
    for (index, bitmap) in source.bitmaps.enumerated() {
      if !bitmap.isInconsistent {
        indices.append(index)
      } else if options.arguments.has(.skipBrokenBitmaps) {
        console.warn("Skipping inconsistent bitmap '\(bitmap.name)'")
      } else {
        throw ImageError(
          "Cannot copy inconsistent bitmap '\(bitmap.name)'",
          hint: "Try --skip-broken-bitmaps, or use 'qemu-img bitmap --remove' to delete it")
      }
    }
    self.indices = indices
  }

  /// Refuses a target that cannot take bitmaps, before it is touched.
  func check(_ format: any CreatableFormat.Type, _ values: OptionValues) throws(ImageError) {
    guard format.supportsBitmaps(values) else {
      throw ImageError("Format driver '\(format.name)' does not support bitmaps", errno: 95)
    }
  }

  /// Adds the bitmaps to the target.
  func run(to target: any DiskImage) throws(ImageError) {
    guard let target = target as? any WritableBitmapImage, target.supportsBitmaps else {
      throw ImageError("Format driver '\(target.format)' does not support bitmaps", errno: 95)
    }
    for index in indices {
      let bitmap = source.bitmaps[index]
      let bits: [UInt8]
      do throws(ImageError) {
        bits = try source.readBitmap(index)
      } catch {
        throw error.prefixed("Failed to populate bitmap \(bitmap.name): ")
      }
      do throws(ImageError) {
        try target.addBitmap(bitmap, bits: bits)
      } catch {
        throw error.prefixed("Failed to create bitmap \(bitmap.name): ")
      }
    }
  }
}
