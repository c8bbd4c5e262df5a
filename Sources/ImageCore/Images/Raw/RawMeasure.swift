import Bytes
import Images

extension RawFormat: MeasurableFormat {
  package static func measure(_ options: OptionValues, size: UInt64, source: (any DiskImage)?) -> ImageMeasure {
    ImageMeasure(required: size, fullyAllocated: size)
  }
}
